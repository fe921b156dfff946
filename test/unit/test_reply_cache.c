// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/dedup/reply_cache.c: the table of calls with their replies, its bounds, its window, and the entries
 * that are never evicted.
 */
#include "dedup/clients.h"
#include "dedup/reply_cache.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static struct reply_cache cache;
static struct clients clients;

static void open_table(void)
{
    cache = (struct reply_cache){.max_entries = 4, .max_bytes = 100, .window = 60};
    clients = (struct clients){.duplicates = &cache, .ordered = &cache};
}

static void close_table(void)
{
    reply_cache_fini(&cache);
    clients_fini(&clients);
    ck_assert_uint_eq(cache.count, 0);
    ck_assert_uint_eq(cache.bytes, 0);
    ck_assert_ptr_null(cache.by_key);
    ck_assert_ptr_null(cache.finished);
    ck_assert_ptr_null(cache.unfinished);
}

static struct digest key_of(uint64_t number)
{
    return (struct digest){{number, ~number}};
}

static struct cached_reply *enter(uint64_t number, uint64_t now)
{
    const struct digest key = key_of(number);
    return reply_cache_enter(&cache, &key, true, NULL, now);
}

static bool finish(struct cached_reply *entry, const char *reply)
{
    return reply_cache_finish(&cache, entry, "ok", reply, reply ? strlen(reply) : 0);
}

/* A call that gets its reply at once. */
static bool pass(uint64_t number, uint64_t now, const char *reply)
{
    struct cached_reply *entry = enter(number, now);
    ck_assert_ptr_nonnull(entry);
    return finish(entry, reply);
}

static struct cached_reply *find(uint64_t number, uint64_t now)
{
    const struct digest key = key_of(number);
    return reply_cache_find(&cache, &key, now);
}

START_TEST(replies_are_found)
{
    char reply[] = "reply";
    ck_assert_ptr_null(find(1, 0));
    struct cached_reply *entry = enter(1, 0);
    ck_assert_ptr_eq(find(1, 0), entry);
    ck_assert(!entry->finished);
    ck_assert(reply_cache_finish(&cache, entry, "status", reply, 5));
    memset(reply, 'x', sizeof reply); /* the cache has a copy */
    ck_assert_ptr_eq(find(1, 0), entry);
    ck_assert(entry->finished);
    ck_assert_str_eq(entry->status, "status");
    ck_assert_uint_eq(entry->size, 5);
    ck_assert_mem_eq(entry->reply, "reply", 5);
    ck_assert_ptr_null(find(2, 0));
    ck_assert_uint_eq(cache.count, 1);
    ck_assert_uint_eq(cache.bytes, 5);
}
END_TEST

/* Both halves of the key are compared. */
START_TEST(keys_are_compared_whole)
{
    const struct digest keys[] = {{{1, 2}}, {{1, 3}}, {{0, 2}}, {{2, 1}}};
    for (size_t i = 0; i < 4; i++) {
        ck_assert_ptr_null(reply_cache_find(&cache, &keys[i], 0));
        ck_assert_ptr_nonnull(reply_cache_enter(&cache, &keys[i], true, NULL, 0));
    }
}
END_TEST

START_TEST(the_window_begins_with_the_arrival)
{
    struct cached_reply *entry = enter(1, 100);
    finish(entry, "a");
    ck_assert_ptr_nonnull(find(1, 100));
    ck_assert_ptr_nonnull(find(1, 160));
    ck_assert_ptr_null(find(1, 161));
    ck_assert_uint_eq(cache.count, 0);
}
END_TEST

/* A call that still runs does not expire. */
START_TEST(pending_entries_do_not_expire)
{
    struct cached_reply *entry = enter(1, 100);
    reply_cache_expire(&cache, 100000);
    ck_assert_ptr_eq(find(1, 100000), entry);
    finish(entry, "a");
    ck_assert_ptr_null(find(1, 100000));
}
END_TEST

START_TEST(expiry)
{
    cache.max_entries = 10;
    for (uint64_t i = 0; i < 5; i++)
        pass(i, 10 * i, "abc");
    struct cached_reply *running = enter(9, 0);
    reply_cache_expire(&cache, 60);
    ck_assert_uint_eq(cache.count, 6);
    reply_cache_expire(&cache, 85);
    ck_assert_uint_eq(cache.count, 3); /* those of 30 and 40, and the one that runs */
    ck_assert_uint_eq(cache.bytes, 6);
    reply_cache_expire(&cache, 1000);
    ck_assert_uint_eq(cache.count, 1);
    finish(running, NULL);
    reply_cache_expire(&cache, 1000);
    ck_assert_uint_eq(cache.count, 0);
}
END_TEST

/* Many entries expire in several steps, so that none takes long. */
START_TEST(expiry_in_steps)
{
    cache.max_entries = 5000;
    for (uint64_t i = 0; i < 5000; i++)
        pass(i, 0, NULL);
    reply_cache_expire(&cache, 100);
    ck_assert_uint_gt(cache.count, 0);
    ck_assert_uint_lt(cache.count, 5000);
    for (int i = 0; i < 100; i++)
        reply_cache_expire(&cache, 100);
    ck_assert_uint_eq(cache.count, 0);
}
END_TEST

