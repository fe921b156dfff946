// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/work/pool.c: the order of jobs, withdrawing, groups, and the threads. No test depends on time: work
 * waits at gates until the test opens them. The time limits only end a test that fails.
 */
#include "work/pool.h"
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TASKS = 512, SOON = 60 /* seconds */ };

static const uint64_t long_enough = SOON * UINT64_C(1000000000);
static const uint64_t moment = 20 * UINT64_C(1000000);

struct task {
    rpc_job job;
    int number;
    struct gate *gate;     /* where its work waits; NULL: it does not wait */
    struct task *taken_up; /* the last task that its work has taken over */
    bool wanted;           /* what rpc_is_wanted() returned to its work */
};

/* Protected by its lock. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int begun[TASKS];
    size_t begun_count, finished, deaf;
} journal;

struct gate {
    bool open;
};

static struct pool *pool;
static struct task tasks[TASKS];
static int collected[TASKS];
static size_t collected_count;
static int taken[TASKS];

/* ---- The threads of the pool ---- */

static bool no_threads;
static int threads_made, threads_joined;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *outcome, void *(*run)(void *), void *data);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *outcome, void *(*run)(void *), void *data);
int __real_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_join(pthread_t thread, void **result);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *outcome, void *(*run)(void *), void *data)
{
    if (no_threads)
        return EAGAIN;
    threads_made++;
    return __real_pthread_create(thread, outcome, run, data);
}

int __wrap_pthread_join(pthread_t thread, void **result)
{
    threads_joined++;
    return __real_pthread_join(thread, result);
}

/* Reads a file of /proc about one thread of this process. Returns false if the thread is gone. */
static bool read_about(const char *thread, const char *file, char *text, size_t size)
{
    char path[300];
    snprintf(path, sizeof path, "/proc/self/task/%s/%s", thread, file);
    FILE *stream = fopen(path, "r");
    if (!stream)
        return false;
    const size_t length = fread(text, 1, size - 1, stream);
    fclose(stream);
    text[length] = '\0';
    return length > 0;
}

/* Calls look() for the status of each thread of the pool. Returns how many times it returned true. */
static int count_workers(bool (*look)(const char *status))
{
    int count = 0;
    char status[4096];
    DIR *threads = opendir("/proc/self/task");
    for (struct dirent *thread = readdir(threads); thread; thread = readdir(threads))
        if (thread->d_name[0] != '.' && read_about(thread->d_name, "status", status, sizeof status) &&
            strstr(status, "Name:\trpc-worker\n") && look(status))
            count++;
    closedir(threads);
    return count;
}

static bool is_any(const char *status)
{
    (void)status;
    return true;
}

static bool is_asleep(const char *status)
{
    return strstr(status, "State:\tS") != NULL;
}

/* Waits until look() is true for so many threads. A thread that has ended stays visible for a moment. */
static void wait_for_workers(bool (*look)(const char *status), int count)
{
    const time_t end = time(NULL) + SOON;
    while (count_workers(look) != count) {
        ck_assert_int_lt(time(NULL), end);
        sched_yield();
    }
}

/* ---- Work ---- */

/*
 * Whether this thread blocks all signals but the highest two, which emulators lack. Emulators need not block
 * what the program blocks, so /proc is not asked.
 */
static bool is_deaf(void)
{
    sigset_t blocked;
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    for (int number = 1; number <= SIGRTMAX - 2; number++) {
        const bool is_ours = number < 32 || number >= SIGRTMIN;
        if (is_ours && number != SIGKILL && number != SIGSTOP && !sigismember(&blocked, number))
            return false;
    }
    return true;
}

static void begin(struct task *task)
{
    const bool deaf = is_deaf();
    pthread_mutex_lock(&journal.lock);
    journal.deaf += deaf;
    journal.begun[journal.begun_count++] = task->number;
    pthread_cond_broadcast(&journal.changed);
    while (task->gate && !task->gate->open)
        pthread_cond_wait(&journal.changed, &journal.lock);
    pthread_mutex_unlock(&journal.lock);
}

static void note(rpc_job *job, void *data)
{
    (void)job;
    begin(data);
}

static void report(struct task *task, struct task *taken_up, bool wanted)
{
    pthread_mutex_lock(&journal.lock);
    task->taken_up = taken_up;
    task->wanted = wanted;
    pthread_mutex_unlock(&journal.lock);
}

/* Takes over all jobs that it can. */
static void gather(rpc_job *job, void *data)
{
    struct task *latest = NULL;
    begin(data);
    for (struct task *next = rpc_job_take_next(job); next; next = rpc_job_take_next(job)) {
        latest = next;
        begin(next);
    }
    report(data, latest, rpc_is_wanted(job));
}

/* Takes over one job, and then waits at its gate. */
static void gather_one(rpc_job *job, void *data)
{
    struct task *taken_up = rpc_job_take_next(job);
    begin(data);
    report(data, taken_up, rpc_is_wanted(job));
}

static void count_finish(void *context)
{
    (void)context;
    pthread_mutex_lock(&journal.lock);
    journal.finished++;
    pthread_cond_broadcast(&journal.changed);
    pthread_mutex_unlock(&journal.lock);
}

/* Waits until a counter of the journal has reached a value. */
static void wait_until(const size_t *counter, size_t count)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += SOON;
    int result = 0;
    pthread_mutex_lock(&journal.lock);
    while (*counter < count && !result)
        result = pthread_cond_timedwait(&journal.changed, &journal.lock, &end);
    pthread_mutex_unlock(&journal.lock);
    ck_assert_int_eq(result, 0);
}

