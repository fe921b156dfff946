// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * handlers/sensor/store.c: stored readings, limits, and databases that are locked, damaged or replaced. Each
 * test has a folder of its own. A second connection to the database, or a change of the file itself, plays
 * the part of another program.
 */
#include "disk.h"
#include "sensor/store.h"
#include "store/place.h"
#include "unit.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH = 128, BUSY_MS = 50 };

static char folder[PATH / 2], path[PATH], wal[PATH], shared[PATH];
static struct store *store;
static struct store_failure failure;
static struct store_added added; /* by the last store_add() */

/* ---- The folder ---- */

static char *in_folder(char *out, const char *name)
{
    snprintf(out, PATH, "%s/%s", folder, name);
    return out;
}

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/rpc-store-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    in_folder(path, "sensors.db");
    in_folder(wal, "sensors.db-wal");
    in_folder(shared, "sensors.db-shm");
    store = store_new(path, "rpc", BUSY_MS);
    ck_assert_ptr_nonnull(store);
}

static void remove_folder(void)
{
    store_close(store);
    disk_remove(folder);
}

static const char *asked(const char *sql)
{
    return asked_at(path, sql);
}

static void reopen(void)
{
    store_close(store);
    store = store_new(path, "rpc", BUSY_MS);
}

/* ---- Readings ---- */

static struct store_reading reading(const char *sensor, double value, double time)
{
    return (struct store_reading){.sensor = sensor, .size = strlen(sensor), .value = value, .time = time};
}

static bool add(struct store *to, const char *sensor, double value, double time)
{
    const struct store_reading given = reading(sensor, value, time);
    return store_add(to, &given, &added, &failure);
}

static void succeed(bool ok)
{
    if (!ok)
        ck_abort_msg("%s: %s", store_cause_names[failure.cause], failure.why);
}

static bool save(struct store *to, const char *sensor, double value, double time)
{
    return store_begin(to, &failure) && add(to, sensor, value, time) && store_commit(to, &failure);
}

/* Readings with the values and times first, first + 1, ... */
static void save_many(struct store *to, const char *sensor, int first, int count)
{
    succeed(store_begin(to, &failure));
    for (int i = first; i < first + count; i++)
        succeed(add(to, sensor, i, i));
    succeed(store_commit(to, &failure));
}

#define CHECK_FAILED(call, expected)                                                     \
    do {                                                                                 \
        memset(&failure, 0, sizeof failure);                                             \
        ck_assert(!(call));                                                              \
        ck_assert_str_eq(store_cause_names[failure.cause], store_cause_names[expected]); \
        ck_assert_uint_gt(strlen(failure.why), 0);                                       \
    } while (0)

/* Opens the database as soon as it is tried again. */
static void recover(void)
{
    for (int tries = 0; tries < 600 && !store_open(store, &failure); tries++)
        usleep(100000);
    succeed(store_open(store, &failure));
}

struct seen {
    char text[512];
    int max;
};

static bool see(void *data, const struct store_reading *last)
{
    struct seen *seen = data;
    const size_t used = strlen(seen->text);
    snprintf(seen->text + used, sizeof seen->text - used, "%.*s=%g/%d@%g ", (int)last->size, last->sensor,
             last->value, last->unit, last->time);
    return --seen->max != 0;
}

/* "name=value/unit@time " of each sensor. */
static const char *loaded(struct store *from)
{
    static struct seen seen;
    seen = (struct seen){.max = 100};
    succeed(store_load(from, see, &seen, &failure));
    return seen.text;
}

enum { POINTS = 2000 };

/* The values of the history: "1 2 3", and "+ " before it if there are more. */
static const char *history(struct store *from, const char *sensor, double first, double last, size_t limit)
{
    static char text[8 * POINTS];
    static struct store_point points[POINTS];
    const struct store_query query = {sensor, strlen(sensor), first, last, limit, 0};
    struct store_answer answer = {.points = points};
    succeed(store_history(from, &query, &answer, &failure));
    int used = snprintf(text, sizeof text, "%s", answer.more ? "+ " : "");
    for (size_t i = 0; i < answer.count; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "%s%g", i ? " " : "", points[i].value);
    return text;
}

static const char *all_of(struct store *from, const char *sensor)
{
    return history(from, sensor, -INFINITY, INFINITY, POINTS);
}

/* Pages of a history, the last one first: "7 8 9|4 5 6|". Between two pages the test does something. */
static const char *pages(struct store *from, const char *sensor, size_t limit, void (*between)(void))
{
    static char text[1000];
    struct store_point points[20];
    struct store_query query = {sensor, strlen(sensor), -INFINITY, INFINITY, limit, 0};
    struct store_answer answer = {.points = points};
    size_t used = 0;
    do {
        succeed(store_history(from, &query, &answer, &failure));
        for (size_t i = 0; i < answer.count; i++)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%g", i ? " " : "", points[i].value);
        used += (size_t)snprintf(text + used, sizeof text - used, "|");
        query.before = answer.first;
        between();
    } while (answer.more);
    return text;
}

static bool fails_to_look(struct store *from)
{
    struct store_point point;
    const struct store_query query = {"a", 1, 0, 10, 1, 0};
    struct store_answer answer = {.points = &point, .count = 5, .more = true};
    const bool ok = store_history(from, &query, &answer, &failure);
    ck_assert(!answer.more);
    ck_assert(ok || answer.count == 0);
    return ok;
}

/* ---- Stored readings ---- */

START_TEST(readings_are_loaded)
{
    succeed(store_open(store, &failure));
    ck_assert_str_eq(loaded(store), "");
    succeed(store_begin(store, &failure));
    const struct store_reading first = {"b", 1, 25.5, 1795253475.25, 2, NULL, 0};
    succeed(store_add(store, &first, &added, &failure));
    succeed(add(store, "a", -0.1, 2));
    succeed(store_commit(store, &failure));
    succeed(save(store, "c", 3, 4));
    succeed(save(store, "a", 5, 1));
    ck_assert_str_eq(loaded(store), "b=25.5/2@1.79525e+09 a=5/0@1 c=3/0@4 ");
    reopen();
    ck_assert_str_eq(loaded(store), "b=25.5/2@1.79525e+09 a=5/0@1 c=3/0@4 ");
    ck_assert_str_eq(all_of(store, "a"), "-0.1 5");

    struct store_point point;
    const struct store_query query = {"b", 1, 1795253475.25, 1795253475.25, 1, 0};
    struct store_answer answer = {.points = &point};
    succeed(store_history(store, &query, &answer, &failure));
    ck_assert_uint_eq(answer.count, 1);
    ck_assert(point.value == 25.5 && point.time == 1795253475.25 && point.unit == 2);
}
END_TEST

START_TEST(names_may_be_any_text)
{
    const struct store_reading names[] = {{"a\0b", 3, 1, 1, 0, NULL, 0},
                                          {"abc", 1, 2, 2, 0, NULL, 0},
                                          {"'; DROP TABLE sensors", 21, 3, 3, 0, NULL, 0},
                                          {"\xc3\xa4", 2, 4, 4, 0, NULL, 0}};
    succeed(store_begin(store, &failure));
    for (size_t i = 0; i < 4; i++)
        succeed(store_add(store, &names[i], &added, &failure));
    succeed(store_commit(store, &failure));
    ck_assert_str_eq(asked("SELECT count(*) FROM sensors"), "4");
    ck_assert_str_eq(asked("SELECT length(CAST(name AS BLOB)) FROM sensors WHERE value = 1"), "3");
    ck_assert_str_eq(all_of(store, "a"), "2");
    ck_assert_str_eq(all_of(store, "abc"), "");
    ck_assert_str_eq(all_of(store, "'; DROP TABLE sensors"), "3");
    ck_assert_str_eq(all_of(store, "\xc3\xa4"), "4");
}
END_TEST

START_TEST(visit_may_stop_loading)
{
    succeed(save(store, "a", 1, 1));
    succeed(save(store, "b", 2, 2));
    struct seen seen = {.max = 1};
    succeed(store_load(store, see, &seen, &failure));
    ck_assert_str_eq(seen.text, "a=1/0@1 ");
    succeed(save(store, "c", 3, 3));
}
END_TEST

START_TEST(history_has_limits)
{
    ck_assert_str_eq(all_of(store, "a"), "");
    save_many(store, "a", 1, 10);
    save_many(store, "b", 100, 3);
    ck_assert_str_eq(all_of(store, "a"), "1 2 3 4 5 6 7 8 9 10");
    ck_assert_str_eq(history(store, "a", 3, 5, 10), "3 4 5");
    ck_assert_str_eq(history(store, "a", 3, 5, 3), "3 4 5");
    ck_assert_str_eq(history(store, "a", 3, 5, 2), "+ 4 5");
    ck_assert_str_eq(history(store, "a", 3, 5, 0), "+ ");
    ck_assert_str_eq(history(store, "a", 20, 30, 0), "");
    ck_assert_str_eq(history(store, "a", 5, 3, 10), "");
    ck_assert_str_eq(history(store, "a", -INFINITY, INFINITY, 1), "+ 10");
    ck_assert_str_eq(history(store, "c", -INFINITY, INFINITY, 1), "");
}
END_TEST

/* The clock may be wrong, and the order of storing is not: a reading that was stored while the clock was
 * ahead does not hide later ones. */
START_TEST(histories_are_in_the_order_of_storing)
{
    for (int i = 1; i <= 5; i++)
        succeed(save(store, "a", i, 7));
    succeed(save(store, "a", 6, 3));
    succeed(save(store, "a", 7, 1000000));
    succeed(save(store, "a", 8, 8));
    ck_assert_str_eq(all_of(store, "a"), "1 2 3 4 5 6 7 8");
    ck_assert_str_eq(history(store, "a", 0, 10, 3), "+ 5 6 8");
    ck_assert_str_eq(history(store, "a", -INFINITY, INFINITY, 1), "+ 8");
}
END_TEST

/* The history of a range of time must not read more of the table than it shows. A further index would be made
 * at the first start of a later version, which would read all of a large table. */
START_TEST(histories_need_only_the_index)
{
    succeed(store_open(store, &failure));
    ck_assert_str_eq(
        asked("SELECT count(*) FROM sqlite_master WHERE tbl_name = 'readings' AND type = 'index'"), "1");
    ck_assert_str_eq(asked("SELECT name FROM pragma_index_info('readings_in_order') WHERE seqno = 2"),
                     "time");
}
END_TEST

static void nothing(void)
{
}

static void store_one(void)
{
    succeed(save(store, "a", 99, 99));
}

static void prune_three(void)
{
    by_other(path, "DELETE FROM readings WHERE id IN (SELECT id FROM readings ORDER BY id LIMIT 3)");
}

