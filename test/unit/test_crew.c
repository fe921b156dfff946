// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/crew/: which worker gets which job, and whose turn it is. The random test of it is test_crew_storm.c.
 */
#include "crew/crew.h"
#include "failing_malloc.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 10100, SEED = 77 };

static struct crew crew;
static struct crew_job some[MANY];
static const char methods[CREW_METHODS_MAX + 1];
static const char connections[CREW_WORKERS_MAX + 1];
static int used; /* of `some` */

static void open_crew(void)
{
    failing_install();
    crew_init(&crew, SEED);
    memset(some, 0, sizeof some);
    used = 0;
}

static void close_crew(void)
{
    crew_fini(&crew);
    ck_assert_ptr_null(crew.workers);
    ck_assert_ptr_null(crew.by_connection);
    ck_assert_ptr_null(crew.offers);
    ck_assert_ptr_null(crew.lanes);
    ck_assert_ptr_null(crew.queues.owners);
    ck_assert_ptr_null(crew.ready_offers);
    ck_assert_ptr_null(crew.ready_workers);
    ck_assert_ptr_null(crew.late);
    ck_assert_uint_eq(crew.queues.jobs + crew.outstanding + crew.ties, 0);
}

static struct crew_card card_of(const char *name, unsigned window)
{
    return (struct crew_card){
        .name = name, .client = name, .connection = &connections[HASH_COUNT(crew.workers)], .window = window};
}

static struct crew_worker *attach(const char *name, unsigned window)
{
    const struct crew_card card = card_of(name, window);
    struct crew_worker *worker;
    ck_assert_int_eq(crew_attach(&crew, &card, &worker), CREW_OK);
    return worker;
}

/* The worker offers the methods of these letters: a is the first one. */
static void offer(struct crew_worker *worker, const char *letters)
{
    const void *named[32];
    size_t count = 0;
    for (; letters[count]; count++)
        named[count] = &methods[letters[count] - 'a'];
    ck_assert_int_eq(crew_offer(&crew, worker, named, count), CREW_OK);
}

static struct crew_worker *hire(const char *name, unsigned window, const char *letters)
{
    struct crew_worker *worker = attach(name, window);
    offer(worker, letters);
    return worker;
}

/* Submits a job of an owner and a method; lane 0: none. */
static struct crew_job *submit(int owner, char method, int lane)
{
    struct crew_job *job = &some[used++];
    *job = (struct crew_job){.method = &methods[method - 'a'],
                             .has_lane = lane,
                             .lane = {{(uint64_t)lane * 7919, 1}},
                             .owner = {{(uint64_t)owner, 2}}};
    ck_assert(crew_submit(&crew, job));
    ck_assert(crew_is_waiting(job));
    return job;
}

static void expect(struct crew_job *job, struct crew_worker *worker)
{
    ck_assert_ptr_eq(crew_take_next(&crew), job);
    ck_assert_ptr_eq(job->worker, worker);
    ck_assert(!crew_is_waiting(job));
}

static void expect_none(void)
{
    ck_assert_ptr_null(crew_take_next(&crew));
}

/* Takes the next job, and returns its owner; 0: there is none. */
static int take_owner(void)
{
    const struct crew_job *job = crew_take_next(&crew);
    return job ? (int)job->owner.halves[0] : 0;
}

/* ---- Workers ---- */

START_TEST(nobody_at_first)
{
    struct crew_job *job = submit(1, 'a', 0), *second = submit(1, 'b', 3);
    expect_none();
    ck_assert(!crew_is_offered(&crew, &methods[0]));
    ck_assert(!crew_has_credit(&crew, &methods[0]));
    struct crew_worker *worker = hire("w", 1, "a");
    ck_assert(crew_is_offered(&crew, &methods[0]));
    ck_assert(crew_has_credit(&crew, &methods[0]));
    ck_assert(!crew_is_offered(&crew, &methods[1]));
    expect(job, worker);
    expect_none();
    ck_assert(crew_is_offered(&crew, &methods[0]));
    ck_assert(!crew_has_credit(&crew, &methods[0]));
    offer(worker, "ab");
    expect_none();
    crew_end(&crew, job);
    ck_assert_ptr_null(job->worker);
    expect(second, worker);
    crew_end(&crew, second);
    expect_none();
    ck_assert_uint_eq(worker->outstanding, 0);
}
END_TEST