static void wait_for_begun(size_t count)
{
    wait_until(&journal.begun_count, count);
}

static size_t begun_count(void)
{
    pthread_mutex_lock(&journal.lock);
    const size_t count = journal.begun_count;
    pthread_mutex_unlock(&journal.lock);
    return count;
}

static size_t finished_count(void)
{
    pthread_mutex_lock(&journal.lock);
    const size_t count = journal.finished;
    pthread_mutex_unlock(&journal.lock);
    return count;
}

static void open_gate(struct gate *gate)
{
    pthread_mutex_lock(&journal.lock);
    gate->open = true;
    pthread_cond_broadcast(&journal.changed);
    pthread_mutex_unlock(&journal.lock);
}

/* ---- The test's side ---- */

static struct digest key_of(int number)
{
    return (struct digest){{(uint64_t)number, 7}};
}

static struct task *task_of(rpc_job *job)
{
    return job->data;
}

/* Submits task `number` of an owner, in a lane (0: none). */
static bool try_to_start(int number, int owner, int lane, rpc_priority priority, rpc_work work)
{
    struct task *task = &tasks[number];
    const struct digest key = key_of(lane);
    task->number = number;
    task->job.work = work;
    task->job.data = task;
    task->job.priority = priority;
    task->job.owner = key_of(owner);
    return pool_submit(pool, &task->job, lane ? &key : NULL);
}

static void start(int number, int owner, int lane, rpc_priority priority)
{
    ck_assert(try_to_start(number, owner, lane, priority, note));
}

static void start_with(int number, int lane, rpc_work work)
{
    ck_assert(try_to_start(number, 1, lane, RPC_PRIORITY_NORMAL, work));
}

/* Begins a task that waits at the gate, and so occupies one thread. */
static void hold(int number, int lane, struct gate *gate)
{
    const size_t before = begun_count();
    tasks[number].gate = gate;
    start(number, 99, lane, RPC_PRIORITY_HIGH);
    wait_for_begun(before + 1);
}

static bool withdraw(int number)
{
    return pool_withdraw(pool, &tasks[number].job);
}

/* Notes the tasks that have begun since the last call, the latest first. Returns their number. */
static size_t take_begun(void)
{
    size_t count = 0;
    for (rpc_job *job = pool_take_begun(pool); job; job = job->begun)
        taken[count++] = task_of(job)->number;
    return count;
}

static void collect(void)
{
    rpc_job *job = pool_collect(pool);
    take_begun();
    for (; job; job = job->next)
        collected[collected_count++] = task_of(job)->number;
}

/* Waits until so many tasks have finished and have been collected. */
static void wait_for_collected(size_t count)
{
    while (collected_count < count) {
        const size_t before = finished_count();
        collect();
        if (collected_count < count)
            wait_until(&journal.finished, before + 1);
    }
    ck_assert_uint_eq(collected_count, count);
}

static void expect(const char *what, const int *seen, size_t seen_count, const int *numbers, size_t count)
{
    ck_assert_msg(seen_count == count, "%s: %zu and not %zu", what, seen_count, count);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(seen[i] == numbers[i], "%s, at %zu: %d and not %d", what, i, seen[i], numbers[i]);
}

#define EXPECT_BEGUN(...)                                                     \
    expect("begun", journal.begun, begun_count(), (const int[]){__VA_ARGS__}, \
           sizeof((const int[]){__VA_ARGS__}) / sizeof(int))
#define EXPECT_COLLECTED(...)                                                   \
    expect("collected", collected, collected_count, (const int[]){__VA_ARGS__}, \
           sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static void open_pool(unsigned workers)
{
    pool = pool_create(workers, count_finish, NULL);
    ck_assert_ptr_nonnull(pool);
}

static void open_journal(void)
{
    pthread_mutex_init(&journal.lock, NULL);
    pthread_cond_init(&journal.changed, NULL);
}

/* Ends the pool of a test that has opened all its gates. */
static void close_pool(void)
{
    ck_assert(pool_stop(pool, long_enough));
    ck_assert_int_eq(threads_joined, threads_made);
    wait_for_workers(is_any, 0);
    pool_destroy(pool);
}

/* ---- One job ---- */

static void see_thread(rpc_job *job, void *data)
{
    *(pthread_t *)job->data = pthread_self();
    (void)data;
}

START_TEST(work_runs_on_another_thread)
{
    pthread_t thread = pthread_self();
    rpc_job job = {.work = see_thread, .data = &thread};
    open_pool(1);
    ck_assert_ptr_null(pool_collect(pool));
    ck_assert(pool_submit(pool, &job, NULL));
    wait_until(&journal.finished, 1);
    ck_assert(!pthread_equal(thread, pthread_self()));
    ck_assert_ptr_eq(pool_collect(pool), &job);
    ck_assert_ptr_null(job.next);
    ck_assert_ptr_null(pool_collect(pool));
    close_pool();
}
END_TEST

START_TEST(they_are_collected_as_they_finish)
{
    struct gate gates[3] = {{false}};
    open_pool(3);
    for (int i = 0; i < 3; i++)
        hold(i, 0, &gates[i]);
    static const int order[] = {1, 2, 0};
    for (size_t i = 0; i < 3; i++) {
        open_gate(&gates[order[i]]);
        wait_until(&journal.finished, i + 1);
    }
    collect();
    EXPECT_COLLECTED(1, 2, 0);
    close_pool();
}
END_TEST

START_TEST(a_job_can_be_used_again)
{
    open_pool(1);
    for (size_t i = 0; i < 3; i++) {
        start(0, 1, 1, RPC_PRIORITY_NORMAL);
        wait_for_collected(i + 1);
    }
    EXPECT_BEGUN(0, 0, 0);
    close_pool();
}
END_TEST

/* ---- Lanes ---- */

static atomic_int inside, crowded;

static void alone(rpc_job *job, void *data)
{
    (void)job;
    if (atomic_fetch_add(&inside, 1))
        atomic_fetch_add(&crowded, 1);
    begin(data);
    atomic_fetch_sub(&inside, 1);
}

START_TEST(a_lane_goes_one_by_one_in_order)
{
    enum { COUNT = 300 };
    open_pool(4);
    for (int i = 0; i < COUNT; i++)
        ck_assert(try_to_start(i, i % 7, 1, (rpc_priority)(i % 3), alone));
    wait_for_collected(COUNT);
    ck_assert_int_eq(atomic_load(&crowded), 0);
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(journal.begun[i], i);
        ck_assert_int_eq(collected[i], i);
    }
    close_pool();
}
END_TEST