START_TEST(the_oldest_is_evicted)
{
    for (uint64_t i = 1; i <= 6; i++)
        ck_assert(pass(i, i, "a"));
    ck_assert_uint_eq(cache.count, 4);
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
    ck_assert_uint_eq(cache.bytes, 80);
    ck_assert(pass(3, 3, large)); /* instead of the first */
    ck_assert_uint_eq(cache.bytes, 80);
    ck_assert_ptr_null(find(1, 3));
    ck_assert_ptr_nonnull(find(2, 3));
    /* As many as fit. */
    large[40] = 'x';
    large[100] = '\0';
    ck_assert(pass(4, 4, large));
    ck_assert_uint_eq(cache.bytes, 100);
    ck_assert_uint_eq(cache.count, 1);
}
END_TEST

/* A reply that does not fit at all evicts no other, and its entry is removed. */
START_TEST(replies_that_are_too_large)
{
    char large[102];
    memset(large, 'x', sizeof large - 1);
    large[101] = '\0';
    ck_assert(pass(1, 1, "a"));
    ck_assert(!pass(2, 2, large));
    ck_assert_ptr_null(find(2, 2));
    ck_assert_ptr_nonnull(find(1, 2));
    ck_assert_uint_eq(cache.count, 1);
    ck_assert_uint_eq(cache.bytes, 1);
}
END_TEST

START_TEST(entries_without_a_reply_are_kept)
{
    ck_assert(pass(1, 1, NULL));
    struct cached_reply *entry = find(1, 2);
    ck_assert_ptr_nonnull(entry);
    ck_assert_ptr_null(entry->reply);
    ck_assert_uint_eq(cache.bytes, 0);
}
END_TEST

START_TEST(pending_entries_are_not_evicted)
{
    struct cached_reply *running[4];
    for (uint64_t i = 0; i < 4; i++)
        running[i] = enter(i, i);
    ck_assert_ptr_null(enter(9, 9));
    ck_assert_uint_eq(cache.count, 4);
    for (uint64_t i = 0; i < 4; i++)
        ck_assert_ptr_eq(find(i, 9), running[i]);
    /* An entry that has its reply may be evicted. */
    finish(running[2], "a");
    struct cached_reply *entry = enter(9, 9);
    ck_assert_ptr_nonnull(entry);
    ck_assert_ptr_null(find(2, 9));
    ck_assert_ptr_null(enter(10, 10));
    finish(entry, NULL);
    for (int i = 0; i < 4; i++) {
        if (i != 2)
            finish(running[i], NULL);
    }
}
END_TEST

START_TEST(forgetting)
{
    pass(1, 1, "abc");
    reply_cache_forget(&cache, find(1, 1));
    ck_assert_ptr_null(find(1, 1));
    ck_assert_uint_eq(cache.count, 0);
    ck_assert_uint_eq(cache.bytes, 0);
}
END_TEST

/* An abandoned entry that still runs is not found, and the same call is a new one; it is freed when it has
 * its reply. */
START_TEST(abandoned_entries)
{
    struct cached_reply *entry = enter(1, 1);
    reply_cache_forget(&cache, entry);
    ck_assert_ptr_null(find(1, 1));
    ck_assert_uint_eq(cache.count, 1); /* it still counts */
    struct cached_reply *second = enter(1, 2);
    ck_assert_ptr_nonnull(second);
    ck_assert(!finish(entry, "first"));
    ck_assert_uint_eq(cache.count, 1);
    ck_assert_uint_eq(cache.bytes, 0);
    ck_assert_ptr_eq(find(1, 2), second);
    ck_assert(finish(second, "second"));
    ck_assert_mem_eq(find(1, 2)->reply, "second", 6);
}
END_TEST

START_TEST(forgetting_twice)
{
    struct cached_reply *entry = enter(1, 1);
    reply_cache_forget(&cache, entry);
    reply_cache_forget(&cache, entry);
    ck_assert(!finish(entry, NULL));
    ck_assert_uint_eq(cache.count, 0);
}
END_TEST

/* Only its owner finds an entry without a key. */
START_TEST(entries_without_a_key)
{
    const struct digest key = key_of(1);
    const struct host_client connected = {.id = "c", .connection = &key, .version = 5};
    struct client *client = clients_meet(&clients, &connected, 1);
    struct cached_reply *one = reply_cache_enter(&cache, &key, false, &client->held, 1);
    struct cached_reply *two = reply_cache_enter(&cache, &key, false, &client->held, 1);
    ck_assert_ptr_null(find(1, 1));
    ck_assert_ptr_eq(client->held.order, one);
    ck_assert_uint_eq(client->held.order_count, 2);
    finish(one, "a");
    reply_cache_forget(&cache, one);
    ck_assert_ptr_eq(client->held.order, two);
    ck_assert_uint_eq(client->held.order_count, 1);
    reply_cache_forget(&cache, two);
    ck_assert_ptr_null(client->held.order);
    finish(two, NULL);
}
END_TEST

