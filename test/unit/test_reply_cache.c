// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/dedup/reply_cache.c: the table of calls that are remembered, its bounds, its window, and what it never
 * forgets.
 */
#include "dedup/clients.h"
#include "dedup/reply_cache.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static struct recalls recalls;
static struct clients clients;

static void open_table(void)
{
    recalls = (struct recalls){.most = 4, .most_bytes = 100, .window = 60};
    clients = (struct clients){.duplicates = &recalls, .ordered = &recalls};
}

static void close_table(void)
{
    recalls_clear(&recalls);
    clients_clear(&clients);
    ck_assert_uint_eq(recalls.count, 0);
    ck_assert_uint_eq(recalls.bytes, 0);
    ck_assert_ptr_null(recalls.by_key);
    ck_assert_ptr_null(recalls.finished);
    ck_assert_ptr_null(recalls.unfinished);
}

static struct digest key_of(uint64_t number)
{
    return (struct digest){{number, ~number}};
}

static struct recall *enter(uint64_t number, uint64_t now)
{
    const struct digest key = key_of(number);
    return recalls_enter(&recalls, &key, true, NULL, now);
}

static bool finish(struct recall *recall, const char *reply)
{
    return recalls_finish(&recalls, recall, "ok", reply, reply ? strlen(reply) : 0);
}

/* A call that comes and is answered at once. */
static bool pass(uint64_t number, uint64_t now, const char *reply)
{
    struct recall *recall = enter(number, now);
    ck_assert_ptr_nonnull(recall);
    return finish(recall, reply);
}

static struct recall *find(uint64_t number, uint64_t now)
{
    const struct digest key = key_of(number);
    return recalls_find(&recalls, &key, now);
}

START_TEST(what_was_answered_is_found)
{
    char reply[] = "reply";
    ck_assert_ptr_null(find(1, 0));
    struct recall *recall = enter(1, 0);
    ck_assert_ptr_eq(find(1, 0), recall);
    ck_assert(!recall->finished);
    ck_assert(recalls_finish(&recalls, recall, "status", reply, 5));
    memset(reply, 'x', sizeof reply); /* it was copied */
    ck_assert_ptr_eq(find(1, 0), recall);
    ck_assert(recall->finished);
    ck_assert_str_eq(recall->status, "status");
    ck_assert_uint_eq(recall->size, 5);
    ck_assert_mem_eq(recall->reply, "reply", 5);
    ck_assert_ptr_null(find(2, 0));
    ck_assert_uint_eq(recalls.count, 1);
    ck_assert_uint_eq(recalls.bytes, 5);
}
END_TEST

/* Both halves of the key count. */
START_TEST(keys_are_compared_whole)
{
    const struct digest keys[] = {{{1, 2}}, {{1, 3}}, {{0, 2}}, {{2, 1}}};
    for (size_t i = 0; i < 4; i++) {
        ck_assert_ptr_null(recalls_find(&recalls, &keys[i], 0));
        ck_assert_ptr_nonnull(recalls_enter(&recalls, &keys[i], true, NULL, 0));
    }
}
END_TEST

START_TEST(the_window_begins_with_the_arrival)
{
    struct recall *recall = enter(1, 100);
    finish(recall, "a");
    ck_assert_ptr_nonnull(find(1, 100));
    ck_assert_ptr_nonnull(find(1, 160));
    ck_assert_ptr_null(find(1, 161));
    ck_assert_uint_eq(recalls.count, 0);
}
END_TEST

/* However long it takes: the promise was given. */
START_TEST(what_still_runs_is_never_too_old)
{
    struct recall *recall = enter(1, 100);
    recalls_expire(&recalls, 100000);
    ck_assert_ptr_eq(find(1, 100000), recall);
    finish(recall, "a");
    ck_assert_ptr_null(find(1, 100000));
}
END_TEST