START_TEST(lanes_go_side_by_side)
{
    struct gate gate = {false};
    open_pool(3);
    hold(0, 1, &gate);
    hold(1, 2, &gate);
    hold(2, 0, &gate); /* all three run now */
    open_gate(&gate);
    wait_for_collected(3);
    close_pool();
}
END_TEST

START_TEST(a_lane_holds_no_thread_idle)
{
    struct gate gate = {false};
    open_pool(2);
    hold(0, 1, &gate);
    for (int i = 1; i < 6; i++)
        start(i, 1, 1, RPC_PRIORITY_HIGH);
    start(6, 1, 0, RPC_PRIORITY_LOW);
    start(7, 1, 2, RPC_PRIORITY_LOW);
    start(8, 1, 2, RPC_PRIORITY_LOW);
    wait_for_collected(3);
    EXPECT_BEGUN(0, 6, 7, 8);
    open_gate(&gate);
    wait_for_collected(9);
    EXPECT_BEGUN(0, 6, 7, 8, 1, 2, 3, 4, 5);
    close_pool();
}
END_TEST

/* ---- Turns ---- */

START_TEST(priorities)
{
    struct gate gate = {false};
    open_pool(1);
    hold(0, 0, &gate);
    start(1, 1, 0, RPC_PRIORITY_LOW);
    start(2, 1, 0, RPC_PRIORITY_NORMAL);
    start(3, 1, 0, RPC_PRIORITY_HIGH);
    start(4, 2, 0, RPC_PRIORITY_HIGH);
    start(5, 2, 0, RPC_PRIORITY_NORMAL);
    open_gate(&gate);
    wait_for_collected(6);
    EXPECT_BEGUN(0, 3, 4, 2, 5, 1);
    close_pool();
}
END_TEST

START_TEST(a_lane_has_the_priority_of_its_first_job)
{
    struct gate gate = {false};
    open_pool(1);
    hold(0, 0, &gate);
    for (int i = 1; i <= 3; i++)
        start(i, 1, 7, RPC_PRIORITY_LOW);
    for (int i = 4; i <= 7; i++)
        start(i, 2, 0, RPC_PRIORITY_NORMAL);
    start(8, 3, 7, RPC_PRIORITY_HIGH);
    start(9, 1, 7, RPC_PRIORITY_LOW);
    open_gate(&gate);
    wait_for_collected(10);
    EXPECT_BEGUN(0, 4, 5, 6, 7, 1, 2, 3, 8, 9);
    close_pool();
}
END_TEST

/* The largest number of other tasks that began between one task of a range and the next. */
static int longest_wait(int from, int to)
{
    int longest = 0, passed = 0;
    for (size_t i = 1, left = (size_t)(to - from); left; i++) {
        const bool is_one = journal.begun[i] >= from && journal.begun[i] < to;
        passed = is_one ? 0 : passed + 1;
        left -= is_one;
        longest = passed > longest ? passed : longest;
    }
    return longest;
}

START_TEST(no_priority_starves)
{
    struct gate gate = {false};
    open_pool(1);
    hold(0, 0, &gate);
    for (int i = 1; i <= 6; i++)
        start(i, 1, 0, RPC_PRIORITY_LOW);
    for (int i = 7; i <= 36; i++)
        start(i, 2, 0, RPC_PRIORITY_NORMAL);
    for (int i = 37; i <= 236; i++)
        start(i, 3, 0, RPC_PRIORITY_HIGH);
    open_gate(&gate);
    wait_for_collected(237);
    ck_assert_int_eq(longest_wait(1, 7), 16);
    ck_assert_int_ge(longest_wait(7, 37), 4);
    ck_assert_int_le(longest_wait(7, 37), 5); /* 5 where the low priority had its turn, too */
    for (int i = 1; i <= 4; i++)
        ck_assert_int_eq(journal.begun[i], 36 + i);
    close_pool();
}
END_TEST

