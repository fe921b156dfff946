// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The command bench: calls a method many times over one connection, and says how many calls a second were
 * answered, and how long they took.
 *
 * Without --rate each reply is followed by the next call, so that a service that is slow is asked less often.
 * With --rate calls have times at which they are due, and a call's duration counts from then, also if it had
 * to wait.
 */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "histogram.h"
#include "output.h"
#include "params.h"
#include "show.h"
#include "until.h"

enum { BENCH_ERRORS = 16, BENCH_MAX_CONCURRENCY = 1000, BENCH_SECOND = 1000000000 };

struct bench_error {
    char err[64], msg[128]; /* as the first of them had it */
    unsigned long count;
};

/* One of the calls that are made at once. */
struct bench_slot {
    struct bench *bench;
    uint64_t due;
    bool is_flying;
};

struct bench {
    struct tool *tool;
    struct rpc_client_request request;
    uint64_t begun, measured,
        end;           /* monotonic: when the first call, and the first that counts, was due; the last */
    uint64_t last;     /* when the last reply that counts came */
    uint64_t interval; /* between two calls of --rate; 0: none */
    uint64_t next;     /* when the next call is due */
    long left;         /* how many calls are still to be made; -1: until the end */
    size_t flying, slots;
    unsigned long in_time, failed;           /* results that came before the end; calls without a result */
    struct histogram latencies;              /* of results */
    struct bench_error errors[BENCH_ERRORS]; /* the last one has all others */
    enum rpc_client_status status;           /* of the last attempt to send */
    bool has_reply;                          /* to one of the calls */
    enum tool_exit outcome;                  /* TOOL_OK; else no call can succeed, as has been said */
    struct bench_slot slot[BENCH_MAX_CONCURRENCY];
};

static void bench_count_error(struct bench *bench, const struct rpc_client_reply *reply)
{
    struct bench_error *const others = bench->errors + BENCH_ERRORS - 1;
    struct bench_error *error = bench->errors;
    while (error < others && error->count && strcmp(error->err, reply->err) != 0)
        error++;
    if (!error->count) {
        snprintf(error->err, sizeof error->err, "%s", error == others ? "others" : reply->err);
        snprintf(error->msg, sizeof error->msg, "%s", reply->msg ? reply->msg : "");
    }
    error->count++;
    bench->failed++;
}

static void bench_record(struct bench *bench, uint64_t due, const struct rpc_client_reply *reply)
{
    const uint64_t now = until_now();
    if (due < bench->measured)
        return;
    bench->last = now;
    if (reply->err) {
        bench_count_error(bench, reply);
        return;
    }
    bench->in_time += now <= bench->end;
    histogram_add(&bench->latencies, now - due);
}

/* Whether a call is due; then *due is when. */
static bool bench_is_due(const struct bench *bench, uint64_t *due)
{
    const uint64_t now = until_now();
    *due = bench->interval ? bench->next : now;
    return bench->left != 0 && now < bench->end && *due <= now;
}

/* Whether all further calls would fail in the same way. */
static bool bench_is_final(const struct rpc_client_reply *reply)
{
    static const char *const errors[] = {"method_not_found", "invalid_params", "parse_error",
                                         "payload_too_large"};
    for (size_t at = 0; reply->err && at < sizeof errors / sizeof *errors; at++)
        if (strcmp(reply->err, errors[at]) == 0)
            return true;
    return reply->status == RPC_CLIENT_REFUSED;
}

static void bench_fill(struct bench_slot *slot);

static void bench_on_reply(void *user, const struct rpc_client_reply *reply)
{
    struct bench_slot *const slot = user;
    struct bench *const bench = slot->bench;
    slot->is_flying = false;
    bench->flying--;
    if (bench->outcome == TOOL_OK && !bench->has_reply && bench_is_final(reply))
        bench->outcome = tool_fail_reply(bench->tool, bench->request.method, reply);
    bench->has_reply = true;
    bench_record(bench, slot->due, reply);
    bench_fill(slot);
}

/* Makes a call in a free slot, if one is due. */
static void bench_fill(struct bench_slot *slot)
{
    struct bench *const bench = slot->bench;
    if (slot->is_flying || bench->status != RPC_CLIENT_OK || bench->outcome != TOOL_OK ||
        !bench_is_due(bench, &slot->due))
        return;
    bench->request.user = slot;
    bench->status = rpc_client_send(bench->tool->client, &bench->request, NULL);
    if (bench->status != RPC_CLIENT_OK)
        return;
    slot->is_flying = true;
    bench->flying++;
    bench->next += bench->interval;
    bench->left -= bench->left > 0 && slot->due >= bench->measured;
}

