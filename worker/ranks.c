// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Who runs a call that all workers have received: see ranks.h. */
#define HASH_FUNCTION(key, length, hash) HASH_JEN(key, length, hash)

#include "ranks.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* ---- Ranks ---- */

struct digest ranks_key(const struct digest_part *parts, size_t count)
{
    return digest_of(0, parts, count);
}

/* Whether one worker is before another one for a call; other: NULL: it is. */
static bool ranks_is_before(const struct ranks_worker *one, const struct ranks_worker *other,
                            const struct digest *key)
{
    struct digest ranks[2] = {{{0, 0}}, {{0, 0}}};
    for (int i = 0; other && i < 2; i++) {
        const char *id = i ? other->id : one->id;
        const struct digest_part parts[] = {{id, strlen(id)}, {key, sizeof *key}};
        ranks[i] = digest_of(0, parts, sizeof parts / sizeof *parts);
    }
    return !other || ranks[0].halves[0] > ranks[1].halves[0] ||
           (ranks[0].halves[0] == ranks[1].halves[0] && ranks[0].halves[1] > ranks[1].halves[1]);
}

/* Which workers are asked for. */
struct ranks_filter {
    bool
        leaving; /* those that are here, and those that were here and are leaving; else those that are here */
    bool settling;  /* those that are settling, too */
    bool joining;   /* likewise */
    uint64_t since; /* those that were heard of until then */
};

static bool ranks_filter_takes(const struct ranks_filter *filter, const struct ranks_worker *worker)
{
    if (worker->seen > filter->since)
        return false;
    switch (worker->state) {
    case RANKS_JOINING:
        return filter->joining;
    case RANKS_SETTLING:
        return filter->settling;
    case RANKS_HERE:
        return true;
    case RANKS_LEAVING:
        break;
    }
    return filter->leaving && worker->was_here;
}

/* The first in rank; NULL: there is none. */
static const struct ranks_worker *ranks_first(const struct ranks *ranks, const struct digest *key,
                                              const struct ranks_filter *filter)
{
    const struct ranks_worker *first = NULL;
    for (const struct ranks_worker *worker = ranks->workers; worker; worker = worker->hh.next) {
        if (ranks_filter_takes(filter, worker) && ranks_is_before(worker, first, key))
            first = worker;
    }
    return first;
}

bool ranks_has_other(const struct ranks *ranks, enum ranks_state state)
{
    for (const struct ranks_worker *worker = ranks->workers; worker; worker = worker->hh.next) {
        if (worker != ranks->self && worker->state == state)
            return true;
    }
    return false;
}

/* ---- Copies ---- */

static void ranks_unlink(struct ranks *ranks, struct ranks_copy *copy)
{
    DL_DELETE2(ranks->copies, copy, older, newer);
    DL_DELETE(copy->call->copies, copy);
    copy->prev = copy->next = NULL;
    ranks->copy_count--;
    ranks->copy_bytes -= copy->size;
}

/* Moves a copy from the table to a list, which goes by `next`. */
static void ranks_take(struct ranks *ranks, struct ranks_copy *copy, struct ranks_copy **list)
{
    ranks_unlink(ranks, copy);
    DL_APPEND(*list, copy);
}

void ranks_keep(struct ranks *ranks, struct ranks_call *call, struct ranks_copy *copy)
{
    copy->call = call;
    DL_APPEND(call->copies, copy);
    DL_APPEND2(ranks->copies, copy, older, newer);
    ranks->copy_count++;
    ranks->copy_bytes += copy->size;
    ranks->has_mine |= call->owner == ranks->self;
}

struct ranks_copy *ranks_take_excess(struct ranks *ranks, uint64_t now)
{
    struct ranks_copy *oldest = ranks->copies;
    const bool is_excess = oldest && (oldest->due <= now || ranks->copy_count > ranks->max_copies ||
                                      ranks->copy_bytes > ranks->max_bytes);
    if (!is_excess)
        return NULL;
    ranks_unlink(ranks, oldest);
    return oldest;
}

/* Whether this worker may run what it owns: while it joins, what was passed to it. */
static bool ranks_may_run(const struct ranks *ranks, const struct ranks_call *call)
{
    return ranks->self && call->owner == ranks->self &&
           (call->passed || ranks->self->state == RANKS_HERE || ranks->self->state == RANKS_LEAVING);
}