START_TEST(owners_take_turns)
{
    struct gate gate = {false};
    open_pool(1);
    hold(0, 0, &gate);
    for (int i = 1; i <= 5; i++)
        start(i, 1, 0, RPC_PRIORITY_NORMAL);
    start(6, 2, 0, RPC_PRIORITY_NORMAL);
    start(7, 2, 0, RPC_PRIORITY_NORMAL);
    start(8, 3, 0, RPC_PRIORITY_NORMAL);
    open_gate(&gate);
    wait_for_collected(9);
    EXPECT_BEGUN(0, 1, 6, 8, 2, 7, 3, 4, 5);
    close_pool();
}
END_TEST

/* Lanes 1 and 2 hold jobs back. These begin after the jobs that were ready before. */
START_TEST(an_owners_jobs_begin_as_they_become_ready)
{
    struct gate gate = {false};
    open_pool(1);
    hold(0, 0, &gate);
    static const int lanes[] = {1, 1, 0, 2, 1, 2, 0, 0, 2, 1};
    for (int i = 0; i < 10; i++)
        start(1 + i, 1, lanes[i], RPC_PRIORITY_NORMAL);
    open_gate(&gate);
    wait_for_collected(11);
    EXPECT_BEGUN(0, 1, 3, 4, 7, 8, 2, 6, 5, 9, 10);
    close_pool();
}
END_TEST

/* ---- Withdrawing ---- */

START_TEST(withdrawn_before_while_and_after)
{
    struct gate gate = {false};
    open_pool(1);
    hold(0, 0, &gate);
    start(1, 1, 0, RPC_PRIORITY_NORMAL);
    start(2, 1, 0, RPC_PRIORITY_NORMAL);
    ck_assert(!withdraw(0));
    ck_assert(withdraw(1));
    ck_assert(!withdraw(1));
    open_gate(&gate);
    wait_until(&journal.finished, 2);
    ck_assert(!withdraw(2));
    collect();
    EXPECT_BEGUN(0, 2);
    EXPECT_COLLECTED(0, 2);
    close_pool();
}
END_TEST

/* Withdraws from a lane the first job, which is ready, one behind it, and the last. */
START_TEST(withdrawn_from_a_lane)
{
    struct gate gate = {false};
    open_pool(1);
    hold(0, 0, &gate);
    for (int i = 1; i <= 5; i++)
        start(i, i % 2, 1, RPC_PRIORITY_NORMAL);
    start(6, 1, 2, RPC_PRIORITY_NORMAL);
    ck_assert(withdraw(1));
    ck_assert(withdraw(3));
    ck_assert(withdraw(5));
    ck_assert(withdraw(6));
    start(1, 1, 2, RPC_PRIORITY_NORMAL);
    open_gate(&gate);
    wait_for_collected(4);
    EXPECT_BEGUN(0, 2, 1, 4);
    close_pool();
}
END_TEST

START_TEST(nothing_is_left_of_all_that_is_withdrawn)
{
    struct gate gate = {false};
    open_pool(1);
    hold(0, 3, &gate);
    for (int i = 1; i < 200; i++)
        start(i, i % 11, i % 5, (rpc_priority)(i % 3));
    for (int i = 1; i < 200; i++)
        ck_assert(withdraw(i * 37 % 199 + 1));
    open_gate(&gate);
    wait_for_collected(1);
    EXPECT_BEGUN(0);
    close_pool();
}
END_TEST

/* ---- Groups ---- */

START_TEST(work_takes_over_what_waits_in_its_lane)
{
    struct gate gate = {false}, inner = {false};
    open_pool(2);
    hold(0, 1, &gate);
    start_with(1, 1, gather);
    for (int i = 2; i <= 5; i++)
        ck_assert(try_to_start(i, i, 1, (rpc_priority)(i % 3), gather));
    start_with(6, 1, note); /* a job with another work function ends the group */
    start_with(7, 1, gather);
    start_with(8, 2, note);
    wait_for_begun(2); /* the other lane is not held up */
    ck_assert(withdraw(3));
    tasks[4].gate = &inner;
    open_gate(&gate);
    wait_for_begun(5);
    EXPECT_BEGUN(0, 8, 1, 2, 4);
    ck_assert(!withdraw(1));
    ck_assert(!withdraw(2)); /* it was taken over, and counts as running */
    ck_assert(!withdraw(4));
    wait_for_collected(2); /* a job that was taken over does not end before its group */
    open_gate(&inner);
    wait_for_collected(8);
    EXPECT_BEGUN(0, 8, 1, 2, 4, 5, 6, 7);
    ck_assert_ptr_eq(tasks[1].taken_up, &tasks[5]);
    ck_assert_ptr_null(tasks[7].taken_up);
    ck_assert_int_eq(collected[2], 1);
    ck_assert_int_eq(collected[3], 2);
    ck_assert_int_eq(collected[4], 4);
    ck_assert_int_eq(collected[5], 5);
    ck_assert_int_eq(collected[6], 6);
    ck_assert_int_eq(collected[7], 7);
    close_pool();
}
END_TEST

START_TEST(without_a_lane_nothing_is_taken_over)
{
    struct gate gate = {false};
    open_pool(1);
    hold(0, 0, &gate);
    start_with(1, 0, gather);
    start_with(2, 0, gather);
    start_with(3, 1, gather);
    start_with(4, 2, gather);
    open_gate(&gate);
    wait_for_collected(5);
    for (int i = 1; i <= 4; i++)
        ck_assert_ptr_null(tasks[i].taken_up);
    close_pool();
}
END_TEST

