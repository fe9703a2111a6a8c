/* weigh.c: runs a program and tells what it took.
 *
 *   bench_weigh FD COMMAND [ARGUMENT..]
 *
 * Writes two lines to the descriptor FD: the pid of the program when it is there, and when it has ended
 * its wait status, seconds of user and system time, and its greatest resident size in KiB.
 *
 * The kernel counts what a process had resident before exec() as its own: a program that a Python script
 * has started is never smaller than Python. Here it is the child of a program that has next to nothing. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static double seconds(const struct timeval *time) {
    return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

static int fail(const char *what) {
    (void)fprintf(stderr, "bench_weigh: %s: %s\n", what, strerror(errno));
    return 127;
}

int main(int argc, char **argv) {
    char *end = NULL;
    const long fd = argc > 2 ? strtol(argv[1], &end, 10) : -1;
    if (fd < 0 || *end != '\0') {
        (void)fprintf(stderr, "usage: bench_weigh FD COMMAND [ARGUMENT..]\n");
        return 2;
    }
    const pid_t pid = fork();
    if (pid < 0) return fail("fork");
    if (pid == 0) {
        (void)close((int)fd);
        (void)execvp(argv[2], argv + 2);
        _exit(fail(argv[2]));
    }
    /* What the terminal sends is for the program, whose end is waited for. */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)dprintf((int)fd, "%ld\n", (long)pid);
    int status = 0;
    struct rusage usage;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) return fail("waitpid");
    }
    if (getrusage(RUSAGE_CHILDREN, &usage) != 0) return fail("getrusage");
    (void)dprintf((int)fd, "%d %.6f %.6f %ld\n", status, seconds(&usage.ru_utime),
                  seconds(&usage.ru_stime), usage.ru_maxrss);
    return 0;
}
