// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * rpc.metrics: what stands in the document, that all pages together are one document, and that callers cannot
 * make series. That Prometheus accepts the format is for test/broker/test_observe.py to find out.
 */
#include "lab.h"
#include "unit.h"
#include "works.h"

#include "observe/observe.h"
#include "stats/statistics.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DOCUMENT = 1 << 20, LINES = 8000, PAGES = 1000 };

static struct rig rig;
static struct lab_options options;
static char document[DOCUMENT]; /* all pages */
static char *lines[LINES];
static size_t line_count, page_count;

static void open_rig(void)
{
    works_init(&rig);
}

static void close_rig(void)
{
    rig_close(&rig);
}

static void open_lab(void)
{
    lab_start(&rig, &options, lab_fail_slowly);
    rig_add(&rig, &rpc_module_observe, NULL);
}

/* ---- Reading ---- */

/* Adds a page to the document. Returns what the next one begins at; -1: it was the last. */
static int read_page(int after)
{
    char payload[64];
    snprintf(payload, sizeof payload, "{\"after\":%d}", after);
    const struct fake_message *reply = rig_ask(&rig, "rpc.metrics", after ? payload : "");
    ck_assert_str_eq(reply->status, "ok");
    ck_assert_uint_le(reply->size, (size_t)rig.options.max_reply);
    cJSON *page = cJSON_ParseWithLength(reply->payload, reply->size);
    const cJSON *next = cJSON_GetObjectItem(page, "next");
    const char *text = cJSON_GetObjectItem(page, "text")->valuestring;
    ck_assert_uint_lt(strlen(document) + strlen(text), sizeof document);
    strcat(document, text);
    const int place = cJSON_IsNull(next) ? -1 : next->valueint;
    ck_assert(place == -1 || *text);
    cJSON_Delete(page);
    page_count++;
    return place;
}

static void split_document(void)
{
    line_count = 0;
    for (char *line = strtok(document, "\n"); line; line = strtok(NULL, "\n")) {
        ck_assert_uint_lt(line_count, LINES);
        lines[line_count++] = line;
    }
}

/* Reads all pages. between, if it is not NULL, runs between two pages. */
static void read_document(void (*between)(void))
{
    int after = 0;
    *document = '\0';
    page_count = 0;
    while ((after = read_page(after)) >= 0) {
        ck_assert_uint_lt(page_count, PAGES);
        if (between)
            between();
    }
    split_document();
}

/* Whether the document has this line. */
static bool has_line(const char *line)
{
    for (size_t i = 0; i < line_count; i++) {
        if (strcmp(lines[i], line) == 0)
            return true;
    }
    return false;
}

static size_t count_lines(const char *start)
{
    size_t count = 0;
    for (size_t i = 0; i < line_count; i++)
        count += strncmp(lines[i], start, strlen(start)) == 0;
    return count;
}

#define EXPECT_LINE(line) ck_assert_msg(has_line(line), "no line %s", line)

/* ---- The rules of the format ---- */

/* Whether the name of a sample is that of its family, with the endings of histograms. */
static bool is_of_family(const char *sample, const char *family, size_t length)
{
    static const char *const ends[] = {"{", "_bucket{", "_sum{", "_count{"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (strncmp(sample, family, length) == 0 && strncmp(sample + length, ends[i], strlen(ends[i])) == 0)
            return true;
    }
    return false;
}

/* Each family has one HELP, then one TYPE, then its samples, and no series comes twice. */
static void check_families(void)
{
    static const char help[] = "# HELP ", type[] = "# TYPE ";
    const char *family = "";
    size_t length = 0;
    for (size_t i = 0; i < line_count; i++) {
        if (strncmp(lines[i], help, strlen(help)) == 0) {
            family = lines[i] + strlen(help);
            length = strcspn(family, " ");
            ck_assert_int_eq(strncmp(family, "mosquitto_rpc_", 14), 0);
            ck_assert_int_eq(strncmp(lines[i + 1], type, strlen(type)), 0);
            ck_assert_int_eq(strncmp(lines[i + 1] + strlen(type), family, length + 1), 0);
            char start[200];
            snprintf(start, sizeof start, "%s%.*s ", help, (int)length, family);
            ck_assert_uint_eq(count_lines(start), 1);
            i++;
            continue;
        }
        ck_assert_msg(is_of_family(lines[i], family, length), "%s is not of %s", lines[i], family);
        char *value = strrchr(lines[i], ' ');
        ck_assert_ptr_nonnull(value);
        *value = '\0';
        char series[512];
        snprintf(series, sizeof series, "%s", lines[i]);
        *value = ' ';
        strcat(series, " ");
        ck_assert_uint_eq(count_lines(series), 1);
    }
}