START_TEST(cards)
{
    struct crew_card card = {.name = "w1",
                             .client = "c1",
                             .connection = &connections[0],
                             .version = "1.4",
                             .address = "127.0.0.1",
                             .user = "mary",
                             .window = 8,
                             .now = 5};
    struct crew_worker *worker, *other;
    ck_assert_int_eq(crew_attach(&crew, &card, &worker), CREW_OK);
    ck_assert_ptr_eq(crew_find(&crew, "w1"), worker);
    ck_assert_ptr_eq(crew_find_connection(&crew, &connections[0]), worker);
    ck_assert_ptr_null(crew_find(&crew, "w2"));
    ck_assert_ptr_null(crew_find_connection(&crew, &connections[1]));
    ck_assert_str_eq(worker->user, "mary");
    ck_assert_str_eq(worker->address, "127.0.0.1");
    card.window = 3;
    card.version = NULL;
    card.now = 9;
    ck_assert_int_eq(crew_attach(&crew, &card, &other), CREW_OK);
    ck_assert_ptr_eq(other, worker);
    ck_assert_uint_eq(worker->window, 3);
    ck_assert_uint_eq(worker->since, 5);
    ck_assert_ptr_null(worker->version);

    card.connection = &connections[1];
    ck_assert_int_eq(crew_attach(&crew, &card, &other), CREW_NAME_IS_OLD);
    ck_assert_ptr_eq(other, worker);
    card.client = "c2";
    ck_assert_int_eq(crew_attach(&crew, &card, &other), CREW_NAME_IN_USE);
    ck_assert_ptr_eq(other, worker);
    card = (struct crew_card){.name = "w2", .client = "c1", .connection = &connections[0], .window = 1};
    ck_assert_int_eq(crew_attach(&crew, &card, &other), CREW_OTHER_NAME);
    ck_assert_ptr_eq(other, worker);
    ck_assert_ptr_null(crew_remove(&crew, worker));
    ck_assert_int_eq(crew_attach(&crew, &card, &other), CREW_OK);
    ck_assert_uint_eq(other->number, 2);
}
END_TEST

START_TEST(long_texts_are_cut)
{
    char text[1000], name[CREW_NAME_MAX + 1];
    memset(text, 'x', sizeof text - 1);
    memset(name, 'y', sizeof name - 1);
    text[sizeof text - 1] = name[sizeof name - 1] = '\0';
    memcpy(text + CREW_TEXT_MAX - 1, "\xC3\xA9", 2); /* is not cut in two */
    const struct crew_card card = {
        .name = name, .client = text, .connection = connections, .version = text, .window = 1};
    struct crew_worker *worker;
    ck_assert_int_eq(crew_attach(&crew, &card, &worker), CREW_OK);
    ck_assert_str_eq(worker->name, name);
    ck_assert_str_eq(worker->client, text);
    ck_assert_uint_eq(strlen(worker->version), CREW_TEXT_MAX - 1);
    ck_assert_ptr_eq(crew_find(&crew, name), worker);
}
END_TEST

START_TEST(so_many_workers)
{
    char name[16];
    struct crew_worker *worker;
    for (int i = 0; i < CREW_WORKERS_MAX; i++) {
        snprintf(name, sizeof name, "w%d", i);
        worker = attach(name, 1);
        ck_assert_uint_eq(worker->number, (unsigned)i + 1);
    }
    const struct crew_card card = card_of("one more", 1);
    ck_assert_int_eq(crew_attach(&crew, &card, &worker), CREW_FULL);
    ck_assert_ptr_null(worker);
    int count = 0;
    for (worker = crew.workers; worker; worker = worker->hh.next) {
        snprintf(name, sizeof name, "w%d", count++);
        ck_assert_str_eq(worker->name, name);
    }
    crew_remove(&crew, crew_find(&crew, "w7"));
    ck_assert_int_eq(crew_attach(&crew, &card, &worker), CREW_OK);
}
END_TEST