/* Bit 0: the job itself is disowned; bit 1: the job that it has taken over. */
START_TEST(wanted_while_any_of_the_group_is)
{
    struct gate gate = {false}, inner = {false};
    open_pool(1);
    hold(0, 1, &gate);
    start_with(1, 1, gather_one);
    start_with(2, 1, gather_one);
    tasks[1].gate = &inner;
    if (_i & 2)
        pool_disown(&tasks[2].job); /* before it begins */
    open_gate(&gate);
    wait_for_begun(2);
    if (_i & 1)
        pool_disown(&tasks[1].job); /* while it runs */
    open_gate(&inner);
    wait_for_collected(3);
    ck_assert_ptr_eq(tasks[1].taken_up, &tasks[2]);
    ck_assert_int_eq(tasks[1].wanted, _i != 3);
    close_pool();
}
END_TEST

/* ---- pool_take_begun() ---- */

START_TEST(jobs_that_have_begun)
{
    struct gate gate = {false};
    open_pool(1);
    ck_assert_ptr_null(pool_take_begun(pool));
    tasks[0].gate = &gate;
    start_with(0, 1, gather);
    wait_for_begun(1);
    start_with(1, 1, gather);
    start_with(2, 1, gather);
    start_with(3, 0, note);
    start_with(4, 0, note);
    ck_assert_uint_eq(take_begun(), 1);
    ck_assert_int_eq(taken[0], 0);
    ck_assert(withdraw(4));
    ck_assert_ptr_null(pool_take_begun(pool));
    open_gate(&gate);
    wait_until(&journal.finished, 2);
    ck_assert_uint_eq(take_begun(), 3); /* two were taken over */
    ck_assert_int_eq(taken[0], 3);
    ck_assert_int_eq(taken[1], 2);
    ck_assert_int_eq(taken[2], 1);
    wait_for_collected(4);
    ck_assert_ptr_null(pool_take_begun(pool));
    close_pool();
}
END_TEST

/* ---- What a job would wait, and lanes ---- */

static void pass(void)
{
    nanosleep(&(const struct timespec){.tv_nsec = (long)moment}, NULL);
}

/* While a thread is free a job waits for nothing, whatever the work before has taken. */
START_TEST(no_wait_for_a_free_thread)
{
    struct gate gates[2] = {{false}};
    open_pool(2);
    ck_assert_uint_eq(pool_expected_wait(pool), 0);
    hold(0, 0, &gates[0]);
    pass();
    ck_assert_uint_eq(pool_expected_wait(pool), 0);
    hold(1, 0, &gates[1]);
    pass();
    ck_assert_uint_ge(pool_expected_wait(pool), moment);
    open_gate(&gates[0]);
    wait_for_collected(1);
    ck_assert_uint_eq(pool_expected_wait(pool), 0);
    open_gate(&gates[1]);
    wait_for_collected(2);
    close_pool();
}
END_TEST

/* Jobs that wait count as much as work took before; those that are withdrawn and taken over do not. */
START_TEST(the_wait_grows_with_the_jobs)
{
    struct gate gates[2] = {{false}};
    open_pool(1);
    hold(0, 0, &gates[0]);
    pass();
    open_gate(&gates[0]);
    wait_for_collected(1);
    hold(1, 0, &gates[1]);
    ck_assert_uint_ge(pool_expected_wait(pool), moment);
    for (int i = 2; i < 12; i++)
        start(i, i, i % 2, RPC_PRIORITY_NORMAL);
    ck_assert_uint_ge(pool_expected_wait(pool), 11 * moment);
    for (int i = 2; i < 12; i++)
        ck_assert(withdraw(i));
    open_gate(&gates[1]);
    wait_for_collected(2);
    ck_assert_uint_eq(pool_expected_wait(pool), 0);
    struct gate last = {false};
    tasks[12].gate = &last;
    start_with(12, 1, gather);
    for (int i = 13; i < 20; i++)
        start_with(i, 1, gather);
    open_gate(&last);
    wait_for_collected(10);
    ck_assert_uint_eq(pool_expected_wait(pool), 0);
    close_pool();
}
END_TEST

START_TEST(lanes_that_are_in_use)
{
    struct gate gate = {false};
    const struct digest key = key_of(1), other = key_of(2);
    open_pool(2);
    ck_assert(!pool_has_lane(pool, &key));
    hold(0, 1, &gate);
    start(1, 1, 1, RPC_PRIORITY_NORMAL);
    ck_assert(pool_has_lane(pool, &key));
    ck_assert(!pool_has_lane(pool, &other));
    ck_assert(withdraw(1));
    ck_assert(pool_has_lane(pool, &key));
    open_gate(&gate);
    wait_for_collected(1);
    ck_assert(!pool_has_lane(pool, &key));
    close_pool();
}
END_TEST

/* ---- Threads ---- */

START_TEST(threads_come_with_work)
{
    struct gate gate = {false};
    open_pool(3);
    ck_assert_int_eq(threads_made, 0);
    for (size_t i = 0; i < 5; i++) {
        start(0, 1, 1, RPC_PRIORITY_NORMAL);
        wait_for_collected(i + 1);
        wait_for_workers(is_asleep, 1); /* it runs the next job */
    }
    hold(1, 1, &gate);
    start(2, 1, 1, RPC_PRIORITY_NORMAL); /* it is not ready, so no thread is started */
    ck_assert_int_eq(threads_made, 1);
    for (int i = 3; i <= 5; i++) {
        tasks[i].gate = &gate;
        start(i, 1, 0, RPC_PRIORITY_NORMAL);
    }
    wait_for_begun(8);
    ck_assert_int_eq(threads_made, 3);
    ck_assert_uint_eq(journal.deaf, 8);
    open_gate(&gate);
    wait_for_collected(10);
    close_pool();
}
END_TEST

