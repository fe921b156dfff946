// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Workers and the jobs for them: see crew.h.
 *
 * A queue that waits is in one of two kinds of heaps, by its turn: jobs without lanes in their offer's, a
 * lane in that of the worker for whose credit it waits. What can go now is kept in two lists, offers and
 * workers of which each has both something that waits and credit, so that nothing is looked for when nothing
 * can go.
 */
#include "crew/crew.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* A method that workers offer, or of which jobs are in the crew. */
struct crew_offer {
    const void *method;
    size_t uses; /* ties, and jobs in the crew: the last one frees it */
    size_t able; /* workers that offer it and are not leaving */
    size_t open; /* those of them that have credit */
    struct crew_tie *ties;
    struct heap queues;             /* of jobs without lanes */
    struct crew_queue *by_owner;    /* the same */
    struct crew_queue *lanes;       /* whose first jobs are of this method */
    bool is_ready;                  /* it is in the crew's ready_offers */
    struct crew_offer *prev, *next; /* there */
    UT_hash_handle hh;
};

/* ---- Offers ---- */

static struct crew_offer *crew_find_offer(const struct crew *crew, const void *method)
{
    struct crew_offer *offer;
    HASH_FIND_PTR(crew->offers, &method, offer);
    return offer;
}

/* Counts one more use of the offer of a method, which is made if there is none. NULL: no memory. */
static struct crew_offer *crew_enter_offer(struct crew *crew, const void *method)
{
    struct crew_offer *offer = crew_find_offer(crew, method);
    if (!offer) {
        offer = calloc(1, sizeof *offer);
        if (!offer)
            return NULL;
        offer->method = method;
        HASH_ADD_PTR(crew->offers, method, offer);
        if (!offer->hh.tbl) {
            free(offer);
            return NULL;
        }
    }
    offer->uses++;
    return offer;
}

static void crew_leave_offer(struct crew *crew, struct crew_offer *offer)
{
    if (--offer->uses)
        return;
    HASH_DEL(crew->offers, offer);
    heap_fini(&offer->queues);
    free(offer);
}

/* ---- What can go ---- */

/* Puts the offer into the list of those that are ready, or takes it out. */
static void crew_list_offer(struct crew *crew, struct crew_offer *offer)
{
    const bool is_ready = offer->queues.count && offer->open;
    if (is_ready == offer->is_ready)
        return;
    if (is_ready)
        DL_APPEND(crew->ready_offers, offer);
    else
        DL_DELETE(crew->ready_offers, offer);
    offer->is_ready = is_ready;
}

/* Likewise, the worker. */
static void crew_list_worker(struct crew *crew, struct crew_worker *worker)
{
    const bool is_ready = worker->lanes.count && worker->has_credit;
    if (is_ready == worker->is_ready)
        return;
    if (is_ready)
        DL_APPEND(crew->ready_workers, worker);
    else
        DL_DELETE(crew->ready_workers, worker);
    worker->is_ready = is_ready;
}

/* Notes whether the worker has credit, where that has changed. */
static void crew_note_credit(struct crew *crew, struct crew_worker *worker)
{
    const bool has_credit = !worker->leaving && worker->outstanding < worker->window;
    if (has_credit == worker->has_credit)
        return;
    worker->has_credit = has_credit;
    for (struct crew_tie *tie = worker->ties; tie; tie = tie->hh.next) {
        tie->offer->open += has_credit ? 1 : (size_t)-1;
        crew_list_offer(crew, tie->offer);
    }
    crew_list_worker(crew, worker);
}

/* ---- The choice of a worker ---- */