/* How long the client may run before the next call is due, at most ms. */
static int bench_wait(const struct bench *bench, int ms)
{
    const uint64_t now = until_now();
    if (!bench->interval || bench->left == 0 || bench->flying == bench->slots)
        return ms;
    const uint64_t wait = bench->next > now ? (bench->next - now) / 1000000 : 0;
    return wait < (uint64_t)ms ? (int)wait : ms;
}

/* Calls until all is done, or until a signal comes: then what is still open does not count. */
static void bench_run(struct bench *bench)
{
    const struct until until = until_start(0);
    until_hold_signals();
    bool is_over = false;
    for (int ms; !is_over && bench->outcome == TOOL_OK && bench->status == RPC_CLIENT_OK &&
                 (ms = until_left(&until)) > 0;) {
        for (size_t at = 0; at < bench->slots; at++)
            bench_fill(&bench->slot[at]);
        is_over = bench->flying == 0 && (bench->left == 0 || until_now() >= bench->end);
        if (!is_over)
            rpc_client_run(bench->tool->client, bench_wait(bench, ms));
    }
    if (bench->left == 0)
        bench->end = bench->last;
    else if (bench->end > until_now())
        bench->end = until_now();
}

static double bench_in_seconds(uint64_t nanoseconds)
{
    return (double)nanoseconds / 1e9;
}

/* The mean of the latencies, in seconds. */
static double bench_mean(const struct histogram *latencies)
{
    return latencies->count ? latencies->sum / (double)latencies->count / 1e9 : 0;
}

static double bench_seconds(const struct bench *bench)
{
    return bench->end > bench->measured ? bench_in_seconds(bench->end - bench->measured) : 0;
}

static double bench_per_second(const struct bench *bench)
{
    const double seconds = bench_seconds(bench);
    return seconds > 0 ? (double)bench->in_time / seconds : 0;
}

/* How many calls were due, and had no place among those that are made at once. */
static unsigned long bench_unsent(const struct bench *bench)
{
    return bench->interval && bench->left != 0 && bench->next < bench->end
               ? (unsigned long)((bench->end - bench->next) / bench->interval)
               : 0;
}

static const struct {
    const char *name;
    double share;
} bench_percentiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};

static void bench_print_json(const struct bench *bench)
{
    const struct tool_options *const options = &bench->tool->options;
    const struct histogram *const latencies = &bench->latencies;
    cJSON *const json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "method", bench->request.method);
    cJSON_AddNumberToObject(json, "seconds", bench_seconds(bench));
    cJSON_AddNumberToObject(json, "warmup_s", bench_in_seconds(bench->measured - bench->begun));
    cJSON_AddNumberToObject(json, "concurrency", (double)bench->slots);
    cJSON_AddNumberToObject(json, "rate", options->rate);
    cJSON_AddNumberToObject(json, "qos", options->client.qos);
    cJSON_AddNumberToObject(json, "calls", (double)(latencies->count + bench->failed));
    cJSON_AddNumberToObject(json, "ok", (double)latencies->count);
    cJSON *const errors = cJSON_AddObjectToObject(json, "errors");
    for (const struct bench_error *error = bench->errors;
         error < bench->errors + BENCH_ERRORS && error->count; error++)
        cJSON_AddNumberToObject(errors, error->err, (double)error->count);
    cJSON_AddNumberToObject(json, "unsent", (double)bench_unsent(bench));
    cJSON_AddNumberToObject(json, "per_second", bench_per_second(bench));
    cJSON *const latency = cJSON_AddObjectToObject(json, "latency_s");
    cJSON_AddNumberToObject(latency, "min", bench_in_seconds(latencies->min));
    cJSON_AddNumberToObject(latency, "mean", bench_mean(latencies));
    for (size_t at = 0; at < sizeof bench_percentiles / sizeof *bench_percentiles; at++)
        cJSON_AddNumberToObject(
            latency, bench_percentiles[at].name,
            bench_in_seconds(histogram_percentile(latencies, bench_percentiles[at].share)));
    cJSON_AddNumberToObject(latency, "max", bench_in_seconds(latencies->max));
    output_json(bench->tool, json);
    cJSON_Delete(json);
}

static void bench_print_errors(const struct bench *bench)
{
    printf("  errors   %lu\n", bench->failed);
    for (const struct bench_error *error = bench->errors;
         error < bench->errors + BENCH_ERRORS && error->count; error++) {
        printf("           %lu ", error->count);
        output_styled(stdout, OUTPUT_RED, error->err);
        printf("%s", *error->msg ? ": " : "");
        output_styled(stdout, OUTPUT_PLAIN, error->msg);
        putchar('\n');
    }
}

