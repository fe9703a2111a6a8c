/* http.c: the small server behind --http: read-only pages, hard limits, one thread.
 *
 * The library's timeout is one of silence: a client that sends a byte now and then would keep its
 * connection for ever, and 32 of them the server. So the thread is ours, and between two rounds of
 * the library it cuts off whoever has had a connection for longer without an answer. */
#include "http/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/number.h"
#include "base/text.h"

enum {
    HTTP_MEMORY_BYTES = 8 << 10, /* of one connection: request line and headers */
    HTTP_CONNECTIONS = 32,
    HTTP_TIMEOUT_S = 5,            /* of silence */
    HTTP_REQUEST_US = 5000 * 1000, /* of a request from its first byte to its answer */
    HTTP_ROUND_MS = 250,
    HTTP_BACKLOG = 16,
    HTTP_HOST_MAX = 64,
};

/* A connection that waits for its request. */
struct http_client {
    int fd; /* -1: the place is free */
    int64_t since_us;
};

struct mri_http {
    mri_http_view view;
    struct MHD_Daemon *daemon;
    pthread_t thread;
    int wake; /* eventfd; -1: none */
    atomic_bool stop;
    struct http_client clients[HTTP_CONNECTIONS];
    char url[HTTP_HOST_MAX + 32];
};

union http_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static mr_status http_bad_address(const char *address, mr_error *err) {
    return mr_fail(err, MR_ERR_USAGE, NULL,
                   "--http: '%.100s' is not an address; write PORT, HOST:PORT or [IPV6]:PORT with "
                   "an IP address or localhost",
                   address);
}

static mr_status http_parse(const char *address, union http_address *out, mr_error *err) {
    const char *colon = strrchr(address, ':');
    const char *port_text = colon != NULL ? colon + 1 : address;
    size_t host_size = colon != NULL ? (size_t)(colon - address) : 0;
    const char *host_text = address;
    const bool bracketed = host_size >= 2 && address[0] == '[' && address[host_size - 1] == ']';
    if (bracketed) {
        host_text++;
        host_size -= 2;
    }
    int64_t port = 0;
    if (!mri_parse_i64(port_text, strlen(port_text), &port) || port < 0 || port > 65535 ||
        host_size >= HTTP_HOST_MAX) {
        return http_bad_address(address, err);
    }
    char host[HTTP_HOST_MAX];
    memcpy(host, host_text, host_size);
    host[host_size] = '\0';
    if (host_size == 0 || strcmp(host, "localhost") == 0) (void)strcpy(host, "127.0.0.1");
    *out = (union http_address){0};
    if (!bracketed && inet_pton(AF_INET, host, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons((uint16_t)port);
        return MR_OK;
    }
    if (bracketed && inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons((uint16_t)port);
        return MR_OK;
    }
    return http_bad_address(address, err);
}

mr_status mri_http_check(const char *address, mr_error *err) {
    union http_address parsed;
    return http_parse(address, &parsed, err);
}

static enum MHD_Result http_answer(struct MHD_Connection *connection, unsigned code,
                                   const char *type, const mri_text *body) {
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body->size, body->size > 0 ? body->data : NULL, MHD_RESPMEM_MUST_COPY);
    if (response == NULL) return MHD_NO;
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (code == MHD_HTTP_METHOD_NOT_ALLOWED) {
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }
    const enum MHD_Result result = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return result;
}

/* Answers at the first call, before any body is read: a request with one is cut off. */
static enum MHD_Result http_handle(void *arg, struct MHD_Connection *connection, const char *url,
                                   const char *method, const char *version, const char *upload,
                                   size_t *upload_size, void **request) {
    (void)version;
    (void)upload;
    (void)upload_size;
    (void)request;
    const mri_http *http = arg;
    const char *type = "text/plain; charset=utf-8";
    unsigned code = MHD_HTTP_OK;
    mri_text body = {0};
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        code = MHD_HTTP_METHOD_NOT_ALLOWED;
        mri_text_puts(&body, "only GET is answered here\n");
    } else if (strcmp(url, "/live") == 0) {
        code = mri_http_live(&http->view, &body);
    } else if (strcmp(url, "/ready") == 0) {
        code = mri_http_ready(&http->view, &body);
    } else if (strcmp(url, "/metrics") == 0) {
        type = "text/plain; version=0.0.4; charset=utf-8";
        mri_http_metrics(&http->view, &body);
    } else if (strcmp(url, "/status") == 0) {
        type = "application/json";
        mri_http_status(&http->view, &body);
    } else {
        code = MHD_HTTP_NOT_FOUND;
        mri_text_puts(&body, "there is /live, /ready, /metrics and /status\n");
    }
    const enum MHD_Result result = http_answer(connection, code, type, &body);
    mri_text_free(&body);
    return result;
}

/* --- slow clients --------------------------------------------------------------------------------
 */

static int64_t http_now(const mri_http *http) {
    return http->view.env->now_us(http->view.env->self);
}

static struct http_client *http_client_of(mri_http *http, int fd) {
    for (size_t i = 0; i < HTTP_CONNECTIONS; i++) {
        if (http->clients[i].fd == fd) return &http->clients[i];
    }
    return NULL;
}

static int http_fd_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info != NULL ? info->connect_fd : -1;
}