static void replace(int number)
{
    pool_disown(&tasks[number].job);
    pool_replace(pool, &tasks[number].job);
}

/* Another thread replaces the one that hangs. When that one returns, one job runs at a time again. */
START_TEST(a_thread_that_hangs_is_replaced)
{
    struct gate hanging = {false}, gate = {false};
    open_pool(1);
    hold(0, 1, &hanging);
    start(1, 1, 0, RPC_PRIORITY_NORMAL);
    replace(1); /* it does not run */
    ck_assert_int_eq(threads_made, 1);
    replace(0);
    replace(0); /* the second call does nothing */
    wait_for_collected(1);
    start(2, 1, 1, RPC_PRIORITY_NORMAL); /* the first of its lane hangs */
    tasks[3].gate = &gate;
    start(3, 1, 0, RPC_PRIORITY_NORMAL);
    wait_for_begun(3);
    start(4, 1, 0, RPC_PRIORITY_NORMAL);
    open_gate(&hanging);
    wait_for_collected(2);
    wait_for_workers(is_asleep, 2); /* one waits at its gate; the one that returned must not take a job */
    EXPECT_BEGUN(0, 1, 3);
    ck_assert_int_eq(threads_made, 2);
    open_gate(&gate);
    wait_for_collected(5);
    EXPECT_COLLECTED(1, 0, 3, 4, 2);
    close_pool();
}
END_TEST

/* The jobs of a group hang on one thread. */
START_TEST(a_group_that_hangs_is_one)
{
    struct gate first = {false}, gate = {false};
    open_pool(1);
    hold(0, 1, &first);
    tasks[1].gate = &gate;
    start_with(1, 1, gather_one);
    start_with(2, 1, gather_one);
    open_gate(&first);
    wait_for_begun(2);
    replace(2);
    start(5, 2, 0, RPC_PRIORITY_NORMAL);
    ck_assert_int_eq(threads_made, 1); /* job 1 is still wanted */
    replace(1);
    wait_for_begun(3);
    hold(3, 0, &gate);
    start(4, 1, 0, RPC_PRIORITY_NORMAL);
    ck_assert_int_eq(threads_made, 2);
    open_gate(&gate);
    wait_for_collected(6);
    close_pool();
}
END_TEST

START_TEST(a_job_that_has_ended_is_not_replaced)
{
    struct gate first = {false}, gate = {false};
    open_pool(1);
    hold(0, 1, &first);
    start_with(1, 1, gather_one);
    start_with(2, 1, gather_one);
    open_gate(&first);
    wait_until(&journal.finished, 2);
    pool_disown(&tasks[1].job);
    replace(2);
    replace(1);
    hold(3, 0, &gate);
    start(4, 1, 0, RPC_PRIORITY_NORMAL);
    ck_assert_int_eq(threads_made, 1);
    open_gate(&gate);
    wait_for_collected(5);
    close_pool();
}
END_TEST

/* In the second row all jobs are one owner's. */
START_TEST(only_so_many_are_replaced)
{
    struct gate gate = {false};
    open_pool(1);
    for (int i = 0; i <= POOL_SPARES; i++) {
        const size_t before = begun_count();
        tasks[i].gate = &gate;
        start(i, _i ? 1 : i + 1, 0, RPC_PRIORITY_NORMAL);
        wait_for_begun(before + 1);
        replace(i);
    }
    start(100, 1, 0, RPC_PRIORITY_NORMAL);
    replace(0);
    ck_assert_int_eq(threads_made, 1 + POOL_SPARES);
    wait_for_workers(is_asleep, 1 + POOL_SPARES);
    ck_assert_uint_eq(begun_count(), 1 + POOL_SPARES);
    open_gate(&gate);
    wait_for_collected(2 + POOL_SPARES);
    close_pool();
}
END_TEST

START_TEST(the_starter_keeps_its_signals)
{
    sigset_t before, after;
    sigemptyset(&before);
    sigaddset(&before, SIGUSR1);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    open_pool(1);
    start(0, 1, 0, RPC_PRIORITY_NORMAL);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int number = 1; number < SIGRTMAX; number++)
        ck_assert_int_eq(sigismember(&after, number), sigismember(&before, number));
    close_pool();
}
END_TEST

START_TEST(without_a_thread_nothing_starts)
{
    open_pool(2);
    no_threads = true;
    ck_assert(!try_to_start(0, 1, 1, RPC_PRIORITY_NORMAL, note));
    ck_assert(!try_to_start(1, 1, 0, RPC_PRIORITY_NORMAL, note));
    ck_assert(!withdraw(0));
    ck_assert(!withdraw(1));
    no_threads = false;
    start(0, 1, 1, RPC_PRIORITY_NORMAL);
    wait_for_collected(1);
    close_pool();
}
END_TEST

START_TEST(one_thread_runs_all_if_no_other_starts)
{
    struct gate gate = {false};
    open_pool(2);
    hold(0, 0, &gate);
    no_threads = true;
    start(1, 1, 0, RPC_PRIORITY_NORMAL);
    ck_assert_uint_eq(begun_count(), 1);
    open_gate(&gate);
    wait_for_collected(2);
    close_pool();
}
END_TEST

