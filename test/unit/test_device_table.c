// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* handlers/device/table.c and names.c: devices by name and by connection, bounds, and running out of memory.
 */
#include "device/names.h"
#include "device/table.h"
#include "failing_malloc.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

enum { ROOM = 4, MANY = 2000 };

static struct devices table;
static int first, second; /* connections */

static void open_table(void)
{
    failing_install();
    table = (struct devices){.max = ROOM};
}

static void close_table(void)
{
    devices_clear(&table);
    ck_assert_ptr_null(table.all);
    ck_assert_ptr_null(table.shared);
    ck_assert_ptr_null(table.away);
}

static struct device *add(const char *name)
{
    struct device *device = devices_add(&table, name, 5);
    ck_assert_ptr_nonnull(device);
    return device;
}

/* ---- By name ---- */

START_TEST(devices_are_found_by_name)
{
    ck_assert_ptr_null(devices_find(&table, "a"));
    struct device *a = add("a"), *b = add("b");
    ck_assert_ptr_eq(devices_find(&table, "a"), a);
    ck_assert_ptr_eq(devices_find(&table, "b"), b);
    ck_assert_ptr_null(devices_find(&table, "ab"));
    ck_assert_ptr_null(devices_find(&table, ""));
    ck_assert_int_eq(a->state, DEVICE_UNKNOWN);
    ck_assert_double_eq(a->since, 5);
    ck_assert_str_eq(device_client(a), "a");
    devices_remove(&table, a);
    ck_assert_ptr_null(devices_find(&table, "a"));
    ck_assert_ptr_eq(devices_find(&table, "b"), b);
}
END_TEST

START_TEST(the_table_is_bounded)
{
    char name[8];
    for (int i = 0; i < ROOM; i++) {
        ck_assert(!devices_are_full(&table));
        snprintf(name, sizeof name, "%d", i);
        add(name);
    }
    ck_assert(devices_are_full(&table));
    ck_assert_ptr_null(devices_add(&table, "more", 5));
    devices_remove(&table, table.all);
    add("more");
}
END_TEST

/* What a device takes with a name of 20 bytes, its connection and its part of both tables, as malloc() rounds
 * it. */
START_TEST(a_device_is_small)
{
    enum { NAME = 21, OVERHEAD = 16, BUCKETS = 2 * sizeof(UT_hash_bucket) };
    ck_assert_uint_lt(sizeof(struct device) + NAME + sizeof(struct connection) + 2 * OVERHEAD + BUCKETS, 400);
}
END_TEST

/* Names that resemble each other do not end up in the same place. */
START_TEST(names_are_spread)
{
    static const char *const forms[] = {"%d", "sensor-device-%05d", "%05d-sensor-device", "{%08x}", "a/%d/b"};
    char name[32];
    table.max = MANY;
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, forms[_i], i);
        add(name);
    }
    const UT_hash_table *hash = table.all->hh.tbl;
    ck_assert_uint_le(hash->num_buckets, MANY);
    for (unsigned i = 0; i < hash->num_buckets; i++)
        ck_assert_uint_lt(hash->buckets[i].count, 20);
}
END_TEST

/* ---- By connection ---- */

START_TEST(devices_are_found_by_connection)
{
    struct device *a = add("a");
    ck_assert_ptr_null(devices_of_connection(&table, &first, "a"));
    ck_assert(devices_connect(&table, a, &first, "a"));
    ck_assert_ptr_eq(devices_of_connection(&table, &first, "a"), a);
    ck_assert(device_is_on(a, &first) && !device_is_on(a, &second));
    ck_assert_ptr_null(table.away);
    ck_assert(devices_connect(&table, a, &second, "other"));
    ck_assert_ptr_null(devices_of_connection(&table, &first, "a"));
    ck_assert_ptr_eq(devices_of_connection(&table, &second, "other"), a);
    ck_assert_str_eq(device_client(a), "other");
    devices_disconnect(&table, a);
    devices_disconnect(&table, a);
    ck_assert_ptr_null(devices_of_connection(&table, &second, "other"));
    ck_assert_ptr_eq(table.away, a);
    ck_assert_str_eq(device_client(a), "other");
    ck_assert(devices_connect(&table, a, &second, "a"));
    ck_assert_ptr_null(a->client);
    ck_assert_ptr_null(table.shared);
    ck_assert_ptr_eq(devices_of_connection(&table, &second, "a"), a);
    ck_assert_ptr_null(devices_of_connection(&table, &second, "other"));
    ck_assert_ptr_null(devices_of_connection(&table, &first, "a"));
}
END_TEST

