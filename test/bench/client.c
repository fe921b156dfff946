// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * bench_client: measures round trips through a broker.
 *
 * One thread polls the sockets of some clients, each of which keeps a number of requests outstanding.
 * A request is published with a Response Topic and Correlation Data; it is answered when a message with
 * that Correlation Data comes in, and the next one goes out at once. Without -t a client publishes to
 * its own response topic, so that its own request comes back to it: the floor under every way to
 * answer. Every other line of this file is the same for the floor and for what is measured against it,
 * the subscription to the response topic included, although a plugin's replies do not need it.
 *
 * Prints one line of name=value: latencies in microseconds, round trips a second, errors.
 */
#include "compat/mosquitto_headers.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * More than can ever be outstanding. At QoS 2 a plugin answers before the handshake of the request has
 * ended, so that more handshakes than requests are under way.
 */
enum { MAX_INFLIGHT = 1000 };

enum { TICK_MS = 1000, STALLED_MS = 10000 };

struct options {
    int port;
    int qos;
    size_t clients;
    size_t first;       /* number of the first one */
    size_t outstanding; /* for each client */
    size_t messages;    /* measured, over all clients */
    size_t warmup;      /* answered before the measurement starts, over all clients */
    const char *topic;  /* NULL: the client's own response topic */
    unsigned spread;    /* over how many topics: five digits are appended to the topic; 0: just the one */
    const char *payload;
    const char *expect; /* what every answer contains */
};

/* What a request carries as its Correlation Data. */
struct identity {
    uint32_t slot;
    uint32_t sequence;
};

struct slot {
    uint64_t sent; /* nanoseconds; 0: free */
    uint32_t sequence;
};

struct client {
    struct bench *bench;
    struct mosquitto *mosq;
    struct slot *slots;
    char reply_topic[40];
};

struct bench {
    struct options options;
    struct client *clients;
    struct pollfd *sockets;
    uint64_t *latency; /* nanoseconds, of the measured ones */
    size_t ready;      /* clients */
    size_t sent;
    size_t answered;
    size_t errors;
    uint64_t begin, end; /* of the measurement, nanoseconds */
};

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

/* ---- Requests ------------------------------------------------------------------------------ */

/* Neighbouring requests go to topics far apart: 7919 is a prime, so that all of them are reached. */
static const char *request_topic(const struct client *client, uint32_t sequence, char *buffer, size_t size)
{
    const struct options *options = &client->bench->options;
    if (!options->topic)
        return client->reply_topic;
    if (!options->spread)
        return options->topic;
    const unsigned number = (unsigned)((uint64_t)sequence * 7919U % options->spread);
    snprintf(buffer, size, "%s%05u", options->topic, number);
    return buffer;
}

static mosquitto_property *request_properties(const struct client *client, struct identity identity)
{
    mosquitto_property *list = NULL;
    mosquitto_property_add_string(&list, MQTT_PROP_RESPONSE_TOPIC, client->reply_topic);
    mosquitto_property_add_binary(&list, MQTT_PROP_CORRELATION_DATA, &identity, sizeof(identity));
    return list;
}

static void send_request(struct client *client, uint32_t number)
{
    struct bench *bench = client->bench;
    const struct options *options = &bench->options;
    struct slot *slot = &client->slots[number];
    if (bench->sent == options->warmup + options->messages)
        return;
    slot->sequence = (uint32_t)bench->sent++;

    char buffer[256];
    const char *topic = request_topic(client, slot->sequence, buffer, sizeof(buffer));
    mosquitto_property *list = request_properties(client, (struct identity){number, slot->sequence});
    slot->sent = now();
    if (mosquitto_publish_v5(client->mosq, NULL, topic, (int)strlen(options->payload), options->payload,
                             options->qos, false, list))
        bench->errors++;
    mosquitto_property_free_all(&list);
}

/* ---- Answers ------------------------------------------------------------------------------- */

static bool read_identity(const mosquitto_property *list, struct identity *identity)
{
    void *data = NULL;
    uint16_t size = 0;
    mosquitto_property_read_binary(list, MQTT_PROP_CORRELATION_DATA, &data, &size, false);
    const bool valid = data && size == sizeof(*identity);
    if (valid)
        memcpy(identity, data, sizeof(*identity));
    free(data);
    return valid;
}

/* The slot that the answer belongs to; NULL if nobody waits for it. */
static struct slot *find_slot(const struct client *client, const mosquitto_property *list)
{
    struct identity identity = {0, 0};
    if (!read_identity(list, &identity) || identity.slot >= client->bench->options.outstanding)
        return NULL;
    struct slot *slot = &client->slots[identity.slot];
    return slot->sent && slot->sequence == identity.sequence ? slot : NULL;
}

static bool is_expected(const struct options *options, const struct mosquitto_message *message)
{
    /* The library puts a NUL after every payload that is not empty. */
    return message->payloadlen && strstr(message->payload, options->expect);
}