struct ranks_copy *ranks_take_mine(struct ranks *ranks)
{
    struct ranks_copy *taken = NULL, *copy, *next;
    if (!ranks->has_mine)
        return NULL;
    ranks->has_mine = false;
    for (copy = ranks->copies; copy; copy = next) {
        next = copy->newer;
        if (ranks_may_run(ranks, copy->call))
            ranks_take(ranks, copy, &taken);
        else
            ranks->has_mine |= copy->call->owner == ranks->self;
    }
    return taken;
}

/* ---- Calls ---- */

static void ranks_erase(struct ranks *ranks, struct ranks_call *call)
{
    HASH_DEL(ranks->by_key, call);
    DL_DELETE(ranks->calls, call);
    ranks->call_count--;
    free(call);
}

/* Something was heard of a call. */
static void ranks_touch(struct ranks *ranks, struct ranks_call *call, uint64_t now)
{
    DL_DELETE(ranks->calls, call);
    DL_APPEND(ranks->calls, call);
    call->time = now;
}

static struct ranks_call *ranks_look_up(const struct ranks *ranks, const struct digest *key)
{
    struct ranks_call *call;
    HASH_FIND(hh, ranks->by_key, key, sizeof *key, call);
    return call;
}

struct ranks_call *ranks_find(struct ranks *ranks, const struct digest *key, uint64_t now)
{
    struct ranks_call *call = ranks_look_up(ranks, key);
    if (call)
        return call;
    call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->key = *key;
    call->time = now;
    HASH_ADD(hh, ranks->by_key, key, sizeof call->key, call);
    if (!call->hh.tbl) {
        free(call);
        return NULL;
    }
    DL_APPEND(ranks->calls, call);
    ranks->call_count++;
    return call;
}

void ranks_expire(struct ranks *ranks, uint64_t now)
{
    struct ranks_call *call, *next;
    DL_FOREACH_SAFE(ranks->calls, call, next)
    {
        if (now <= call->time + ranks->window && ranks->call_count <= ranks->max_calls)
            return;
        if (!call->open && !call->copies)
            ranks_erase(ranks, call);
    }
}

/* Who is to run what a worker that is leaving, or gone, does not. `since` is when a copy of it came. */
static const struct ranks_worker *ranks_heir(const struct ranks *ranks, const struct digest *key,
                                             uint64_t since)
{
    const struct ranks_filter filters[] = {{.since = since},
                                           {.since = UINT64_MAX},
                                           {.since = since, .settling = true, .joining = true},
                                           {.since = UINT64_MAX, .settling = true, .joining = true}};
    const struct ranks_worker *heir = NULL;
    for (size_t i = 0; i < sizeof filters / sizeof *filters && !heir; i++)
        heir = ranks_first(ranks, key, &filters[i]);
    return heir ? heir : ranks->self;
}

/*
 * Sets the owner of a call that nobody has. The first of those that are here and settling is to run it,
 * unless it is here and a worker that is joining comes before it. Who is not here, is passed it by the first
 * of those that are here, who owns the call until then. A worker that leaves counts as long as it is not
 * gone, and passes on what is its.
 */
static enum ranks_verdict ranks_decide_anew(struct ranks *ranks, struct ranks_call *call)
{
    const struct ranks_worker *self = ranks->self;
    struct ranks_filter filter = {.since = UINT64_MAX, .leaving = true};
    const struct ranks_worker *elder = ranks_first(ranks, &call->key, &filter);
    filter.settling = true;
    const struct ranks_worker *first = ranks_first(ranks, &call->key, &filter);
    filter.joining = true;
    if (first == elder)
        first = ranks_first(ranks, &call->key, &filter);
    const bool decides = self && (elder == self || (ranks->takes && first == self));
    if (decides && first == self && self->state == RANKS_LEAVING)
        first = ranks_heir(ranks, &call->key, UINT64_MAX);
    call->owner = decides || !elder ? first : elder;
    call->passed = decides;
    return decides && first != self ? RANKS_PASS : RANKS_KEEP;
}