static void store_and_prune(void)
{
    store_one();
    prune_three();
}

/* What is stored between two pages is not in the next ones, and what is deleted shifts none. */
START_TEST(histories_have_pages)
{
    save_many(store, "a", 1, 4);
    save_many(store, "b", 50, 5);
    save_many(store, "a", 5, 6);
    ck_assert_str_eq(pages(store, "a", 3, nothing), "8 9 10|5 6 7|2 3 4|1|");
    ck_assert_str_eq(pages(store, "a", 5, nothing), "6 7 8 9 10|1 2 3 4 5|");
    ck_assert_str_eq(pages(store, "a", 10, nothing), "1 2 3 4 5 6 7 8 9 10|");
    ck_assert_str_eq(pages(store, "a", 3, store_one), "8 9 10|5 6 7|2 3 4|1|");
    ck_assert_str_eq(pages(store, "a", 4, store_and_prune), "99 99 99 99|7 8 9 10|5 6|");
    ck_assert_str_eq(pages(store, "c", 4, nothing), "|");
}
END_TEST

START_TEST(prefixes_share_nothing)
{
    struct store *second = store_new(path, "prod/rpc", BUSY_MS);
    save_many(store, "a", 1, 3);
    save_many(second, "a", 11, 3);
    succeed(save(second, "b", 21, 1));
    ck_assert_str_eq(loaded(store), "a=3/0@3 ");
    ck_assert_str_eq(loaded(second), "a=13/0@13 b=21/0@1 ");
    ck_assert_str_eq(all_of(store, "a"), "1 2 3");
    ck_assert_str_eq(all_of(store, "b"), "");

    bool more;
    const struct store_limits all = {.oldest = INFINITY, .keep = 1, .rows = 100};
    succeed(store_prune(store, &all, &more, &failure));
    ck_assert_str_eq(loaded(store), "");
    ck_assert_str_eq(loaded(second), "a=13/0@13 b=21/0@1 ");
    ck_assert_str_eq(all_of(second, "a"), "11 12 13");
    store_close(second);
}
END_TEST

