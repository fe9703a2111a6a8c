/* http.c: bytes of any kind to the server, over a connection of its own, in up to three pieces; and
 * the pages, over workers in any state. Every answer is one of HTTP, and the server goes on. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "http/http.h"
#include "support_fuzz.h"

enum { WORKERS = 3, ANSWER_MS = 4000, SILENT_MS = 20, ANSWER_MAX = 1 << 20 };

static mri_http_worker workers[WORKERS];
/* What the server shows, from its own thread. */
static const mri_http_worker served = {.stage = "candles", .stats.watermark_us = MR_TIME_NONE};
static bool is_stopping;
static int64_t clock_us = INT64_C(1700000000000000);

static int64_t now(void *self) {
    (void)self;
    return clock_us;
}

static void read_worker(void *self, uint32_t worker, mri_http_worker *out) {
    (void)self;
    FUZZ_CHECK(worker < WORKERS);
    *out = workers[worker];
}

static void read_served(void *self, uint32_t worker, mri_http_worker *out) {
    (void)self;
    FUZZ_CHECK(worker < WORKERS);
    *out = served;
}

static bool stopping(void *self) {
    (void)self;
    return is_stopping;
}

static const mri_env env = {.now_us = now, .wall_us = now};
static const mri_http_view view = {.pipeline = "fuzz",
                                   .version = "1",
                                   .instance = "fuzz-1",
                                   .env = &env,
                                   .workers = WORKERS,
                                   .read = read_worker,
                                   .stopping = stopping};

/* Counters never fall and are far from their end in any life of a process. */
static void fill_workers(fuzz_input *in) {
    static const char *const stages[] = {"candles", "indicators", "a-b_c.9"};
    for (uint32_t i = 0; i < WORKERS; i++) {
        mri_http_worker *worker = &workers[i];
        *worker = (mri_http_worker){.stage = stages[i / 2 + (i > 0 && fuzz_below(in, 2))]};
        worker->turned_us = clock_us - (int64_t)(fuzz_number(in, 4) % 100000000);
        worker->over = fuzz_below(in, 2);
        worker->stats.ready = fuzz_below(in, 2);
        worker->stats.rows_in = (int64_t)(fuzz_number(in, 8) >> 4);
        worker->stats.commits = (int64_t)(fuzz_number(in, 8) >> 4);
        worker->stats.commit_us_sum = (int64_t)(fuzz_number(in, 8) >> 4);
        worker->stats.watermark_us = (int64_t)fuzz_number(in, 8);
        worker->stats.tasks = (uint32_t)fuzz_number(in, 1);
    }
    is_stopping = fuzz_below(in, 2);
}

/* Lines of Prometheus' text format: a comment, or a name, labels and a number. */
static void check_metrics(void) {
    mri_text text = {0};
    mri_http_metrics(&view, &text);
    fuzz_note(text.data);
    FUZZ_CHECK(text.size > 0 && text.data[text.size - 1] == '\n');
    for (char *line = text.data; *line != '\0';) {
        char *end = strchr(line, '\n');
        *end = '\0';
        if (line[0] != '#') {
            const char *value = strrchr(line, ' ');
            char *rest = NULL;
            FUZZ_CHECK(value != NULL && strncmp(line, "millrace_", 9) == 0);
            const double number = strtod(value + 1, &rest);
            FUZZ_CHECK(rest != value + 1 && *rest == '\0' && number - number == 0);
        }
        line = end + 1;
    }
    fuzz_note(NULL);
    mri_text_free(&text);
}

static void check_pages(fuzz_input *in) {
    mri_text text = {0};
    fill_workers(in);
    const unsigned live = mri_http_live(&view, &text), ready = mri_http_ready(&view, &text);
    FUZZ_CHECK((live == 200 || live == 503) && (ready == 200 || ready == 503) && text.size > 0);
    FUZZ_CHECK(!is_stopping || ready == 503);
    mri_text_free(&text);
    check_metrics();
}