/* ---- What they offer ---- */

static void check_offered(const char *letters)
{
    for (char letter = 'a'; letter <= 'd'; letter++)
        ck_assert_int_eq(crew_is_offered(&crew, &methods[letter - 'a']), strchr(letters, letter) != NULL);
}

START_TEST(offers_are_replaced)
{
    struct crew_worker *worker = hire("w", 2, "ab"), *other = attach("v", 2);
    check_offered("ab");
    offer(worker, "bcb");
    check_offered("bc");
    ck_assert_uint_eq(crew.ties, 2);
    offer(other, "d");
    check_offered("bcd");
    offer(worker, "");
    check_offered("d");
    ck_assert_ptr_null(worker->ties);
    offer(worker, "da");
    struct crew_job *job = submit(1, 'd', 0);
    ck_assert_ptr_nonnull(crew_take_next(&crew));
    offer(job->worker, ""); /* it keeps what it has */
    ck_assert_uint_eq(job->worker->outstanding, 1);
    crew_end(&crew, job);
    check_offered(crew_find(&crew, "w")->ties ? "da" : "d");
}
END_TEST

START_TEST(so_many_methods)
{
    const void *all[CREW_METHODS_MAX + 2];
    struct crew_worker *worker = attach("w", 1);
    for (int i = 0; i <= CREW_METHODS_MAX; i++)
        all[i] = &methods[i];
    offer(worker, "ab");
    ck_assert_int_eq(crew_offer(&crew, worker, all, CREW_METHODS_MAX + 1), CREW_FULL);
    check_offered("ab");
    ck_assert_uint_eq(crew.ties, 2);
    all[CREW_METHODS_MAX] = all[CREW_METHODS_MAX + 1] = all[5]; /* named again, it does not count */
    ck_assert_int_eq(crew_offer(&crew, worker, all, CREW_METHODS_MAX + 2), CREW_OK);
    ck_assert_uint_eq(crew.ties, CREW_METHODS_MAX);
    char name[16];
    for (int i = 1; i < CREW_TIES_MAX / CREW_METHODS_MAX; i++) {
        snprintf(name, sizeof name, "w%d", i);
        ck_assert_int_eq(crew_offer(&crew, attach(name, 1), all, CREW_METHODS_MAX), CREW_OK);
    }
    ck_assert_uint_eq(crew.ties, CREW_TIES_MAX);
    struct crew_worker *last = attach("last", 1);
    ck_assert_int_eq(crew_offer(&crew, last, all, 1), CREW_FULL);
    ck_assert_ptr_null(last->ties);
    ck_assert_int_eq(crew_offer(&crew, worker, all, CREW_METHODS_MAX - 1), CREW_OK);
    ck_assert_int_eq(crew_offer(&crew, last, all, 1), CREW_OK);
}
END_TEST

/* ---- Jobs without lanes ---- */

START_TEST(the_least_busy_one)
{
    struct crew_worker *one = hire("one", 3, "a"), *two = hire("two", 2, "ab");
    struct crew_job *b = submit(1, 'b', 0);
    expect(b, two);
    struct crew_job *jobs[4];
    for (int i = 0; i < 4; i++)
        jobs[i] = submit(1, 'a', 0);
    expect(jobs[0], one);
    ck_assert_ptr_nonnull(crew_take_next(&crew)); /* both have one */
    ck_assert_ptr_nonnull(crew_take_next(&crew));
    ck_assert_uint_eq(one->outstanding, 2);
    ck_assert_uint_eq(two->outstanding, 2);
    expect(jobs[3], one);
    expect_none();
    crew_end(&crew, b);
    expect_none();
    struct crew_job *next = submit(2, 'a', 0);
    expect(next, two);
}
END_TEST