/* ---- The end ---- */

START_TEST(never_started)
{
    open_pool(4);
    ck_assert(pool_stop(pool, 0));
    ck_assert(!try_to_start(0, 1, 0, RPC_PRIORITY_NORMAL, note));
    pool_destroy(pool);
    open_pool(4);
    pool_destroy(pool);
    pool_destroy(NULL);
}
END_TEST

START_TEST(stopped_while_idle)
{
    open_pool(2);
    start(0, 1, 0, RPC_PRIORITY_NORMAL);
    start(1, 1, 0, RPC_PRIORITY_NORMAL);
    wait_for_collected(2);
    ck_assert(pool_stop(pool, long_enough));
    wait_for_workers(is_any, 0);
    ck_assert(!try_to_start(2, 1, 0, RPC_PRIORITY_NORMAL, note));
    ck_assert(pool_stop(pool, 0));
    pool_destroy(pool);
}
END_TEST

static void *open_after_a_while(void *gate)
{
    const struct timespec while_ = {.tv_nsec = 50000000};
    nanosleep(&while_, NULL);
    open_gate(gate);
    return NULL;
}

/* In the second row, jobs that wait begin after pool_stop() was called. */
START_TEST(stopped_while_work_ends_in_time)
{
    struct gate gate = {false};
    pthread_t opener;
    open_pool(2);
    hold(0, 1, &gate);
    hold(1, 2, &gate);
    const size_t count = _i ? 20 : 2;
    for (int i = 2; i < (int)count; i++)
        start(i, i, 1 + i % 3, (rpc_priority)(i % 3));
    ck_assert_int_eq(pthread_create(&opener, NULL, open_after_a_while, &gate), 0);
    ck_assert(pool_stop(pool, long_enough));
    wait_for_workers(is_any, 0);
    ck_assert_int_eq(threads_joined, 2);
    ck_assert_uint_eq(finished_count(), count); /* finished() is not called any more */
    collect();
    ck_assert_uint_eq(collected_count, count);
    pthread_join(opener, NULL);
    pool_destroy(pool);
}
END_TEST

/* The pool stays in memory: `pool` points at it, so that LeakSanitizer does not complain. */
START_TEST(stopped_while_work_never_ends)
{
    struct gate gate = {false};
    open_pool(3);
    start(5, 1, 0, RPC_PRIORITY_NORMAL);
    wait_for_collected(1);
    tasks[0].gate = &gate;
    start_with(0, 1, gather);
    wait_for_begun(2);
    hold(1, 2, &gate);
    start_with(2, 1, gather);
    start_with(3, 1, gather);
    start_with(4, 2, note);
    ck_assert(!pool_stop(pool, moment));
    ck_assert(!pool_stop(pool, long_enough));
    wait_for_workers(is_any, 2); /* the third was idle */
    ck_assert(!try_to_start(6, 1, 0, RPC_PRIORITY_NORMAL, note));
    ck_assert(!withdraw(0));
    ck_assert(!withdraw(1));
    ck_assert(withdraw(3));
    ck_assert(withdraw(4));
    pool_disown(&tasks[0].job);
    open_gate(&gate);
    wait_for_workers(is_any, 0);
    ck_assert_uint_eq(finished_count(), 1);
    ck_assert_ptr_null(tasks[0].taken_up);
    ck_assert(!tasks[0].wanted);
    ck_assert(withdraw(2));
    ck_assert_ptr_null(pool_collect(pool));
    EXPECT_BEGUN(5, 0, 1);
}
END_TEST

START_TEST(jobs_that_wait_then_never_begin)
{
    struct gate gate = {false};
    open_pool(1);
    hold(0, 1, &gate);
    start(1, 1, 0, RPC_PRIORITY_NORMAL);
    start(2, 1, 1, RPC_PRIORITY_NORMAL);
    ck_assert(!pool_stop(pool, moment));
    open_gate(&gate);
    wait_for_workers(is_any, 0);
    ck_assert(withdraw(1));
    ck_assert(withdraw(2));
    EXPECT_BEGUN(0);
}
END_TEST

/* Jobs that ended before can be collected. No thread is in finished() after pool_stop() has returned. */
START_TEST(ended_jobs_are_collected_after_stop)
{
    struct gate gate = {false};
    open_pool(2);
    hold(0, 0, &gate);
    start(1, 1, 0, RPC_PRIORITY_NORMAL);
    wait_until(&journal.finished, 1);
    ck_assert(!pool_stop(pool, 0));
    collect();
    EXPECT_COLLECTED(1);
    open_gate(&gate);
    wait_for_workers(is_any, 0);
    ck_assert_uint_eq(finished_count(), 1);
}
END_TEST

/* ---- Stress ---- */

enum { JOBS = 20000, LANES = 9, OWNERS = 7, WORKERS = 4 };

enum fate { NOT_STARTED, STARTED, WITHDRAWN, FINISHED };

static struct {
    struct stress {
        rpc_job job;
        int lane;
        int runs; /* only its work touches it */
        enum fate fate;
        bool begun; /* pool_take_begun() has returned it */
    } jobs[JOBS];
    atomic_int inside[LANES], crowded, disordered, finished;
    struct stress *last[LANES]; /* only the lane's work touches it */
    size_t waiting; /* jobs that were started, and neither withdrawn nor returned by pool_take_begun() */
} stress;

