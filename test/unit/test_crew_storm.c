// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/crew/: random steps beside a simple model, which keeps all jobs in one array and looks at all of them.
 * It says which jobs may go, to which workers, and whose turn it is. Of the choice for a lane it only demands
 * that it is the same whenever the same workers can be chosen.
 */
#include "crew/crew.h"
#include "failing_malloc.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORKERS = 5,
    METHODS = 4,
    LANES = 4,
    OWNERS = 4,
    JOBS = 60,
    SETS = 1 << WORKERS,
    STEPS = 20000,
    NONE = -1
};

/* A check that costs nothing if it holds: Check notes each one of its own. */
#define MUST(condition) ((condition) ? (void)0 : ck_abort_msg("in step %d: %s", steps, #condition))

enum stage { OUTSIDE, WAITING, OUT };

/* A job and what the model knows of it. */
struct load {
    struct crew_job job;
    enum stage stage;
    int method, lane, owner; /* lane: NONE: it has none */
    int avoid, worker;       /* NONE: none */
    long rank;               /* in its queue: the lowest is the first */
    long got;                /* the order in which workers got jobs */
};

struct staff {
    struct crew_worker *worker; /* NULL: not attached */
    unsigned offers;            /* a bit for each method */
    unsigned window, outstanding;
    bool leaving;
};

/* A lane, or what an owner wants of a method without a lane. */
struct turn {
    int payer; /* NONE: it is taken */
    uint64_t turn;
};

static struct crew crew;
static struct load loads[JOBS];
static struct staff staff[WORKERS];
static struct turn turns[LANES + METHODS * OWNERS];
static uint64_t paid[OWNERS], turn;
static int chosen[LANES]
                 [SETS]; /* of the workers that can be chosen for a lane; 1 + its number; 0: not known */
static long last_rank, first_rank, last_got;
static const char methods[METHODS], connections[WORKERS * STEPS];
static size_t last_connection;
static unsigned seed;
static int steps;  /* so far */
static bool fails; /* allocations of this step fail */

static int draw(int below)
{
    seed = seed * 1103515245 + 12345;
    return (int)((seed >> 8) % (unsigned)below);
}

/* ---- The model ---- */

static int queue_of(const struct load *load)
{
    return load->lane != NONE ? load->lane : LANES + load->method * OWNERS + load->owner;
}

static struct load *first_of(int queue)
{
    struct load *first = NULL;
    for (int i = 0; i < JOBS; i++) {
        struct load *load = &loads[i];
        if (load->stage == WAITING && queue_of(load) == queue && (!first || load->rank < first->rank))
            first = load;
    }
    return first;
}

static size_t count(enum stage stage, int owner, int lane, int worker)
{
    size_t sum = 0;
    for (int i = 0; i < JOBS; i++) {
        sum += loads[i].stage == stage && (owner == NONE || loads[i].owner == owner) &&
               (lane == NONE || loads[i].lane == lane) && (worker == NONE || loads[i].worker == worker);
    }
    return sum;
}

/* Whether a worker may get jobs of a method, with or without credit. */
static bool is_able(int worker, int method)
{
    return staff[worker].worker && !staff[worker].leaving && (staff[worker].offers >> method & 1);
}

static bool has_credit(int worker)
{
    return staff[worker].outstanding < staff[worker].window;
}

/* The first job's owner pays for the queue's turn, if it has not. */
static void pay(int queue)
{
    const struct load *first = first_of(queue);
    struct turn *own = &turns[queue];
    if (!first)
        own->payer = NONE;
    if (!first || own->payer == first->owner)
        return;
    const uint64_t waiting = count(WAITING, first->owner, NONE, NONE);
    uint64_t *last = &paid[first->owner];
    if (*last < turn)
        *last = turn;
    *last = *last < turn + waiting ? *last + 1 : turn + waiting;
    *own = (struct turn){first->owner, *last};
}

static void forget_owner(int owner)
{
    if (!count(WAITING, owner, NONE, NONE))
        paid[owner] = 0;
}

/* The workers that can be chosen for the first job of a queue, a bit for each; without the one that the job
 * avoids, if there is another one. */
static unsigned candidates_of(const struct load *first, bool with_credit)
{
    unsigned set = 0, rest;
    for (int w = 0; w < WORKERS; w++)
        set |= (unsigned)(is_able(w, first->method) && (!with_credit || has_credit(w))) << w;
    rest = first->avoid == NONE ? set : set & ~(1U << first->avoid);
    return rest ? rest : set;
}

/* The worker that has jobs of the lane; NONE: none has. */
static int holder_of(int lane)
{
    for (int i = 0; i < JOBS; i++) {
        if (loads[i].stage == OUT && loads[i].lane == lane)
            return loads[i].worker;
    }
    return NONE;
}

/* The workers that may get the first job of a queue now, as far as the model knows: of a lane whose choice is
 * not known, it is one of them, and *sure says whether any of them can. */
