/* verify.c: is 'data.mdb' a sound LMDB file? LMDB trusts its pages and crashes on damaged ones, so
 * a file that this program did not close itself is walked once before LMDB sees it.
 *
 * The file is pages of one size. Pages 0 and 1 are meta pages; the one with the larger transaction
 * number counts. It names the roots of two trees: free pages, and the main tree, whose leaves hold
 * the roots of the named tables. Every page must belong to one tree once, or be free. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "log/local/local.h"

enum { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_OVERFLOW = 4, PAGE_META = 8, PAGE_KINDS = 15 };
enum { NODE_BIG = 1, NODE_TABLE = 2, NODE_HEAD = 8, PAGE_HEAD = 16, TABLE_BYTES = 48 };
enum { PAGE_PACKED = 0x20, DEPTH_MAX = 32, KEY_MAX = 511 };
enum { FLAG_INTEGER_KEY = 8 };
#define META_MAGIC   0xbeefc0deu
#define NO_PAGE      UINT64_MAX
#define MISSING_MAX  ((uint64_t)1 << 18) /* free pages at the end may never have been written */
#define DAMAGE(what) return (v->fault = (what), false)

enum tree { TREE_FREE, TREE_MAIN, TREE_TABLE };

struct verify {
    const uint8_t *bytes;
    uint64_t pages, last, transaction; /* in the file; last one in use; of the meta page */
    size_t page;                       /* bytes of one */
    uint8_t *used;                     /* a bit per page */
    const char *fault;
};

struct table { /* the root of a tree as the file has it */
    uint16_t flags, depth;
    uint64_t entries, root;
};