static void take_time(struct bench *bench, uint64_t sent)
{
    const uint64_t time = now();
    bench->answered++;
    if (bench->answered > bench->options.warmup)
        bench->latency[bench->answered - bench->options.warmup - 1] = time - sent;
    if (bench->answered == bench->options.warmup)
        bench->begin = time;
    bench->end = time;
}

static void on_message(struct mosquitto *mosq, void *context, const struct mosquitto_message *message,
                       const mosquitto_property *list)
{
    struct client *client = context;
    struct bench *bench = client->bench;
    struct slot *slot = find_slot(client, list);
    (void)mosq;
    if (!slot) {
        bench->errors++;
        return;
    }
    take_time(bench, slot->sent);
    slot->sent = 0;
    if (!is_expected(&bench->options, message))
        bench->errors++;
    send_request(client, (uint32_t)(slot - client->slots));
}

/* ---- Connections --------------------------------------------------------------------------- */

static void on_connect(struct mosquitto *mosq, void *context, int reason)
{
    struct client *client = context;
    if (reason)
        client->bench->errors++;
    else
        mosquitto_subscribe(mosq, NULL, client->reply_topic, client->bench->options.qos);
}

static void on_subscribe(struct mosquitto *mosq, void *context, int mid, int count, const int *granted)
{
    struct client *client = context;
    (void)mosq;
    (void)mid;
    if (count == 1 && granted[0] == client->bench->options.qos)
        client->bench->ready++;
    else
        client->bench->errors++;
}

