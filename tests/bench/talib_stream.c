/* talib_stream.c: TA-Lib's own streams, loaded from its shared library and called bar by bar.
 *
 *   bench_talib_stream LIBRARY TURNS       reads jobs on stdin:
 *       series ROWS NAME..                 and ROWS doubles of each column as they stand in memory
 *       use FUNCTION OUTPUTS INPUT.. ; NUMBER..
 *                                          the options in TA-Lib's order: "14", or "0.5f" for a double
 *     and writes per use the nanoseconds of an update, of the fastest of TURNS turns
 *
 * The calls go by the calling conventions of x86-64 and AArch64 on Linux, where whole numbers and
 * pointers travel apart from doubles: so one type of function with enough arguments of each kind calls
 * any of the two hundred. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if !defined(__x86_64__) && !defined(__aarch64__)
#error "the calls below are for x86-64 and AArch64"
#endif

enum { COLUMNS = 16, LINE_BYTES = 4096, WORDS = 16, REALS = 8 };

typedef int any_fn(long, long, long, long, long, long, long, long, long, long, long, long, long,
                   long, long, long, double, double, double, double, double, double, double,
                   double);
typedef int update_1(void *, double, void *, void *, void *, void *);
typedef int update_2(void *, double, double, void *, void *, void *, void *);
typedef int update_3(void *, double, double, double, void *, void *, void *, void *);
typedef int update_4(void *, double, double, double, double, void *, void *, void *, void *);

/* A function that dlsym() found; ISO C has no cast for it. */
union symbol {
    void *data;
    any_fn *any;
    int (*none)(void);
    int (*close)(void *);
    update_1 *one;
    update_2 *two;
    update_3 *three;
    update_4 *four;
};

struct series {
    char name[COLUMNS][64];
    double *cells[COLUMNS];
    uint32_t columns, rows;
};

struct use {
    const char *function;
    uint32_t outputs, inputs;
    const double *in[4];
    long words[WORDS];
    uint32_t word_count;
    double reals[REALS];
    uint32_t real_count;
    union symbol open, update, close;
    int lookback;
};

static void die(const char *what, const char *name) {
    (void)fprintf(stderr, "bench_talib_stream: %s: %s\n", what, name);
    exit(1);
}

static union symbol symbol(void *library, const char *function, const char *what) {
    char name[128];
    union symbol found;
    (void)snprintf(name, sizeof name, "TA_%s%s", function, what);
    found.data = dlsym(library, name);
    if (found.data == NULL) die("the library has no", name);
    return found;
}

static int call(union symbol f, const long *w, const double *d) {
    return f.any(w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9], w[10], w[11], w[12],
                 w[13], w[14], w[15], d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]);
}

/* --- a use ------------------------------------------------------------------------------------ */

static const double *column(const struct series *s, const char *name) {
    for (uint32_t i = 0; i < s->columns; i++) {
        if (strcmp(s->name[i], name) == 0) return s->cells[i];
    }
    die("there is no column", name);
    return NULL;
}

static void option(struct use *u, const char *text) {
    if (u->word_count == WORDS || u->real_count == REALS) die("too many options", u->function);
    if (strchr(text, 'f') != NULL) {
        u->reals[u->real_count++] = strtod(text, NULL);
    } else {
        u->words[u->word_count++] = strtol(text, NULL, 10);
    }
}

static void use_read(struct use *u, const struct series *s, char *line, void *library) {
    *u = (struct use){.function = strtok(line, " ")};
    u->outputs = (uint32_t)strtoul(strtok(NULL, " "), NULL, 10);
    const char *word = strtok(NULL, " ");
    for (; word != NULL && word[0] != ';' && u->inputs < 4; word = strtok(NULL, " ")) {
        u->in[u->inputs++] = column(s, word);
    }
    while (word != NULL && (word = strtok(NULL, " ")) != NULL) {
        option(u, word);
    }
    u->open = symbol(library, u->function, "_Open");
    u->update = symbol(library, u->function, "_Update");
    u->close = symbol(library, u->function, "_Close");
    u->lookback = call(symbol(library, u->function, "_Lookback"), u->words, u->reals);
}

