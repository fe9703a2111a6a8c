/* run_notify.c: the service manager's socket, as sd_notify(3) describes it. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/number.h"
#include "cli/run.h"

void mri_notify(const char *text) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (path == NULL || (path[0] != '/' && path[0] != '@')) return;
    const size_t size = strlen(path);
    if (size < 2 || size >= sizeof to.sun_path) return;
    memcpy(to.sun_path, path, size);
    if (path[0] == '@') to.sun_path[0] = '\0'; /* a name without a file */
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return;
    /* A manager that does not listen is no reason to stop. */
    const ssize_t sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&to,
                                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
    (void)sent;
    (void)close(fd);
}

int64_t mri_notify_watchdog_us(void) {
    const char *every = getenv("WATCHDOG_USEC"), *who = getenv("WATCHDOG_PID");
    int64_t us = 0, pid = 0;
    if (getenv("NOTIFY_SOCKET") == NULL || every == NULL) return 0;
    if (!mri_parse_i64(every, strlen(every), &us) || us <= 0) return 0;
    if (who == NULL) return us;
    return mri_parse_i64(who, strlen(who), &pid) && pid == (int64_t)getpid() ? us : 0;
}