START_TEST(in_memory)
{
    struct store *first = store_new(":memory:", "rpc", BUSY_MS);
    struct store *second = store_new(":memory:", "rpc", BUSY_MS);
    save_many(first, "a", 1, 3);
    ck_assert_str_eq(loaded(first), "a=3/0@3 ");
    ck_assert_str_eq(all_of(first, "a"), "1 2 3");
    ck_assert_str_eq(loaded(second), "");
    store_close(first);
    store_close(second);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

/* Paths that SQLite would not take for the name of a file. */
START_TEST(paths_are_names)
{
    static const char *const names[] = {"file:a.db?mode=memory", ":memory:x"};
    ck_assert_int_eq(chdir(folder), 0);
    for (size_t i = 0; i < 2; i++) {
        struct store *named = store_new(names[i], "rpc", BUSY_MS);
        succeed(save(named, "a", 1, 1));
        ck_assert_int_eq(access(names[i], F_OK), 0);
        store_close(named);
    }
    struct store *nameless = store_new("", "rpc", BUSY_MS);
    CHECK_FAILED(store_open(nameless, &failure), STORE_CANNOT_OPEN);
    store_close(nameless);
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

START_TEST(the_file_is_ours_and_has_a_log)
{
    succeed(save(store, "a", 1, 1));
    ck_assert_str_eq(asked("PRAGMA journal_mode"), "wal");
    ck_assert_str_eq(asked("PRAGMA application_id"), "1919968115");
    ck_assert_str_eq(asked("PRAGMA user_version"), "4");
    ck_assert_str_eq(asked("SELECT prefix FROM home"), "rpc");
    ck_assert_str_eq(store_path(store), path);
}
END_TEST

START_TEST(closing)
{
    store_close(NULL);
    store_close(store_new(path, "rpc", 0)); /* never opened */
    ck_assert_int_ne(access(path, F_OK), 0);

    struct store *nowhere = store_new("/nowhere/at/all.db", "rpc", 0);
    CHECK_FAILED(store_open(nowhere, &failure), STORE_CANNOT_OPEN);
    ck_assert_ptr_nonnull(strstr(failure.why, "No such file"));
    ck_assert(!store_open(nowhere, NULL));
    store_close(nowhere);

    struct store *half = store_new(path, "rpc", 0);
    succeed(store_begin(half, &failure) && add(half, "a", 1, 1));
    store_close(half);
    ck_assert_str_eq(loaded(store), "");
}
END_TEST

/* ---- Groups ---- */

START_TEST(groups_are_whole)
{
    succeed(store_begin(store, &failure) && add(store, "a", 1, 1));
    store_rollback(store);
    ck_assert_str_eq(loaded(store), "");
    store_rollback(store);
    CHECK_FAILED(add(store, "a", 2, 2), STORE_FAILED);
    CHECK_FAILED(store_commit(store, &failure), STORE_FAILED);

    succeed(store_begin(store, &failure) && add(store, "a", 3, 3));
    succeed(store_begin(store, &failure) && add(store, "b", 4, 4));
    succeed(store_commit(store, &failure));
    ck_assert_str_eq(loaded(store), "b=4/0@4 ");
    succeed(store_begin(store, &failure) && store_commit(store, &failure));
}
END_TEST

/* If one reading cannot be stored, none of the group is, and all functions fail for the same reason. */
START_TEST(one_failure_fails_the_group)
{
    succeed(save(store, "a", 1, 1));
    by_other(path, "CREATE TRIGGER no BEFORE INSERT ON readings WHEN new.value = 66"
                   " BEGIN SELECT raise(ABORT, 'not this one'); END");
    succeed(store_begin(store, &failure) && add(store, "a", 2, 2));
    CHECK_FAILED(add(store, "b", 66, 3), STORE_FAILED);
    ck_assert_str_eq(failure.why, "not this one");
    by_other(path, "BEGIN IMMEDIATE"); /* a failed group does not wait for a lock */
    CHECK_FAILED(add(store, "a", 4, 4), STORE_FAILED);
    ck_assert_str_eq(failure.why, "not this one");
    CHECK_FAILED(store_commit(store, &failure), STORE_FAILED);
    ck_assert_str_eq(failure.why, "not this one");
    ck_assert_str_eq(loaded(store), "a=1/0@1 ");
    succeed(save(store, "a", 5, 5));
    ck_assert_str_eq(all_of(store, "a"), "1 5");
}
END_TEST

/* Where the readings of a prefix are. */
static const char *path_of(const char *prefix)
{
    static char text[2 * PATH];
    char *beside = place_beside(path, prefix);
    snprintf(text, sizeof text, "%s", access(beside, F_OK) == 0 ? beside : path);
    free(beside);
    return text;
}

static int rows_at(const char *file)
{
    sqlite3_stmt *statement;
    sqlite3 *database = other(file, "");
    ck_assert_int_eq(sqlite3_prepare_v2(database, "SELECT count(*) FROM readings", -1, &statement, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    const int count = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return count;
}

static void *store_hundred(void *prefix)
{
    struct store_failure own_failure;
    struct store_added own_added;
    struct store *own = store_new(path, prefix, 60000);
    intptr_t stored = 0;
    for (int i = 0; i < 100; i++) {
        const struct store_reading given = reading("a", i, i);
        const bool ok = store_begin(own, &own_failure) && store_add(own, &given, &own_added, &own_failure) &&
                        store_commit(own, &own_failure);
        if (!ok && !i)
            fprintf(stderr, "%s: %s\n", (const char *)prefix, own_failure.why);
        stored += ok;
    }
    store_close(own);
    return (void *)stored;
}

/* Stores of several prefixes, or several of one prefix, each on a thread of its own. No one has made the file
 * before. */
static const char *const names_beside[][4] = {
    {"p0", "p1", "p2", "p3"}, {"rpc", "rpc", "rpc", "rpc"}, {"a", "b", "a", "b"}};

START_TEST(side_by_side)
{
    char names[4][8];
    pthread_t threads[4];
    void *stored;
    for (int i = 0; i < 4; i++) {
        snprintf(names[i], sizeof names[i], "%s", names_beside[_i][i]);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, store_hundred, names[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(threads[i], &stored), 0);
        ck_assert_int_eq((intptr_t)stored, 100);
    }
    static const int counts[] = {100, 400, 200};
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(rows_at(path_of(names[i])), counts[_i]);
}
END_TEST

/* Stores readings, writes a byte for each stored one, and goes on until it is killed. */
static void store_until_killed(int pipe_end)
{
    struct store *own = store_new(path, "rpc", 10000);
    for (int i = 0;; i++) {
        if (!save(own, "a", i, i) || write(pipe_end, "", 1) != 1)
            _exit(1);
    }
}

static int kill_after(int answers)
{
    int ends[2], count = 0;
    char byte;
    ck_assert_int_eq(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0)
        store_until_killed(ends[1]);
    close(ends[1]);
    while (count < answers && read(ends[0], &byte, 1) == 1)
        count++;
    kill(child, SIGKILL);
    while (read(ends[0], &byte, 1) == 1)
        count++;
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ck_assert_int_ge(count, answers);
    return count;
}

START_TEST(stored_readings_survive_a_kill)
{
    int answered = 0;
    for (int round = 1; round <= 20; round++) {
        answered += kill_after(round);
        reopen();
        succeed(store_open(store, &failure));
        ck_assert_int_ge(atoi(asked("SELECT count(*) FROM readings")), answered);
        ck_assert_str_eq(asked("SELECT kept - (SELECT count(*) FROM readings) FROM sensors"), "0");
    }
    ck_assert_str_eq(asked("PRAGMA integrity_check"), "ok");
}
END_TEST

/* ---- Readings with a time of their own ---- */

static struct store_forgetting forget(const char *sensor, int64_t rows, int *calls);

/* Adds a reading that was taken at `time`, and came at `stored`. Returns what became of it. */
static enum store_outcome take_in(struct store *to, const char *sensor, double value, double time,
                                  double stored)
{
    struct store_reading given = reading(sensor, value, time);
    given.stored = stored;
    succeed(store_add(to, &given, &added, &failure));
    return added.outcome;
}

static enum store_outcome take(struct store *to, const char *sensor, double value, double time, double stored)
{
    succeed(store_begin(to, &failure));
    const enum store_outcome outcome = take_in(to, sensor, value, time, stored);
    succeed(store_commit(to, &failure));
    return outcome;
}

START_TEST(taken_readings_are_stored_once)
{
    ck_assert_int_eq(take(store, "a", 1, 10.25, 100), STORE_ADDED);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(take(store, "a", 1, 10.25, 200), STORE_REPEATED);
        ck_assert(added.last.time == 10.25 && added.last.value == 1 && added.last.unit == 0);
        ck_assert_int_eq(take(store, "a", 2, 10.25, 200), STORE_CONFLICT);
        ck_assert(added.stored.time == 10.25 && added.stored.value == 1 && added.stored.unit == 0);
        reopen();
    }
    struct store_reading other_unit = reading("a", 1, 10.25);
    other_unit.stored = 300;
    other_unit.unit = 1;
    succeed(store_begin(store, &failure) && store_add(store, &other_unit, &added, &failure) &&
            store_commit(store, &failure));
    ck_assert_int_eq(added.outcome, STORE_CONFLICT);
    ck_assert_int_eq(take(store, "b", 1, 10.25, 300), STORE_ADDED);
    ck_assert_int_eq(take(store, "a", 1, 10.5, 300), STORE_ADDED);
    ck_assert_str_eq(all_of(store, "a"), "1 1");
    ck_assert_str_eq(asked("SELECT kept FROM sensors WHERE name = 'a'"), "2");
}
END_TEST

/* Also within one group, and if the group fails it was never there. */
START_TEST(taken_readings_in_one_group)
{
    succeed(store_begin(store, &failure));
    ck_assert_int_eq(take_in(store, "a", 1, 10, 100), STORE_ADDED);
    ck_assert_int_eq(take_in(store, "a", 1, 10, 100), STORE_REPEATED);
    ck_assert_int_eq(take_in(store, "a", 2, 10, 100), STORE_CONFLICT);
    ck_assert_int_eq(take_in(store, "a", 2, 11, 100), STORE_ADDED);
    store_rollback(store);
    ck_assert_str_eq(loaded(store), "");
    succeed(store_begin(store, &failure));
    ck_assert_int_eq(take_in(store, "a", 2, 10, 100), STORE_ADDED);
    ck_assert_int_eq(take_in(store, "a", 1, 10, 100), STORE_CONFLICT);
    succeed(add(store, "a", 3, 10)); /* of this time, but not by its own word */
    ck_assert_int_eq(added.outcome, STORE_ADDED);
    succeed(add(store, "a", 3, 10));
    ck_assert_int_eq(take_in(store, "a", 2, 10, 100), STORE_REPEATED);
    succeed(store_commit(store, &failure));
    ck_assert_str_eq(all_of(store, "a"), "2 3 3");
}
END_TEST

/* What is deleted, by whomever, is not stored any more. */
START_TEST(taken_readings_that_are_deleted)
{
    int calls;
    bool more;
    take(store, "a", 1, 10, 100);
    forget("a", 1, &calls);
    ck_assert_int_eq(take(store, "a", 2, 10, 100), STORE_ADDED);
    by_other(path, "DELETE FROM readings");
    ck_assert_int_eq(take(store, "a", 3, 10, 100), STORE_ADDED);
    ck_assert_int_eq(take(store, "a", 4, 11, 100), STORE_ADDED);
    const struct store_limits limits = {.oldest = -INFINITY, .now = 1000, .keep = 1, .rows = 100};
    succeed(store_prune(store, &limits, &more, &failure));
    ck_assert_int_eq(take(store, "a", 5, 10, 100), STORE_ADDED);
    ck_assert_str_eq(all_of(store, "a"), "4 5");
    ck_assert_str_eq(asked("SELECT count(*) FROM taken"), "2");
    forget("a", 1, &calls);
    ck_assert_str_eq(asked("SELECT count(*) FROM taken"), "0");
}
END_TEST

/* Another program has disabled the triggers, and a row that names no reading is left. */
START_TEST(rows_that_name_no_reading)
{
    take(store, "a", 1, 10, 100);
    by_other(path, "DROP TRIGGER taken_went; DELETE FROM readings");
    ck_assert_int_eq(take(store, "a", 2, 10, 100), STORE_ADDED);
    ck_assert_int_eq(take(store, "a", 2, 10, 100), STORE_REPEATED);
}
END_TEST

START_TEST(taken_readings_of_two_stores)
{
    struct store *second = store_new(path, "rpc", BUSY_MS), *third = store_new(path, "x", BUSY_MS);
    take(store, "a", 1, 10, 100);
    ck_assert_int_eq(take(second, "a", 1, 10, 100), STORE_REPEATED);
    ck_assert_int_eq(take(third, "a", 1, 10, 100), STORE_ADDED);
    store_close(second);
    store_close(third);
}
END_TEST

/* A reading of time `first`, and one that comes later: which one is the last, also after a restart. */
static const struct {
    double first, first_stored, second, second_stored, last;
} last_ones[] = {
    {50, 0, 40, 60, 50},     /* older */
    {50, 0, 50.5, 60, 50.5}, /* newer */
    {50, 0, 50, 60, 50},         {50, 60, 40, 70, 50},        {50, 60, 55, 70, 55},
    {50, 60, 45, 0, 45},   /* the clock has been set back, and such a reading is always the last one */
    {5000, 0, 40, 60, 40}, /* the first one is of a clock that was ahead */
    {5000, 0, 4941, 4939, 4941}, {5000, 0, 4942, 4941, 5000}, {119, 60, 70, 60, 119},
};

START_TEST(which_is_the_last)
{
    char expected[64];
    struct store_reading first = reading("a", 1, last_ones[_i].first),
                         second = reading("a", 2, last_ones[_i].second);
    first.stored = last_ones[_i].first_stored;
    second.stored = last_ones[_i].second_stored;
    succeed(store_begin(store, &failure) && store_add(store, &first, &added, &failure));
    ck_assert(added.last.time == first.time && added.last.value == 1);
    succeed(store_add(store, &second, &added, &failure) && store_commit(store, &failure));
    const bool is_second = last_ones[_i].last == second.time;
    snprintf(expected, sizeof expected, "a=%d/0@%g ", is_second ? 2 : 1, last_ones[_i].last);
    ck_assert_str_eq(loaded(store), expected);
    ck_assert(added.last.time == last_ones[_i].last && added.last.value == (is_second ? 2 : 1));
    reopen();
    ck_assert_str_eq(loaded(store), expected);
    ck_assert_str_eq(all_of(store, "a"), "1 2");
}
END_TEST

/* A repetition does not become the last one, even if it would have if it had come now. */
START_TEST(a_repetition_changes_nothing)
{
    take(store, "a", 1, 130, 100);
    succeed(save(store, "a", 2, 101));
    ck_assert_int_eq(take(store, "a", 1, 130, 102), STORE_REPEATED);
    ck_assert(added.last.value == 2 && added.last.time == 101);
    ck_assert_str_eq(loaded(store), "a=2/0@101 ");
}
END_TEST

static bool see_stored(void *data, const struct store_reading *last)
{
    *(double *)data = last->stored;
    return true;
}

/* What came last, not what is the last one. */
START_TEST(when_a_sensor_was_heard)
{
    double heard = 0;
    take(store, "a", 1, 10, 100);
    succeed(store_load(store, see_stored, &heard, &failure));
    ck_assert_double_eq(heard, 100);
    succeed(save(store, "a", 2, 150));
    succeed(store_load(store, see_stored, &heard, &failure));
    ck_assert_double_eq(heard, 150);
    take(store, "a", 3, 20, 200);
    reopen();
    succeed(store_load(store, see_stored, &heard, &failure));
    ck_assert_double_eq(heard, 200);
    ck_assert_str_eq(loaded(store), "a=2/0@150 ");
}
END_TEST

/* ---- Databases that are locked, full, damaged or read-only ---- */

START_TEST(locked)
{
    succeed(save(store, "a", 1, 1));
    sqlite3 *holder = other(path, "BEGIN IMMEDIATE");
    CHECK_FAILED(store_begin(store, &failure), STORE_LOCKED);
    CHECK_FAILED(add(store, "a", 2, 2), STORE_LOCKED);
    CHECK_FAILED(store_commit(store, &failure), STORE_LOCKED);
    ck_assert_str_eq(failure.why, "database is locked");
    bool more = true;
    const struct store_limits limits = {.oldest = 0, .keep = 1, .rows = 1};
    CHECK_FAILED(store_prune(store, &limits, &more, &failure), STORE_LOCKED);
    ck_assert(!more);
    ck_assert_str_eq(loaded(store), "a=1/0@1 "); /* reading does not wait for the lock */
    sqlite3_close(holder);
    succeed(save(store, "a", 3, 3));
    ck_assert_str_eq(all_of(store, "a"), "1 3");
}
END_TEST

/* After an attempt to open that took some time, the store does not try again at once. */
START_TEST(locked_when_it_is_opened)
{
    succeed(save(store, "a", 1, 1));
    store_close(store);
    sqlite3 *holder = other(path, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    store = store_new(path, "rpc", 300);
    CHECK_FAILED(store_open(store, &failure), STORE_LOCKED);
    sqlite3_close(holder);
    CHECK_FAILED(store_begin(store, &failure), STORE_LOCKED);
    CHECK_FAILED(store_commit(store, &failure), STORE_LOCKED);
    CHECK_FAILED(fails_to_look(store), STORE_LOCKED);
    recover();
    ck_assert_str_eq(loaded(store), "a=1/0@1 ");
}
END_TEST

static void *close_soon(void *database)
{
    usleep(200000);
    sqlite3_close(database);
    return NULL;
}

/* SQLite itself does not wait for the locks of others when it makes the log. A database without one, and one
 * that is new. */
START_TEST(locked_when_the_log_is_made)
{
    if (_i == 0) {
        succeed(save(store, "a", 1, 1));
        reopen();
        by_other(path, "PRAGMA journal_mode = DELETE");
    }
    store_close(store);
    store = store_new(path, "rpc", 60000);
    pthread_t thread;
    sqlite3 *writer = other(path, "BEGIN IMMEDIATE");
    ck_assert_int_eq(pthread_create(&thread, NULL, close_soon, writer), 0);
    succeed(save(store, "a", 2, 2));
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_str_eq(asked("PRAGMA journal_mode"), "wal");
}
END_TEST

/* Stores a group that needs more room than the existing log has. */
static bool save_too_many(void)
{
    bool ok = store_begin(store, &failure);
    for (int i = 0; ok && i < 10000; i++)
        ok = add(store, "a", 4 + i, 4 + i);
    return store_commit(store, &failure) && ok;
}

/* A limit of the size of files stands for a full disk. */
START_TEST(full)
{
    signal(SIGXFSZ, SIG_IGN);
    save_many(store, "a", 1, 3);
    struct stat file;
    ck_assert_int_eq(stat(wal, &file), 0);
    limit_files((rlim_t)file.st_size);
    CHECK_FAILED(save_too_many(), STORE_FULL);
    CHECK_FAILED(save_too_many(), STORE_FULL);
    ck_assert_str_eq(all_of(store, "a"), "1 2 3");
    limit_files(RLIM_INFINITY);
    recover();
    ck_assert_str_eq(all_of(store, "a"), "1 2 3");
    succeed(save(store, "a", 6, 6));
    reopen();
    ck_assert_str_eq(all_of(store, "a"), "1 2 3 6");
    ck_assert_str_eq(loaded(store), "a=6/0@6 ");
}
END_TEST

START_TEST(full_when_it_is_made)
{
    signal(SIGXFSZ, SIG_IGN);
    limit_files(1000);
    CHECK_FAILED(store_open(store, &failure), STORE_FULL);
    limit_files(RLIM_INFINITY);
    recover();
    succeed(save(store, "a", 1, 1));
}
END_TEST

/* A database that is closed, with 1000 readings, and its bytes. */
static void fill(struct contents *contents)
{
    save_many(store, "a", 1, 1000);
    reopen();
    read_file(path, contents);
    ck_assert_uint_gt(contents->size, 5 * 4096);
}

/* The first byte that is overwritten: in the header; or behind the first page, which has the schema. */
static const size_t damages[] = {0, 4096};

START_TEST(corrupt)
{
    static struct contents whole, damaged;
    fill(&whole);
    damaged = whole;
    memset(damaged.bytes + damages[_i], 0xa5, damages[_i] ? damaged.size - damages[_i] : 100);
    write_file(path, damaged.bytes, damaged.size);

    struct seen seen = {.max = 100};
    CHECK_FAILED(store_load(store, see, &seen, &failure), STORE_CORRUPT);
    CHECK_FAILED(save(store, "a", 2000, 2000), STORE_CORRUPT);
    CHECK_FAILED(fails_to_look(store), STORE_CORRUPT);
    bool more;
    const struct store_limits limits = {.oldest = 0, .keep = 1, .rows = 1};
    CHECK_FAILED(store_prune(store, &limits, &more, &failure), STORE_CORRUPT);
    check_unchanged(path, &damaged);

    write_file(path, whole.bytes, whole.size); /* in place: only a new connection sees it */
    recover();
    succeed(save(store, "a", 2000, 2000));
    ck_assert_str_eq(history(store, "a", 999, 3000, 10), "999 1000 2000");
}
END_TEST

/* Names out of the file may get into the log, so that reasons must be printable. */
START_TEST(reasons_are_printable)
{
    succeed(save(store, "a", 1, 1));
    reopen();
    by_other(path,
             "PRAGMA writable_schema = ON;"
             "UPDATE sqlite_master SET name = char(27, 10, 228) || hex(zeroblob(200)), sql = 'CREATE TABLE '"
             " WHERE name = 'readings_in_order'");
    CHECK_FAILED(store_open(store, &failure), STORE_CORRUPT);
    ck_assert_ptr_nonnull(strstr(failure.why, "(??"));
    ck_assert_uint_eq(strlen(failure.why), STORE_WHY_BYTES - 1);
    for (const char *c = failure.why; *c; c++)
        ck_assert(*c >= ' ' && *c <= '~');
}
END_TEST

/* A database with a log cannot even be read without permission to create files in its folder. */
static const struct {
    mode_t folder;
    const char *journal;
    bool readable;
} read_only_ways[] = {{0777, "WAL", true}, {0555, "WAL", false}, {0555, "DELETE", true}};

START_TEST(read_only)
{
    succeed(save(store, "a", 1, 1));
    reopen();
    char sql[40];
    snprintf(sql, sizeof sql, "PRAGMA journal_mode = %s", read_only_ways[_i].journal);
    by_other(path, sql);
    ck_assert_int_eq(chmod(path, 0444), 0);
    ck_assert_int_eq(chmod(folder, read_only_ways[_i].folder), 0);
    if (!give_up_root()) {
        printf("read_only is left out: root cannot become anybody else here\n");
        return;
    }
    if (read_only_ways[_i].readable)
        ck_assert_str_eq(loaded(store), "a=1/0@1 ");
    CHECK_FAILED(store_begin(store, &failure), STORE_READ_ONLY);
    CHECK_FAILED(store_commit(store, &failure), STORE_READ_ONLY);
    be_root_again();
    ck_assert_int_eq(chmod(folder, 0700), 0);
    ck_assert_int_eq(chmod(path, 0600), 0);
    unlink(wal); /* a log without its database */
    unlink(shared);
    recover();
    succeed(save(store, "a", 2, 2));
    ck_assert_str_eq(all_of(store, "a"), "1 2");
}
END_TEST

START_TEST(no_database)
{
    static const char *const texts[] = {"xy", "# sensors\ntemp1 = 25.5\n"};
    static struct contents before;
    memset(before.bytes, 'x', before.size = 10000);
    memcpy(before.bytes, texts[_i % 2], strlen(texts[_i % 2]));
    if (_i < 2)
        before.size = strlen(texts[_i]);
    write_file(path, before.bytes, before.size);
    CHECK_FAILED(store_open(store, &failure), STORE_CORRUPT);
    CHECK_FAILED(save(store, "a", 1, 1), STORE_CORRUPT);
    check_unchanged(path, &before);
}
END_TEST

START_TEST(an_empty_file_is_filled)
{
    write_file(path, "", 0);
    succeed(save(store, "a", 1, 1));
    ck_assert_str_eq(loaded(store), "a=1/0@1 ");
}
END_TEST

static const struct {
    const char *sql;
    enum store_cause cause;
} foreign_files[] = {
    {"CREATE TABLE sensors (id)", STORE_FOREIGN},
    {"CREATE TABLE t (id); PRAGMA user_version = 2", STORE_FOREIGN},
    {"PRAGMA application_id = 1", STORE_FOREIGN},
    {"PRAGMA application_id = 1; CREATE TABLE t (id)", STORE_FOREIGN},
    {"PRAGMA application_id = 1919968115; PRAGMA user_version = 5", STORE_NEWER},
    {"PRAGMA application_id = 1919968115; PRAGMA user_version = -1", STORE_CORRUPT},
    {"PRAGMA application_id = 1919968115; PRAGMA user_version = 1000; CREATE TABLE t (id)", STORE_NEWER},
};

START_TEST(foreign_and_newer_files)
{
    static struct contents before;
    by_other(path, foreign_files[_i].sql);
    read_file(path, &before);
    CHECK_FAILED(store_open(store, &failure), foreign_files[_i].cause);
    CHECK_FAILED(save(store, "a", 1, 1), foreign_files[_i].cause);
    check_unchanged(path, &before);
    ck_assert_int_ne(access(wal, F_OK), 0);
}
END_TEST

/* ---- Earlier versions ---- */

/* Version 1 of the format. It must not change with the code. */
static const char version_1[] =
    "PRAGMA application_id = 1919968115; PRAGMA user_version = 1;"
    "CREATE TABLE sensors (id INTEGER PRIMARY KEY AUTOINCREMENT, prefix TEXT NOT NULL, name TEXT NOT NULL,"
    " value REAL NOT NULL, unit INTEGER NOT NULL, time REAL NOT NULL,"
    " kept INTEGER NOT NULL DEFAULT 0, UNIQUE (prefix, name));"
    "CREATE TABLE readings (id INTEGER PRIMARY KEY, sensor INTEGER NOT NULL, time REAL NOT NULL,"
    " value REAL NOT NULL, unit INTEGER NOT NULL);"
    "CREATE TRIGGER reading_came AFTER INSERT ON readings BEGIN"
    " UPDATE sensors SET kept = kept + 1 WHERE id = new.sensor; END;"
    "CREATE TRIGGER reading_went AFTER DELETE ON readings BEGIN"
    " UPDATE sensors SET kept = kept - 1 WHERE id = old.sensor; END;"
    "INSERT INTO sensors (prefix, name, value, unit, time) VALUES ('rpc', 'a', 2, 1, 20), ('x', 'a', 9, 0, "
    "9);"
    "INSERT INTO readings (sensor, time, value, unit) VALUES (1, 10, 1, 0), (1, 20, 2, 1), (2, 9, 9, 0);";

START_TEST(version_1_is_brought_up_to_date)
{
    by_other(path, version_1);
    ck_assert_str_eq(loaded(store), "a=2/1@20 ");
    ck_assert_str_eq(asked("PRAGMA user_version"), "4");
    ck_assert_str_eq(asked("SELECT count(*) FROM sqlite_master WHERE name LIKE 'readings_%'"), "1");
    succeed(save(store, "a", 3, 30));
    ck_assert_str_eq(all_of(store, "a"), "1 2 3");
    ck_assert_str_eq(asked("SELECT group_concat(kept) FROM sensors"), "3,1");
}
END_TEST

/* A new database and an old one that was brought up to date have the same tables. */
START_TEST(all_versions_end_alike)
{
    static char fresh[64];
    static const char shape[] = "SELECT hex(sum(length(sql))) FROM (SELECT replace(sql, ' ', '') AS sql FROM "
                                "sqlite_master ORDER BY name)";
    succeed(store_open(store, &failure));
    snprintf(fresh, sizeof fresh, "%s", asked(shape));
    store_close(store);
    unlink(path);
    by_other(path, version_1);
    store = store_new(path, "rpc", BUSY_MS);
    succeed(store_open(store, &failure));
    ck_assert_str_eq(asked(shape), fresh);
}
END_TEST

START_TEST(a_step_is_taken_whole)
{
    by_other(path, version_1);
    by_other(path, "CREATE TABLE readings_by_time (id)"); /* the name that the step needs */
    CHECK_FAILED(store_open(store, &failure), STORE_FAILED);
    ck_assert_str_eq(asked("PRAGMA user_version"), "1");
    by_other(path, "DROP TABLE readings_by_time");
    recover();
    ck_assert_str_eq(loaded(store), "a=2/1@20 ");
}
END_TEST

/* ---- Files that are moved, replaced or deleted ---- */

static void unlink_it(void)
{
    ck_assert_int_eq(unlink(path), 0);
}

static void move_it_away(void)
{
    char away[PATH];
    ck_assert_int_eq(rename(path, in_folder(away, "away.db")), 0);
}

static void unlink_all(void)
{
    unlink(wal);
    unlink(shared);
    unlink_it();
}

static void put_another_there(void)
{
    char another[PATH];
    struct store *made = store_new(in_folder(another, "another.db"), "rpc", BUSY_MS);
    succeed(save(made, "new", 1, 1));
    store_close(made);
    ck_assert_int_eq(rename(another, path), 0);
}

/* A copy of an open database and its log. */
static void put_another_there_with_its_log(void)
{
    char another[PATH], its_wal[PATH];
    in_folder(another, "another.db");
    in_folder(its_wal, "another.db-wal");
    const pid_t child = fork();
    if (child == 0)
        _exit(save(store_new(another, "rpc", BUSY_MS), "new", 1, 1) ? 0 : 1);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ck_assert_int_eq(rename(its_wal, wal), 0);
    ck_assert_int_eq(rename(another, path), 0);
}

static const struct {
    void (*happens)(void);
    const char *loaded;
} replacements[] = {{unlink_it, ""},
                    {move_it_away, ""},
                    {unlink_all, ""},
                    {put_another_there, "new=1/0@1 "},
                    {put_another_there_with_its_log, "new=1/0@1 "}};

/* Two stores use the file. Neither stores into the old file after the replacement, nor damages the new one.
 */
START_TEST(replaced)
{
    struct store *second = store_new(path, "rpc", BUSY_MS);
    save_many(store, "a", 1, 100);
    save_many(second, "x", 1, 100);
    replacements[_i].happens();
    ck_assert_str_eq(loaded(store), replacements[_i].loaded);
    save_many(store, "b", 1, 100);
    save_many(second, "c", 1, 50);
    save_many(store, "b", 101, 1);
    save_many(second, "c", 51, 1);
    store_close(second);
    reopen();
    ck_assert_ptr_nonnull(strstr(loaded(store), "b=101/0@101 "));
    ck_assert_str_eq(asked("SELECT count(*) FROM readings WHERE sensor <> 0"), _i >= 3 ? "153" : "152");
    ck_assert_str_eq(asked("PRAGMA integrity_check"), "ok");
}
END_TEST

/* A database that was moved has all readings that were stored in it. */
START_TEST(moved_away_whole)
{
    save_many(store, "a", 1, 3);
    move_it_away();
    succeed(save(store, "a", 4, 4));
    char away[PATH];
    struct store *old = store_new(in_folder(away, "away.db"), "rpc", BUSY_MS);
    ck_assert_str_eq(all_of(old, "a"), "1 2 3");
    store_close(old);
}
END_TEST

START_TEST(replaced_within_a_group)
{
    succeed(save(store, "a", 1, 1));
    succeed(store_begin(store, &failure) && add(store, "a", 2, 2));
    unlink_it();
    CHECK_FAILED(store_commit(store, &failure), STORE_REPLACED);
    succeed(save(store, "a", 3, 3));
    reopen();
    ck_assert_str_eq(all_of(store, "a"), "3");
}
END_TEST

/* One store notices the replacement while another has an open group, no reading of which gets into the new
 * file. */
START_TEST(replaced_within_anothers_group)
{
    struct store *second = store_new(path, "rpc", BUSY_MS);
    save_many(second, "x", 1, 10);
    save_many(store, "a", 1, 10);
    succeed(store_begin(second, &failure) && add(second, "x", 11, 11));
    unlink_it();
    save_many(store, "a", 21, 10);
    succeed(add(second, "x", 12, 12));
    CHECK_FAILED(store_commit(second, &failure), STORE_REPLACED);
    ck_assert_str_eq(loaded(second), "a=30/0@30 ");
    save_many(store, "a", 31, 1);
    store_close(second);
    reopen();
    ck_assert_str_eq(all_of(store, "a"), "21 22 23 24 25 26 27 28 29 30 31");
    ck_assert_str_eq(asked("PRAGMA integrity_check"), "ok");
}
END_TEST

/* Only the log is deleted, and then the process is killed. */
START_TEST(the_log_is_deleted)
{
    const pid_t child = fork();
    if (child == 0) {
        const bool ok = save(store, "a", 1, 1) && unlink(wal) == 0 && save(store, "a", 2, 2);
        _exit(ok ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_str_eq(all_of(store, "a"), "1 2");
}
END_TEST

/* ---- Pruning ---- */

/* Prunes until there is no more to do. Returns the number of calls. */
static int prune_at(double now, double oldest, int64_t keep, int64_t rows)
{
    const struct store_limits limits = {.oldest = oldest, .now = now, .keep = keep, .rows = rows};
    bool more = true;
    int calls = 0;
    for (; more; calls++) {
        const int before = atoi(asked("SELECT count(*) FROM readings"));
        succeed(store_prune(store, &limits, &more, &failure));
        ck_assert_int_le(before - atoi(asked("SELECT count(*) FROM readings")), rows);
        ck_assert_int_lt(calls, 1000);
    }
    return calls;
}

static int prune(double oldest, int64_t keep, int64_t rows)
{
    return prune_at(1000000, oldest, keep, rows);
}

START_TEST(pruning_by_age)
{
    save_many(store, "b", 1, 3);
    save_many(store, "a", 1, 10);
    save_many(store, "c", 5, 3);
    prune(5, INT64_MAX, 100);
    ck_assert_str_eq(all_of(store, "a"), "5 6 7 8 9 10");
    ck_assert_str_eq(loaded(store), "a=10/0@10 c=7/0@7 ");
    ck_assert_str_eq(all_of(store, "c"), "5 6 7");
    save_many(store, "b", 20, 1); /* a new sensor of that name */
    ck_assert_str_eq(loaded(store), "a=10/0@10 c=7/0@7 b=20/0@20 ");
    ck_assert_str_eq(all_of(store, "b"), "20");
}
END_TEST

START_TEST(pruning_by_count)
{
    save_many(store, "b", 1, 3);
    save_many(store, "a", 1, 10);
    prune(-INFINITY, 4, 100);
    ck_assert_str_eq(all_of(store, "a"), "7 8 9 10");
    ck_assert_str_eq(all_of(store, "b"), "1 2 3");
    prune(9, 3, 100);
    ck_assert_str_eq(all_of(store, "a"), "9 10");
    ck_assert_str_eq(loaded(store), "a=10/0@10 ");
    ck_assert_int_eq(prune(-INFINITY, 10, 100), 1);
    save_many(store, "c", 1, 3);
    save_many(store, "d", 1, 3);
    ck_assert_int_eq(prune(-INFINITY, 10, 1), 4); /* a call for each sensor, and for the end */
}
END_TEST

/* Pruning by count deletes the readings that were stored first, whatever their times are. */
START_TEST(pruning_goes_by_order)
{
    succeed(save(store, "a", 5, 5));
    succeed(save(store, "a", 1, 1));
    succeed(save(store, "a", 3, 3));
    prune(-INFINITY, 2, 100);
    ck_assert_str_eq(all_of(store, "a"), "1 3");
}
END_TEST

/* A sensor whose readings another program has deleted is removed when its last reading is too old. */
START_TEST(sensors_without_readings)
{
    save_many(store, "a", 1, 3);
    by_other(path, "DELETE FROM readings");
    prune(2, 1, 100);
    ck_assert_str_eq(loaded(store), "a=3/0@3 ");
    prune(4, 1, 100);
    ck_assert_str_eq(loaded(store), "");
}
END_TEST

/* What was stored after a reading that is not too old is not too old either, of any sensor: the clock was
 * behind for a while. */
START_TEST(pruning_where_time_went_back)
{
    save_many(store, "a", 10, 3);
    succeed(save(store, "a", 1, 1));
    succeed(save(store, "b", 2, 2));
    succeed(save(store, "a", 13, 13));
    prune(5, INT64_MAX, 100);
    ck_assert_str_eq(loaded(store), "a=13/0@13 b=2/0@2 ");
    ck_assert_str_eq(all_of(store, "a"), "10 11 12 1 13");
    prune(12, INT64_MAX, 100);
    ck_assert_str_eq(all_of(store, "a"), "12 1 13");
    ck_assert_str_eq(all_of(store, "b"), "2");
    prune(20, INT64_MAX, 100);
    ck_assert_str_eq(loaded(store), "");
}
END_TEST

/* Readings from the future say nothing about the age of others, and are not deleted. */
START_TEST(pruning_where_time_was_ahead)
{
    succeed(save(store, "a", 1, 5000));
    succeed(save(store, "a", 2, 1));
    succeed(save(store, "a", 3, 10));
    prune_at(100, 5, INT64_MAX, 100);
    ck_assert_str_eq(all_of(store, "a"), "1 3");
    prune_at(100, 50, INT64_MAX, 100);
    ck_assert_str_eq(all_of(store, "a"), "1");
    prune_at(6000, 5500, INT64_MAX, 100);
    ck_assert_str_eq(loaded(store), "");
}
END_TEST

/* A reading is as old as its being stored is long ago: neither at once too old because it was taken long ago,
 * nor a reason to keep others that were stored before. */
START_TEST(pruning_taken_readings)
{
    succeed(save(store, "a", 1, 100));
    take(store, "b", 2, 10, 110);
    take(store, "a", 3, 20, 120);
    succeed(save(store, "a", 4, 130));
    take(store, "a", 5, 125, 140);
    prune(50, INT64_MAX, 100); /* 2 and 3 were taken before that */
    ck_assert_str_eq(all_of(store, "a"), "1 3 4 5");
    ck_assert_str_eq(loaded(store), "a=4/0@130 b=2/0@10 ");
    prune(105, INT64_MAX, 100);
    ck_assert_str_eq(all_of(store, "a"), "3 4 5");
    ck_assert_str_eq(all_of(store, "b"), "2");
    prune(115, INT64_MAX, 100);
    ck_assert_str_eq(all_of(store, "a"), "3 4 5");
    ck_assert_str_eq(loaded(store), "a=4/0@130 ");
    prune(125, INT64_MAX, 100);
    ck_assert_str_eq(all_of(store, "a"), "4 5");
    prune(135, INT64_MAX, 100);
    ck_assert_str_eq(all_of(store, "a"), "5");
    prune(141, INT64_MAX, 100);
    ck_assert_str_eq(loaded(store), "");
    ck_assert_str_eq(asked("SELECT count(*) FROM taken"), "0");
}
END_TEST

/* The first reading of the database, and readings that are a little ahead of the clock. */
START_TEST(pruning_taken_readings_alone)
{
    take(store, "a", 1, 10, 100);
    take(store, "b", 2, 160, 101);
    take(store, "b", 3, 11, 102);
    prune_at(110, 50, INT64_MAX, 100);
    ck_assert_str_eq(loaded(store), "a=1/0@10 b=2/0@160 ");
    ck_assert_str_eq(all_of(store, "a"), "1");
    ck_assert_str_eq(all_of(store, "b"), "2 3");
    prune_at(200, 103, INT64_MAX, 100);
    ck_assert_str_eq(loaded(store), "b=2/0@160 "); /* what is ahead goes when the clock is there */
    ck_assert_str_eq(all_of(store, "b"), "2");
    prune_at(300, 161, INT64_MAX, 100);
    ck_assert_str_eq(loaded(store), "");
}
END_TEST

struct removed {
    char names[64];
    int room;
};

static bool note_removed(void *data, const char *sensor, size_t size)
{
    struct removed *removed = data;
    const size_t used = strlen(removed->names);
    snprintf(removed->names + used, sizeof removed->names - used, "%.*s ", (int)size, sensor);
    return removed->room-- > 0;
}

START_TEST(removed_sensors_are_told)
{
    save_many(store, "a", 1, 3);
    save_many(store, "b", 1, 3);
    save_many(store, "c", 10, 3);
    struct removed removed = {.room = 1};
    bool more;
    const struct store_limits limits = {
        .oldest = 5, .now = 100, .keep = 10, .rows = 100, .removed = note_removed, .data = &removed};
    CHECK_FAILED(store_prune(store, &limits, &more, &failure), STORE_NO_MEMORY);
    ck_assert_str_eq(loaded(store), "a=3/0@3 b=3/0@3 c=12/0@12 ");
    removed = (struct removed){.room = 2};
    succeed(store_prune(store, &limits, &more, &failure));
    ck_assert_str_eq(removed.names, "a b ");
    ck_assert_str_eq(loaded(store), "c=12/0@12 ");
}
END_TEST

/* All readings beyond the limits are deleted, with any bound of one call. */
static const int64_t bounds[] = {1, 2, 3, 7, 1000};

START_TEST(pruning_is_bounded)
{
    char name[8];
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "s%d", i);
        save_many(store, name, 10 * i, 10);
    }
    const int calls = prune(45, 4, bounds[_i]);
    ck_assert_str_eq(asked("SELECT count(*) FROM readings"), "32");
    ck_assert_str_eq(asked("SELECT group_concat(name) FROM (SELECT name FROM sensors ORDER BY id)"),
                     "s4,s5,s6,s7,s8,s9,s10,s11");
    ck_assert_str_eq(asked("SELECT count(*) FROM sensors WHERE kept <> 4"), "0");
    ck_assert_int_ge(calls, (int)(88 / bounds[_i]));
    ck_assert_int_le(calls, (int)(100 / bounds[_i] + 2));
}
END_TEST

/* A key is not used twice, so that a new sensor does not get the history of a deleted one. */
START_TEST(keys_are_not_used_again)
{
    succeed(save(store, "a", 1, 1));
    prune(5, INT64_MAX, 10);
    succeed(save(store, "b", 6, 6));
    ck_assert_str_eq(asked("SELECT id FROM sensors"), "2");
}
END_TEST

/* Version 3, with what version 1 had. */
static const char version_3[] =
    "CREATE INDEX readings_in_order ON readings (sensor, id, time);"
    "ALTER TABLE sensors ADD COLUMN owner TEXT NOT NULL DEFAULT ''; CREATE TABLE home (prefix TEXT NOT NULL);"
    "INSERT INTO home VALUES ('rpc'); DELETE FROM readings WHERE sensor = 2; DELETE FROM sensors WHERE id = "
    "2;"
    "PRAGMA user_version = 3;";

START_TEST(version_3_is_brought_up_to_date)
{
    by_other(path, version_1);
    by_other(path, version_3);
    ck_assert_str_eq(loaded(store), "a=2/1@20 ");
    ck_assert_str_eq(asked("PRAGMA user_version"), "4");
    ck_assert_int_eq(take(store, "a", 2, 20, 100), STORE_ADDED); /* the old one has no time of its own */
    ck_assert_int_eq(take(store, "a", 2, 20, 100), STORE_REPEATED);
    succeed(save(store, "a", 3, 110));
    ck_assert_str_eq(all_of(store, "a"), "1 2 2 3");
    ck_assert_str_eq(loaded(store), "a=3/0@110 ");
    prune(15, INT64_MAX, 100);
    ck_assert_str_eq(all_of(store, "a"), "2 2 3");
}
END_TEST

/* ---- Forgetting ---- */

/* How many readings one call deletes. */
static const int64_t parts_of_it[] = {1, 3, 7, 9, 10, 11, 1000};

static struct store_forgetting forget(const char *sensor, int64_t rows, int *calls)
{
    struct store_forgetting parting = {.sensor = sensor, .size = strlen(sensor), .rows = rows};
    *calls = 0;
    do {
        succeed(store_forget(store, &parting, &failure));
        ++*calls;
    } while (parting.more);
    return parting;
}

START_TEST(forgetting)
{
    int calls;
    save_many(store, "a", 1, 10);
    save_many(store, "b", 1, 5);
    ck_assert(forget("a", parts_of_it[_i], &calls).found);
    ck_assert_int_eq(calls, (int)(10 / parts_of_it[_i] + 1));
    ck_assert_str_eq(loaded(store), "b=5/0@5 ");
    ck_assert_str_eq(all_of(store, "a"), "");
    ck_assert_str_eq(asked("SELECT count(*) FROM readings"), "5");
    ck_assert_str_eq(asked("SELECT count(*) FROM sensors"), "1");
    ck_assert(!forget("a", 1, &calls).found);
    ck_assert_int_eq(calls, 1);
    ck_assert(!forget("none", 1, &calls).found);
}
END_TEST

/* The name can be used again while readings are still being deleted, and what is left is deleted by pruning.
 */
START_TEST(forgotten_names_are_free)
{
    save_many(store, "a", 1, 10);
    struct store_forgetting parting = {.sensor = "a", .size = 1, .rows = 4};
    succeed(store_forget(store, &parting, &failure));
    ck_assert(parting.more);
    ck_assert_str_eq(loaded(store), "");
    succeed(save(store, "a", 99, 99));
    ck_assert_str_eq(all_of(store, "a"), "99");
    by_other(path, "CREATE TRIGGER no BEFORE DELETE ON readings BEGIN SELECT raise(ABORT, 'no'); END");
    CHECK_FAILED(store_forget(store, &parting, &failure), STORE_FAILED);
    by_other(path, "DROP TRIGGER no");
    reopen();
    ck_assert_str_eq(asked("SELECT count(*) FROM readings"), "7");
    prune(-INFINITY, INT64_MAX, 2);
    ck_assert_str_eq(asked("SELECT count(*) FROM readings"), "1");
    ck_assert_str_eq(asked("SELECT count(*) FROM sensors"), "1");
    ck_assert_str_eq(all_of(store, "a"), "99");
}
END_TEST

/* Neither the name nor a value is in the files any more. */
START_TEST(forgetting_on_the_disk)
{
    static struct contents contents;
    int calls;
    const char *const names[] = {path, wal};
    save_many(store, "other", 1, 5);
    save_many(store, "NameOfTheSensor", 1, 50);
    forget("NameOfTheSensor", 20, &calls);
    for (int i = 0; i < 2; i++) {
        read_file(names[i], &contents);
        ck_assert_ptr_null(memmem(contents.bytes, contents.size, "NameOfTheSensor", 15));
    }
    ck_assert_str_eq(all_of(store, "other"), "1 2 3 4 5");
}
END_TEST

START_TEST(dropping)
{
    save_many(store, "old", 1, 10);
    CHECK_FAILED(store_drop(store, "old", 3, &failure), STORE_FAILED);
    succeed(store_begin(store, &failure) && store_drop(store, "old", 3, &failure) && add(store, "new", 1, 1));
    store_rollback(store);
    ck_assert_str_eq(loaded(store), "old=10/0@10 ");
    succeed(store_begin(store, &failure) && store_drop(store, "old", 3, &failure) &&
            add(store, "new", 1, 1) && store_drop(store, "none", 4, &failure));
    succeed(store_commit(store, &failure));
    ck_assert_str_eq(loaded(store), "new=1/0@1 ");
    prune(-INFINITY, INT64_MAX, 100);
    ck_assert_str_eq(asked("SELECT count(*) FROM readings"), "1");
}
END_TEST

static bool see_owner(void *data, const struct store_reading *last)
{
    snprintf(data, 64, "%s", last->owner);
    return true;
}

/* The owner is the one that reported the sensor first. */
START_TEST(owners_are_kept)
{
    char owner[64];
    const struct store_reading first = {"a", 1, 1, 1, 0, "client one", 0},
                               second = {"a", 1, 2, 2, 0, "client two", 0};
    succeed(store_begin(store, &failure) && store_add(store, &first, &added, &failure) &&
            store_add(store, &second, &added, &failure));
    succeed(store_commit(store, &failure));
    reopen();
    succeed(store_load(store, see_owner, owner, &failure));
    ck_assert_str_eq(owner, "client one");
}
END_TEST

/* ---- The file of a prefix ---- */

START_TEST(prefixes_do_not_wait_for_each_other)
{
    struct store *second = store_new(path, "dev/rpc", BUSY_MS);
    succeed(save(store, "a", 1, 1));
    succeed(save(second, "a", 2, 2));
    ck_assert_str_ne(store_path(second), store_path(store));
    sqlite3 *holder = other(path, "BEGIN IMMEDIATE");
    succeed(save(second, "a", 3, 3));
    CHECK_FAILED(save(store, "a", 4, 4), STORE_LOCKED);
    ck_assert_str_eq(failure.path, path);
    sqlite3_close(holder);
    store_close(second);
}
END_TEST

static const char *const prefixes[] = {"a/b",    "a_b",  "a-b",  "a%2Fb", "a%252Fb",  "a.b",
                                       "a/b/c",  "a b",  "wal",  "-wal",  "-journal", "rpc-wal",
                                       "A/b",    "..",   ".",    "../x",  "a~b",      "\xc3\xa4",
                                       "rpc.db", "a__b", "a//b", "%2F",   "/",        "a/b_c"};

enum { PREFIXES = sizeof prefixes / sizeof prefixes[0] };

START_TEST(files_have_different_names)
{
    char *names[PREFIXES];
    for (int i = 0; i < PREFIXES; i++) {
        names[i] = place_beside("/x/sensors.db", prefixes[i]);
        ck_assert_int_eq(strncmp(names[i], "/x/sensors.db.", 14), 0);
        ck_assert_ptr_null(strpbrk(names[i] + 14, "/-."));
        for (int k = 0; k < i; k++)
            ck_assert_str_ne(names[i], names[k]);
    }
    ck_assert_str_eq(names[0], "/x/sensors.db.a%2Fb");
    for (int i = 0; i < PREFIXES; i++)
        free(names[i]);
}
END_TEST

/* The longest prefixes, which differ in their last byte only, and files with long names. */
START_TEST(names_are_short)
{
    char long_path[300] = "/x/";
    char first[129], second[129];
    for (int bytes = 1; bytes <= 250; bytes++) {
        memset(long_path + 3, 'n', (size_t)bytes);
        memset(first, bytes % 2 ? '/' : 'a', 128);
        first[128] = '\0';
        memcpy(second, first, sizeof second);
        second[127] = 'b';
        char *one = place_beside(long_path, first), *other_one = place_beside(long_path, second);
        ck_assert_str_ne(one, other_one);
        if (bytes <= 200)
            ck_assert_uint_le(strlen(one + 3) + strlen("-journal"), 255);
        free(one);
        free(other_one);
    }
}
END_TEST

/* Each has its own readings, also when all are opened again in another order. */
START_TEST(similar_prefixes)
{
    struct store *stores[PREFIXES];
    char value[16];
    for (int i = 0; i < PREFIXES; i++) {
        stores[i] = store_new(path, prefixes[i], BUSY_MS);
        succeed(save(stores[i], "a", i, i));
    }
    for (int i = 0; i < PREFIXES; i++)
        store_close(stores[i]);
    for (int i = PREFIXES - 1; i >= 0; i--) {
        stores[i] = store_new(path, prefixes[i], BUSY_MS);
        snprintf(value, sizeof value, "%d", i);
        ck_assert_str_eq(all_of(stores[i], "a"), value);
    }
    for (int i = 0; i < PREFIXES; i++)
        store_close(stores[i]);
}
END_TEST

/* A prefix keeps its file if the other one's is deleted, or cannot be used for a while. */
START_TEST(the_file_stays_with_its_prefix)
{
    struct store *second = store_new(path, "dev/rpc", BUSY_MS);
    succeed(save(store, "a", 1, 1));
    succeed(save(second, "a", 2, 2));
    store_close(second);
    store_close(store);
    ck_assert_int_eq(unlink(path), 0);
    second = store_new(path, "dev/rpc", BUSY_MS);
    ck_assert_str_eq(all_of(second, "a"), "2");
    ck_assert_int_ne(access(path, F_OK), 0);
    store = store_new(path, "rpc", BUSY_MS);
    ck_assert_str_eq(all_of(store, "a"), "");
    ck_assert_str_eq(store_path(store), path);
    store_close(second);
}
END_TEST

/* Files in which earlier versions stored all prefixes. */
static const char version_2[] =
    "CREATE INDEX readings_by_time ON readings (sensor, time); PRAGMA user_version = 2;"
    "INSERT INTO sensors (prefix, name, value, unit, time) VALUES ('x', 'b', 8, 1, 8),"
    " ('y/z', 'a', 7, 0, 7);"
    "INSERT INTO readings (sensor, time, value, unit) VALUES (3, 8, 8, 1), (2, 11, 10, 0),"
    " (4, 7, 7, 0);";

static const struct {
    const char *more; /* than version 1 */
    const char *first;
    const char *second;
} shared_versions[] = {{"", "rpc", "x"}, {"", "x", "rpc"}, {version_2, "rpc", "x"}, {version_2, "x", "rpc"}};

static const char *expected_of(const char *prefix, int row)
{
    if (strcmp(prefix, "rpc") == 0)
        return "a=2/1@20 ";
    return row < 2 ? "a=9/0@9 " : "a=9/0@9 b=8/1@8 ";
}

START_TEST(shared_files_are_divided)
{
    by_other(path, version_1);
    by_other(path, shared_versions[_i].more);
    for (int round = 0; round < 3; round++) {
        struct store *first = store_new(path, shared_versions[_i].first, BUSY_MS);
        struct store *second = store_new(path, shared_versions[_i].second, BUSY_MS);
        ck_assert_str_eq(loaded(first), expected_of(shared_versions[_i].first, _i));
        ck_assert_str_eq(loaded(second), expected_of(shared_versions[_i].second, _i));
        struct store *x = _i % 2 ? first : second;
        ck_assert_str_eq(all_of(x, "a"), _i < 2 ? "9" : "9 10");
        ck_assert_str_eq(all_of(_i % 2 ? second : first, "a"), "1 2");
        store_close(first);
        store_close(second);
    }
    if (_i >= 2) {
        struct store *third = store_new(path, "y/z", BUSY_MS);
        ck_assert_str_eq(loaded(third), "a=7/0@7 ");
        ck_assert_str_eq(all_of(third, "a"), "7");
        store_close(third);
    }
    const int owned = _i % 2 == 0 ? 2 : _i < 2 ? 1 : 3; /* the shared file is left with its first prefix's */
    struct store *first = store_new(path, shared_versions[_i].first, BUSY_MS);
    bool more;
    const struct store_limits limits = {.oldest = -INFINITY, .now = 1000, .keep = 1000, .rows = 1000};
    succeed(store_prune(first, &limits, &more, &failure));
    store_close(first);
    ck_assert_int_eq(rows_at(path), owned);
}
END_TEST

/* The process ended after it had made the second file, and before that was filled. */
START_TEST(a_division_that_was_cut_short)
{
    by_other(path, version_1);
    ck_assert_str_eq(loaded(store), "a=2/1@20 ");
    char *beside = place_beside(path, "x");
    write_file(beside, "", 0);
    struct store *second = store_new(path, "x", BUSY_MS);
    ck_assert_str_eq(loaded(second), "a=9/0@9 ");
    store_close(second);

    /* or when it had all tables but nothing in them */
    by_other(beside, "DELETE FROM home; DELETE FROM readings; DELETE FROM sensors");
    by_other(path, "UPDATE sensors SET prefix = 'x', name = 'a' WHERE prefix = ''");
    second = store_new(path, "x", BUSY_MS);
    ck_assert_str_eq(loaded(second), "a=9/0@9 ");
    ck_assert_str_eq(all_of(second, "a"), "9");
    store_close(second);
    free(beside);
}
END_TEST

/* Where names do not tell upper from lower case, two prefixes might have one file. */
START_TEST(a_name_that_is_taken)
{
    succeed(save(store, "a", 1, 1));
    struct store *second = store_new(path, "x", BUSY_MS);
    succeed(save(second, "a", 2, 2));
    store_close(second);
    char *beside = place_beside(path, "x"), *similar = place_beside(path, "X");
    ck_assert_int_eq(rename(beside, similar), 0);
    second = store_new(path, "X", BUSY_MS);
    CHECK_FAILED(store_open(second, &failure), STORE_FOREIGN);
    CHECK_FAILED(save(second, "a", 3, 3), STORE_FOREIGN);
    ck_assert_str_eq(failure.path, similar);
    ck_assert_int_eq(rows_at(similar), 1);
    store_close(second);
    free(beside);
    free(similar);
}
END_TEST

/* ---- Rights ---- */

static unsigned mode_of(const char *name)
{
    struct stat file;
    ck_assert_int_eq(stat(name, &file), 0);
    return file.st_mode & 07777;
}

static void expect_narrow(void)
{
    ck_assert_uint_eq(mode_of(path), 0600);
    ck_assert_uint_eq(mode_of(wal), 0600);
    ck_assert_uint_eq(mode_of(shared), 0600);
    ck_assert_int_eq(store_exposure(store), 0);
}

static const mode_t umasks[] = {0, 022, 077, 0177, 0777};

START_TEST(rights)
{
    const mode_t before = umask(umasks[_i]);
    struct store *second = store_new(path, "dev/rpc", BUSY_MS);
    succeed(save(store, "a", 1, 1));
    expect_narrow();
    succeed(save(second, "a", 1, 1));
    ck_assert_uint_eq(mode_of(store_path(second)), 0600);
    store_close(second);
    unlink(path); /* and made anew while it is in use */
    succeed(save(store, "a", 2, 2));
    expect_narrow();
    umask(before);
}
END_TEST

static const mode_t wide_modes[] = {0644, 0666, 0640, 0604, 0777, 0601};

START_TEST(wide_files_are_narrowed)
{
    succeed(save(store, "a", 1, 1));
    store_close(store);
    ck_assert_int_eq(chmod(path, wide_modes[_i]), 0);
    store = store_new(path, "rpc", BUSY_MS);
    succeed(save(store, "a", 2, 2));
    ck_assert_uint_eq(mode_of(path), wide_modes[_i] & 0700);
    ck_assert_uint_eq(mode_of(wal) & 077, 0);
    ck_assert_uint_eq(mode_of(shared) & 077, 0);
    ck_assert_int_eq(store_exposure(store), 0);
    ck_assert_str_eq(all_of(store, "a"), "1 2");
}
END_TEST

/* The owner's own rights are the owner's business. */
START_TEST(narrow_files_stay)
{
    succeed(save(store, "a", 1, 1));
    store_close(store);
    ck_assert_int_eq(chmod(path, 0400), 0);
    store = store_new(path, "rpc", BUSY_MS);
    store_open(store, NULL);
    ck_assert_uint_eq(mode_of(path), 0400);
}
END_TEST

/* A killed process left the log and its index with wide rights, as an earlier version made them; or, with
 * another kind of journal, that. */
START_TEST(rights_after_a_kill)
{
    const pid_t child = fork();
    if (child == 0)
        _exit(save(store, "a", 1, 1) ? 0 : 1);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    char journal[PATH];
    in_folder(journal, "sensors.db-journal");
    write_file(journal, "", 0);
    const char *const names[] = {path, wal, shared, journal};
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(chmod(names[i], 0666), 0);
    succeed(store_open(store, &failure));
    expect_narrow();
    ck_assert(access(journal, F_OK) != 0 || mode_of(journal) == 0600);
    ck_assert_str_eq(all_of(store, "a"), "1");
}
END_TEST

/* A link to a file that does not exist yet. */
START_TEST(rights_through_a_link)
{
    char target[PATH], target_wal[PATH];
    const mode_t before = umask(0);
    ck_assert_int_eq(symlink(in_folder(target, "target.db"), path), 0);
    in_folder(target_wal, "target.db-wal");
    succeed(save(store, "a", 1, 1));
    ck_assert_uint_eq(mode_of(target), 0600);
    ck_assert_uint_eq(mode_of(target_wal), 0600);
    umask(before);
}
END_TEST

/* What another program owns keeps its rights: the file at the path, and what links beside it lead to. */
static const char *const strangers[] = {"sensors.db", "sensors.db-wal", "sensors.db-shm",
                                        "sensors.db-journal"};

START_TEST(files_of_others_keep_their_rights)
{
    char target[PATH], link[PATH];
    write_file(in_folder(target, "target"), "root:x:0:0:root:/root:/bin/sh\n", 31);
    ck_assert_int_eq(chmod(target, 0644), 0);
    ck_assert_int_eq(symlink(target, in_folder(link, strangers[_i])), 0);
    store_open(store, NULL);
    save(store, "a", 1, 1);
    ck_assert_uint_eq(mode_of(target), 0644);
}
END_TEST

/* The file works, and the store says that its rights are another user's. */
START_TEST(files_of_another_user)
{
    succeed(save(store, "a", 1, 1));
    reopen();
    ck_assert_int_eq(chmod(path, 0666), 0);
    ck_assert_int_eq(chmod(folder, 0777), 0);
    if (geteuid() != 0 || !give_up_root()) {
        printf("files_of_another_user is left out: only root can make such a file\n");
        return;
    }
    succeed(save(store, "a", 2, 2));
    ck_assert_int_eq(store_exposure(store), EPERM);
    be_root_again();
}
END_TEST

/* ---- Steps of the clock ---- */

enum { DAY = 86400, TODAY = 1700000000 };

static const struct steps {
    double times[6];
    int count;
    double last;
} clock_steps[] = {
    {{0}, 0, NAN},
    {{TODAY}, 1, TODAY},
    {{TODAY, TODAY + 60, TODAY + 120}, 3, TODAY + 120},
    {{TODAY, TODAY + DAY, TODAY + 2 * DAY}, 3, TODAY + 2 * DAY}, /* as much as is allowed */
    {{TODAY, TODAY + 60 * DAY, TODAY + 60 * DAY + 9}, 3, TODAY + 9},
    {{TODAY, TODAY + 60 * DAY, TODAY + 60 * DAY + 9, TODAY + 70}, 4, TODAY + 9},
    {{TODAY, TODAY - 60 * DAY, TODAY - 60 * DAY + 9}, 3, TODAY + 9},
    {{5, 10, TODAY, TODAY + 1, 7, TODAY + 2}, 6, TODAY + 2},
    {{5, 10}, 2, NAN},
};

START_TEST(steps_of_the_clock)
{
    const struct steps *row = &clock_steps[_i];
    double last = 0;
    for (int i = 0; i < row->count; i++)
        succeed(save(store, i % 2 ? "a" : "b", i, row->times[i]));
    succeed(store_last_time(store, DAY, &last, &failure));
    if (isnan(row->last))
        ck_assert(isnan(last));
    else
        ck_assert_double_eq(last, row->last);
}
END_TEST

/* What was taken offline says nothing about the clock: 100 readings of a day that has long passed come within
 * a second. */
START_TEST(taken_readings_are_no_steps)
{
    double last = 0;
    for (int device = 0; device < 3; device++) {
        succeed(save(store, "a", device, TODAY + device));
        for (int i = 0; i < 100; i++)
            take(store, "b", i, TODAY - (20 + device) * DAY + i * 864, TODAY + device + 0.5);
    }
    succeed(store_last_time(store, 3 * DAY, &last, &failure));
    ck_assert_double_eq(last, (double)TODAY + 2.5);
    by_other(path, "DELETE FROM readings WHERE stored IS NULL");
    succeed(store_last_time(store, 3 * DAY, &last, &failure));
    ck_assert_double_eq(last, (double)TODAY + 2.5);
}
END_TEST

/* ---- True reasons ---- */

static void at_a_folder_that_is_missing(void)
{
    char missing[PATH];
    store_close(store);
    store = store_new(in_folder(missing, "none/sensors.db"), "rpc", BUSY_MS);
}

static void below_a_file(void)
{
    char below[PATH];
    write_file(in_folder(below, "file"), "x", 1);
    store_close(store);
    store = store_new(in_folder(below, "file/sensors.db"), "rpc", BUSY_MS);
}

static void in_a_folder_that_may_not_be_written(void)
{
    ck_assert_int_eq(chmod(folder, 0555), 0);
}

static void in_a_folder_that_may_not_be_searched(void)
{
    ck_assert_int_eq(chmod(folder, 0666), 0);
}

static void below_a_folder_that_may_not_be_searched(void)
{
    char inner[PATH], below[PATH];
    ck_assert_int_eq(mkdir(in_folder(inner, "inner"), 0777), 0);
    ck_assert_int_eq(chmod(inner, 0777), 0);
    store_close(store);
    store = store_new(in_folder(below, "inner/sensors.db"), "rpc", BUSY_MS);
    ck_assert_int_eq(chmod(folder, 0600), 0);
}

static void a_file_that_may_not_be_written(void)
{
    succeed(save(store, "a", 1, 1));
    reopen();
    ck_assert_int_eq(chmod(path, 0444), 0);
}

static void a_file_that_may_not_be_read(void)
{
    a_file_that_may_not_be_written();
    ck_assert_int_eq(chmod(path, 0600), 0);
}

static void a_log_that_may_not_be_read(void)
{
    const pid_t child = fork();
    if (child == 0)
        _exit(save(store, "a", 1, 1) ? 0 : 1);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ck_assert_int_eq(chmod(path, 0666), 0);
}

static void a_folder(void)
{
    ck_assert_int_eq(mkdir(path, 0777), 0);
}

static void a_loop_of_links(void)
{
    ck_assert_int_eq(symlink(path, path), 0);
}

static void a_link_to_nowhere(void)
{
    ck_assert_int_eq(symlink("/nowhere/at/all.db", path), 0);
}

static const struct reason {
    void (*make)(void);
    bool reads; /* it fails already when it is opened for reading */
    const char *why;
} reasons[] = {
    {at_a_folder_that_is_missing, true, "the database's folder does not exist (No such file or directory)"},
    {below_a_file, true, "the database's folder is a file (Not a directory)"},
    {in_a_folder_that_may_not_be_written, true,
     "the database's folder may not be written (Permission denied)"},
    {in_a_folder_that_may_not_be_searched, true,
     "the database's folder may not be searched (Permission denied)"},
    {below_a_folder_that_may_not_be_searched, true,
     "the database's folder may not be searched (Permission denied)"},
    {a_file_that_may_not_be_written, false,
     "the database file belongs to uid 0 and may not be written (Permission denied)"},
    {a_file_that_may_not_be_read, true,
     "the database file belongs to uid 0 and may not be read (Permission denied)"},
    {a_log_that_may_not_be_read, true,
     "the database's log belongs to uid 0 and may not be read (Permission denied)"},
    {a_folder, true, "the database file is a folder (Is a directory)"},
    {a_link_to_nowhere, true,
     "the database file is a link to a file that cannot be created (No such file or directory)"},
    {a_loop_of_links, true, "the database file cannot be reached (Too many levels of symbolic links)"},
};

START_TEST(reasons_are_true)
{
    const struct reason *row = &reasons[_i];
    if (geteuid() != 0 || !give_up_root()) {
        printf("reasons_are_true is left out: only root can make such files\n");
        return;
    }
    be_root_again();
    ck_assert_int_eq(chmod(folder, 0777), 0);
    row->make();
    ck_assert(give_up_root());
    if (row->reads) {
        ck_assert(!store_open(store, &failure));
        ck_assert_str_eq(failure.why, row->why);
        ck_assert_str_eq(failure.path, store_path(store));
    }
    ck_assert(!save(store, "a", 1, 1));
    ck_assert_str_eq(failure.why, row->why);
    be_root_again();
    ck_assert_int_eq(chmod(folder, 0700), 0);
    rmdir(path);
    char inner[PATH];
    rmdir(in_folder(inner, "inner"));
}
END_TEST

UNIT_MAIN(
    "store", make_folder, remove_folder, {taken_readings_are_stored_once, 0},
    {taken_readings_in_one_group, 0}, {taken_readings_that_are_deleted, 0}, {rows_that_name_no_reading, 0},
    {taken_readings_of_two_stores, 0}, {which_is_the_last, UNIT_ROWS(last_ones)},
    {a_repetition_changes_nothing, 0}, {when_a_sensor_was_heard, 0}, {pruning_taken_readings, 0},
    {pruning_taken_readings_alone, 0}, {taken_readings_are_no_steps, 0}, {version_3_is_brought_up_to_date, 0},
    {histories_have_pages, 0}, {readings_are_loaded, 0}, {names_may_be_any_text, 0},
    {visit_may_stop_loading, 0}, {history_has_limits, 0}, {histories_are_in_the_order_of_storing, 0},
    {histories_need_only_the_index, 0}, {prefixes_share_nothing, 0}, {prefixes_do_not_wait_for_each_other, 0},
    {files_have_different_names, 0}, {names_are_short, 0}, {similar_prefixes, 0},
    {the_file_stays_with_its_prefix, 0}, {shared_files_are_divided, UNIT_ROWS(shared_versions)},
    {a_division_that_was_cut_short, 0}, {a_name_that_is_taken, 0}, {rights, UNIT_ROWS(umasks)},
    {steps_of_the_clock, UNIT_ROWS(clock_steps)}, {files_of_others_keep_their_rights, UNIT_ROWS(strangers)},
    {wide_files_are_narrowed, UNIT_ROWS(wide_modes)}, {narrow_files_stay, 0}, {rights_after_a_kill, 0},
    {rights_through_a_link, 0}, {files_of_another_user, 0}, {reasons_are_true, UNIT_ROWS(reasons)},
    {in_memory, 0}, {paths_are_names, 0}, {the_file_is_ours_and_has_a_log, 0}, {closing, 0},
    {groups_are_whole, 0}, {one_failure_fails_the_group, 0}, {stored_readings_survive_a_kill, 0}, {locked, 0},
    {locked_when_it_is_opened, 0}, {locked_when_the_log_is_made, 2}, {full, 0}, {full_when_it_is_made, 0},
    {corrupt, UNIT_ROWS(damages)}, {reasons_are_printable, 0}, {read_only, UNIT_ROWS(read_only_ways)},
    {no_database, 3}, {an_empty_file_is_filled, 0}, {foreign_and_newer_files, UNIT_ROWS(foreign_files)},
    {version_1_is_brought_up_to_date, 0}, {all_versions_end_alike, 0}, {a_step_is_taken_whole, 0},
    {replaced, UNIT_ROWS(replacements)}, {moved_away_whole, 0}, {replaced_within_a_group, 0},
    {replaced_within_anothers_group, 0}, {side_by_side, UNIT_ROWS(names_beside)}, {the_log_is_deleted, 0},
    {pruning_by_age, 0}, {pruning_by_count, 0}, {pruning_goes_by_order, 0}, {sensors_without_readings, 0},
    {pruning_where_time_went_back, 0}, {pruning_where_time_was_ahead, 0}, {removed_sensors_are_told, 0},
    {forgetting, UNIT_ROWS(parts_of_it)}, {forgotten_names_are_free, 0}, {forgetting_on_the_disk, 0},
    {dropping, 0}, {owners_are_kept, 0}, {pruning_is_bounded, UNIT_ROWS(bounds)},
    {keys_are_not_used_again, 0})
