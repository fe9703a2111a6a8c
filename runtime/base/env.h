/* env.h: the door to time, chance and the log lines: nothing else may differ between two runs. */
#ifndef MRI_ENV_H
#define MRI_ENV_H

#include <stdint.h>

typedef enum mri_level { MRI_DEBUG, MRI_INFO, MRI_WARN, MRI_ERROR } mri_level;

typedef struct mri_env {
    void *self;
    int64_t (*now_us)(void *self);  /* monotonic; cadence and measurements */
    int64_t (*wall_us)(void *self); /* UTC; never decides what a window contains */
    /* What work costs, for measurements and nothing else: monotonic, and of the calling thread's CPU.
     * NULL: it is not measured. */
    int64_t (*now_ns)(void *self);
    int64_t (*cpu_ns)(void *self);
    uint64_t (*random)(void *self); /* seeded; ids, jitter */
    /* One structured line; `text` is "msg key=value ..." already redacted. Any thread. */
    void (*log)(void *self, mri_level level, const char *text);
} mri_env;

const mri_env *mri_env_real(void); /* clocks of the system, lines on stderr */
enum { MRI_LOG_TEXT = 600 };
/* Text for between quotes of a log line: quotes and backslashes escaped, control bytes as '?', cut to
 * the room of `out`, which has MRI_LOG_TEXT bytes. Returns out. */
const char *mri_log_text(char *out, const char *text);
void mri_log_line(const mri_env *env, mri_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