enum ranks_verdict ranks_decide(struct ranks *ranks, struct ranks_call *call, uint64_t now)
{
    enum ranks_verdict verdict = RANKS_KEEP;
    ranks_touch(ranks, call, now);
    if (call->early) {
        call->early--;
        return RANKS_DROP;
    }
    if (!call->owner) {
        verdict = ranks_decide_anew(ranks, call);
        call->assigned = now;
    }
    return ranks_may_run(ranks, call) ? RANKS_RUN : verdict;
}

void ranks_begin(struct ranks *ranks, struct ranks_call *call, uint64_t now)
{
    call->open++;
    call->abandoned = false;
    ranks_touch(ranks, call, now);
}

/* A worker has answered a call. Of two that have, all workers take the first in rank for its owner, whatever
 * they hear first. */
static void ranks_claim(struct ranks_call *call, const struct ranks_worker *worker)
{
    if (!call->is_answered || ranks_is_before(worker, call->owner, &call->key))
        call->owner = worker;
    call->is_answered = true;
}

void ranks_finish(struct ranks *ranks, struct ranks_call *call, uint64_t now)
{
    call->open--;
    if (ranks->self && !call->abandoned)
        ranks_claim(call, ranks->self);
    ranks_touch(ranks, call, now);
}

/* Whatever a worker tells shows that it is there: under load its presence alone may come late. */
const struct ranks_worker *ranks_hear(struct ranks *ranks, const char *id, uint64_t now)
{
    struct ranks_worker *worker;
    HASH_FIND_STR(ranks->workers, id, worker);
    if (worker)
        worker->heard = now;
    return worker;
}

struct ranks_copy *ranks_answered(struct ranks *ranks, const char *worker, const struct digest *key,
                                  uint64_t now)
{
    const struct ranks_worker *owner = ranks_hear(ranks, worker, now);
    struct ranks_call *call = ranks_find(ranks, key, now);
    if (!call)
        return NULL;
    if (owner)
        ranks_claim(call, owner);
    struct ranks_copy *oldest = call->copies;
    if (oldest)
        ranks_unlink(ranks, oldest);
    else if (!call->open && (!ranks->self || call->owner != ranks->self))
        call->early++;
    ranks_touch(ranks, call, now);
    return oldest;
}

/* A worker that leaves may pass on what another one has already decided. */
void ranks_passed(struct ranks *ranks, const char *from, const char *to, const struct digest *key,
                  bool is_doubtful, uint64_t now)
{
    const struct ranks_worker *former = ranks_hear(ranks, from, now), *owner;
    HASH_FIND_STR(ranks->workers, to, owner);
    struct ranks_call *call = owner ? ranks_find(ranks, key, now) : NULL;
    const bool is_joining = !is_doubtful && ranks->self && owner == ranks->self &&
                            (owner->state == RANKS_JOINING || owner->state == RANKS_SETTLING);
    if (!call || call->open || (call->owner && call->owner != former && !is_joining))
        return;
    call->owner = owner;
    call->assigned = now;
    call->passed = true;
    ranks->has_mine |= owner == ranks->self;
    ranks_touch(ranks, call, now);
}

const struct ranks_call *ranks_take_doubtful(struct ranks *ranks, uint64_t now)
{
    if (!ranks->changed || now > ranks->changed + 3 * ranks->doubt)
        return NULL;
    for (struct ranks_copy *copy = ranks->copies; copy; copy = copy->newer) {
        struct ranks_call *call = copy->call;
        const bool is_doubtful = call->owner && call->owner != ranks->self && call->assigned &&
                                 now >= call->assigned + ranks->doubt &&
                                 call->assigned < ranks->changed + ranks->doubt &&
                                 ranks->changed < call->assigned + 2 * ranks->doubt;
        if (!is_doubtful)
            continue;
        call->assigned = 0;
        return call;
    }
    return NULL;
}

/* ---- Workers ---- */

static struct ranks_worker *ranks_enter(struct ranks *ranks, const char *id, uint64_t now)
{
    struct ranks_worker *worker;
    const size_t length = strlen(id);
    HASH_FIND_STR(ranks->workers, id, worker);
    if (worker || !length || length > RANKS_ID_MAX || HASH_COUNT(ranks->workers) >= RANKS_WORKERS_MAX)
        return worker;
    worker = calloc(1, sizeof *worker);
    if (!worker)
        return NULL;
    memcpy(worker->id, id, length);
    worker->seen = now;
    HASH_ADD_STR(ranks->workers, id, worker);
    if (worker->hh.tbl)
        return worker;
    free(worker);
    return NULL;
}