START_TEST(equals_take_turns)
{
    struct crew_worker *workers[3] = {hire("x", 16, "a"), hire("y", 16, "a"), hire("z", 16, "a")};
    int got[3] = {0};
    for (int i = 0; i < 30; i++) {
        struct crew_job *job = submit(1, 'a', 0);
        ck_assert_ptr_eq(crew_take_next(&crew), job);
        for (int w = 0; w < 3; w++)
            got[w] += workers[w] == job->worker;
        crew_end(&crew, job);
    }
    for (int w = 0; w < 3; w++)
        ck_assert_int_eq(got[w], 10);
}
END_TEST

START_TEST(one_that_is_avoided)
{
    struct crew_worker *one = hire("one", 1, "a"), *two = hire("two", 3, "a");
    struct crew_job *job = submit(1, 'a', 0);
    struct crew_job *in_lane = submit(1, 'a', 9);
    while (crew_take_next(&crew))
        continue;
    for (int i = 0; i < 20; i++) { /* whoever has it refuses it */
        struct crew_worker *refuser = job->worker;
        job->avoid = refuser->number;
        crew_end(&crew, job);
        if (i == 0)
            crew_end(&crew, in_lane);
        ck_assert(crew_submit_again(&crew, job));
        expect(job, refuser == one ? two : one);
    }
    in_lane->avoid = two->number;
    ck_assert(crew_submit_again(&crew, in_lane));
    if (job->worker == one) {
        expect_none();
        crew_end(&crew, job);
    }
    expect(in_lane, one);
    crew_end(&crew, in_lane);
    crew_detach(&crew, one);
    ck_assert(crew_submit_again(&crew, in_lane)); /* no other is left */
    expect(in_lane, two);
}
END_TEST

START_TEST(windows)
{
    struct crew_worker *worker = hire("w", 3, "a");
    struct crew_job *jobs[6];
    for (int i = 0; i < 6; i++)
        jobs[i] = submit(1, 'a', 0);
    for (int i = 0; i < 3; i++)
        expect(jobs[i], worker);
    expect_none();
    struct crew_card card = card_of("w", 1);
    card.connection = worker->connection;
    ck_assert_int_eq(crew_attach(&crew, &card, &worker), CREW_OK);
    crew_end(&crew, jobs[1]);
    crew_end(&crew, jobs[1]); /* counts once */
    crew_end(&crew, jobs[0]);
    ck_assert_uint_eq(worker->outstanding, 1);
    expect_none();
    crew_end(&crew, jobs[2]);
    expect(jobs[3], worker);
    expect_none();
    card.window = 2;
    ck_assert_int_eq(crew_attach(&crew, &card, &worker), CREW_OK);
    expect(jobs[4], worker);
    expect_none();
}
END_TEST

START_TEST(withdrawn)
{
    struct crew_job *jobs[4];
    for (int i = 0; i < 4; i++)
        jobs[i] = submit(1, 'a', i / 2);
    ck_assert_uint_eq(crew.queues.jobs, 4);
    crew_withdraw(&crew, jobs[0]);
    crew_withdraw(&crew, jobs[0]);
    crew_withdraw(&crew, jobs[2]);
    ck_assert_uint_eq(crew.queues.jobs, 2);
    struct crew_worker *worker = hire("w", 1, "a");
    expect(jobs[1], worker);
    crew_withdraw(&crew, jobs[1]); /* it does not wait */
    ck_assert_ptr_eq(jobs[1]->worker, worker);
    crew_withdraw(&crew, jobs[3]);
    crew_end(&crew, jobs[1]);
    expect_none();
    ck_assert_uint_eq(crew.outstanding, 0);
}
END_TEST

/* ---- Lanes ---- */

