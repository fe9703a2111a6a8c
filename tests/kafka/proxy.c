/* proxy.c: a TCP proxy on loopback that makes a network worse than it is.
 *
 *   proxy SEED LISTEN:TARGET..     ports on 127.0.0.1; prints "ready" when it listens
 *
 * Lines on stdin change what it does; every line is answered by one on stdout:
 *
 *   latency MS              every byte arrives MS later, in both directions
 *   stall PER_MILLE MIN MAX so many of 1000 chunks hold up their direction for MIN to MAX ms, as a
 *                           lost packet does that is sent again
 *   bandwidth KBYTES        per second and direction of a connection; 0: as fast as it goes
 *   cut reset MS            connections are reset, new ones as well
 *   cut silent MS           nothing passes and nothing is closed; new connections hang
 *   calm                    latency, stalls and the bound of bandwidth end, and a cut
 *   count                   connections now, and since the start
 *
 * It ends with its stdin. One thread; bytes that wait are bounded, so that a slow reader is felt by
 * the writer. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    PORTS_MAX = 16,
    PIPES_MAX = 1024,
    CHUNK_BYTES = 16 * 1024,
    WAITING_BYTES_MAX = 4 * 1024 * 1024, /* of one direction; then it is not read any more */
    TICK_MS = 1000,
};

struct chunk {
    struct chunk *next;
    int64_t due_us; /* not before that */
    size_t size, sent;
    char bytes[];
};

/* One direction of a connection: what came from `from` waits for `to`. */
struct way {
    int from, to;
    struct chunk *first, *last;
    size_t waiting;
    int64_t due_us; /* of the last chunk: bytes never overtake */
    bool ended;     /* `from` has closed; told to `to` behind the last chunk */
    bool told;
};

struct pipe {
    struct way way[2];
    bool connecting, closed;
};

struct port {
    int listen;
    uint16_t target;
};

static struct {
    struct port ports[PORTS_MAX];
    struct pipe pipes[PIPES_MAX];
    uint32_t port_count, pipe_count;
    uint64_t random, accepted;
    int64_t latency_us, stall_min_us, stall_max_us, bandwidth, cut_until_us;
    uint32_t stall_per_mille;
    bool cut_silent;
} proxy;