static void *stream_open(const struct use *u, double *out) {
    void *stream = NULL;
    long words[WORDS] = {(long)&stream};
    uint32_t count = 1;
    for (uint32_t i = 0; i < u->inputs; i++) {
        words[count++] = (long)u->in[i];
    }
    words[count++] = u->lookback + 1;
    for (uint32_t i = 0; i < u->word_count && count < WORDS; i++) {
        words[count++] = u->words[i];
    }
    for (uint32_t i = 0; i < u->outputs && count < WORDS; i++) {
        words[count++] = (long)&out[i];
    }
    if (call(u->open, words, u->reals) != 0) die("TA-Lib refuses to open", u->function);
    return stream;
}

static int64_t now_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Nanoseconds of all updates behind the opening; they read outputs from memory as a caller would. */
static int64_t turn(const struct use *u, uint32_t rows, double *sum) {
    double out[4] = {0};
    void *stream = stream_open(u, out);
    const double *a = u->in[0], *b = u->in[1], *c = u->in[2], *d = u->in[3];
    const int64_t begun = now_ns();
    int bad = 0;
    for (uint32_t i = (uint32_t)u->lookback + 1; i < rows; i++) {
        switch (u->inputs) {
        case 1:
            bad |= u->update.one(stream, a[i], &out[0], &out[1], &out[2], &out[3]);
            break;
        case 2:
            bad |= u->update.two(stream, a[i], b[i], &out[0], &out[1], &out[2], &out[3]);
            break;
        case 3:
            bad |= u->update.three(stream, a[i], b[i], c[i], &out[0], &out[1], &out[2], &out[3]);
            break;
        default:
            bad |=
                u->update.four(stream, a[i], b[i], c[i], d[i], &out[0], &out[1], &out[2], &out[3]);
            break;
        }
        *sum += out[0];
    }
    const int64_t took = now_ns() - begun;
    (void)u->close.close(stream);
    if (bad != 0) die("TA-Lib refuses an update", u->function);
    return took;
}

/* --- jobs ------------------------------------------------------------------------------------- */

static void series_read(struct series *s, char *words) {
    s->rows = (uint32_t)strtoul(strtok(words, " "), NULL, 10);
    s->columns = 0;
    for (const char *word = strtok(NULL, " "); word != NULL && s->columns < COLUMNS;
         word = strtok(NULL, " ")) {
        const uint32_t i = s->columns++;
        (void)snprintf(s->name[i], sizeof s->name[i], "%s", word);
        s->cells[i] = malloc(s->rows * sizeof(double));
        if (s->cells[i] == NULL) abort();
    }
    for (uint32_t i = 0; i < s->columns; i++) {
        if (fread(s->cells[i], sizeof(double), s->rows, stdin) != s->rows) abort();
    }
}

static void use_run(const struct series *s, char *line, void *library, int turns) {
    struct use u;
    double sum = 0;
    int64_t least = INT64_MAX;
    use_read(&u, s, line, library);
    for (int i = 0; i < turns; i++) {
        const int64_t took = turn(&u, s->rows, &sum);
        least = took < least ? took : least;
    }
    (void)printf("%.4f\n", (double)least / (double)(s->rows - (uint32_t)u.lookback - 1));
    (void)fflush(stdout);
}

int main(int argc, char **argv) {
    static char line[LINE_BYTES];
    static struct series series;
    if (argc != 3) die("usage", "bench_talib_stream LIBRARY TURNS");
    void *library = dlopen(argv[1], RTLD_NOW);
    if (library == NULL) die("cannot be loaded", dlerror());
    if (symbol(library, "Initialize", "").none() != 0) die("does not start", argv[1]);
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "series ", 7) == 0) series_read(&series, line + 7);
        if (strncmp(line, "use ", 4) == 0) use_run(&series, line + 4, library, atoi(argv[2]));
    }
    return 0;
}