/* The file is in the byte order of the machine that wrote it, as LMDB demands. */
static uint16_t get16(const uint8_t *at) {
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint32_t get32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint64_t get64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static struct table get_table(const uint8_t *at) {
    return (struct table){.flags = get16(at + 4),
                          .depth = get16(at + 6),
                          .entries = get64(at + 32),
                          .root = get64(at + 40)};
}

/* Marks `count` pages; false when one is out of the file or marked already. */
static bool verify_use(struct verify *v, uint64_t first, uint64_t count) {
    if (first < 2 || first > v->last || count > v->last - first + 1) {
        DAMAGE("a page number is out of range");
    }
    if (first + count > v->pages) DAMAGE("it is shorter than it was");
    for (uint64_t p = first; p < first + count; p++) {
        uint8_t *bits = &v->used[p / 8];
        if ((*bits & 1u << p % 8) != 0) DAMAGE("a page is used twice");
        *bits |= (uint8_t)(1u << p % 8);
    }
    return true;
}

/* A value on pages of its own; *data is where it starts. */
static bool verify_overflow(struct verify *v, uint64_t number, size_t size, const uint8_t **data) {
    if (number < 2 || number >= v->pages) DAMAGE("a page number is out of range");
    const uint8_t *page = v->bytes + number * v->page;
    const uint64_t count = get32(page + 12);
    if (get64(page) != number || (get16(page + 10) & PAGE_KINDS) != PAGE_OVERFLOW) {
        DAMAGE("a page is not what it should be");
    }
    if (count == 0 || count * v->page < size + PAGE_HEAD) DAMAGE("a value has too few pages");
    *data = page + PAGE_HEAD;
    return verify_use(v, number, count);
}

/* One entry of the tree of free pages: a count, then page numbers, falling. */
static bool verify_free_entry(struct verify *v, const uint8_t *key, size_t key_size,
                              const uint8_t *data, size_t size) {
    if (key_size != 8 || get64(key) > v->transaction || size < 8 || size % 8 != 0) {
        DAMAGE("the list of free pages is torn");
    }
    const uint64_t count = get64(data);
    if (count > size / 8 - 1) DAMAGE("the list of free pages is torn");
    uint64_t last = v->last + 1;
    for (uint64_t i = 1; i <= count; i++) {
        const uint64_t number = get64(data + i * 8);
        if (number >= last || number < 2) DAMAGE("the list of free pages is torn");
        last = number;
        uint8_t *bits = &v->used[number / 8];
        if ((*bits & 1u << number % 8) != 0) DAMAGE("a page is used and free");
        *bits |= (uint8_t)(1u << number % 8);
    }
    return true;
}

static bool verify_tree(struct verify *v, const struct table *table, enum tree kind);

static bool verify_leaf_node(struct verify *v, const uint8_t *node, size_t room, enum tree kind) {
    const unsigned flags = get16(node + 4);
    const size_t key_size = get16(node + 6);
    const size_t size = get16(node) | (size_t)get16(node + 2) << 16;
    const size_t inside = flags == NODE_BIG ? sizeof(uint64_t) : size;
    const uint8_t *data = node + NODE_HEAD + key_size;
    if (key_size > KEY_MAX || NODE_HEAD + key_size + inside > room) {
        DAMAGE("an entry reaches beyond its page");
    }
    if (flags == NODE_BIG && !verify_overflow(v, get64(data), size, &data)) return false;
    if (flags == NODE_TABLE && kind == TREE_MAIN) {
        if (size != TABLE_BYTES) DAMAGE("a table is torn");
        const struct table table = get_table(data);
        if (table.flags != 0) DAMAGE("a table is of another kind");
        return verify_tree(v, &table, TREE_TABLE);
    }
    if ((flags != 0 && flags != NODE_BIG) || kind == TREE_MAIN) {
        DAMAGE("an entry is of another kind");
    }
    if (kind == TREE_FREE) return verify_free_entry(v, node + NODE_HEAD, key_size, data, size);
    return true;
}

static int key_compare(const uint8_t *a, const uint8_t *b, enum tree kind) {
    const size_t a_size = get16(a + 6), b_size = get16(b + 6);
    if (kind == TREE_FREE) {
        if (a_size != 8 || b_size != 8) return 1;
        return get64(a + NODE_HEAD) < get64(b + NODE_HEAD) ? -1 : 1;
    }
    const int order = memcmp(a + NODE_HEAD, b + NODE_HEAD, a_size < b_size ? a_size : b_size);
    return order != 0 ? order : a_size < b_size ? -1 : 1;
}

/* What an entry takes of its page. */
static size_t node_size(const uint8_t *node, unsigned kind) {
    size_t size = NODE_HEAD + (size_t)get16(node + 6);
    if (kind == PAGE_LEAF) {
        const bool big = get16(node + 4) == NODE_BIG;
        size += big ? sizeof(uint64_t) : get16(node) | (size_t)get16(node + 2) << 16;
    }
    return size + size % 2;
}

/* Head, entry places and the order of keys of a branch or leaf page. *count: entries. */
static bool verify_page(struct verify *v, const uint8_t *page, uint64_t number, unsigned kind,
                        enum tree tree, uint32_t *count) {
    const unsigned flags = get16(page + 10), lower = get16(page + 12), upper = get16(page + 14);
    if (get64(page) != number || (flags & PAGE_KINDS) != kind || (flags & PAGE_PACKED) != 0) {
        DAMAGE("a page is not what it should be");
    }
    if (lower < PAGE_HEAD || lower % 2 != 0 || upper < lower || upper > v->page) {
        DAMAGE("the head of a page is torn");
    }
    *count = (lower - PAGE_HEAD) / 2;
    if (*count == 0 || (kind == PAGE_BRANCH && *count < 2)) DAMAGE("a page is empty");
    const uint8_t *last = NULL;
    size_t room =
        v->page - upper; /* entries fill the page from `upper` to its end, without holes */
    for (uint32_t i = 0; i < *count; i++) {
        const size_t at = get16(page + PAGE_HEAD + 2 * (size_t)i);
        if (at < upper || at % 2 != 0 || at + NODE_HEAD > v->page ||
            at + NODE_HEAD + get16(page + at + 6) > v->page) {
            DAMAGE("an entry reaches beyond its page");
        }
        /* The first key of a branch page is never looked at and may be empty. */
        const bool ordered = last == NULL || (kind == PAGE_BRANCH && i == 1) ||
                             key_compare(last, page + at, tree) < 0;
        if (!ordered) DAMAGE("keys are out of order");
        last = page + at;
        const size_t size = node_size(last, kind);
        if (size > room) DAMAGE("the entries of a page overlap");
        room -= size;
    }
    if (room != 0) DAMAGE("the entries of a page overlap");
    return true;
}

/* One branch of the walk, root first; the depth bounds the stack. */
struct step {
    const uint8_t *page;
    uint32_t at, count;
};

static bool verify_descend(struct verify *v, uint64_t number, enum tree kind, bool leaf,
                           struct step *step) {
    if (!verify_use(v, number, 1)) return false;
    *step = (struct step){.page = v->bytes + number * v->page};
    return verify_page(v, step->page, number, leaf ? PAGE_LEAF : PAGE_BRANCH, kind, &step->count);
}

static const uint8_t *step_node(const struct step *step) {
    return step->page + get16(step->page + PAGE_HEAD + 2 * (size_t)step->at);
}

static bool verify_tree(struct verify *v, const struct table *table, enum tree kind) {
    struct step steps[DEPTH_MAX];
    unsigned depth = 1;
    uint64_t entries = 0;
    if (table->root == NO_PAGE) {
        if (table->entries != 0 || table->depth != 0) DAMAGE("a table is torn");
        return true;
    }
    if (table->depth == 0 || table->depth > DEPTH_MAX) DAMAGE("a table is torn");
    if (!verify_descend(v, table->root, kind, table->depth == 1, &steps[0])) return false;
    while (depth > 0) {
        struct step *step = &steps[depth - 1];
        if (step->at == step->count) {
            depth--;
            continue;
        }
        const uint8_t *node = step_node(step);
        step->at++;
        if (depth == table->depth) {
            const size_t room = v->page - (size_t)(node - step->page);
            if (!verify_leaf_node(v, node, room, kind)) return false;
            entries++;
            continue;
        }
        const uint64_t child =
            get16(node) | (uint64_t)get16(node + 2) << 16 | (uint64_t)get16(node + 4) << 32;
        depth++;
        if (!verify_descend(v, child, kind, depth == table->depth, &steps[depth - 1])) {
            return false;
        }
    }
    if (entries != table->entries) DAMAGE("a table has lost entries");
    return true;
}

/* Finds the meta page that counts. Layout behind the page head: magic, version, address, map size,
 * the two roots, last page, transaction. */
static const uint8_t *verify_meta(struct verify *v, size_t size) {
    enum { ROOTS = 24, LAST = ROOTS + 2 * TABLE_BYTES, TRANSACTION = LAST + 8, META = LAST + 16 };
    const uint8_t *newest = NULL;
    v->page = 4096;
    for (int i = 0; i < 2; i++) {
        const size_t at = (size_t)i * v->page;
        if (size < at + PAGE_HEAD + META) return NULL;
        const uint8_t *page = v->bytes + at, *meta = page + PAGE_HEAD;
        if ((get16(page + 10) & PAGE_META) == 0 || get32(meta) != META_MAGIC) return NULL;
        if (i == 0) {
            v->page = get32(meta + ROOTS);
            if (v->page < 512 || v->page > 65536 || (v->page & (v->page - 1)) != 0) return NULL;
        }
        if (newest == NULL || get64(meta + TRANSACTION) > v->transaction) {
            newest = meta;
            v->transaction = get64(meta + TRANSACTION);
            v->last = get64(meta + LAST);
        }
    }
    v->pages = size / v->page;
    return v->last >= 1 && v->last < v->pages + MISSING_MAX ? newest + ROOTS : NULL;
}

static const char *verify_bytes(const uint8_t *bytes, size_t size) {
    struct verify v = {.bytes = bytes};
    const uint8_t *roots = verify_meta(&v, size);
    if (roots == NULL) return "its first pages are torn";
    const struct table free_pages = get_table(roots), main_table = get_table(roots + TABLE_BYTES);
    if (free_pages.flags != FLAG_INTEGER_KEY || main_table.flags != 0) {
        return "its first pages are torn";
    }
    v.used = mri_calloc((size_t)(v.last / 8 + 1), 1);
    if (verify_tree(&v, &main_table, TREE_MAIN)) {
        (void)verify_tree(&v, &free_pages, TREE_FREE);
    }
    free(v.used);
    return v.fault;
}

mr_status local_verify(const char *directory, mr_error *err) {
    const int fd = local_data_open(directory);
    struct stat info;
    void *map = MAP_FAILED;
    if (fd >= 0 && fstat(fd, &info) == 0 && info.st_size > 0) {
        map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
    }
    const int code = errno;
    if (fd >= 0) (void)close(fd);
    if (map == MAP_FAILED) {
        return mr_fail(err, MR_ERR_IO, NULL,
                       "%s: 'data.mdb' cannot be read: %s; check its permissions, or name another "
                       "directory with --log local:DIR",
                       directory, strerror(code));
    }
    const char *fault = verify_bytes(map, (size_t)info.st_size);
    (void)munmap(map, (size_t)info.st_size);
    if (fault == NULL) return MR_OK;
    return mr_fail(err, MR_ERR_STATE, NULL,
                   "%s is damaged: 'data.mdb': %s; restore the directory from a backup, or begin "
                   "anew with --fresh",
                   directory, fault);
}
