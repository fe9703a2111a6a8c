/* run_signal.c: SIGTERM and SIGINT. The handler counts and writes one byte; all else is done by the
 * main thread, which waits on the other end of that pipe. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/run.h"

static atomic_int signal_count;
static atomic_bool signal_armed;
static int signal_pipe[2] = {-1, -1};

static void signal_handle(int number) {
    const int saved = errno;
    if (!atomic_load(&signal_armed)) _exit(0);
    if (atomic_fetch_add(&signal_count, 1) > 0) _exit(128 + number);
    mri_signals_notify();
    errno = saved;
}

mr_status mri_signals_open(mr_error *err) {
    if (pipe(signal_pipe) != 0) {
        return mr_fail(err, MR_ERR_IO, NULL, "cannot make a pipe: %s", strerror(errno));
    }
    for (int i = 0; i < 2; i++) {
        (void)fcntl(signal_pipe[i], F_SETFL, O_NONBLOCK);
        (void)fcntl(signal_pipe[i], F_SETFD, FD_CLOEXEC);
    }
    struct sigaction action = {.sa_handler = signal_handle, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    /* A reader of our output that goes away is an error to report, not a reason to die. */
    (void)signal(SIGPIPE, SIG_IGN);
    return MR_OK;
}

void mri_signals_arm(void) {
    atomic_store(&signal_armed, true);
}

int mri_signals_count(void) {
    return atomic_load(&signal_count);
}

void mri_signals_wait(int timeout_ms) {
    struct pollfd poll_fd = {.fd = signal_pipe[0], .events = POLLIN};
    if (poll(&poll_fd, 1, timeout_ms) <= 0) return;
    char bytes[64];
    while (read(signal_pipe[0], bytes, sizeof bytes) == (ssize_t)sizeof bytes) {
    }
}

void mri_signals_notify(void) {
    /* A full pipe wakes its reader just as well. */
    if (write(signal_pipe[1], "", 1) < 0) return;
}

void mri_signals_close(void) {
    /* The process is ending with the status of its work: a late signal must not change that. */
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    for (int i = 0; i < 2; i++) {
        if (signal_pipe[i] >= 0) (void)close(signal_pipe[i]);
        signal_pipe[i] = -1;
    }
}
