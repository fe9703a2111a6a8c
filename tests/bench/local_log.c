/* local_log.c: how fast the embedded log takes and gives records, beside the disk that it is on.
 *
 *   bench_local_log DIR RECORDS PER_COMMIT
 *
 * Records are 40 bytes of value and a key of 10, as a trade in Avro is. Written in commits of
 * PER_COMMIT records, each synced, and read back as a worker reads. Beside it the same number of bytes
 * goes into a plain file in pieces of the same size, each synced: what the disk can do. Prints JSON. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/env.h"
#include "log/open.h"
#include "millrace/batch.h"

enum { VALUE = 40, KEY = 10, FETCH = 4096, WAIT_US = 1000000 };

static const char topic[] = "bench.trades";

struct part {
    double seconds, cpu_s;
};

static void fail(const char *what, const char *why) {
    (void)fprintf(stderr, "bench_local_log: %s: %s\n", what, why);
    exit(1);
}

static void need(mr_status status, const char *what, const mr_error *err) {
    if (status != MR_OK) fail(what, err->text);
}

static struct part now(void) {
    const mri_env *env = mri_env_real();
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (struct part){
        .seconds = (double)env->now_us(env->self) / 1e6,
        .cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
    };
}

static struct part since(struct part then) {
    const struct part at = now();
    return (struct part){at.seconds - then.seconds, at.cpu_s - then.cpu_s};
}

static mr_status assigned(void *self, const uint32_t *partitions, uint32_t count,
                          const int64_t *offsets, const bool *unchanged, mr_error *err) {
    bool *there = self;
    (void)partitions;
    (void)offsets;
    (void)unchanged;
    (void)err;
    *there = *there || count > 0;
    return MR_OK;
}

static mr_status revoked(void *self, const uint32_t *partitions, uint32_t count, bool lost,
                         mr_error *err) {
    (void)self;
    (void)partitions;
    (void)count;
    (void)lost;
    (void)err;
    return MR_OK;
}

static mri_member *join(mri_log *log) {
    const char *const inputs[] = {topic};
    const mri_member_config config = {.group = "bench.readers",
                                      .transactional_id = "bench.0",
                                      .inputs = inputs,
                                      .input_count = 1,
                                      .workers = 1,
                                      .batch_rows_max = FETCH};
    bool there = false;
    const mri_member_events events = {.self = &there, .assigned = assigned, .revoked = revoked};
    mri_member *member = NULL;
    mr_error err;
    need(log->ops->member_open(log, &config, &member, &err), "member", &err);
    while (!there) {
        need(log->ops->member_poll(member, WAIT_US, &events, &err), "assignment", &err);
    }
    return member;
}

static struct part fill(mri_log *log, mri_member *member, int64_t records, int64_t per_commit) {
    char key[KEY + 1], value[VALUE] = "millrace";
    mr_error err;
    const struct part began = now();
    for (int64_t i = 0; i < records; i++) {
        const int64_t pair = i * 7919 % 50;
        memcpy(key, "PAIR00-EUR", KEY);
        key[4] = (char)('0' + pair / 10);
        key[5] = (char)('0' + pair % 10);
        memcpy(value + 8, &i, sizeof i);
        const mri_record record = {.key = key,
                                   .key_size = KEY,
                                   .value = value,
                                   .value_size = VALUE,
                                   .timestamp_ms = 1767225600000 + i / 80,
                                   .ingest_us = MR_TIME_NONE};
        need(log->ops->begin(member, &err), "begin", &err);
        need(log->ops->send(member, topic, 0, &record, &err), "send", &err);
        if ((i + 1) % per_commit != 0 && i + 1 < records) continue;
        const mri_offset offset = {.next = 0};
        need(log->ops->commit(member, &offset, 1, &err), "commit", &err);
    }
    return since(began);
}

static struct part drain(mri_log *log, mri_member *member, int64_t records) {
    static mri_record batch[FETCH];
    bool there = false;
    const mri_member_events events = {.self = &there, .assigned = assigned, .revoked = revoked};
    uint64_t sum = 0;
    mr_error err;
    const struct part began = now();
    for (int64_t seen = 0; seen < records;) {
        uint32_t count = 0;
        need(log->ops->fetch(member, 0, 0, FETCH, batch, &count, &err), "fetch", &err);
        for (uint32_t i = 0; i < count; i++) {
            int64_t number = 0;
            if (batch[i].value_size != VALUE) fail("reading", "a record has another size");
            memcpy(&number, (const char *)batch[i].value + 8, sizeof number);
            sum += (uint64_t)number;
        }
        seen += count;
        if (count == 0) {
            need(log->ops->member_poll(member, WAIT_US, &events, &err), "records", &err);
        }
    }
    const struct part took = since(began);
    if (sum != (uint64_t)records * (uint64_t)(records - 1) / 2) fail("reading", "the sum is wrong");
    return took;
}

/* The same bytes, synced as often. */
static struct part disk(const char *directory, int64_t records, int64_t per_commit) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%s.disk", directory);
    const size_t bytes = (size_t)per_commit * (VALUE + KEY);
    char *piece = calloc(1, bytes);
    if (piece == NULL) fail("disk", "out of memory");
    const int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    if (fd < 0) fail(path, "cannot be made");
    const struct part began = now();
    for (int64_t i = 0; i < records; i += per_commit) {
        for (size_t done = 0; done < bytes;) {
            const ssize_t put = write(fd, piece + done, bytes - done);
            if (put <= 0) fail(path, "cannot be written");
            done += (size_t)put;
        }
        if (fdatasync(fd) != 0) fail(path, "cannot be synced");
    }
    const struct part took = since(began);
    (void)close(fd);
    (void)unlink(path);
    free(piece);
    return took;
}

int main(int argc, char **argv) {
    const int64_t records = argc == 4 ? strtoll(argv[2], NULL, 10) : 0;
    const int64_t per_commit = argc == 4 ? strtoll(argv[3], NULL, 10) : 0;
    if (records <= 0 || per_commit <= 0) fail("usage", "DIR RECORDS PER_COMMIT");
    const mri_local_config config = {.directory = argv[1], .pipeline = "bench", .fresh = true};
    const mri_topic_config wanted = {
        .name = topic, .partitions = 1, .retention_bytes = INT64_C(1) << 40};
    mri_log *log = NULL;
    uint32_t partitions = 0;
    mr_error err;
    const struct part raw = disk(argv[1], records, per_commit);
    need(mri_local_open(&config, mri_env_real(), &log, &err), "log", &err);
    need(log->ops->topic_ensure(log, &wanted, &partitions, &err), "topic", &err);
    mri_member *member = join(log);
    const struct part wrote = fill(log, member, records, per_commit);
    const struct part read = drain(log, member, records);
    log->ops->member_close(member);
    log->ops->close(log);
    (void)printf(
        "{\"records\": %" PRId64 ", \"write_s\": %.6f, \"write_cpu_s\": %.6f, "
        "\"read_s\": %.6f, \"read_cpu_s\": %.6f, \"disk_s\": %.6f, \"disk_cpu_s\": %.6f}\n",
        records, wrote.seconds, wrote.cpu_s, read.seconds, read.cpu_s, raw.seconds, raw.cpu_s);
    return 0;
}