static void run_one(struct stress *one)
{
    one->runs++;
    if (!one->lane)
        return;
    if (stress.last[one->lane] > one)
        atomic_fetch_add(&stress.disordered, 1);
    stress.last[one->lane] = one;
}

static void run_alone(rpc_job *job, void *data)
{
    struct stress *one = data;
    const bool is_alone = !atomic_fetch_add(&stress.inside[one->lane], 1);
    if (one->lane && !is_alone)
        atomic_fetch_add(&stress.crowded, 1);
    run_one(one);
    struct stress *next;
    while ((one - stress.jobs) % 5 == 0 && rpc_is_wanted(job) && (next = rpc_job_take_next(job)))
        run_one(next);
    atomic_fetch_sub(&stress.inside[one->lane], 1);
}

static void count_finished(void *context)
{
    (void)context;
    atomic_fetch_add(&stress.finished, 1);
}

static void note_begun(void)
{
    for (rpc_job *job = pool_take_begun(pool); job; job = job->begun) {
        struct stress *one = job->data;
        ck_assert(one->fate == STARTED && !one->begun);
        one->begun = true;
        stress.waiting--;
    }
}

/* Each job that has finished was returned by pool_take_begun(). */
static void collect_stress(void)
{
    rpc_job *job = pool_collect(pool);
    note_begun();
    for (; job; job = job->next) {
        struct stress *one = job->data;
        ck_assert(one->fate == STARTED && one->begun);
        one->fate = FINISHED;
    }
}

static uint32_t draw(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static void start_stress(struct stress *one, uint32_t *state)
{
    one->lane = (int)(draw(state) % LANES);
    one->job.work = run_alone;
    one->job.data = one;
    one->job.priority = (rpc_priority)(draw(state) % 3);
    one->job.owner = key_of((int)(draw(state) % OWNERS));
    const struct digest lane = key_of(one->lane);
    ck_assert(pool_submit(pool, &one->job, one->lane ? &lane : NULL));
    one->fate = STARTED;
    stress.waiting++;
}

/* Tries to withdraw one of the last 100 jobs. */
static void withdraw_stress(int newest, uint32_t *state)
{
    struct stress *one = &stress.jobs[newest - (int)(draw(state) % 100) % (newest + 1)];
    if (one->fate != STARTED)
        return;
    pool_disown(&one->job);
    if (!pool_withdraw(pool, &one->job))
        return;
    one->fate = WITHDRAWN;
    stress.waiting--;
}

START_TEST(each_is_finished_or_withdrawn)
{
    uint32_t state = (uint32_t)_i;
    pool = pool_create(WORKERS, count_finished, NULL);
    for (int i = 0; i < JOBS; i++) {
        start_stress(&stress.jobs[i], &state);
        if (draw(&state) % 4 == 0)
            withdraw_stress(i, &state);
        if (draw(&state) % 64 == 0)
            note_begun();
        if (draw(&state) % 16 == 0)
            collect_stress();
        for (; stress.waiting > 300; note_begun())
            sched_yield();
    }
    ck_assert(pool_stop(pool, long_enough));
    collect_stress();
    for (int i = 0; i < JOBS; i++) {
        ck_assert_int_ge(stress.jobs[i].fate, WITHDRAWN);
        ck_assert_int_eq(stress.jobs[i].runs, stress.jobs[i].fate == FINISHED);
        ck_assert_int_eq(stress.jobs[i].begun, stress.jobs[i].fate == FINISHED);
    }
    ck_assert_int_eq(atomic_load(&stress.crowded), 0);
    ck_assert_int_eq(atomic_load(&stress.disordered), 0);
    ck_assert_int_gt(atomic_load(&stress.finished), 0);
    pool_destroy(pool);
}
END_TEST

UNIT_MAIN("pool", open_journal, NULL, {work_runs_on_another_thread, 0},
          {they_are_collected_as_they_finish, 0}, {a_job_can_be_used_again, 0},
          {a_lane_goes_one_by_one_in_order, 0}, {lanes_go_side_by_side, 0}, {a_lane_holds_no_thread_idle, 0},
          {priorities, 0}, {a_lane_has_the_priority_of_its_first_job, 0}, {no_priority_starves, 0},
          {owners_take_turns, 0}, {an_owners_jobs_begin_as_they_become_ready, 0},
          {withdrawn_before_while_and_after, 0}, {withdrawn_from_a_lane, 0},
          {nothing_is_left_of_all_that_is_withdrawn, 0}, {work_takes_over_what_waits_in_its_lane, 0},
          {without_a_lane_nothing_is_taken_over, 0}, {wanted_while_any_of_the_group_is, 4},
          {jobs_that_have_begun, 0}, {no_wait_for_a_free_thread, 0}, {the_wait_grows_with_the_jobs, 0},
          {lanes_that_are_in_use, 0}, {threads_come_with_work, 0}, {a_thread_that_hangs_is_replaced, 0},
          {a_group_that_hangs_is_one, 0}, {a_job_that_has_ended_is_not_replaced, 0},
          {only_so_many_are_replaced, 2}, {the_starter_keeps_its_signals, 0},
          {without_a_thread_nothing_starts, 0}, {one_thread_runs_all_if_no_other_starts, 0},
          {never_started, 0}, {stopped_while_idle, 0}, {stopped_while_work_ends_in_time, 2},
          {stopped_while_work_never_ends, 0}, {jobs_that_wait_then_never_begin, 0},
          {ended_jobs_are_collected_after_stop, 0}, {each_is_finished_or_withdrawn, 5})