/* A gateway's connection is that of many devices. */
START_TEST(many_devices_of_one_connection)
{
    char name[16];
    table.max = MANY;
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "d%d", i);
        ck_assert(devices_connect(&table, add(name), &first, "gateway"));
    }
    ck_assert_uint_eq(HASH_COUNT(table.shared), 1);
    int count = 0;
    for (struct device *device; (device = devices_of_connection(&table, &first, "gateway")); count++)
        devices_disconnect(&table, device);
    ck_assert_int_eq(count, MANY);
    ck_assert_ptr_null(table.shared);
}
END_TEST

/* A gateway may be a device itself. */
START_TEST(a_device_that_is_a_gateway)
{
    struct device *a = add("a"), *g = add("g");
    ck_assert(devices_connect(&table, a, &first, "g") && devices_connect(&table, g, &first, "g"));
    ck_assert_ptr_eq(devices_of_connection(&table, &first, "g"), g);
    devices_disconnect(&table, g);
    ck_assert_ptr_eq(devices_of_connection(&table, &first, "g"), a);
    devices_disconnect(&table, a);
    ck_assert_ptr_null(devices_of_connection(&table, &first, "g"));
}
END_TEST

/* Each device of a gateway keeps its client id. */
START_TEST(long_client_ids)
{
    static char id[DEVICE_CLIENT_MAX + 2];
    struct device *a = add("a");
    memset(id, 'g', DEVICE_CLIENT_MAX);
    ck_assert(devices_connect(&table, a, &first, id));
    id[DEVICE_CLIENT_MAX] = 'g';
    ck_assert(!devices_connect(&table, a, &second, id));
    ck_assert(device_is_on(a, &first));
    ck_assert_ptr_null(devices_of_connection(&table, &second, id));
}
END_TEST

START_TEST(a_connected_device_is_removed)
{
    struct device *a = add("a"), *b = add("b");
    ck_assert(devices_connect(&table, a, &first, "g") && devices_connect(&table, b, &first, "g"));
    devices_remove(&table, a);
    ck_assert_ptr_eq(devices_of_connection(&table, &first, "gateway"), b);
    devices_remove(&table, b);
    ck_assert_ptr_null(devices_of_connection(&table, &first, "gateway"));
}
END_TEST

/* ---- Who makes room ---- */

START_TEST(the_one_that_was_away_longest_makes_room)
{
    struct command *const some = (struct command *)(void *)&first;
    ck_assert_ptr_null(devices_find_leaver(&table));
    struct device *a = add("a"), *b = add("b"), *c = add("c");
    ck_assert_ptr_eq(devices_find_leaver(&table), a);
    a->waiting = some;
    ck_assert_ptr_eq(devices_find_leaver(&table), b);
    b->flying = some;
    ck_assert_ptr_eq(devices_find_leaver(&table), c);
    ck_assert(devices_connect(&table, c, &first, "c"));
    ck_assert_ptr_null(devices_find_leaver(&table));
    b->flying = NULL;
    devices_disconnect(&table, c);
    ck_assert_ptr_eq(devices_find_leaver(&table), b);
    ck_assert(devices_connect(&table, b, &first, "b"));
    devices_disconnect(&table, b);
    ck_assert_ptr_eq(devices_find_leaver(&table), c);
}
END_TEST

/* ---- States ---- */