START_TEST(expiry)
{
    recalls.most = 10;
    for (uint64_t i = 0; i < 5; i++)
        pass(i, 10 * i, "abc");
    struct recall *running = enter(9, 0);
    recalls_expire(&recalls, 60);
    ck_assert_uint_eq(recalls.count, 6);
    recalls_expire(&recalls, 85);
    ck_assert_uint_eq(recalls.count, 3); /* those of 30 and 40, and the one that runs */
    ck_assert_uint_eq(recalls.bytes, 6);
    recalls_expire(&recalls, 1000);
    ck_assert_uint_eq(recalls.count, 1);
    finish(running, NULL);
    recalls_expire(&recalls, 1000);
    ck_assert_uint_eq(recalls.count, 0);
}
END_TEST

/* Many at once are forgotten in several goes, so that nobody waits for it. */
START_TEST(expiry_takes_its_time)
{
    recalls.most = 5000;
    for (uint64_t i = 0; i < 5000; i++)
        pass(i, 0, NULL);
    recalls_expire(&recalls, 100);
    ck_assert_uint_gt(recalls.count, 0);
    ck_assert_uint_lt(recalls.count, 5000);
    for (int i = 0; i < 100; i++)
        recalls_expire(&recalls, 100);
    ck_assert_uint_eq(recalls.count, 0);
}
END_TEST

START_TEST(the_oldest_goes_first)
{
    for (uint64_t i = 1; i <= 6; i++)
        ck_assert(pass(i, i, "a"));
    ck_assert_uint_eq(recalls.count, 4);
    ck_assert_ptr_null(find(1, 6));
    ck_assert_ptr_null(find(2, 6));
    for (uint64_t i = 3; i <= 6; i++)
        ck_assert_ptr_nonnull(find(i, 6));
}
END_TEST

START_TEST(bytes_are_bounded)
{
    char large[101];
    memset(large, 'x', sizeof large - 1);
    large[40] = '\0';
    ck_assert(pass(1, 1, large));
    ck_assert(pass(2, 2, large));
    ck_assert_uint_eq(recalls.bytes, 80);
    ck_assert(pass(3, 3, large)); /* instead of the first */
    ck_assert_uint_eq(recalls.bytes, 80);
    ck_assert_ptr_null(find(1, 3));
    ck_assert_ptr_nonnull(find(2, 3));
    /* All that there is room for. */
    large[40] = 'x';
    large[100] = '\0';
    ck_assert(pass(4, 4, large));
    ck_assert_uint_eq(recalls.bytes, 100);
    ck_assert_uint_eq(recalls.count, 1);
}
END_TEST

/* One that does not fit at all drives no other out, and is not kept without its reply either. */
START_TEST(replies_that_are_too_large)
{
    char large[102];
    memset(large, 'x', sizeof large - 1);
    large[101] = '\0';
    ck_assert(pass(1, 1, "a"));
    ck_assert(!pass(2, 2, large));
    ck_assert_ptr_null(find(2, 2));
    ck_assert_ptr_nonnull(find(1, 2));
    ck_assert_uint_eq(recalls.count, 1);
    ck_assert_uint_eq(recalls.bytes, 1);
}
END_TEST

START_TEST(what_had_no_reply_is_kept_all_the_same)
{
    ck_assert(pass(1, 1, NULL));
    struct recall *recall = find(1, 2);
    ck_assert_ptr_nonnull(recall);
    ck_assert_ptr_null(recall->reply);
    ck_assert_uint_eq(recalls.bytes, 0);
}
END_TEST

START_TEST(what_still_runs_makes_no_room)
{
    struct recall *running[4];
    for (uint64_t i = 0; i < 4; i++)
        running[i] = enter(i, i);
    ck_assert_ptr_null(enter(9, 9));
    ck_assert_uint_eq(recalls.count, 4);
    for (uint64_t i = 0; i < 4; i++)
        ck_assert_ptr_eq(find(i, 9), running[i]);
    /* As soon as one has been answered it may go. */
    finish(running[2], "a");
    struct recall *recall = enter(9, 9);
    ck_assert_ptr_nonnull(recall);
    ck_assert_ptr_null(find(2, 9));
    ck_assert_ptr_null(enter(10, 10));
    finish(recall, NULL);
    for (int i = 0; i < 4; i++) {
        if (i != 2)
            finish(running[i], NULL);
    }
}
END_TEST

START_TEST(forgetting)
{
    pass(1, 1, "abc");
    recalls_forget(&recalls, find(1, 1));
    ck_assert_ptr_null(find(1, 1));
    ck_assert_uint_eq(recalls.count, 0);
    ck_assert_uint_eq(recalls.bytes, 0);
}
END_TEST

