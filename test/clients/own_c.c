// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The client in C, spoken to in lines: see Program in cutter.py.
 *
 *     own_c [NAME=VALUE …] PORT
 *
 * Options are members of struct rpc_client_options. Commands, and what they answer:
 *
 *     call METHOD JSON        result JSON, or: error ERR MESSAGE
 *     batch METHOD JSON       likewise
 *     progress METHOD JSON    likewise, and before it a line `progress JSON` for each interim reply
 *     many N METHOD JSON      many OK FAILED: N calls at once
 *     turns N METHOD JSON     turns OK: N calls one after the other
 *     cancel METHOD JSON      cancelled CALLBACKS: a call that is cancelled at once, and a second of waiting
 *     connect                 ok, or: the status, and why
 *     subscribe FILTER        ok
 *     unsubscribe             ok: ends the last subscription
 *     events MS               event NAME TEXT for each event that has come, and then how many since the last
 *                             time: events NUMBER
 *     leave METHOD JSON       left STATUS CALLBACKS: a call in a client that is destroyed at once
 *     sleep MS                ok: the client is not run meanwhile
 *     pending                 pending NUMBER
 */
#include <mosquitto_rpc_client.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OWN_LINE = 1 << 20 };

static struct rpc_client_options options = RPC_CLIENT_DEFAULTS;
static struct rpc_client *client;
static int callbacks, failures, events;
static unsigned long subscription;
static enum rpc_client_status last;

static void own_count(void *user, const struct rpc_client_reply *reply)
{
    (void)user;
    callbacks++;
    failures += reply->status != RPC_CLIENT_OK;
    last = reply->status;
}

static void own_show_progress(void *user, const struct rpc_client_reply *reply)
{
    (void)user;
    printf("progress %s\n", reply->text);
}

static void own_show_event(void *user, const struct rpc_client_event *event)
{
    (void)user;
    events++;
    if (event->status)
        printf("event %s %s\n", event->name, rpc_client_status_name(event->status));
    else
        printf("event %s %s\n", event->name, event->text);
}

static void own_call(const char *how, const char *method, const char *params)
{
    struct rpc_client_reply reply;
    struct rpc_client_request request = {.method = method,
                                         .payload = params,
                                         .is_batch = strcmp(how, "batch") == 0,
                                         .on_progress =
                                             strcmp(how, "progress") == 0 ? own_show_progress : NULL};
    if (rpc_client_call(client, &request, &reply) == RPC_CLIENT_OK)
        printf("result %s\n", reply.text);
    else
        printf("error %s %s\n", reply.err, reply.msg);
    rpc_client_reply_clear(&reply);
}

static void own_call_many(int count, const char *method, const char *params)
{
    struct rpc_client_request request = {.method = method, .payload = params, .on_reply = own_count};
    int refused = 0;
    callbacks = failures = 0;
    for (int at = 0; at < count; at++)
        refused += rpc_client_send(client, &request, NULL) != RPC_CLIENT_OK;
    while (callbacks < count - refused)
        rpc_client_run(client, 1000);
    printf("many %d %d\n", callbacks - failures, failures + refused);
}

static void own_call_in_turn(int count, const char *method, const char *params)
{
    struct rpc_client_reply reply;
    struct rpc_client_request request = {.method = method, .payload = params};
    int ok = 0;
    for (int at = 0; at < count; at++) {
        ok += rpc_client_call(client, &request, &reply) == RPC_CLIENT_OK;
        rpc_client_reply_clear(&reply);
    }
    printf("turns %d\n", ok);
}

static void own_cancel(const char *method, const char *params)
{
    struct rpc_client_request request = {.method = method, .payload = params, .on_reply = own_count};
    char id[RPC_CLIENT_ID_SIZE];
    callbacks = 0;
    bool was_there = rpc_client_send(client, &request, id) == RPC_CLIENT_OK && rpc_client_cancel(client, id);
    for (int at = 0; at < 10; at++)
        rpc_client_run(client, 100);
    printf("cancelled %d %d\n", was_there && !rpc_client_cancel(client, id), callbacks);
}