START_TEST(a_lane_keeps_its_worker)
{
    hire("one", 2, "a");
    hire("two", 2, "a");
    struct crew_job *jobs[6];
    for (int i = 0; i < 6; i++)
        jobs[i] = submit(i, 'a', 5);
    struct crew_job *first = crew_take_next(&crew);
    ck_assert_ptr_eq(first, jobs[0]);
    struct crew_worker *its = first->worker;
    ck_assert(crew_has_lane(&crew, &first->lane));
    ck_assert_ptr_eq(crew_lane_worker(&crew, &first->lane), its);
    expect(jobs[1], its);
    expect_none(); /* the other one has credit */
    ck_assert(crew_has_credit(&crew, &methods[0]));
    struct crew_job *free_one = submit(1, 'a', 0);
    ck_assert_ptr_eq(crew_take_next(&crew), free_one);
    ck_assert_ptr_ne(free_one->worker, its);
    for (int i = 2; i < 6; i++) {
        crew_end(&crew, jobs[i - 2]);
        expect(jobs[i], its);
        expect_none();
    }
    crew_end(&crew, jobs[4]);
    ck_assert_ptr_eq(crew_lane_worker(&crew, &first->lane), its);
    crew_end(&crew, jobs[5]);
    ck_assert_ptr_null(crew_lane_worker(&crew, &first->lane));
    ck_assert(!crew_has_lane(&crew, &first->lane));
}
END_TEST

START_TEST(a_lane_waits_for_its_worker_alone)
{
    struct crew_worker *one = hire("one", 1, "a"), *two = hire("two", 1, "a");
    struct crew_job *held[2] = {submit(1, 'a', 0), submit(1, 'a', 0)};
    ck_assert_ptr_eq(crew_take_next(&crew), held[0]);
    ck_assert_ptr_eq(crew_take_next(&crew), held[1]);
    int lane_of[2] = {0}; /* lanes that are each worker's */
    for (int lane = 1; !lane_of[0] || !lane_of[1]; lane++) {
        struct crew_job *job = submit(1, 'b', lane);
        offer(one, "ab");
        offer(two, "ab");
        ck_assert_ptr_nonnull(job->queue->at);
        lane_of[job->queue->at == two] = lane;
        crew_withdraw(&crew, job);
    }
    struct crew_job *for_one = submit(1, 'a', lane_of[0]), *for_two = submit(1, 'a', lane_of[1]);
    expect_none();
    ck_assert(crew_has_lane(&crew, &for_one->lane));
    ck_assert_ptr_null(crew_lane_worker(&crew, &for_one->lane));
    crew_end(&crew, held[held[0]->worker == one]);
    expect(for_two, two);
    expect_none();
    crew_end(&crew, held[0]);
    crew_end(&crew, held[1]);
    expect(for_one, one);
}
END_TEST

START_TEST(a_worker_that_is_gone)
{
    hire("one", 3, "a");
    hire("two", 3, "a");
    struct crew_job *jobs[5], *job;
    for (int i = 0; i < 5; i++)
        jobs[i] = submit(i % 2, 'a', 5);
    for (int i = 0; i < 3; i++)
        ck_assert_ptr_eq(crew_take_next(&crew), jobs[i]);
    expect_none();
    struct crew_job *gone = job = crew_remove(&crew, jobs[0]->worker);
    for (int i = 0; i < 3; i++, job = job->next) {
        ck_assert_ptr_eq(job, jobs[i]);
        ck_assert_ptr_null(job->worker);
        ck_assert(!crew_is_waiting(job));
    }
    ck_assert_ptr_null(job);
    ck_assert_ptr_eq(gone, jobs[0]);
    ck_assert_ptr_null(crew_lane_worker(&crew, &gone->lane));
    /* The second one is not sent again; the order in which the others are submitted does not matter. */
    ck_assert(crew_submit_again(&crew, jobs[2]));
    ck_assert(crew_submit_again(&crew, jobs[0]));
    struct crew_worker *left = crew.workers;
    expect(jobs[0], left);
    expect(jobs[2], left);
    expect(jobs[3], left);
    expect_none();
    crew_end(&crew, jobs[2]);
    expect(jobs[4], left);
    ck_assert_uint_eq(crew.queues.jobs, 0);
}
END_TEST