static unsigned may_get(const struct load *first, bool *sure)
{
    *sure = true;
    if (first->lane == NONE)
        return candidates_of(first, true);
    const int holder = holder_of(first->lane);
    if (holder != NONE)
        return (unsigned)(is_able(holder, first->method) && has_credit(holder)) << holder;
    const unsigned all = candidates_of(first, false);
    const int known = chosen[first->lane][all];
    unsigned set = 0;
    for (int w = 0; w < WORKERS; w++)
        set |= (unsigned)((all >> w & 1) && has_credit(w) && (!known || known == w + 1)) << w;
    *sure = known || set == all;
    return set;
}

/* ---- Steps ---- */

static void arm(void)
{
    if (fails)
        failing_arm(draw(2) ? FAILING_FROM : FAILING_ONCE, (size_t)draw(4));
}

static void attach(int w)
{
    char name[8], client[8];
    struct staff *one = &staff[w];
    const unsigned window = 1 + (unsigned)draw(5);
    snprintf(name, sizeof name, "w%d", w);
    snprintf(client, sizeof client, "c%d", w);
    const struct crew_card card = {.name = name,
                                   .client = client,
                                   .connection = one->worker ? one->worker->connection
                                                             : &connections[last_connection++],
                                   .window = window};
    struct crew_worker *worker;
    arm();
    const enum crew_answer answer = crew_attach(&crew, &card, &worker);
    const bool failed = failing_disarm();
    MUST(answer == CREW_OK || (failed && answer == CREW_NO_MEMORY));
    if (answer != CREW_OK)
        return;
    MUST(!one->worker || one->worker == worker);
    one->worker = worker;
    one->window = window;
    one->leaving = false;
}

static void offer(int w)
{
    const void *named[METHODS];
    size_t named_count = 0;
    const unsigned offers = (unsigned)(draw(1 << METHODS) | draw(1 << METHODS));
    for (int m = 0; m < METHODS; m++) {
        if (offers >> m & 1)
            named[named_count++] = &methods[m];
    }
    arm();
    const enum crew_answer answer = crew_offer(&crew, staff[w].worker, named, named_count);
    const bool failed = failing_disarm();
    MUST(answer == CREW_OK || (failed && answer == CREW_NO_MEMORY));
    if (answer == CREW_OK)
        staff[w].offers = offers;
}

/* Submits a job, for the first time or again. */
static void submit(struct load *load, bool again)
{
    arm();
    const bool entered = again ? crew_submit_again(&crew, &load->job) : crew_submit(&crew, &load->job);
    const bool failed = failing_disarm();
    MUST(entered || failed);
    load->worker = NONE;
    load->stage = entered ? WAITING : OUTSIDE;
    if (!again)
        load->rank = ++last_rank;
    else if (load->lane == NONE)
        load->rank = --first_rank;
    if (entered)
        pay(queue_of(load));
}

static void submit_new(struct load *load)
{
    *load = (struct load){.method = draw(METHODS),
                          .lane = draw(2) ? draw(LANES) : NONE,
                          .owner = draw(1 + draw(OWNERS)),
                          .avoid = NONE};
    load->job = (struct crew_job){.method = &methods[load->method],
                                  .has_lane = load->lane != NONE,
                                  .lane = {{(uint64_t)load->lane * 7919, 1}},
                                  .owner = {{(uint64_t)load->owner, 2}}};
    submit(load, false);
}

static void withdraw(struct load *load)
{
    arm();
    crew_withdraw(&crew, &load->job);
    failing_disarm();
    load->stage = OUTSIDE;
    forget_owner(load->owner);
    pay(queue_of(load));
}

/* The worker answers, or refuses. */
static void end(struct load *load)
{
    const int worker = load->worker;
    const uint64_t number = load->job.worker->number;
    arm();
    crew_end(&crew, &load->job);
    failing_disarm();
    MUST(!load->job.worker);
    staff[worker].outstanding--;
    load->stage = OUTSIDE;
    if (draw(4))
        return;
    load->avoid = worker;
    load->job.avoid = number;
    submit(load, true);
}

static void forget_worker(int w)
{
    staff[w] = (struct staff){0};
    for (int i = 0; i < JOBS; i++) {
        if (loads[i].avoid == w) /* another one of this name has another number */
            loads[i].avoid = NONE;
    }
}

static void end_worker(int w)
{
    const size_t had = count(OUT, NONE, NONE, w);
    size_t returned = 0;
    long got = 0;
    arm();
    struct crew_job *job = crew_remove(&crew, staff[w].worker), *next;
    failing_disarm();
    forget_worker(w);
    struct load *back[JOBS];
    for (; job; job = next, returned++) {
        struct load *load = back[returned] = (struct load *)(void *)job;
        next = job->next;
        MUST(load->stage == OUT && load->worker == w && load->got > got);
        MUST(!job->worker);
        got = load->got;
        load->stage = OUTSIDE;
    }
    MUST(returned == had);
    for (size_t i = 0; i < returned; i++) {
        if (draw(3))
            submit(back[i], true);
    }
}

/* ---- What is taken ---- */