static void set_up(struct mosquitto *mosq)
{
    mosquitto_int_option(mosq, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    mosquitto_int_option(mosq, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_int_option(mosq, MOSQ_OPT_RECEIVE_MAXIMUM, MAX_INFLIGHT);
    mosquitto_int_option(mosq, MOSQ_OPT_SEND_MAXIMUM, MAX_INFLIGHT);
    mosquitto_connect_callback_set(mosq, on_connect);
    mosquitto_subscribe_callback_set(mosq, on_subscribe);
    mosquitto_message_v5_callback_set(mosq, on_message);
}

static int open_client(struct bench *bench, size_t index)
{
    struct client *client = &bench->clients[index];
    const size_t number = bench->options.first + index;
    char id[32];
    snprintf(id, sizeof(id), "bench-%zu", number);
    snprintf(client->reply_topic, sizeof(client->reply_topic), "bench/reply/%zu", number);
    client->bench = bench;
    client->slots = calloc(bench->options.outstanding, sizeof(*client->slots));
    client->mosq = mosquitto_new(id, true, client);
    if (!client->slots || !client->mosq)
        return MOSQ_ERR_NOMEM;
    set_up(client->mosq);
    const int rc = mosquitto_connect(client->mosq, "127.0.0.1", bench->options.port, 60);
    bench->sockets[index].fd = mosquitto_socket(client->mosq);
    return rc;
}

static int open_bench(struct bench *bench)
{
    const struct options *options = &bench->options;
    bench->clients = calloc(options->clients, sizeof(*bench->clients));
    bench->sockets = calloc(options->clients, sizeof(*bench->sockets));
    bench->latency = calloc(options->messages, sizeof(*bench->latency));
    if (!bench->clients || !bench->sockets || !bench->latency)
        return MOSQ_ERR_NOMEM;
    for (size_t i = 0; i < options->clients; i++) {
        const int rc = open_client(bench, i);
        if (rc)
            return rc;
    }
    return MOSQ_ERR_SUCCESS;
}

static void close_bench(struct bench *bench)
{
    for (size_t i = 0; bench->clients && i < bench->options.clients; i++) {
        mosquitto_disconnect(bench->clients[i].mosq);
        mosquitto_destroy(bench->clients[i].mosq);
        free(bench->clients[i].slots);
    }
    free(bench->clients);
    free(bench->sockets);
    free(bench->latency);
}

/* ---- The loop ------------------------------------------------------------------------------ */

static int serve_client(const struct client *client, short events)
{
    int rc = MOSQ_ERR_SUCCESS;
    if (events)
        rc = mosquitto_loop_read(client->mosq, 1);
    if (!rc && mosquitto_want_write(client->mosq))
        rc = mosquitto_loop_write(client->mosq, 1);
    return rc;
}

static void poll_sockets(struct bench *bench)
{
    for (size_t i = 0; i < bench->options.clients; i++) {
        const bool blocked = mosquitto_want_write(bench->clients[i].mosq);
        bench->sockets[i].events = (short)(POLLIN | (blocked ? POLLOUT : 0));
    }
    if (poll(bench->sockets, (nfds_t)bench->options.clients, TICK_MS) < 0 && errno != EINTR)
        bench->errors++;
}

/* One turn: waits until something can be read or written, and does it for all clients. */
static void turn(struct bench *bench)
{
    poll_sockets(bench);
    for (size_t i = 0; i < bench->options.clients; i++) {
        if (serve_client(&bench->clients[i], bench->sockets[i].revents))
            bench->errors++;
    }
}

/* Turns until *count, which only grows, is goal. False if it stands still, or anything goes wrong. */
static bool turn_until(struct bench *bench, const size_t *count, size_t goal)
{
    size_t last = *count;
    uint64_t since = now();
    while (*count < goal && !bench->errors) {
        turn(bench);
        if (*count > last) {
            last = *count;
            since = now();
        } else if (now() - since > STALLED_MS * UINT64_C(1000000)) {
            break;
        }
    }
    return *count == goal && !bench->errors;
}

static bool run(struct bench *bench)
{
    const struct options *options = &bench->options;
    if (!turn_until(bench, &bench->ready, options->clients))
        return false;
    bench->begin = now();
    for (uint32_t slot = 0; slot < options->outstanding; slot++) {
        for (size_t i = 0; i < options->clients; i++)
            send_request(&bench->clients[i], slot);
    }
    return turn_until(bench, &bench->answered, options->warmup + options->messages);
}

/* ---- Figures ------------------------------------------------------------------------------- */

static int compare(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* The latency that a share of the requests, in thousandths, did not exceed; microseconds. */
static double quantile(const struct bench *bench, size_t thousandths)
{
    return (double)bench->latency[(bench->options.messages - 1) * thousandths / 1000] / 1e3;
}

static void print_figures(struct bench *bench)
{
    const struct options *options = &bench->options;
    const double seconds = (double)(bench->end - bench->begin) / 1e9;
    qsort(bench->latency, options->messages, sizeof(*bench->latency), compare);
    printf("p50=%.2f p99=%.2f p999=%.2f rate=%.0f errors=%zu\n", quantile(bench, 500), quantile(bench, 990),
           quantile(bench, 999), (double)options->messages / seconds, bench->errors);
}

/* ---- The command line ---------------------------------------------------------------------- */

static const char usage[] =
    "usage: bench_client -p PORT [option...]\n"
    "  -p PORT     of the broker, on 127.0.0.1\n"
    "  -q QOS      of requests and of the subscription (0)\n"
    "  -c CLIENTS  (1)\n"
    "  -f NUMBER   of the first client, where other processes have the ones before it (0)\n"
    "  -o COUNT    requests outstanding for each client (1)\n"
    "  -n COUNT    requests to measure, over all clients (10000)\n"
    "  -w COUNT    requests before that, not measured (1000)\n"
    "  -t TOPIC    of the requests; without it a client's own response topic: the floor\n"
    "  -s COUNT    spread over so many topics: TOPIC00000, TOPIC00001 and so on\n"
    "  -b PAYLOAD  of the requests\n"
    "  -e TEXT     that every answer contains, else it is an error\n";

static size_t size_option(const char *text)
{
    char *end = NULL;
    const unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || value > 100000000) {
        fprintf(stderr, "bench_client: %s is no number that makes sense here\n", text);
        exit(EXIT_FAILURE);
    }
    return value;
}

static bool take_option(struct options *options, int name, const char *value)
{
    switch (name) {
    case 'p':
        options->port = (int)size_option(value);
        return true;
    case 'q':
        options->qos = (int)size_option(value);
        return true;
    case 'c':
        options->clients = size_option(value);
        return true;
    case 'f':
        options->first = size_option(value);
        return true;
    case 'o':
        options->outstanding = size_option(value);
        return true;
    case 'n':
        options->messages = size_option(value);
        return true;
    case 'w':
        options->warmup = size_option(value);
        return true;
    case 't':
        options->topic = value;
        return true;
    case 's':
        options->spread = (unsigned)size_option(value);
        return true;
    case 'b':
        options->payload = value;
        return true;
    case 'e':
        options->expect = value;
        return true;
    default:
        return false;
    }
}

static bool read_options(struct options *options, int argc, char **argv)
{
    int name;
    while ((name = getopt(argc, argv, "p:q:c:f:o:n:w:t:s:b:e:")) != -1) {
        if (!take_option(options, name, optarg))
            return false;
    }
    return optind == argc && options->port && options->qos <= 2 && options->clients && options->messages &&
           options->outstanding && options->outstanding < MAX_INFLIGHT;
}

int main(int argc, char **argv)
{
    struct bench bench = {.options = {.clients = 1,
                                      .outstanding = 1,
                                      .messages = 10000,
                                      .warmup = 1000,
                                      .payload = "{\"sensor_id\":\"temp1\",\"value\":25.5}",
                                      .expect = ""}};
    if (!read_options(&bench.options, argc, argv)) {
        fputs(usage, stderr);
        return EXIT_FAILURE;
    }
    mosquitto_lib_init();
    const int rc = open_bench(&bench);
    const bool done = !rc && run(&bench);
    if (done)
        print_figures(&bench);
    else
        fprintf(stderr, "bench_client: %s; %zu of %zu answered, %zu errors\n", mosquitto_strerror(rc),
                bench.answered, bench.options.warmup + bench.options.messages, bench.errors);
    close_bench(&bench);
    mosquitto_lib_cleanup();
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
