/* verify.c: what stands in a topic, per key, with memory bounded by the number of keys.
 *
 *   kcat -C -e -q .. -f '%p %o %T %K %S\n%k%s' | verify seq NAME     rows that count from 1 on
 *   kcat .. | verify step MS                                         rows of equal distance in time
 *   kcat .. | verify last                                            the last value of every key
 *
 * `seq` and `step` print per key: key, partition, rows, first and last number, lost (numbers between
 * them that never came), doubled, disordered, digest of timestamps and values in their order.
 * Records without a value are marks, and left out. `last` is for compacted topics and prints
 * partition, key in hex, size and digest; of a task's record of its time all but its last 16 bytes
 * count: they hold a random number and how often the task has committed. Lines are sorted. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    VALUE_BYTES_MAX = 64 * 1024 * 1024,
    GAPS_MAX = 64, /* of a key; what is beyond them counts as doubled, not as disordered */
    TIME_TAIL_BYTES = 16,
};

struct gap {
    int64_t first, last;
};

struct entry {
    char *key;
    size_t key_size;
    int32_t partition;
    int64_t rows, first, last, lost, doubled, disordered;
    uint64_t digest[2];
    struct gap *gaps;
    uint32_t gap_count;
    size_t size;  /* of the last value */
    bool present; /* it is no tombstone */
};

struct record {
    int32_t partition;
    int64_t offset, time_ms, key_size, value_size;
    char *key, *value;
};

static struct {
    struct entry *entries;
    size_t count, room;
    size_t *table; /* number of an entry + 1; 0: free */
    size_t slots;
} map;

static _Noreturn void die(const char *what) {
    (void)fprintf(stderr, "verify: %s\n", what);
    exit(2);
}

static void *grown(void *old, size_t count, size_t size) {
    void *new = realloc(old, count * size);
    if (new == NULL) die("no memory");
    return new;
}

/* --- digests ---------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* Two chains of 64 bits; every byte and its place count. */
static void digest_add(uint64_t digest[2], const void *data, size_t size) {
    const char *at = data;
    for (size_t left = size; left > 0;) {
        uint64_t word = 0;
        const size_t part = left < sizeof word ? left : sizeof word;
        memcpy(&word, at, part);
        digest[0] = mix(digest[0] ^ word) + UINT64_C(0x9e3779b97f4a7c15);
        digest[1] = mix(digest[1] + word * UINT64_C(0xd6e8feb86659fd93)) ^ word;
        at += part;
        left -= part;
    }
    digest[0] = mix(digest[0] ^ size);
    digest[1] = mix(digest[1] + size);
}

/* --- the map of keys -------------------------------------------------------------------------- */

static size_t hash_of(const char *key, size_t size, int32_t partition) {
    uint64_t digest[2] = {(uint64_t)(uint32_t)partition, 1};
    digest_add(digest, key, size);
    return (size_t)digest[0];
}

static void table_grow(bool by_partition) {
    map.slots = map.slots == 0 ? 1024 : map.slots * 2;
    map.table = grown(map.table, map.slots, sizeof *map.table);
    memset(map.table, 0, map.slots * sizeof *map.table);
    for (size_t i = 0; i < map.count; i++) {
        const struct entry *e = &map.entries[i];
        size_t at = hash_of(e->key, e->key_size, by_partition ? e->partition : 0) % map.slots;
        while (map.table[at] != 0) {
            at = (at + 1) % map.slots;
        }
        map.table[at] = i + 1;
    }
}

/* The same key in two partitions is two entries when `by_partition`. */
static struct entry *entry_of(const struct record *r, bool by_partition) {
    if (map.count * 2 >= map.slots) table_grow(by_partition);
    const size_t size = (size_t)r->key_size;
    size_t at = hash_of(r->key, size, by_partition ? r->partition : 0) % map.slots;
    for (; map.table[at] != 0; at = (at + 1) % map.slots) {
        struct entry *e = &map.entries[map.table[at] - 1];
        if (e->key_size == size && memcmp(e->key, r->key, size) == 0 &&
            (!by_partition || e->partition == r->partition)) {
            return e;
        }
    }
    if (map.count == map.room) {
        map.room = map.room == 0 ? 1024 : map.room * 2;
        map.entries = grown(map.entries, map.room, sizeof *map.entries);
    }
    struct entry *e = &map.entries[map.count++];
    *e = (struct entry){.key_size = size, .partition = r->partition, .digest = {1, 2}};
    e->key = grown(NULL, size + 1, 1);
    memcpy(e->key, r->key, size);
    e->key[size] = '\0';
    map.table[at] = map.count;
    return e;
}

/* --- records ---------------------------------------------------------------------------------- */

static char *bytes_read(char *buffer, size_t *room, int64_t size) {
    const size_t bytes = size > 0 ? (size_t)size : 0;
    if (size > VALUE_BYTES_MAX) die("a record is too large");
    if (bytes + 1 > *room) {
        *room = 2 * (bytes + 1);
        buffer = grown(buffer, *room, 1);
    }
    if (fread(buffer, 1, bytes, stdin) != bytes) die("the stream ends inside of a record");
    buffer[bytes] = '\0';
    return buffer;
}

static bool record_read(struct record *r) {
    static char *key, *value;
    static size_t key_room, value_room;
    char line[160];
    if (fgets(line, sizeof line, stdin) == NULL) return false;
    if (sscanf(line, "%" SCNd32 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64, &r->partition,
               &r->offset, &r->time_ms, &r->key_size, &r->value_size) != 5) {
        die("a line is not '%p %o %T %K %S'");
    }
    r->key = key = bytes_read(key, &key_room, r->key_size);
    r->value = value = bytes_read(value, &value_room, r->value_size);
    if (r->key_size < 0) r->key_size = 0;
    return true;
}