static void http_connection(void *arg, struct MHD_Connection *connection, void **context,
                            enum MHD_ConnectionNotificationCode code) {
    (void)context;
    mri_http *http = arg;
    const int fd = http_fd_of(connection);
    const bool comes = code == MHD_CONNECTION_NOTIFY_STARTED;
    struct http_client *client = fd >= 0 ? http_client_of(http, comes ? -1 : fd) : NULL;
    if (client == NULL) return;
    *client = (struct http_client){.fd = comes ? fd : -1, .since_us = http_now(http)};
}

/* After an answer a client may ask again, and has its time anew. */
static void http_answered(void *arg, struct MHD_Connection *connection, void **request,
                          enum MHD_RequestTerminationCode code) {
    (void)request;
    (void)code;
    mri_http *http = arg;
    const int fd = http_fd_of(connection);
    struct http_client *client = fd >= 0 ? http_client_of(http, fd) : NULL;
    if (client != NULL) client->since_us = http_now(http);
}

/* The library sees the end of such a connection, and forgets it. */
static void http_cut_slow(mri_http *http) {
    const int64_t now = http_now(http);
    for (size_t i = 0; i < HTTP_CONNECTIONS; i++) {
        struct http_client *client = &http->clients[i];
        if (client->fd < 0 || now - client->since_us <= HTTP_REQUEST_US) continue;
        (void)shutdown(client->fd, SHUT_RDWR);
    }
}

static void *http_main(void *arg) {
    mri_http *http = arg;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct pollfd fds[2] = {{.fd = info->epoll_fd, .events = POLLIN},
                            {.fd = http->wake, .events = POLLIN}};
    while (!atomic_load(&http->stop)) {
        MHD_UNSIGNED_LONG_LONG wanted_ms = HTTP_ROUND_MS;
        if (MHD_get_timeout(http->daemon, &wanted_ms) != MHD_YES || wanted_ms > HTTP_ROUND_MS) {
            wanted_ms = HTTP_ROUND_MS;
        }
        (void)poll(fds, 2, (int)wanted_ms);
        (void)MHD_run(http->daemon);
        http_cut_slow(http);
    }
    return NULL;
}

/* --- opening -------------------------------------------------------------------------------------
 */

/* The socket is ours and not the library's, so that a taken port is told apart from all else. */
static mr_status http_listen(const char *address, mri_http *http, int *out, mr_error *err) {
    union http_address bound;
    const mr_status status = http_parse(address, &bound, err);
    if (status != MR_OK) return status;
    const bool v6 = bound.any.sa_family == AF_INET6;
    socklen_t size = v6 ? sizeof bound.v6 : sizeof bound.v4;
    const int fd = socket(bound.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, &bound.any, size) != 0 || listen(fd, HTTP_BACKLOG) != 0 ||
        getsockname(fd, &bound.any, &size) != 0) {
        const int why = errno;
        if (fd >= 0) (void)close(fd);
        return mr_fail(err, MR_ERR_IO, NULL, "--http: cannot listen on %.100s: %s%s", address,
                       strerror(why), why == EADDRINUSE ? "; choose another port, or 0" : "");
    }
    char host[HTTP_HOST_MAX] = "";
    const void *from = v6 ? (const void *)&bound.v6.sin6_addr : (const void *)&bound.v4.sin_addr;
    (void)inet_ntop(bound.any.sa_family, from, host, sizeof host);
    const uint16_t port = ntohs(v6 ? bound.v6.sin6_port : bound.v4.sin_port);
    (void)snprintf(http->url, sizeof http->url, v6 ? "http://[%s]:%u" : "http://%s:%u", host,
                   (unsigned)port);
    *out = fd;
    return MR_OK;
}

static void http_free(mri_http *http) {
    if (http->daemon != NULL) MHD_stop_daemon(http->daemon); /* closes the socket */
    if (http->wake >= 0) (void)close(http->wake);
    free(http);
}

mr_status mri_http_open(const char *address, const mri_http_view *view, mri_http **out,
                        mr_error *err) {
    mri_http *http = mri_calloc(1, sizeof *http);
    http->view = *view;
    http->wake = -1;
    for (size_t i = 0; i < HTTP_CONNECTIONS; i++) {
        http->clients[i].fd = -1;
    }
    int fd = -1;
    const mr_status status = http_listen(address, http, &fd, err);
    if (status != MR_OK) {
        free(http);
        return status;
    }
    http->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL, 0, NULL, NULL, http_handle, http, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_MEMORY_BYTES, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)HTTP_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_TIMEOUT_S,
        MHD_OPTION_NOTIFY_CONNECTION, http_connection, http, MHD_OPTION_NOTIFY_COMPLETED,
        http_answered, http, MHD_OPTION_END);
    if (http->daemon == NULL) (void)close(fd); /* else the library has it */
    if (http->daemon == NULL || http->wake < 0 ||
        pthread_create(&http->thread, NULL, http_main, http) != 0) {
        http_free(http);
        return mr_fail(err, MR_ERR_IO, NULL, "--http: the server on %.100s did not start", address);
    }
    *out = http;
    return MR_OK;
}

const char *mri_http_url(const mri_http *http) {
    return http->url;
}

void mri_http_close(mri_http *http) {
    if (http == NULL) return;
    const uint64_t one = 1;
    atomic_store(&http->stop, true);
    const ssize_t written = write(http->wake, &one, sizeof one);
    (void)written; /* a full one is readable already */
    (void)pthread_join(http->thread, NULL);
    http_free(http);
}