static _Noreturn void die(const char *what) {
    (void)fprintf(stderr, "proxy: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint64_t random_next(void) {
    uint64_t x = proxy.random += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static bool is_cut(void) {
    return proxy.cut_until_us > now_us();
}

static void set_options(int fd) {
    const int on = 1;
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static struct sockaddr_in address_of(uint16_t port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void port_open(const char *text) {
    unsigned listen_port = 0, target = 0;
    char rest = 0;
    if (sscanf(text, "%u:%u%c", &listen_port, &target, &rest) != 2 || listen_port > 65535 ||
        target > 65535 || proxy.port_count == PORTS_MAX) {
        (void)fprintf(stderr, "proxy: '%s' is not LISTEN:TARGET\n", text);
        exit(2);
    }
    const int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0) die("socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const struct sockaddr_in address = address_of((uint16_t)listen_port);
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) != 0) die("bind");
    if (listen(fd, 128) != 0) die("listen");
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    proxy.ports[proxy.port_count++] = (struct port){.listen = fd, .target = (uint16_t)target};
}

static void way_drop(struct way *way) {
    while (way->first != NULL) {
        struct chunk *next = way->first->next;
        free(way->first);
        way->first = next;
    }
    way->last = NULL;
    way->waiting = 0;
}

/* With `reset` the peers see an error, not an end. */
static void pipe_close(struct pipe *pipe, bool reset) {
    const struct linger hard = {.l_onoff = 1, .l_linger = 0};
    for (int i = 0; i < 2; i++) {
        way_drop(&pipe->way[i]);
        if (reset) {
            (void)setsockopt(pipe->way[i].from, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        }
        (void)close(pipe->way[i].from);
    }
    pipe->closed = true;
}

static void port_accept(const struct port *port) {
    const int fd = accept(port->listen, NULL, NULL);
    if (fd < 0) return;
    set_options(fd);
    const int target = socket(AF_INET, SOCK_STREAM, 0);
    if (target < 0 || proxy.pipe_count == PIPES_MAX) {
        (void)close(fd);
        if (target >= 0) (void)close(target);
        return;
    }
    set_options(target);
    const struct sockaddr_in address = address_of(port->target);
    struct pipe *pipe = &proxy.pipes[proxy.pipe_count++];
    *pipe = (struct pipe){.way = {{.from = fd, .to = target}, {.from = target, .to = fd}}};
    proxy.accepted++;
    if (connect(target, (const struct sockaddr *)&address, sizeof address) == 0) return;
    pipe->connecting = errno == EINPROGRESS;
    if (!pipe->connecting) pipe_close(pipe, true);
}

static int64_t chunk_due(const struct way *way, size_t size) {
    int64_t due = now_us() + proxy.latency_us;
    if (proxy.stall_per_mille > 0 && random_next() % 1000 < proxy.stall_per_mille) {
        const uint64_t span = (uint64_t)(proxy.stall_max_us - proxy.stall_min_us + 1);
        due += proxy.stall_min_us + (int64_t)(random_next() % span);
    }
    if (due < way->due_us) due = way->due_us;
    if (proxy.bandwidth > 0) due += (int64_t)size * 1000000 / proxy.bandwidth;
    return due;
}

/* False: the connection is broken. */
static bool way_read(struct way *way) {
    char bytes[CHUNK_BYTES];
    const ssize_t size = read(way->from, bytes, sizeof bytes);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    if (size == 0) {
        way->ended = true;
        return true;
    }
    struct chunk *chunk = malloc(sizeof *chunk + (size_t)size);
    if (chunk == NULL) die("malloc");
    way->due_us = chunk_due(way, (size_t)size);
    *chunk = (struct chunk){.due_us = way->due_us, .size = (size_t)size};
    memcpy(chunk->bytes, bytes, (size_t)size);
    if (way->last != NULL) way->last->next = chunk;
    if (way->first == NULL) way->first = chunk;
    way->last = chunk;
    way->waiting += (size_t)size;
    return true;
}

static bool way_write(struct way *way) {
    while (way->first != NULL && way->first->due_us <= now_us()) {
        struct chunk *chunk = way->first;
        const ssize_t size = write(way->to, chunk->bytes + chunk->sent, chunk->size - chunk->sent);
        if (size < 0) return errno == EAGAIN || errno == EINTR;
        chunk->sent += (size_t)size;
        way->waiting -= (size_t)size;
        if (chunk->sent < chunk->size) return true;
        way->first = chunk->next;
        if (way->first == NULL) way->last = NULL;
        free(chunk);
    }
    if (way->first == NULL && way->ended && !way->told) {
        way->told = true;
        (void)shutdown(way->to, SHUT_WR);
    }
    return true;
}

static bool pipe_connected(struct pipe *pipe) {
    int failed = 0;
    socklen_t size = sizeof failed;
    (void)getsockopt(pipe->way[0].to, SOL_SOCKET, SO_ERROR, &failed, &size);
    pipe->connecting = false;
    return failed == 0;
}

static void command(const char *line) {
    long a = 0, b = 0, c = 0;
    char kind[8] = "";
    if (sscanf(line, "latency %ld", &a) == 1) {
        proxy.latency_us = a * 1000;
    } else if (sscanf(line, "stall %ld %ld %ld", &a, &b, &c) == 3 && b <= c) {
        proxy.stall_per_mille = (uint32_t)a;
        proxy.stall_min_us = b * 1000;
        proxy.stall_max_us = c * 1000;
    } else if (sscanf(line, "bandwidth %ld", &a) == 1) {
        proxy.bandwidth = a * 1024;
    } else if (sscanf(line, "cut %7s %ld", kind, &a) == 2) {
        proxy.cut_until_us = now_us() + a * 1000;
        proxy.cut_silent = strcmp(kind, "silent") == 0;
        for (uint32_t i = 0; !proxy.cut_silent && i < proxy.pipe_count; i++) {
            if (!proxy.pipes[i].closed) pipe_close(&proxy.pipes[i], true);
        }
    } else if (strncmp(line, "calm", 4) == 0) {
        proxy.latency_us = proxy.bandwidth = proxy.cut_until_us = 0;
        proxy.stall_per_mille = 0;
    } else if (strncmp(line, "count", 5) != 0) {
        (void)printf("unknown: %s", line);
        return;
    }
    (void)printf("ok %u %llu\n", (unsigned)proxy.pipe_count, (unsigned long long)proxy.accepted);
}

/* Lines from stdin; false: it has ended. */
static bool commands_read(void) {
    static char text[512];
    static size_t size;
    const ssize_t more = read(STDIN_FILENO, text + size, sizeof text - 1 - size);
    if (more <= 0) return more < 0 && (errno == EAGAIN || errno == EINTR);
    size += (size_t)more;
    text[size] = '\0';
    for (char *end = strchr(text, '\n'); end != NULL; end = strchr(text, '\n')) {
        char line[512];
        const size_t bytes = (size_t)(end - text) + 1;
        memcpy(line, text, bytes);
        line[bytes] = '\0';
        command(line);
        memmove(text, end + 1, size - bytes + 1);
        size -= bytes;
    }
    (void)fflush(stdout);
    return size < sizeof text - 1;
}

/* What poll() is to wait for at one end of a connection, and until when. */
static short pipe_events(const struct pipe *pipe, int end, int64_t now, int64_t *until) {
    const struct way *in = &pipe->way[end], *out = &pipe->way[1 - end];
    if (pipe->connecting) return end == 1 ? POLLOUT : 0;
    short events = 0;
    if (!in->ended && in->waiting < WAITING_BYTES_MAX) events |= POLLIN;
    if (out->first != NULL && out->first->due_us <= now) events |= POLLOUT;
    if (out->first != NULL && out->first->due_us > now && out->first->due_us < *until) {
        *until = out->first->due_us;
    }
    return events;
}

static void pipe_turn(struct pipe *pipe, const struct pollfd *ends) {
    bool good = true;
    if (pipe->connecting) {
        if (ends[1].revents == 0) return;
        good = pipe_connected(pipe);
    } else {
        for (int i = 0; i < 2 && good; i++) {
            if ((ends[i].revents & (POLLIN | POLLERR | POLLHUP)) != 0 && !pipe->way[i].ended &&
                pipe->way[i].waiting < WAITING_BYTES_MAX) {
                good = way_read(&pipe->way[i]);
            }
        }
        for (int i = 0; i < 2 && good; i++) {
            good = way_write(&pipe->way[i]);
        }
    }
    if (!good) {
        pipe_close(pipe, true);
    } else if (pipe->way[0].told && pipe->way[1].told) {
        pipe_close(pipe, false);
    }
}

static void pipes_sweep(void) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < proxy.pipe_count; i++) {
        if (!proxy.pipes[i].closed) proxy.pipes[kept++] = proxy.pipes[i];
    }
    proxy.pipe_count = kept;
}

/* One round; false: stdin has ended. */
static bool turn(void) {
    static struct pollfd fds[1 + PORTS_MAX + 2 * PIPES_MAX];
    const bool cut = is_cut(), silent = cut && proxy.cut_silent;
    const int64_t now = now_us();
    int64_t until = now + TICK_MS * 1000;
    if (cut && proxy.cut_until_us < until) until = proxy.cut_until_us;
    nfds_t count = 0;
    fds[count++] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    for (uint32_t i = 0; i < proxy.port_count; i++) {
        fds[count++] = (struct pollfd){.fd = silent ? -1 : proxy.ports[i].listen, .events = POLLIN};
    }
    const nfds_t pipes_at = count;
    const uint32_t pipes = proxy.pipe_count;
    for (uint32_t i = 0; i < pipes; i++) {
        for (int end = 0; end < 2; end++) {
            const struct pipe *pipe = &proxy.pipes[i];
            const short events = silent ? 0 : pipe_events(pipe, end, now, &until);
            /* An end that nothing is wanted of would tell of its hang-up again and again. */
            fds[count++] =
                (struct pollfd){.fd = events == 0 ? -1 : pipe->way[end].from, .events = events};
        }
    }
    if (poll(fds, count, (int)((until - now + 999) / 1000)) < 0 && errno != EINTR) die("poll");
    for (uint32_t i = 0; !silent && i < pipes; i++) {
        if (!proxy.pipes[i].closed) pipe_turn(&proxy.pipes[i], &fds[pipes_at + 2 * i]);
    }
    for (uint32_t i = 0; i < proxy.port_count; i++) {
        if ((fds[1 + i].revents & POLLIN) == 0) continue;
        port_accept(&proxy.ports[i]);
        if (cut && !proxy.cut_silent) pipe_close(&proxy.pipes[proxy.pipe_count - 1], true);
    }
    const bool more = fds[0].revents == 0 || commands_read();
    pipes_sweep();
    return more;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        (void)fprintf(stderr, "usage: proxy SEED LISTEN:TARGET..\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    proxy.random = strtoull(argv[1], NULL, 10);
    for (int i = 2; i < argc; i++) {
        port_open(argv[i]);
    }
    (void)printf("ready\n");
    (void)fflush(stdout);
    while (turn()) {
    }
    return 0;
}