/* The integer behind "NAME": in a JSON object. */
static int64_t number_of(const struct record *r, const char *name) {
    char wanted[80];
    const int size = snprintf(wanted, sizeof wanted, "\"%s\":", name);
    const char *at = strstr(r->value, wanted);
    if (size <= 0 || (size_t)size >= sizeof wanted || at == NULL) die("a row without its number");
    return strtoll(at + size, NULL, 10);
}

/* --- rows ------------------------------------------------------------------------------------- */

/* A number at or below the last one: it fills a gap, or was there already. */
static void count_old(struct entry *e, int64_t number) {
    for (uint32_t i = 0; i < e->gap_count; i++) {
        struct gap *gap = &e->gaps[i];
        if (number < gap->first || number > gap->last) continue;
        e->disordered++;
        e->lost--;
        const struct gap above = {number + 1, gap->last};
        gap->last = number - 1;
        if (above.first <= above.last && e->gap_count < GAPS_MAX) e->gaps[e->gap_count++] = above;
        return;
    }
    e->doubled++;
}

static void count_number(struct entry *e, int64_t number, int64_t first) {
    if (e->rows == 0) {
        e->first = number;
        e->last = first >= 0 ? first - 1 : number - 1;
    }
    if (number <= e->last) {
        count_old(e, number);
        return;
    }
    if (number > e->last + 1) {
        e->lost += number - e->last - 1;
        if (e->gaps == NULL) e->gaps = grown(NULL, GAPS_MAX, sizeof *e->gaps);
        if (e->gap_count < GAPS_MAX)
            e->gaps[e->gap_count++] = (struct gap){e->last + 1, number - 1};
    }
    e->last = number;
}

static void rows_read(const char *name, int64_t step_ms) {
    struct record r = {0};
    while (record_read(&r)) {
        if (r.value_size < 0) continue;
        struct entry *e = entry_of(&r, false);
        if (e->partition != r.partition) e->disordered++;
        if (name != NULL) {
            count_number(e, number_of(&r, name), 1);
        } else {
            /* A window's row is stamped within the last millisecond of the window. */
            count_number(e, r.time_ms / step_ms, -1);
        }
        e->rows++;
        digest_add(e->digest, &r.time_ms, sizeof r.time_ms);
        digest_add(e->digest, r.value, (size_t)r.value_size);
    }
}

static void last_read(void) {
    static const char time_key[] = "ttime";
    struct record r = {0};
    while (record_read(&r)) {
        struct entry *e = entry_of(&r, true);
        size_t size = r.value_size > 0 ? (size_t)r.value_size : 0;
        const bool time = (size_t)r.key_size == sizeof time_key - 1 &&
                          memcmp(r.key, time_key, sizeof time_key - 1) == 0;
        e->present = r.value_size >= 0;
        e->size = size;
        e->digest[0] = 1;
        e->digest[1] = 2;
        digest_add(e->digest, r.value,
                   time && size > TIME_TAIL_BYTES ? size - TIME_TAIL_BYTES : size);
    }
}

static int entry_order(const void *a, const void *b) {
    const struct entry *x = a, *y = b;
    const size_t size = x->key_size < y->key_size ? x->key_size : y->key_size;
    const int order = memcmp(x->key, y->key, size);
    if (order != 0) return order;
    if (x->key_size != y->key_size) return x->key_size < y->key_size ? -1 : 1;
    return (x->partition > y->partition) - (x->partition < y->partition);
}

static void rows_print(void) {
    for (size_t i = 0; i < map.count; i++) {
        const struct entry *e = &map.entries[i];
        (void)printf("%s %" PRId32 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64
                     " %" PRId64 " %016" PRIx64 "%016" PRIx64 "\n",
                     e->key_size > 0 ? e->key : "-", e->partition, e->rows, e->first, e->last,
                     e->lost, e->doubled, e->disordered, e->digest[0], e->digest[1]);
    }
}

static void last_print(void) {
    for (size_t i = 0; i < map.count; i++) {
        const struct entry *e = &map.entries[i];
        if (!e->present) continue;
        (void)printf("%" PRId32 " ", e->partition);
        for (size_t k = 0; k < e->key_size; k++) {
            (void)printf("%02x", (unsigned char)e->key[k]);
        }
        (void)printf(" %zu %016" PRIx64 "%016" PRIx64 "\n", e->size, e->digest[0], e->digest[1]);
    }
}

int main(int argc, char **argv) {
    const bool last = argc == 2 && strcmp(argv[1], "last") == 0;
    const bool seq = argc == 3 && strcmp(argv[1], "seq") == 0;
    const bool step = argc == 3 && strcmp(argv[1], "step") == 0;
    const int64_t step_ms = step ? strtoll(argv[2], NULL, 10) : 1;
    if ((!last && !seq && !step) || step_ms < 1) {
        (void)fprintf(stderr, "usage: verify seq NAME | step MS | last\n");
        return 2;
    }
    if (last) {
        last_read();
    } else {
        rows_read(seq ? argv[2] : NULL, step_ms);
    }
    qsort(map.entries, map.count, sizeof *map.entries, entry_order);
    if (last) {
        last_print();
    } else {
        rows_print();
    }
    return 0;
}