/*
 * A call has no owner any more, or had none when it came. Only who was there when its oldest copy came can
 * have a copy, too.
 */
static void ranks_assign_again(struct ranks *ranks, struct ranks_call *call, uint64_t now)
{
    call->owner = NULL;
    call->is_answered = false;
    call->assigned = now;
    call->early = 0;
    call->passed = false;
    if (!call->copies)
        return;
    call->owner = ranks_heir(ranks, &call->key, call->copies->arrived);
    call->passed = call->owner && call->owner == ranks->self;
    ranks->has_mine |= call->passed;
}

/* Gives calls that have come before any worker was heard of to those that are here now. */
static void ranks_assign_orphans(struct ranks *ranks, uint64_t now)
{
    const bool is_somebody_here =
        ranks_has_other(ranks, RANKS_HERE) || (ranks->self && ranks->self->state == RANKS_HERE);
    for (struct ranks_copy *copy = is_somebody_here ? ranks->copies : NULL; copy; copy = copy->newer) {
        if (!copy->call->owner)
            ranks_assign_again(ranks, copy->call, now);
    }
}

struct ranks_worker *ranks_come(struct ranks *ranks, const char *id, enum ranks_state state, bool is_self,
                                uint64_t now)
{
    struct ranks_worker *worker = ranks_enter(ranks, id, now);
    if (!worker)
        return NULL;
    const bool is_change = worker->heard == 0 || worker->state != state;
    worker->heard = now;
    worker->state = state;
    worker->was_here |= state == RANKS_HERE;
    if (is_self)
        ranks->self = worker;
    if (is_change) {
        ranks->has_mine = true;
        ranks->changed = now;
        ranks_assign_orphans(ranks, now);
    }
    return worker;
}

void ranks_go(struct ranks *ranks, const char *id, uint64_t now)
{
    struct ranks_worker *worker;
    struct ranks_call *call;
    HASH_FIND_STR(ranks->workers, id, worker);
    if (!worker)
        return;
    ranks->changed = now;
    HASH_DEL(ranks->workers, worker);
    if (ranks->self == worker)
        ranks->self = NULL;
    DL_FOREACH(ranks->calls, call)
    {
        if (call->owner == worker)
            ranks_assign_again(ranks, call, now);
    }
    free(worker);
}

const char *ranks_find_silent(const struct ranks *ranks, uint64_t now)
{
    for (const struct ranks_worker *worker = ranks->workers; worker; worker = worker->hh.next) {
        /* Two signs may be missing, and half of the time to the next. */
        if (worker != ranks->self && worker->every && now > worker->heard + worker->every / 2 * 5)
            return worker->id;
    }
    return NULL;
}

/* Before the others do, since they may have heard of it last a little earlier. */
bool ranks_is_missed(const struct ranks *ranks, uint64_t now)
{
    const struct ranks_worker *self = ranks->self;
    return self && self->every && now > self->heard + self->every / 4 * 9;
}

bool ranks_is_alone(const struct ranks *ranks)
{
    return HASH_COUNT(ranks->workers) <= 1;
}

struct ranks_copy *ranks_forget(struct ranks *ranks)
{
    struct ranks_copy *taken = NULL;
    struct ranks_worker *worker, *next_worker;
    struct ranks_call *call, *next;
    while (ranks->copies)
        ranks_take(ranks, ranks->copies, &taken);
    DL_FOREACH_SAFE(ranks->calls, call, next)
    {
        call->owner = NULL;
        call->early = 0;
        call->passed = call->is_answered = false;
        call->abandoned = true;
        if (!call->open)
            ranks_erase(ranks, call);
    }
    HASH_ITER(hh, ranks->workers, worker, next_worker)
    {
        HASH_DEL(ranks->workers, worker);
        free(worker);
    }
    ranks->self = NULL;
    ranks->takes = false;
    return taken;
}

void ranks_fini(struct ranks *ranks)
{
    ranks_forget(ranks);
    while (ranks->calls)
        ranks_erase(ranks, ranks->calls);
}
