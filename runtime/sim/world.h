/* world.h: a simulated world, shared by the files of this folder and nobody else.
 *
 *   simulate.c   one seed: the wild run, the calm run, the verdict
 *   world.c      clock and scheduler
 *   process.c    processes: start, turn, stop, kill
 *   faults.c     what goes wrong, and when
 *   input.c      rows, who writes them into topics, and sources
 *   sink.c       sinks whose unsynced end tears
 *   disk.c       disks for snapshots, which lose, tear and rot
 *   people.c     what people do to a pipeline that is down
 *   check.c      what is left behind, compared
 *   pipelines.c  the pipelines that are built in
 *
 * There are no threads. A call that takes long, or a process that stands still in the middle of
 * one, is played by letting the rest of the world work inside of that call. */
#ifndef MRI_SIM_WORLD_H
#define MRI_SIM_WORLD_H

#include "exec/worker.h"
#include "log/sim/sim.h"
#include "sim/random.h"
#include "sim/simulate.h"

enum {
    PROCESSES_MAX = 6, /* half of them stand in for ones that stand still */
    WORKERS_MAX = 2,   /* of a stage in a process */
    DEPTH_MAX = 3,     /* of calls within which others work */
    SINKS_MAX = 4,
};

#define SECOND_US   INT64_C(1000000)
#define WORLD_EPOCH (INT64_C(1893456000) * SECOND_US) /* the wall clock at the start: 2030-01-01 */
#define WORLD_BOOT  (5 * SECOND_US)

/* One in so many; 0: never. */
typedef struct faults {
    uint32_t kill;  /* calls, weighed by what they do */
    uint32_t pause; /* the same: the process stands still, longer than its session or not */
    uint32_t slow;  /* the same: one call takes time, the others of the process go on */
    uint32_t lost, unanswered, refused; /* calls that end a transaction or lead there */
    uint32_t busy;                      /* other calls */
    uint32_t stall;                     /* a fetch gives nothing */
    uint32_t some;                      /* a fetch gives less */
    uint32_t hurry;                     /* what is sent goes to the broker before the commit */
    uint32_t leave;                     /* turns: a process stops in good order and comes back */
    uint32_t twin; /* pauses: another process with the same name is started meanwhile */
    uint32_t jump; /* turns: the wall clock of a process jumps */
    uint32_t compact;
    uint32_t foreign;    /* turns: another writer of the input opens a transaction */
    uint32_t poison;     /* rows of the input: a record that nobody can read comes before it */
    uint32_t disk_fails; /* calls of a disk */
    uint32_t power;      /* kills: the machine loses its power, and its disk what was not synced */
    uint32_t rot;        /* turns: a bit of a file flips */
    uint32_t carry;      /* starts: the disk is another one, or older */
    uint32_t night;      /* turns: everything is down for more than a day */
    uint32_t anew;       /* turns: everything is deleted and begun anew */
    int64_t marker_us;   /* longest time from the answer to a commit to its markers */
} faults;

struct world;
struct process;
struct disk_store;

struct disk { /* as one process has it */
    mri_disk base;
    struct process *process;
    struct disk_store *store;
};

struct actor { /* a worker */
    struct process *process;
    mri_worker_config config;
    mri_worker_doubles doubles;
    mri_worker *worker;
    bool busy;          /* somewhere on the stack */
    bool over;          /* has ended by itself */
    int64_t wait_us;    /* not before */
    int64_t failing_us; /* since when it only fails; MR_TIME_NONE: it does not */
    uint32_t failures;
};

enum process_state { PROCESS_NONE, PROCESS_DOWN, PROCESS_UP, PROCESS_DONE };

struct process {
    struct world *world;
    uint32_t index, incarnation;
    enum process_state state;
    bool dying; /* killed, but still on the stack */
    bool starting;
    bool twin;         /* of another process: never comes back */
    uint32_t name;     /* of whom: instance "p<name>" */
    bool stable;       /* its instance name stays */
    int64_t paused_us; /* until then it stands still */
    int64_t start_us;  /* when it is down: the next start */
    int64_t skew_us;   /* of its wall clock */
    mri_env env;
    mri_sim_hooks hooks;
    mri_log *log;
    struct disk disk;
    char instance[32];
    struct actor *actors;
    uint32_t actor_count;
    mri_ends *ends;       /* by stage */
    struct actor *active; /* whose call runs */
};

/* Rows of one topic that others write, or of one source. */
struct feed {
    const mri_topic *topic; /* NULL: a source */
    const mri_stage *stage; /* of a source */
    mri_key source_key;
    const mr_schema *schema;
    mr_batch *rows;
    int64_t *arrive_us;
    uint32_t count, next;
    bool *bad; /* by row: a source cannot read what stands before it */
    mri_topic_rows *writer;
    uint32_t partitions;
    bool poison; /* what cannot be read stops nobody */
    bool wall;   /* event time is the time of arrival */
    mri_broker_txn *foreign;
    uint32_t foreign_epoch;
    int64_t foreign_us; /* when it ends */
    bool foreign_commits;
    struct world *world; /* of a source: whose clock lets rows come */
};