START_TEST(one_that_leaves)
{
    struct crew_worker *one = hire("one", 2, "a"), *two = NULL;
    struct crew_job *jobs[4];
    for (int i = 0; i < 4; i++)
        jobs[i] = submit(1, 'a', 5);
    expect(jobs[0], one);
    expect(jobs[1], one);
    crew_detach(&crew, one);
    crew_detach(&crew, one);
    ck_assert(!crew_is_offered(&crew, &methods[0]));
    two = hire("two", 2, "a");
    expect_none();
    crew_end(&crew, jobs[0]);
    expect_none(); /* one of the lane is still out */
    crew_end(&crew, jobs[1]);
    expect(jobs[2], two);
    expect(jobs[3], two);
    struct crew_job *free_one = submit(1, 'a', 0);
    expect_none();
    struct crew_card card = card_of("one", 2);
    card.connection = one->connection;
    ck_assert_int_eq(crew_attach(&crew, &card, &one), CREW_OK);
    expect(free_one, one);
}
END_TEST

START_TEST(a_lane_of_two_methods)
{
    struct crew_worker *one = hire("one", 3, "a"), *two = hire("two", 3, "b");
    struct crew_job *first = submit(1, 'a', 5), *second = submit(1, 'b', 5), *third = submit(1, 'a', 5);
    expect(first, one);
    expect_none();
    crew_end(&crew, first);
    expect(second, two);
    expect_none();
    offer(two, "ab"); /* from now on it can have the third one */
    expect(third, two);
    struct crew_job *fourth = submit(1, 'a', 5);
    offer(two, "b");
    expect_none();
    crew_end(&crew, second);
    expect_none();
    crew_end(&crew, third);
    expect(fourth, one);
}
END_TEST

/* ---- Turns ---- */

START_TEST(owners_take_turns)
{
    struct crew_worker *worker = hire("w", 16, "a");
    for (int i = 0; i < 8; i++)
        submit(1, 'a', 0);
    for (int i = 0; i < 2; i++)
        submit(2, 'a', 0);
    submit(3, 'a', 0);
    static const int order[] = {1, 2, 3, 1, 2, 1, 1, 1, 1, 1, 1, 0};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        ck_assert_int_eq(take_owner(), order[i]);
    ck_assert_uint_eq(worker->outstanding, 11);
}
END_TEST

/* An owner gets no more for many methods (0) and lanes (1) than another one for one. */
START_TEST(many_queues_are_no_advantage)
{
    hire("w", 1, "abcdefghijklmnopqrst");
    struct crew_job *last = submit(3, 'a', 0);
    ck_assert_int_eq(take_owner(), 3);
    for (int i = 0; i < 20; i++)
        submit(1, _i ? 'a' : (char)('a' + i), _i ? i + 1 : 0);
    for (int i = 0; i < 10; i++)
        submit(2, 'a', 0);
    int got[3] = {0};
    for (int i = 0; i < 20; i++) {
        crew_end(&crew, last);
        last = crew_take_next(&crew);
        ck_assert_ptr_nonnull(last);
        got[last->owner.halves[0]]++;
        ck_assert_int_le(abs(got[1] - got[2]), 1);
    }
    for (int i = 0; i < 10; i++) {
        crew_end(&crew, last);
        last = crew_take_next(&crew);
        ck_assert_uint_eq(last->owner.halves[0], 1);
    }
}
END_TEST

/* An owner that has only one job at a time does not keep one from its turn that has many, and one whose calls
 * were withdrawn is as good as new. */