/* Checks a job that was taken, before the model knows. */
static void check_taken(const struct load *load, int w)
{
    bool sure;
    MUST(load->stage == WAITING && load == first_of(queue_of(load)));
    const unsigned set = may_get(load, &sure);
    MUST(set >> w & 1);
    for (int other = 0; load->lane == NONE && other < WORKERS; other++) {
        if (set >> other & 1)
            MUST(staff[w].outstanding <= staff[other].outstanding);
    }
}

/* Checks that no other queue that can go has a lower turn; load NULL: that none can go. */
static void check_turn(const struct load *load)
{
    for (int queue = 0; queue < (int)(sizeof turns / sizeof turns[0]); queue++) {
        const struct load *first = first_of(queue);
        bool sure;
        if (!first || !may_get(first, &sure) || !sure)
            continue;
        MUST(load);
        MUST(turns[queue_of(load)].turn <= turns[queue].turn);
    }
}

/* Returns false: none can go. */
static bool take(void)
{
    arm();
    struct crew_job *job = crew_take_next(&crew);
    const bool failed = failing_disarm();
    struct load *load = (struct load *)(void *)job;
    if (!failed)
        check_turn(load);
    if (!job)
        return false;
    int w = 0;
    while (w < WORKERS && staff[w].worker != job->worker)
        w++;
    MUST(w < WORKERS);
    check_taken(load, w);
    if (load->lane != NONE && holder_of(load->lane) == NONE)
        chosen[load->lane][candidates_of(load, false)] = w + 1;
    load->stage = OUT;
    load->worker = w;
    load->got = ++last_got;
    staff[w].outstanding++;
    const int queue = queue_of(load);
    turn = turns[queue].turn > turn ? turns[queue].turn : turn;
    turns[queue].payer = NONE;
    forget_owner(load->owner);
    pay(queue);
    return true;
}

/* ---- What can be asked ---- */

static void check_lane(int lane)
{
    const struct digest key = {{(uint64_t)lane * 7919, 1}};
    const int holder = holder_of(lane);
    MUST((crew_lane_worker(&crew, &key)) == (holder == NONE ? NULL : staff[holder].worker));
    MUST((crew_has_lane(&crew, &key)) == (holder != NONE || first_of(lane)));
    for (int i = 0; i < JOBS; i++) /* it is at one worker */
        MUST(loads[i].stage != OUT || loads[i].lane != lane || loads[i].worker == holder);
}

static void check_all(void)
{
    for (int m = 0; m < METHODS; m++) {
        bool able = false, open = false;
        for (int w = 0; w < WORKERS; w++) {
            able |= is_able(w, m);
            open |= is_able(w, m) && has_credit(w);
        }
        MUST((crew_is_offered(&crew, &methods[m])) == able);
        MUST((crew_has_credit(&crew, &methods[m])) == open);
    }
    for (int lane = 0; lane < LANES; lane++)
        check_lane(lane);
    for (int w = 0; w < WORKERS; w++)
        MUST(!staff[w].worker || staff[w].worker->outstanding == staff[w].outstanding);
    for (int i = 0; i < JOBS; i++)
        MUST(crew_is_waiting(&loads[i].job) == (loads[i].stage == WAITING));
    MUST(crew.queues.jobs == count(WAITING, NONE, NONE, NONE));
    MUST(crew.outstanding == count(OUT, NONE, NONE, NONE));
}

static void step(void)
{
    const int w = draw(WORKERS), what = draw(100);
    struct load *load = &loads[draw(JOBS)];
    for (int i = draw(2 * JOBS); i < JOBS && load->stage != OUT; i++)
        load = &loads[i];
    if (what < 5 || (what < 12 && !staff[w].worker))
        attach(w);
    else if (what < 12)
        offer(w);
    else if (what < 14 && staff[w].worker) {
        crew_detach(&crew, staff[w].worker);
        staff[w].leaving = true;
    } else if (what < 16 && staff[w].worker)
        end_worker(w);
    else if (load->stage == OUTSIDE)
        submit_new(load);
    else if (load->stage == OUT)
        end(load);
    else if (what < 25)
        withdraw(load);
    for (int more = draw(4); more > 0 && take(); more -= draw(2))
        continue;
}

/* _i: allocations fail in one of so many steps; 0: in none. */
START_TEST(random_steps)
{
    seed = 4711U + (unsigned)_i;
    for (steps = 0; steps < STEPS; steps++) {
        fails = _i && draw(1 + _i) == 0;
        step();
        fails = false;
        check_all();
    }
    MUST(last_got > STEPS / 5);
    while (take())
        continue;
}
END_TEST

static void begin(void)
{
    failing_install();
    crew_init(&crew, 99);
    for (size_t i = 0; i < sizeof turns / sizeof turns[0]; i++)
        turns[i].payer = NONE;
    first_rank = 0;
}

static void finish(void)
{
    crew_fini(&crew);
    for (int i = 0; i < JOBS; i++)
        MUST(!loads[i].job.worker && !crew_is_waiting(&loads[i].job));
    MUST(!crew.workers);
    MUST(!crew.offers);
    MUST(!crew.lanes);
    MUST(!crew.queues.owners);
}

UNIT_MAIN("crew_storm", begin, finish, {random_steps, 6})