/* --- requests ----------------------------------------------------------------------------------
 */

static uint16_t server_port(void) {
    static mri_http *http;
    mr_error err = {0};
    mri_http_view own = view;
    own.read = read_served;
    if (http == NULL) FUZZ_CHECK(mri_http_open("127.0.0.1:0", &own, &http, &err) == MR_OK);
    return (uint16_t)strtoul(strrchr(mri_http_url(http), ':') + 1, NULL, 10);
}

static int server_connect(void) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(server_port())};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* A reset at the end: ports are not used up by thousands of connections. */
    const struct linger at_once = {.l_onoff = 1};
    FUZZ_CHECK(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    FUZZ_CHECK(connect(fd, (const struct sockaddr *)&to, sizeof to) == 0);
    return fd;
}

/* The server may have closed the connection before it has read all of it. */
static void send_all(int fd, const uint8_t *data, size_t size) {
    while (size > 0) {
        const ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent <= 0) return;
        data += sent;
        size -= (size_t)sent;
    }
}

/* What it says until it closes, or is silent for so long: of a request that is not whole it may keep
 * the connection for its own five seconds. */
static void receive(int fd, int silent_ms, mri_text *out) {
    char part[4096];
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, silent_ms) != 1) return;
        const ssize_t got = recv(fd, part, sizeof part, 0);
        if (got <= 0) return;
        mri_text_add(out, part, (size_t)got);
        FUZZ_CHECK(out->size <= ANSWER_MAX);
    }
}

static void check_answer(const mri_text *text) {
    static const char *const codes[] = {"200", "100", "400", "404", "405", "408", "411",
                                        "413", "414", "431", "500", "501", "503", "505"};
    if (text->size < 13) return; /* nothing was asked, or it was not waited for */
    bool known = false;
    fuzz_note(text->data);
    FUZZ_CHECK(memcmp(text->data, "HTTP/1.", 7) == 0);
    for (size_t i = 0; i < sizeof codes / sizeof *codes && !known; i++) {
        known = memcmp(text->data + 9, codes[i], 3) == 0;
    }
    FUZZ_CHECK(known);
    fuzz_note(NULL);
}

static void ask(const uint8_t *data, size_t size, fuzz_input *pieces, int silent_ms,
                mri_text *answer) {
    const int fd = server_connect();
    for (uint32_t i = fuzz_below(pieces, 3); i > 0 && size > 0; i--) {
        const size_t part = 1 + fuzz_number(pieces, 2) % size;
        send_all(fd, data, part);
        data += part;
        size -= part;
    }
    send_all(fd, data, size);
    FUZZ_CHECK(shutdown(fd, SHUT_WR) == 0 || errno == ENOTCONN);
    receive(fd, silent_ms, answer);
    (void)close(fd);
}

static void check_alive(void) {
    static const char request[] = "GET /live HTTP/1.0\r\n\r\n";
    fuzz_input none = {0};
    mri_text answer = {0};
    ask((const uint8_t *)request, sizeof request - 1, &none, ANSWER_MS, &answer);
    FUZZ_CHECK(answer.size > 12 &&
               (memcmp(answer.data + 9, "200", 3) == 0 || memcmp(answer.data + 9, "503", 3) == 0));
    mri_text_free(&answer);
}

void fuzz_one(const uint8_t *data, size_t size) {
    static uint32_t asked;
    fuzz_input in = {data, size};
    if (fuzz_below(&in, 4) == 3) {
        check_pages(&in);
        return;
    }
    mri_text answer = {0};
    size_t head_size = 0;
    const uint8_t *head = fuzz_bytes(&in, 5, &head_size);
    fuzz_input pieces = {head, head_size};
    ask(in.at, in.left, &pieces, SILENT_MS, &answer);
    check_answer(&answer);
    mri_text_free(&answer);
    if (++asked % 64 == 0) check_alive();
}