/* Buckets are cumulative, and the last one is the count. */
static void check_histograms(void)
{
    unsigned long before = 0;
    size_t buckets = 0;
    for (size_t i = 0; i < line_count; i++) {
        const unsigned long value = strtoul(strrchr(lines[i], ' '), NULL, 10);
        if (strstr(lines[i], "_seconds_bucket{")) {
            ck_assert_uint_ge(value, buckets ? before : 0);
            before = value;
            buckets++;
        }
        if (strstr(lines[i], "_seconds_count{")) {
            ck_assert_uint_eq(buckets, STATISTICS_BUCKETS);
            ck_assert_uint_eq(value, before);
            buckets = 0;
        }
    }
}

/* ---- Tests ---- */

START_TEST(what_it_tells)
{
    rig.host.host.broker = "a \"broker\" \\1";
    rig.options.prefix = "a\"b/\xC3\xA4\\c";
    open_lab();
    rig.host.monotonic += RIG_SECOND;
    for (int i = 0; i < 3; i++)
        rig_publish(&rig, "a\"b/\xC3\xA4\\c/call/act", "");
    rig_publish(&rig, "a\"b/\xC3\xA4\\c/call/act", "{");
    rig_publish(&rig, "a\"b/\xC3\xA4\\c/call/count", "");
    rig_publish(&rig, "a\"b/\xC3\xA4\\c/call/none", "");
    rig_send(&rig, "a\"b/\xC3\xA4\\c/call/rpc.metrics", "", RIG_REPLY, NULL);
    const struct fake_message *reply = rig_last(&rig.host.replies);
    cJSON *page = cJSON_ParseWithLength(reply->payload, reply->size);
    strcpy(document, cJSON_GetObjectItem(page, "text")->valuestring);
    ck_assert(cJSON_IsNull(cJSON_GetObjectItem(page, "next")));
    cJSON_Delete(page);
    split_document();
    check_families();
    check_histograms();
#define P "{prefix=\"a\\\"b/\xC3\xA4\\\\c\""
    EXPECT_LINE("mosquitto_rpc_info" P ",version=\"" RPC_VERSION "\",broker=\"a \\\"broker\\\" \\\\1\"} 1");
    EXPECT_LINE("mosquitto_rpc_calls_total" P ",method=\"act\",status=\"ok\"} 0");
    EXPECT_LINE("mosquitto_rpc_calls_total" P ",method=\"act\",status=\"plain\"} 3");
    EXPECT_LINE("mosquitto_rpc_calls_total" P ",method=\"act\",status=\"parse_error\"} 1");
    EXPECT_LINE("mosquitto_rpc_calls_total" P ",method=\"count\",status=\"ok\"} 1");
    EXPECT_LINE("mosquitto_rpc_call_duration_seconds_bucket" P ",method=\"act\",le=\"0.0025\"} 1");
    EXPECT_LINE("mosquitto_rpc_call_duration_seconds_bucket" P ",method=\"act\",le=\"0.005\"} 4");
    EXPECT_LINE("mosquitto_rpc_call_duration_seconds_bucket" P ",method=\"act\",le=\"+Inf\"} 4");
    EXPECT_LINE("mosquitto_rpc_call_duration_seconds_sum" P ",method=\"act\"} 0.009");
    EXPECT_LINE("mosquitto_rpc_call_duration_seconds_count" P ",method=\"act\"} 4");
    EXPECT_LINE("mosquitto_rpc_calls_running" P ",method=\"act\"} 0");
    EXPECT_LINE("mosquitto_rpc_unknown_total" P "} 1");
    EXPECT_LINE("mosquitto_rpc_table_entries_max" P ",table=\"pending_calls\"} 1024");
    EXPECT_LINE("mosquitto_rpc_workers" P "} 2");
    ck_assert_uint_eq(count_lines("# HELP mosquitto_rpc_calls_total "), 1);
    ck_assert_uint_eq(count_lines("mosquitto_rpc_calls_total" P "} "), 0);
#undef P
}
END_TEST

/* Unknown methods, names in families and codes that nobody has declared make no series. */
START_TEST(callers_make_no_series)
{
    open_lab();
    rig_tell(&rig, "count", "");
    read_document(NULL);
    const size_t before = line_count;
    for (int i = 0; i < 100; i++) {
        char method[32];
        snprintf(method, sizeof method, "none%d", i);
        rig_tell(&rig, method, "");
        rig_tell(&rig, "count", "");
    }
    read_document(NULL);
    /* rpc.metrics itself is new the second time. */
    ck_assert_uint_eq(line_count, before + 1 + STATISTICS_BUCKETS + 2 + 2);
    ck_assert_uint_eq(count_lines("mosquitto_rpc_calls_total{"), 2);
}
END_TEST

static int called; /* how many methods have been called between pages */

static void call_another(void)
{
    static const char *const methods[] = {"look", "get", "nothing", "id", "act.alone", "value"};
    if (called < UNIT_ROWS(methods))
        rig_tell(&rig, methods[called++], "");
    rig_tell(&rig, "act", "");
    rig_tell(&rig, "count", "");
}