struct sink_file {
    mri_text text;
    size_t synced;
    const void *holder; /* who has it open, as a lock on the file tells; NULL: nobody */
};

struct sink_store { /* of one sink of one stage */
    struct world *world;
    struct process *owner;
    struct sink_file *files; /* by partition */
    uint32_t file_count;
};

struct world {
    mr_arena *arena;
    const mri_plan *plan;
    bool verbose, calm, until_end;
    bool at_once;   /* the input is there before anything runs */
    bool snapshots; /* workers make them */
    bool pieces;    /* what is due at one moment takes several transactions */
    bool dark;      /* nothing starts */
    mri_chance chance, input_chance, piece_chance;
    faults faults;
    mri_broker *broker;
    mri_env env;  /* of those who write the input */
    mri_log *log; /* theirs */
    int64_t now_us, beat_us, heal_us;
    bool healed, has_idle;
    uint32_t depth, idle_turns;
    uint64_t seen_changes;
    int64_t quiet_us; /* since when nothing changes */
    struct process processes[PROCESSES_MAX];
    uint32_t process_count, workers;
    struct feed *feeds;
    uint32_t feed_count;
    struct sink_store *sinks;                /* [stage * SINKS_MAX + sink] */
    struct disk_store *disks[PROCESSES_MAX]; /* by name of a process; NULL: none yet */
    struct disk_store *backup;               /* of some disk, at some time */
    int64_t nights_us;                       /* time in which nothing ran */
    mri_simulated *out;
};

/* --- world.c ---- */
void mri_world_trace(struct world *world, uint64_t what, uint64_t value);
void mri_world_say(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void mri_world_fail(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Everything but `except` goes on for a while. */
void mri_world_pass(struct world *world, int64_t us);
/* Until everything has come to rest. False: it does not, and the report says so. */
bool mri_world_run(struct world *world);

/* --- process.c ---- */
void mri_process_init(struct world *world, uint32_t index, uint32_t name, bool stable);
/* Starts and buries processes whose time has come. */
void mri_processes_tick(struct world *world);
bool mri_actor_ready(const struct actor *actor);
/* *progress: it did something. */
void mri_actor_turn(struct actor *actor, bool *progress);
void mri_process_kill(struct process *process);
/* In good order, when no worker of it is in a call. */
void mri_process_stop(struct process *process);
/* All of them, at once or one after the other; none starts while world->dark. */
void mri_processes_down(struct world *world);
void mri_processes_close(struct world *world);

/* --- faults.c ---- */
void mri_faults_draw(struct world *world);
void mri_faults_turn(struct world *world); /* between two turns */
void mri_faults_heal(struct world *world);
void mri_faults_hooks(struct process *process);
int64_t mri_faults_marker(void *self);
/* What may happen around any call. False: the process is dead. */
bool mri_faults_around(struct process *process, uint32_t weight);
bool mri_faults_strike(struct world *world, uint32_t one_in);

/* --- input.c ---- */
mr_status mri_feeds_open(struct world *world, uint32_t rows, int64_t disorder_us, mr_error *err);
/* The committed input of the wild world becomes that of the calm one. */
mr_status mri_feeds_copy(struct world *calm, const struct world *wild, mr_error *err);
void mri_feeds_tick(struct world *world);
bool mri_feeds_over(const struct world *world);
void mri_feeds_close(struct world *world);
struct feed *mri_feed_of_stage(const struct world *world, const mri_stage *stage);
extern const mr_source_calls mri_sim_source_calls; /* options: a struct feed */

/* --- sink.c ---- */
void mri_sinks_tear(struct world *world, const struct process *process);
struct sink_store *mri_sink_store(struct world *world, const mri_stage *stage, uint32_t sink);
extern const mr_sink_calls mri_sim_sink_calls; /* options: a struct sink_store */

/* --- disk.c ---- */
mri_disk *mri_disk_of_process(struct process *process); /* NULL: this world has none */
void mri_disk_power_loss(struct world *world, uint32_t name);
void mri_disk_rot(struct world *world);
void mri_disk_carry(struct world *world, uint32_t name);
void mri_disks_close(struct world *world);

/* --- people.c ---- */
void mri_people_turn(struct world *world); /* between two turns, when no call is under way */

/* --- check.c ---- */
/* The calm world left what the wild one left; else world->out->report says what differs. */
void mri_check(struct world *wild, const struct world *calm);

/* --- pipelines.c ---- */
struct builtin {
    const char *name;
    bool until_end;
    bool at_once;        /* see struct world */
    int64_t disorder_us; /* how much earlier than the rows before it a row may be */
    const char *text;
};
extern const struct builtin mri_simulate_builtins[];

#endif