/* How high a worker is for a lane; not 0. Both keys are digests; the rounds make each bit depend on all. */
static uint64_t crew_score(const struct crew_worker *worker, const struct digest *lane)
{
    uint64_t score = worker->key ^ lane->halves[0];
    score = (score ^ (score >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    score = (score ^ (score >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
    return (score ^ (score >> 33)) | 1;
}

static struct crew_tie *crew_find_tie(const struct crew_worker *worker, const void *method)
{
    struct crew_tie *tie;
    HASH_FIND_PTR(worker->ties, &method, tie);
    return tie;
}

/* The worker with the fewest jobs, of those that offer the job's method and have credit. It comes last of
 * those with equally many the next time. NULL: there is none. */
static struct crew_worker *crew_choose(const struct crew_job *job)
{
    struct crew_offer *offer = job->offer;
    struct crew_tie *tie, *best = NULL, *avoided = NULL;
    DL_FOREACH(offer->ties, tie)
    {
        const struct crew_worker *worker = tie->worker;
        if (!worker->has_credit)
            continue;
        if (worker->number == job->avoid)
            avoided = tie;
        else if (!best || worker->outstanding < best->worker->outstanding)
            best = tie;
        if (best && !best->worker->outstanding)
            break;
    }
    best = best ? best : avoided;
    if (!best)
        return NULL;
    DL_DELETE(offer->ties, best);
    DL_APPEND(offer->ties, best);
    return best->worker;
}

/* Chooses the worker for whose credit a lane waits: NULL, if none can get its first job now. */
static void crew_choose_for_lane(struct crew_queue *lane)
{
    const struct crew_job *job = lane->jobs;
    const struct crew_tie *tie;
    struct crew_worker *avoided = NULL;
    lane->at = NULL;
    lane->score = 0;
    if (lane->out) {
        if (!lane->worker->leaving && crew_find_tie(lane->worker, job->method))
            lane->at = lane->worker;
        return;
    }
    DL_FOREACH(job->offer->ties, tie)
    {
        if (tie->worker->leaving)
            continue;
        const uint64_t score = crew_score(tie->worker, &lane->key);
        if (tie->worker->number == job->avoid) {
            avoided = tie->worker;
        } else if (score > lane->score) {
            lane->at = tie->worker;
            lane->score = score;
        }
    }
    if (!lane->at)
        lane->at = avoided;
}

/* ---- Queues that wait ---- */

static struct crew_queue *crew_queue_of(struct heap_node *node)
{
    return (struct crew_queue *)(void *)((char *)node - offsetof(struct crew_queue, node));
}

/* The queue has, or gets, no place in a heap and in the lists of lanes. */
static void crew_unplace(struct crew *crew, struct crew_queue *queue)
{
    if (queue->heap)
        heap_remove(queue->heap, &queue->node);
    queue->heap = NULL;
    if (queue->is_late)
        LL_DELETE2(crew->late, queue, later);
    queue->is_late = false;
    if (!queue->offer)
        return;
    if (queue->is_lane)
        DL_DELETE(queue->offer->lanes, queue);
    else
        crew_list_offer(crew, queue->offer);
    if (queue->at)
        crew_list_worker(crew, queue->at);
    queue->offer = NULL;
    queue->at = NULL;
}

/* Gives a queue in which jobs wait, and which has no place, the place that its first job and its turn give
 * it. A lane that no worker can get has none, but is in the list of its method's lanes. */
static void crew_place(struct crew *crew, struct crew_queue *queue)
{
    queues_set_turn(&crew->queues, queue);
    queue->offer = queue->jobs->offer;
    if (queue->is_lane) {
        DL_APPEND(queue->offer->lanes, queue);
        crew_choose_for_lane(queue);
        if (!queue->at)
            return;
    }
    struct crew_worker *at = queue->at; /* NULL: its jobs have no lane */
    struct heap *heap = at ? &at->lanes : &queue->offer->queues;
    if (heap_set(heap, &queue->node, queue->turn)) {
        queue->heap = heap;
    } else {
        queue->is_late = true;
        LL_PREPEND2(crew->late, queue, later);
    }
    if (at)
        crew_list_worker(crew, at);
    else
        crew_list_offer(crew, queue->offer);
}

/* Places the queue anew after its first job has changed, or frees it if nothing is left. */
static void crew_place_again(struct crew *crew, struct crew_queue *queue)
{
    crew_unplace(crew, queue);
    if (queue->jobs)
        crew_place(crew, queue);
    else
        queues_free(queue);
}

/* Tries again what there was no memory for. */
static void crew_place_late(struct crew *crew)
{
    struct crew_queue *late = crew->late, *next;
    for (; late; late = next) {
        next = late->later;
        crew_unplace(crew, late);
        crew_place(crew, late);
    }
}

/* Places the lanes of an offer anew that may have to wait for this worker now, or may not any more. */
static void crew_place_lanes(struct crew *crew, struct crew_offer *offer, const struct crew_worker *worker)
{
    struct crew_queue *lane = offer->lanes, *next;
    const struct crew_queue *last = lane ? lane->prev : NULL;
    for (bool more = lane; more; lane = next) {
        next = lane->next;
        more = lane != last;
        const bool is_its = lane->out ? lane->worker == worker : lane->at == worker;
        if (is_its || (!lane->out && crew_score(worker, &lane->key) > lane->score)) {
            crew_unplace(crew, lane);
            crew_place(crew, lane);
        }
    }
}

/* ---- Workers ---- */

void crew_init(struct crew *crew, uint64_t seed)
{
    *crew = (struct crew){.seed = seed};
}

struct crew_worker *crew_find(const struct crew *crew, const char *name)
{
    struct crew_worker *worker;
    HASH_FIND_STR(crew->workers, name, worker);
    return worker;
}

struct crew_worker *crew_find_connection(const struct crew *crew, const void *connection)
{
    struct crew_worker *worker;
    HASH_FIND(by_connection, crew->by_connection, &connection, sizeof connection, worker);
    return worker;
}

static void crew_free_worker(struct crew_worker *worker)
{
    heap_fini(&worker->lanes);
    statistics_fini(&worker->statistics);
    free(worker->client);
    free(worker->version);
    free(worker->address);
    free(worker->user);
    free(worker);
}

/* Copies a text of a card, of at most so many bytes. Returns false: no memory. */
static bool crew_copy(char **copy, const char *text, size_t max)
{
    const size_t length = text ? text_cut(text, max) : 0;
    *copy = text ? malloc(length + 1) : NULL;
    if (!*copy)
        return !text;
    memcpy(*copy, text, length);
    (*copy)[length] = '\0';
    return true;
}

/* Takes over a card, but for its name and its connection. Returns false: no memory, and nothing has changed.
 */
static bool crew_take_card(struct crew_worker *worker, const struct crew_card *card)
{
    char *client, *version = NULL, *address = NULL, *user = NULL;
    if (!crew_copy(&client, card->client, SIZE_MAX) || !crew_copy(&version, card->version, CREW_TEXT_MAX) ||
        !crew_copy(&address, card->address, CREW_TEXT_MAX) || !crew_copy(&user, card->user, CREW_TEXT_MAX)) {
        free(client);
        free(version);
        free(address);
        free(user);
        return false;
    }
    free(worker->client);
    free(worker->version);
    free(worker->address);
    free(worker->user);
    worker->client = client;
    worker->version = version;
    worker->address = address;
    worker->user = user;
    worker->window = card->window;
    return true;
}

/* NULL: no memory. */
static struct crew_worker *crew_make_worker(struct crew *crew, const struct crew_card *card)
{
    struct crew_worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return NULL;
    if (!crew_take_card(worker, card)) {
        free(worker);
        return NULL;
    }
    snprintf(worker->name, sizeof worker->name, "%s", card->name);
    const struct digest_part part = {worker->name, strlen(worker->name)};
    worker->key = digest_of(crew->seed, &part, 1).halves[0];
    worker->connection = card->connection;
    worker->since = card->now;
    HASH_ADD_STR(crew->workers, name, worker);
    if (!worker->hh.tbl) {
        crew_free_worker(worker);
        return NULL;
    }
    HASH_ADD(by_connection, crew->by_connection, connection, sizeof worker->connection, worker);
    if (!worker->by_connection.tbl) {
        HASH_DEL(crew->workers, worker);
        crew_free_worker(worker);
        return NULL;
    }
    worker->number = ++crew->last_worker;
    crew_note_credit(crew, worker);
    return worker;
}

/* The worker is one that can get jobs again, or has another window. */
static void crew_return(struct crew *crew, struct crew_worker *worker)
{
    const bool was_leaving = worker->leaving;
    worker->leaving = false;
    crew_note_credit(crew, worker);
    for (struct crew_tie *tie = was_leaving ? worker->ties : NULL; tie; tie = tie->hh.next) {
        tie->offer->able++;
        crew_place_lanes(crew, tie->offer, worker);
    }
}

enum crew_answer crew_attach(struct crew *crew, const struct crew_card *card, struct crew_worker **worker)
{
    struct crew_worker *named = *worker = crew_find(crew, card->name);
    if (named && named->connection != card->connection)
        return strcmp(named->client, card->client) == 0 ? CREW_NAME_IS_OLD : CREW_NAME_IN_USE;
    if (named) {
        if (!crew_take_card(named, card)) {
            *worker = NULL;
            return CREW_NO_MEMORY;
        }
        crew_return(crew, named);
        return CREW_OK;
    }
    *worker = crew_find_connection(crew, card->connection);
    if (*worker)
        return CREW_OTHER_NAME;
    if (HASH_COUNT(crew->workers) >= CREW_WORKERS_MAX)
        return CREW_FULL;
    *worker = crew_make_worker(crew, card);
    return *worker ? CREW_OK : CREW_NO_MEMORY;
}

/* ---- What workers offer ---- */

/* NULL: no memory. The tie is not in its offer's list yet. */
static struct crew_tie *crew_make_tie(struct crew *crew, struct crew_worker *worker, const void *method)
{
    struct crew_tie *tie = calloc(1, sizeof *tie);
    struct crew_offer *offer = tie ? crew_enter_offer(crew, method) : NULL;
    if (!offer) {
        free(tie);
        return NULL;
    }
    *tie = (struct crew_tie){.method = method, .worker = worker, .offer = offer, .is_new = true};
    HASH_ADD_PTR(worker->ties, method, tie);
    if (tie->hh.tbl)
        return tie;
    crew_leave_offer(crew, offer);
    free(tie);
    return NULL;
}

static void crew_free_tie(struct crew *crew, struct crew_tie *tie)
{
    HASH_DEL(tie->worker->ties, tie);
    crew_leave_offer(crew, tie->offer);
    free(tie);
}

/* The worker offers the method from now on. */
static void crew_link_tie(struct crew *crew, struct crew_tie *tie)
{
    struct crew_offer *offer = tie->offer;
    tie->is_new = false;
    DL_PREPEND(offer->ties, tie);
    crew->ties++;
    if (tie->worker->leaving)
        return;
    offer->able++;
    offer->open += tie->worker->has_credit;
    crew_list_offer(crew, offer);
    crew_place_lanes(crew, offer, tie->worker);
}

/* The worker offers the method no longer. */
static void crew_cut_tie(struct crew *crew, struct crew_tie *tie)
{
    struct crew_offer *offer = tie->offer;
    struct crew_worker *worker = tie->worker;
    DL_DELETE(offer->ties, tie);
    crew->ties--;
    offer->able -= !worker->leaving;
    offer->open -= worker->has_credit;
    crew_list_offer(crew, offer);
    HASH_DEL(worker->ties, tie); /* before the lanes look for it */
    free(tie);
    crew_place_lanes(crew, offer, worker);
    crew_leave_offer(crew, offer);
}

/* Names the ties of these methods, and makes those that are not there. */
static enum crew_answer crew_name_ties(struct crew *crew, struct crew_worker *worker,
                                       const void *const *methods, size_t count)
{
    const size_t others = crew->ties - HASH_COUNT(worker->ties);
    size_t named = 0;
    for (size_t i = 0; i < count; i++) {
        struct crew_tie *tie = crew_find_tie(worker, methods[i]);
        if (tie && tie->is_named)
            continue;
        if (++named > CREW_METHODS_MAX || others + named > CREW_TIES_MAX)
            return CREW_FULL;
        tie = tie ? tie : crew_make_tie(crew, worker, methods[i]);
        if (!tie)
            return CREW_NO_MEMORY;
        tie->is_named = true;
    }
    return CREW_OK;
}

enum crew_answer crew_offer(struct crew *crew, struct crew_worker *worker, const void *const *methods,
                            size_t count)
{
    const enum crew_answer answer = crew_name_ties(crew, worker, methods, count);
    struct crew_tie *tie, *next;
    HASH_ITER(hh, worker->ties, tie, next)
    {
        const bool is_named = tie->is_named;
        tie->is_named = false;
        if (answer != CREW_OK && tie->is_new)
            crew_free_tie(crew, tie);
        else if (answer == CREW_OK && tie->is_new)
            crew_link_tie(crew, tie);
        else if (answer == CREW_OK && !is_named)
            crew_cut_tie(crew, tie);
    }
    return answer;
}

/* ---- The end of workers ---- */

void crew_detach(struct crew *crew, struct crew_worker *worker)
{
    struct heap_node *node;
    if (worker->leaving)
        return;
    worker->leaving = true;
    crew_note_credit(crew, worker);
    for (struct crew_tie *tie = worker->ties; tie; tie = tie->hh.next)
        tie->offer->able--;
    while ((node = heap_first(&worker->lanes))) {
        struct crew_queue *lane = crew_queue_of(node);
        crew_unplace(crew, lane);
        crew_place(crew, lane);
    }
}

/* A job that the worker has leaves the crew. The worker does not get the credit back, and keeps the job's
 * place in its list. */
static void crew_let_go(struct crew *crew, struct crew_job *job)
{
    struct crew_queue *lane = job->queue;
    struct crew_offer *offer = job->offer;
    crew->outstanding--;
    job->worker = NULL;
    job->queue = NULL;
    job->offer = NULL;
    if (lane && !--lane->out) {
        lane->worker = NULL;
        crew_place_again(crew, lane);
    }
    crew_leave_offer(crew, offer);
}

struct crew_job *crew_remove(struct crew *crew, struct crew_worker *worker)
{
    struct crew_job *jobs = worker->jobs, *job;
    struct crew_tie *tie, *next;
    crew_detach(crew, worker);
    HASH_ITER(hh, worker->ties, tie, next)
    {
        crew_cut_tie(crew, tie);
    }
    LL_FOREACH(jobs, job)
    {
        crew_let_go(crew, job);
    }
    HASH_DEL(crew->workers, worker);
    HASH_DELETE(by_connection, crew->by_connection, worker);
    crew_free_worker(worker);
    return jobs;
}

/* ---- Jobs ---- */

static bool crew_enter(struct crew *crew, struct crew_job *job, bool again)
{
    struct crew_offer *offer = crew_enter_offer(crew, job->method);
    job->worker = NULL;
    job->offer = NULL;
    if (!offer)
        return false;
    struct crew_queue **table = job->has_lane ? &crew->lanes : &offer->by_owner;
    if (!queues_enter(&crew->queues, table, job->has_lane ? &job->lane : &job->owner, job, again)) {
        crew_leave_offer(crew, offer);
        return false;
    }
    job->offer = offer;
    if (job->queue->jobs == job)
        crew_place_again(crew, job->queue);
    return true;
}

bool crew_submit(struct crew *crew, struct crew_job *job)
{
    job->number = ++crew->last_job;
    return crew_enter(crew, job, false);
}

bool crew_submit_again(struct crew *crew, struct crew_job *job)
{
    return crew_enter(crew, job, true);
}

void crew_withdraw(struct crew *crew, struct crew_job *job)
{
    struct crew_queue *queue = job->queue;
    struct crew_offer *offer = job->offer;
    if (!crew_is_waiting(job))
        return;
    const bool was_first = queue->jobs == job;
    queues_leave(&crew->queues, job);
    if (was_first)
        crew_place_again(crew, queue);
    job->queue = NULL;
    job->offer = NULL;
    crew_leave_offer(crew, offer);
}

/* The queue with the lowest turn of those that can go. NULL: none can. */
static struct crew_queue *crew_find_next(const struct crew *crew)
{
    struct heap_node *next = NULL, *first;
    const struct crew_offer *offer;
    const struct crew_worker *worker;
    DL_FOREACH(crew->ready_offers, offer)
    {
        first = heap_first(&offer->queues);
        if (first && (!next || first->key < next->key))
            next = first;
    }
    DL_FOREACH(crew->ready_workers, worker)
    {
        first = heap_first(&worker->lanes);
        if (first && (!next || first->key < next->key))
            next = first;
    }
    return next ? crew_queue_of(next) : NULL;
}

struct crew_job *crew_take_next(struct crew *crew)
{
    if (crew->late)
        crew_place_late(crew);
    struct crew_queue *queue = crew_find_next(crew);
    struct crew_job *job = queue ? queue->jobs : NULL;
    struct crew_worker *worker = !job ? NULL : queue->is_lane ? queue->at : crew_choose(job);
    if (!worker)
        return NULL;
    queues_take(&crew->queues, queue);
    job->worker = worker;
    job->queue = queue->is_lane ? queue : NULL;
    if (queue->is_lane) {
        queue->out++;
        queue->worker = worker;
    }
    DL_APPEND(worker->jobs, job);
    crew->outstanding++;
    worker->outstanding++;
    crew_place_again(crew, queue);
    crew_note_credit(crew, worker);
    return job;
}

void crew_end(struct crew *crew, struct crew_job *job)
{
    struct crew_worker *worker = job->worker;
    if (!worker)
        return;
    DL_DELETE(worker->jobs, job);
    worker->outstanding--;
    crew_let_go(crew, job);
    crew_note_credit(crew, worker);
}

/* ---- What can be asked ---- */

bool crew_has_room(const struct crew *crew, const char *name, size_t methods)
{
    const struct crew_worker *worker = crew_find(crew, name);
    const size_t others = crew->ties - (worker ? HASH_COUNT(worker->ties) : 0);
    return (worker || HASH_COUNT(crew->workers) < CREW_WORKERS_MAX) && methods <= CREW_METHODS_MAX &&
           others + methods <= CREW_TIES_MAX;
}

bool crew_is_offered(const struct crew *crew, const void *method)
{
    const struct crew_offer *offer = crew_find_offer(crew, method);
    return offer && offer->able;
}

bool crew_has_credit(const struct crew *crew, const void *method)
{
    const struct crew_offer *offer = crew_find_offer(crew, method);
    return offer && offer->open;
}

bool crew_has_lane(const struct crew *crew, const struct digest *lane)
{
    return queues_find(&crew->lanes, lane);
}

struct crew_worker *crew_lane_worker(const struct crew *crew, const struct digest *lane)
{
    const struct crew_queue *queue = queues_find(&crew->lanes, lane);
    return queue ? queue->worker : NULL;
}

/* ---- The end ---- */

/* When the workers are gone, each lane has a job that waits; and when the lanes are gone, each offer has a
 * queue. */
void crew_fini(struct crew *crew)
{
    while (crew->workers)
        crew_remove(crew, crew->workers);
    while (crew->lanes)
        crew_withdraw(crew, crew->lanes->jobs);
    while (crew->offers)
        crew_withdraw(crew, crew->offers->by_owner->jobs);
}