static void bench_print(const struct bench *bench)
{
    const struct histogram *const latencies = &bench->latencies;
    const double warmup = bench_in_seconds(bench->measured - bench->begun);
    output_styled(stdout, OUTPUT_BOLD, bench->request.method);
    printf(": %s", show_duration(bench_seconds(bench)).text);
    if (warmup > 0)
        printf(" after %s of warm-up", show_duration(warmup).text);
    printf(", %zu at once, QoS %d\n", bench->slots, bench->tool->options.client.qos);
    printf("  results  %llu, %.0f a second\n", (unsigned long long)latencies->count, bench_per_second(bench));
    bench_print_errors(bench);
    if (bench->interval)
        printf("  not sent %lu, of %d a second\n", bench_unsent(bench), bench->tool->options.rate);
    if (!latencies->count)
        return;
    printf("  latency  mean %s", show_duration(bench_mean(latencies)).text);
    for (size_t at = 0; at < sizeof bench_percentiles / sizeof *bench_percentiles; at++) {
        const uint64_t ns = histogram_percentile(latencies, bench_percentiles[at].share);
        printf(", %s %s", bench_percentiles[at].name, show_duration(bench_in_seconds(ns)).text);
    }
    printf(", max %s\n", show_duration(bench_in_seconds(latencies->max)).text);
}

enum { BENCH_DURATION = 5000, BENCH_WARMUP = 500 }; /* ms, unless the options say otherwise */

static void bench_begin(struct bench *bench, const struct tool_options *options)
{
    const int warmup = options->warmup_ms >= 0 ? options->warmup_ms : options->count ? 0 : BENCH_WARMUP;
    const int duration = options->duration_ms || options->count ? options->duration_ms : BENCH_DURATION;
    bench->slots = options->concurrency ? (size_t)options->concurrency
                   : options->rate      ? BENCH_MAX_CONCURRENCY
                                        : 1;
    for (size_t at = 0; at < bench->slots; at++)
        bench->slot[at].bench = bench;
    bench->left = options->count ? options->count : -1;
    bench->interval = options->rate ? BENCH_SECOND / (uint64_t)options->rate : 0;
    bench->begun = bench->next = until_now();
    bench->measured = bench->last = bench->begun + (uint64_t)warmup * 1000000;
    bench->end = duration ? bench->measured + (uint64_t)duration * 1000000 : UINT64_MAX;
}

/* Makes the parameters as call does. The caller frees *payload. */
static enum tool_exit bench_prepare(struct bench *bench, int count, char **words, struct params_text *payload)
{
    struct tool *const tool = bench->tool;
    struct params_text base = {NULL, 0};
    cJSON *description = NULL;
    enum tool_exit outcome = params_describe(tool, words[0], &description);
    const cJSON *const method = params_method(description, count - 1, words + 1);
    if (outcome == TOOL_OK)
        outcome = params_read_given(tool, tool->options.params, &base);
    if (outcome == TOOL_OK)
        outcome = params_make(tool, method, count - 1, words + 1, &base, payload);
    free(base.bytes);
    cJSON_Delete(description);
    bench->request = (struct rpc_client_request){
        .method = words[0], .payload = payload->bytes, .size = payload->size, .on_reply = bench_on_reply};
    return outcome;
}

static enum tool_exit bench_tell(const struct bench *bench)
{
    if (bench->outcome != TOOL_OK)
        return bench->outcome;
    if (bench->status != RPC_CLIENT_OK)
        return tool_fail(bench->tool, tool_exit_of(bench->status), "%s cannot be called: %s",
                         bench->request.method, rpc_client_status_name(bench->status));
    if (output_is_json(bench->tool))
        bench_print_json(bench);
    else
        bench_print(bench);
    return bench->failed ? TOOL_ERROR : TOOL_OK;
}

enum tool_exit command_bench_run(struct tool *tool, int count, char **words)
{
    struct params_text payload = {NULL, 0};
    struct bench *const bench = calloc(1, sizeof *bench);
    if (!bench)
        return tool_fail(tool, TOOL_FAILED, "there is no memory");
    bench->tool = tool;
    enum tool_exit outcome = bench_prepare(bench, count, words, &payload);
    if (outcome == TOOL_OK)
        outcome = tool_connect(tool);
    if (outcome == TOOL_OK) {
        bench_begin(bench, &tool->options);
        bench_run(bench);
        outcome = bench_tell(bench);
    }
    rpc_client_destroy(tool->client); /* before bench, which its callbacks use */
    tool->client = NULL;
    free(payload.bytes);
    free(bench);
    return outcome;
}