START_TEST(turns_that_were_not_taken)
{
    hire("w", 1, "ab");
    struct crew_job *busy = submit(3, 'a', 0);
    ck_assert_int_eq(take_owner(), 3);
    for (int i = 0; i < 100; i++)
        submit(1, i % 2 ? 'a' : 'b', i + 1);
    for (int i = 1; i < 100; i++)
        crew_withdraw(&crew, &some[i]);
    int got[3] = {0};
    for (int i = 0; i < 20; i++) {
        submit(1, 'a', 500 + i);
        submit(2, 'b', 0);
        crew_end(&crew, busy);
        busy = crew_take_next(&crew);
        got[busy->owner.halves[0]]++;
        ck_assert_int_le(abs(got[1] - got[2]), 2);
    }
}
END_TEST

/* ---- Many ---- */

enum { LANES = 10000, STAFF = 20 };

/* Makes workers without credit, and lanes that wait for them. */
static struct crew_job *fill(struct crew_worker *workers[STAFF])
{
    char name[16];
    for (int i = 0; i < STAFF; i++) {
        snprintf(name, sizeof name, "worker-%d", i);
        workers[i] = hire(name, 1, "ab");
        submit(1, 'b', 0);
        ck_assert_ptr_nonnull(crew_take_next(&crew));
    }
    struct crew_job *first = some + used;
    for (int i = 0; i < LANES; i++)
        submit(1, 'a', i + 1);
    expect_none();
    return first;
}

static void note_places(const struct crew_job *jobs, const struct crew_worker *at[LANES])
{
    for (int i = 0; i < LANES; i++)
        at[i] = jobs[i].queue->at;
}

/* How many lanes wait for the worker, of those that waited for `from` before; NULL: of all. */
static int count_lanes(const struct crew_worker *before[LANES], const struct crew_worker *from,
                       const struct crew_worker *at[LANES], const struct crew_worker *worker)
{
    int count = 0;
    for (int i = 0; i < LANES; i++)
        count += (!from || before[i] == from) && at[i] == worker;
    return count;
}

/* Each worker has as many lanes as another one. Of what a new one gets, each gives it as much; nothing else
 * moves. When one goes, only its lanes move. */
START_TEST(rendezvous)
{
    static const struct crew_worker *before[LANES], *after[LANES];
    struct crew_worker *workers[STAFF];
    crew.seed = digest_seed();
    const struct crew_job *jobs = fill(workers);
    note_places(jobs, before);
    for (int i = 0; i < STAFF; i++) { /* 500 each: these are eight standard deviations */
        const int count = count_lanes(NULL, NULL, before, workers[i]);
        ck_assert_msg(abs(count - LANES / STAFF) < 180, "%d of %d lanes", count, LANES);
    }
    struct crew_worker *added = hire("added", 1, "b");
    note_places(jobs, after);
    ck_assert_mem_eq(before, after, sizeof before);
    submit(1, 'b', 0);
    ck_assert_ptr_nonnull(crew_take_next(&crew));
    offer(added, "ab");
    expect_none();
    note_places(jobs, after);
    for (int i = 0; i < STAFF; i++) {
        const int moved = count_lanes(before, workers[i], after, added);
        ck_assert_msg(moved > 0 && moved < 80, "%d lanes moved", moved); /* 24 each */
        ck_assert_int_eq(moved + count_lanes(before, workers[i], after, workers[i]),
                         count_lanes(NULL, NULL, before, workers[i]));
    }
    crew_detach(&crew, added);
    note_places(jobs, after);
    ck_assert_mem_eq(before, after, sizeof before);
    crew_remove(&crew, workers[7]);
    note_places(jobs, after);
    for (int i = 0; i < LANES; i++)
        ck_assert(before[i] == workers[7] ? after[i] != workers[7] : after[i] == before[i]);
}
END_TEST

/* While no job can go, what waits is not looked at: otherwise this takes minutes. */
START_TEST(nothing_is_searched_in_vain)
{
    struct crew_worker *workers[STAFF];
    fill(workers);
    for (int i = 0; i < 1000000; i++)
        expect_none();
    ck_assert_uint_eq(crew.queues.jobs, LANES);
}
END_TEST

/* ---- Memory ---- */