static const struct deliverable {
    enum device_state state;
    bool leaving, settling, is_present, is_deliverable;
} deliverables[] = {
    {DEVICE_UNKNOWN, false, false, true, true},    {DEVICE_ONLINE, false, false, true, true},
    {DEVICE_READY, false, false, true, true},      {DEVICE_SILENT, false, false, true, true},
    {DEVICE_SLEEPING, false, false, false, false}, {DEVICE_OFFLINE, false, false, false, false},
    {DEVICE_READY, true, false, true, false},      {DEVICE_ONLINE, false, true, true, false},
};

START_TEST(who_gets_commands)
{
    const struct deliverable *row = &deliverables[_i];
    const struct device device = {.state = row->state, .leaving = row->leaving, .settling = row->settling};
    ck_assert_int_eq(device_is_present(&device), row->is_present);
    ck_assert_int_eq(device_is_deliverable(&device), row->is_deliverable);
}
END_TEST

/* ---- Without memory ---- */

/* Each step fails as a whole. */
static bool use_table(void)
{
    struct device *device = devices_add(&table, "a", 5);
    const bool worked = device && devices_connect(&table, device, &first, "gateway") &&
                        devices_connect(&table, device, &second, "other") &&
                        devices_connect(&table, device, &first, "a") &&
                        device_set_text(&device->kind, "lamp");
    if (device && !worked) {
        device->kind = NULL;
        devices_disconnect(&table, device);
    }
    devices_clear(&table);
    return worked;
}

START_TEST(without_memory)
{
    const enum failing_mode mode = _i ? FAILING_FROM : FAILING_ONCE;
    for (size_t n = 0;; n++) {
        failing_arm(mode, n);
        const bool worked = use_table();
        const bool failed = failing_disarm();
        ck_assert_uint_eq(failing_live(), 0);
        ck_assert_ptr_null(table.shared);
        ck_assert_int_eq(worked, !failed);
        if (!failed)
            return;
    }
}
END_TEST

/* ---- Names ---- */

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct name {
    const char *text;
    bool is_device, is_command;
} names[] = {
    {"lamp1", true, true},
    {"", false, false},
    {"a/b", false, false},
    {"a+", false, false},
    {"#", false, false},
    {"a b", true, false},
    {"$x", true, false},
    {"l\xC3\xA4mp", true, false},
    {"\xC3", false, false},
    {"\xC0\x80", false, false},
    {"\xED\xA0\x80", false, false},
    {"\xF4\x90\x80\x80", false, false},
    {"\xEF\xBF\xBF", false, false},
    {"\xEF\xB7\x90", false, false},
    {"a\x01", false, false},
    {"a\x7F", false, false},
    {"\xC2\x85", false, false},
    {"\xF0\x9F\x92\xA1", true, false},
    {X64 X64, true, true},
    {X64 X64 "x", false, false},
    {"get.Status_1-x", true, true},
    {"\xFF", false, false},
};

START_TEST(names_of_devices_and_commands)
{
    ck_assert_int_eq(name_is_device(names[_i].text), names[_i].is_device);
    ck_assert_int_eq(name_is_command(names[_i].text), names[_i].is_command);
}
END_TEST

START_TEST(words_of_a_list)
{
    static const char list[] = "  a bc   d";
    ck_assert(name_is_listed(list, "a") && name_is_listed(list, "bc") && name_is_listed(list, "d"));
    ck_assert(!name_is_listed(list, "b") && !name_is_listed(list, "") && !name_is_listed(list, "a bc"));
    ck_assert(!name_is_listed(NULL, "a") && !name_is_listed("", "") && !name_is_listed("  ", ""));
}
END_TEST

UNIT_MAIN("device_table", open_table, close_table, {devices_are_found_by_name, 0}, {the_table_is_bounded, 0},
          {a_device_is_small, 0}, {names_are_spread, 5}, {devices_are_found_by_connection, 0},
          {many_devices_of_one_connection, 0}, {a_device_that_is_a_gateway, 0}, {long_client_ids, 0},
          {a_connected_device_is_removed, 0}, {the_one_that_was_away_longest_makes_room, 0},
          {who_gets_commands, UNIT_ROWS(deliverables)}, {without_memory, 2},
          {names_of_devices_and_commands, UNIT_ROWS(names)}, {words_of_a_list, 0})