static void own_leave(const char *method, const char *params)
{
    struct rpc_client *other;
    struct rpc_client_request request = {.method = method, .payload = params, .on_reply = own_count};
    callbacks = 0;
    if (rpc_client_create(&other, &options) == RPC_CLIENT_OK)
        rpc_client_send(other, &request, NULL);
    rpc_client_destroy(other);
    printf("left %s %d\n", rpc_client_status_name(last), callbacks);
}

static void own_show_events(int ms)
{
    for (int left = ms; left > 0; left -= 50)
        rpc_client_run(client, 50);
    printf("events %d\n", events);
    events = 0;
}

static void own_do(char *line)
{
    char *word = strtok(line, " "), *first = strtok(NULL, " "), *rest = strtok(NULL, "");
    enum rpc_client_status status;
    if (strcmp(word, "pending") == 0)
        printf("pending %zu\n", rpc_client_pending(client));
    else if (strcmp(word, "connect") == 0)
        printf("%s %s\n", rpc_client_status_name(rpc_client_connect(client, 10000)), rpc_client_why(client));
    else if (strcmp(word, "sleep") == 0) {
        usleep((useconds_t)atoi(first) * 1000);
        puts("ok");
    } else if (strcmp(word, "many") == 0)
        own_call_many(atoi(first), strtok(rest, " "), strtok(NULL, ""));
    else if (strcmp(word, "turns") == 0)
        own_call_in_turn(atoi(first), strtok(rest, " "), strtok(NULL, ""));
    else if (strcmp(word, "cancel") == 0)
        own_cancel(first, rest);
    else if (strcmp(word, "leave") == 0)
        own_leave(first, rest);
    else if (strcmp(word, "events") == 0)
        own_show_events(atoi(first));
    else if (strcmp(word, "subscribe") == 0) {
        status = rpc_client_subscribe(client, first, own_show_event, NULL, &subscription);
        printf("%s\n", rpc_client_status_name(status));
    } else if (strcmp(word, "unsubscribe") == 0)
        printf("%s\n", rpc_client_unsubscribe(client, subscription) ? "ok" : "none");
    else
        own_call(word, first, rest);
}

static void own_set(const char *name, const char *value)
{
    static const struct {
        const char *name;
        const char **text;
        int *number;
        size_t *size;
    } rows[] = {
        {.name = "host", .text = &options.host},
        {.name = "prefix", .text = &options.prefix},
        {.name = "client_id", .text = &options.client_id},
        {.name = "username", .text = &options.username},
        {.name = "password", .text = &options.password},
        {.name = "cafile", .text = &options.cafile},
        {.name = "protocol", .number = &options.protocol},
        {.name = "qos", .number = &options.qos},
        {.name = "timeout_ms", .number = &options.timeout_ms},
        {.name = "connect_timeout_ms", .number = &options.connect_timeout_ms},
        {.name = "max_pending", .size = &options.max_pending},
        {.name = "max_reply", .size = &options.max_reply},
    };
    if (strcmp(name, "insecure") == 0)
        options.tls_insecure = true;
    for (size_t at = 0; at < sizeof rows / sizeof *rows; at++) {
        if (strcmp(name, rows[at].name) != 0)
            continue;
        if (rows[at].text)
            *rows[at].text = value;
        else if (rows[at].number)
            *rows[at].number = atoi(value);
        else
            *rows[at].size = (size_t)atol(value);
    }
}

int main(int count, char **words)
{
    static char line[OWN_LINE];
    options.host = "127.0.0.1";
    for (int at = 1; at + 1 < count; at++) {
        char *equals = strchr(words[at], '=');
        *equals = 0;
        own_set(words[at], equals + 1);
    }
    options.port = atoi(words[count - 1]);
    setvbuf(stdout, NULL, _IOLBF, 0);
    setvbuf(stdin, NULL, _IONBF, 0);
    if (rpc_client_create(&client, &options)) {
        printf("%s\n", rpc_client_check(&options) ? rpc_client_check(&options) : "no client");
        return 1;
    }
    for (;;) {
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        if (poll(&input, 1, 0) == 0) {
            rpc_client_run(client, 20);
            continue;
        }
        if (!fgets(line, sizeof line, stdin))
            break;
        line[strcspn(line, "\n")] = 0;
        own_do(line);
    }
    rpc_client_destroy(client);
    return 0;
}