/* A page that begins within a family has no HELP, whatever has been called since the page before. */
START_TEST(pages_are_one_document)
{
    static const int32_t sizes[] = {2800, 3000, 4096, 5000, 8192, 16384, 131072};
    rig.options.max_reply = sizes[_i];
    open_lab();
    called = 0;
    for (int i = 0; i < 4; i++)
        call_another();
    read_document(call_another);
    check_families();
    check_histograms();
    ck_assert_uint_ge(count_lines("mosquitto_rpc_calls_total{"), 4);
    if (sizes[_i] < 10000)
        ck_assert_uint_gt(page_count, 3);
}
END_TEST

static const struct place {
    const char *payload, *status, *text;
} places[] = {
    {"{\"after\":2000000000}", "ok", "{\"text\":\"\",\"next\":null}"},
    {"{\"after\":2147483647}", "ok", "{\"text\":\"\",\"next\":null}"},
    {"{\"after\":-1}", "invalid_params", NULL},
    {"{\"after\":\"x\"}", "invalid_params", NULL},
    {"{\"after\":999}", "ok", NULL}, /* within the first family, which has no such item */
    {"{\"after\":29000999}", "ok", NULL},
};

START_TEST(places_that_no_page_has_named)
{
    const struct place *place = &places[_i];
    open_lab();
    const struct fake_message *reply = rig_ask(&rig, "rpc.metrics", place->payload);
    ck_assert_str_eq(reply->status, place->status);
    if (place->text)
        ck_assert_str_eq(reply->text, place->text);
}
END_TEST

/* Whatever max_reply is, there is a page or an error that says why not. */
START_TEST(small_replies)
{
    size_t refused = 0, answered = 0;
    for (int32_t size = 64; size < 4000; size += 61) {
        if (size > 64) {
            rig_close(&rig);
            works_init(&rig);
        }
        rig.options.max_reply = size;
        open_lab();
        rig_tell(&rig, "count", "");
        const struct fake_message *reply = rig_ask(&rig, "rpc.metrics", "{\"after\":0}");
        ck_assert_uint_le(reply->size, (size_t)size);
        const bool is_refused = strcmp(reply->status, "reply_too_large") == 0;
        ck_assert(is_refused || strcmp(reply->status, "ok") == 0);
        refused += is_refused;
        answered += !is_refused;
    }
    ck_assert_uint_gt(refused, 0);
    ck_assert_uint_gt(answered, 0);
}
END_TEST

/* A method whose samples do not fit into any page. */
START_TEST(a_method_that_fits_into_no_page)
{
    rig.options.max_reply = 1000;
    open_lab();
    rig_tell(&rig, "count", "");
    int after = 0;
    *document = '\0';
    page_count = 0;
    char payload[64];
    for (;;) {
        snprintf(payload, sizeof payload, "{\"after\":%d}", after);
        const struct fake_message *reply = rig_ask(&rig, "rpc.metrics", payload);
        if (strcmp(reply->status, "ok") != 0)
            break;
        after = read_page(after);
        ck_assert_int_gt(after, 0);
    }
    rig_expect(&rig, "rpc.metrics", payload, "reply_too_large",
               "{\"method\":\"rpc.metrics\",\"err\":\"reply_too_large\",\"msg\":\"the samples of one method "
               "do not fit into 1000 bytes: see max_reply\"}");
}
END_TEST

START_TEST(open_calls)
{
    rig.options.workers = 1;
    works_open(&rig);
    rig_add(&rig, &rpc_module_observe, NULL);
    works_begin(&rig, "work", 1);
    works_call(&rig, "work", 2);
    works_call(&rig, "wait", 3);
    read_document(NULL);
    check_families();
    EXPECT_LINE("mosquitto_rpc_calls_running{prefix=\"rpc\",method=\"work\"} 1");
    EXPECT_LINE("mosquitto_rpc_calls_waiting{prefix=\"rpc\",method=\"work\"} 1");
    EXPECT_LINE("mosquitto_rpc_calls_waiting{prefix=\"rpc\",method=\"wait\"} 1");
    EXPECT_LINE("mosquitto_rpc_calls_total{prefix=\"rpc\",method=\"work\",status=\"ok\"} 0");
    EXPECT_LINE("mosquitto_rpc_workers_busy{prefix=\"rpc\"} 1");
    EXPECT_LINE("mosquitto_rpc_work_waiting{prefix=\"rpc\"} 1");
    works_finish(&rig);
}
END_TEST

UNIT_MAIN("metrics", open_rig, close_rig, {what_it_tells, 0}, {callers_make_no_series, 0},
          {pages_are_one_document, 7}, {places_that_no_page_has_named, UNIT_ROWS(places)}, {small_replies, 0},
          {a_method_that_fits_into_no_page, 0}, {open_calls, 0})