/* Each of these is tried with the n-th allocation failing, for each n, until it succeeds. */
static enum crew_answer try_attaching(struct crew_worker **worker)
{
    const struct crew_card card = {.name = "w",
                                   .client = "c",
                                   .connection = connections,
                                   .version = "1",
                                   .address = "a",
                                   .user = "u",
                                   .window = 2};
    return crew_attach(&crew, &card, worker);
}

static enum crew_answer try_offering(struct crew_worker *worker)
{
    const void *named[] = {&methods[0], &methods[1], &methods[2]};
    return crew_offer(&crew, worker, named, 3);
}

START_TEST(no_memory_for_a_worker)
{
    struct crew_worker *worker = NULL;
    bool failed = true;
    for (size_t n = 0; failed; n++) {
        failing_arm(FAILING_ONCE, n);
        const enum crew_answer answer = try_attaching(&worker);
        failed = failing_disarm();
        ck_assert_int_eq(answer, failed ? CREW_NO_MEMORY : CREW_OK);
        ck_assert_int_eq(worker != NULL, !failed);
        ck_assert_uint_eq(HASH_COUNT(crew.workers), !failed);
    }
    failed = true;
    for (size_t n = 0; failed; n++) { /* attached again */
        struct crew_worker *again = NULL;
        failing_arm(FAILING_ONCE, n);
        const enum crew_answer answer = try_attaching(&again);
        failed = failing_disarm();
        ck_assert_int_eq(answer, failed ? CREW_NO_MEMORY : CREW_OK);
        ck_assert_ptr_eq(again, failed ? NULL : worker);
        ck_assert_str_eq(worker->user, "u");
    }
    failed = true;
    for (size_t n = 0; failed; n++) {
        failing_arm(FAILING_ONCE, n);
        const enum crew_answer answer = try_offering(worker);
        failed = failing_disarm();
        ck_assert_int_eq(answer, failed ? CREW_NO_MEMORY : CREW_OK);
        check_offered(failed ? "" : "abc");
        ck_assert_uint_eq(crew.ties, failed ? 0 : 3);
    }
}
END_TEST

/* Without a place in a heap a job waits for the next look. _i: it has a lane. */
START_TEST(no_memory_for_a_job)
{
    struct crew_job job = {.method = &methods[0], .has_lane = _i, .lane = {{5, 5}}};
    struct crew_worker *worker = hire("w", 2, "a");
    bool failed = true, entered = false;
    for (size_t n = 0; !entered; n++) {
        failing_arm(FAILING_ONCE, n);
        entered = crew_submit(&crew, &job);
        failed = failing_disarm();
        ck_assert(entered || failed);
        ck_assert_int_eq(entered, crew_is_waiting(&job));
        ck_assert_uint_eq(crew.queues.jobs, entered);
    }
    ck_assert(failed); /* the heap's memory */
    failing_arm(FAILING_FROM, 0);
    const struct crew_job *taken = crew_take_next(&crew);
    failing_disarm();
    ck_assert_ptr_null(taken);
    expect(&job, worker);
    crew_end(&crew, &job);
}
END_TEST

UNIT_MAIN("crew", open_crew, close_crew, {nobody_at_first, 0}, {cards, 0}, {long_texts_are_cut, 0},
          {so_many_workers, 0}, {offers_are_replaced, 0}, {so_many_methods, 0}, {the_least_busy_one, 0},
          {equals_take_turns, 0}, {one_that_is_avoided, 0}, {windows, 0}, {withdrawn, 0},
          {a_lane_keeps_its_worker, 0}, {a_lane_waits_for_its_worker_alone, 0}, {a_worker_that_is_gone, 0},
          {one_that_leaves, 0}, {a_lane_of_two_methods, 0}, {owners_take_turns, 0},
          {many_queues_are_no_advantage, 2}, {turns_that_were_not_taken, 0}, {rendezvous, 0},
          {nothing_is_searched_in_vain, 0}, {no_memory_for_a_worker, 0}, {no_memory_for_a_job, 2})