/* An evicted entry leaves its owner's list, too. */
START_TEST(evicted_entries_leave_their_owner)
{
    static const int connection;
    const struct host_client connected = {.id = "c", .connection = &connection, .version = 5};
    struct client *client = clients_meet(&clients, &connected, 1);
    for (uint64_t i = 0; i < 6; i++) {
        const struct digest key = key_of(i);
        finish(reply_cache_enter(&cache, &key, true, &client->held, 1), "abc");
    }
    size_t bound = 0;
    for (const struct cached_reply *entry = client->held.bound; entry; entry = entry->holder_next)
        bound++;
    ck_assert_uint_eq(bound, 4);
    reply_cache_expire(&cache, 1000);
    ck_assert_ptr_null(client->held.bound);
}
END_TEST

/* A million identities take no more memory than the bound allows. */
START_TEST(a_million_calls)
{
    cache.max_entries = 10000;
    cache.max_bytes = 100000;
    for (uint64_t i = 0; i < 1000000; i++) {
        ck_assert(pass(i, i, "twenty bytes of text"));
        if (cache.count > 10000 || cache.bytes > 100000)
            ck_abort_msg("%zu entries, %zu bytes", cache.count, cache.bytes);
    }
    ck_assert_uint_eq(cache.count, 5000);
    ck_assert_uint_le(sizeof(struct cached_reply), 256);
}
END_TEST

/* ---- Limits that change ---- */

static void fill(uint64_t count, const char *reply)
{
    for (uint64_t i = 0; i < count; i++)
        ck_assert(pass(i, 0, reply));
}

/* A reply that is large makes as many small ones go as it needs. */
START_TEST(a_large_reply_among_small_ones)
{
    char large[30001];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    cache.max_entries = 10000;
    cache.max_bytes = 40000;
    fill(4000, "0123456789");
    ck_assert_uint_eq(cache.bytes, 40000);
    ck_assert(pass(5000, 0, large));
    ck_assert_uint_eq(cache.bytes, 40000);
    ck_assert_ptr_nonnull(find(5000, 0));
}
END_TEST

/* Step by step, however large the table was; meanwhile new replies are kept, and the table never grows. */
START_TEST(fewer_bytes)
{
    cache.max_entries = 10000;
    cache.max_bytes = 100000;
    fill(5000, "0123456789");
    cache.max_bytes = 100;
    for (uint64_t n = 10000; cache.bytes > 100; n++) {
        const size_t count = cache.count, bytes = cache.bytes;
        ck_assert(pass(n, 0, "0123456789"));
        ck_assert_ptr_nonnull(find(n, 0));
        ck_assert_uint_lt(cache.bytes, bytes);
        ck_assert_uint_ge(cache.count + 1000, count); /* not all at once */
    }
    ck_assert(pass(1, 0, "0123456789"));
    ck_assert_uint_eq(cache.bytes, 100);
}
END_TEST

START_TEST(bytes_that_only_wait)
{
    cache.max_entries = 10;
    struct cached_reply *first = enter(1, 0);
    ck_assert(pass(2, 0, "0123456789"));
    cache.max_bytes = 5;
    ck_assert(!finish(first, "0123456789")); /* larger than the limit */
    ck_assert(pass(3, 0, "01234"));
    ck_assert_uint_eq(cache.bytes, 5);
}
END_TEST

/* Entries that have not ended stay, and no other one comes until there is room. */
START_TEST(fewer_entries)
{
    struct cached_reply *open[4];
    for (uint64_t i = 0; i < 4; i++)
        ck_assert_ptr_nonnull(open[i] = enter(i, 0));
    cache.max_entries = 2;
    ck_assert_ptr_null(enter(9, 0));
    reply_cache_expire(&cache, 0);
    ck_assert_uint_eq(cache.count, 4);
    ck_assert(finish(open[0], "a"));
    ck_assert_ptr_eq(find(0, 0), open[0]);
    reply_cache_expire(&cache, 0);
    ck_assert_uint_eq(cache.count, 3);
    for (uint64_t i = 1; i < 4; i++)
        ck_assert(finish(open[i], "a"));
    ck_assert(pass(9, 0, "a"));
    ck_assert_uint_eq(cache.count, 2);
}
END_TEST

UNIT_MAIN("entry", open_table, close_table, {replies_are_found, 0}, {keys_are_compared_whole, 0},
          {the_window_begins_with_the_arrival, 0}, {pending_entries_do_not_expire, 0}, {expiry, 0},
          {expiry_in_steps, 0}, {the_oldest_is_evicted, 0}, {bytes_are_bounded, 0},
          {replies_that_are_too_large, 0}, {entries_without_a_reply_are_kept, 0},
          {pending_entries_are_not_evicted, 0}, {forgetting, 0}, {abandoned_entries, 0},
          {forgetting_twice, 0}, {entries_without_a_key, 0}, {evicted_entries_leave_their_owner, 0},
          {a_million_calls, 0}, {a_large_reply_among_small_ones, 0}, {fewer_bytes, 0},
          {bytes_that_only_wait, 0}, {fewer_entries, 0})