/* One that still runs is found no more, and the same call is a new one; it goes when it has been answered. */
START_TEST(abandoned_entries)
{
    struct recall *recall = enter(1, 1);
    recalls_forget(&recalls, recall);
    ck_assert_ptr_null(find(1, 1));
    ck_assert_uint_eq(recalls.count, 1); /* it still takes its place */
    struct recall *second = enter(1, 2);
    ck_assert_ptr_nonnull(second);
    ck_assert(!finish(recall, "first"));
    ck_assert_uint_eq(recalls.count, 1);
    ck_assert_uint_eq(recalls.bytes, 0);
    ck_assert_ptr_eq(find(1, 2), second);
    ck_assert(finish(second, "second"));
    ck_assert_mem_eq(find(1, 2)->reply, "second", 6);
}
END_TEST

START_TEST(forgetting_twice)
{
    struct recall *recall = enter(1, 1);
    recalls_forget(&recalls, recall);
    recalls_forget(&recalls, recall);
    ck_assert(!finish(recall, NULL));
    ck_assert_uint_eq(recalls.count, 0);
}
END_TEST

/* Those without a key are found by their owner only. */
START_TEST(entries_without_a_key)
{
    const struct digest key = key_of(1);
    const struct host_client connected = {.id = "c", .connection = &key, .version = 5};
    struct client *client = clients_meet(&clients, &connected, 1);
    struct recall *one = recalls_enter(&recalls, &key, false, client, 1);
    struct recall *two = recalls_enter(&recalls, &key, false, client, 1);
    ck_assert_ptr_null(find(1, 1));
    ck_assert_ptr_eq(client->order, one);
    ck_assert_uint_eq(client->order_count, 2);
    finish(one, "a");
    recalls_forget(&recalls, one);
    ck_assert_ptr_eq(client->order, two);
    ck_assert_uint_eq(client->order_count, 1);
    recalls_forget(&recalls, two);
    ck_assert_ptr_null(client->order);
    finish(two, NULL);
}
END_TEST

/* An entry that makes room leaves its owner's list, too. */
START_TEST(owners_notice)
{
    static const int connection;
    const struct host_client connected = {.id = "c", .connection = &connection, .version = 5};
    struct client *client = clients_meet(&clients, &connected, 1);
    for (uint64_t i = 0; i < 6; i++) {
        const struct digest key = key_of(i);
        finish(recalls_enter(&recalls, &key, true, client, 1), "abc");
    }
    size_t bound = 0;
    for (const struct recall *recall = client->bound; recall; recall = recall->owner_next)
        bound++;
    ck_assert_uint_eq(bound, 4);
    recalls_expire(&recalls, 1000);
    ck_assert_ptr_null(client->bound);
}
END_TEST

/* A million identities: the memory is that of the bound. */
START_TEST(a_million_calls)
{
    recalls.most = 10000;
    recalls.most_bytes = 100000;
    for (uint64_t i = 0; i < 1000000; i++) {
        ck_assert(pass(i, i, "twenty bytes of text"));
        if (recalls.count > 10000 || recalls.bytes > 100000)
            ck_abort_msg("%zu entries, %zu bytes", recalls.count, recalls.bytes);
    }
    ck_assert_uint_eq(recalls.count, 5000);
    ck_assert_uint_le(sizeof(struct recall), 256);
}
END_TEST

UNIT_MAIN("recall", open_table, close_table, {what_was_answered_is_found, 0}, {keys_are_compared_whole, 0},
          {the_window_begins_with_the_arrival, 0}, {what_still_runs_is_never_too_old, 0}, {expiry, 0},
          {expiry_takes_its_time, 0}, {the_oldest_goes_first, 0}, {bytes_are_bounded, 0},
          {replies_that_are_too_large, 0}, {what_had_no_reply_is_kept_all_the_same, 0},
          {what_still_runs_makes_no_room, 0}, {forgetting, 0}, {abandoned_entries, 0}, {forgetting_twice, 0},
          {entries_without_a_key, 0}, {owners_notice, 0}, {a_million_calls, 0})
