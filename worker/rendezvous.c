// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The modes `rendezvous` and `auto`: see rendezvous.h. */
#include "rendezvous.h"

#include "base/bucket.h"
#include "call/topic.h"
#include "calls.h"
#include "ranks.h"
#include "share.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MILLISECOND UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)
#define PAUSE (SECOND / 2)   /* after which all has come that was sent before the worker had subscribed */
#define ALONE SECOND         /* after which a worker that has met no other takes itself for the first */
#define OVERLAP (2 * SECOND) /* in which all learn of a change, and of what was decided before */
#define LINGER SECOND        /* after the others were told that it leaves, in which it passes calls on */
#define LAST (SECOND / 4)    /* before the end of draining, in which it tells that it is gone */

enum {
    RENDEZVOUS_ROOT = TOPIC_PREFIX_MAX + sizeof "/worker/",
    RENDEZVOUS_TOPIC = RENDEZVOUS_ROOT + RANKS_ID_MAX,
    RENDEZVOUS_BELOW = RENDEZVOUS_TOPIC + sizeof "/doubt",
    RENDEZVOUS_PRESENCE = 512,
    RENDEZVOUS_HEARD = 4096,           /* bytes of another worker's: one of a later version may tell more */
    RENDEZVOUS_SILENT = 20,            /* lines about workers that are silent, at once; then one a second */
    RENDEZVOUS_EVERY_MAX = 65535 * 500 /* ms, of every_ms: half of the longest keep alive */
};

/* A copy of a call that another worker runs, with its topic and payload behind it. */
struct rendezvous_copy {
    struct ranks_copy copy;
    struct mosquitto_message message;
    mosquitto_property *properties;
};

struct rendezvous {
    struct ranks ranks;
    char id[RANKS_ID_MAX + 1];
    char root[RENDEZVOUS_ROOT];   /* P/worker/ */
    char topic[RENDEZVOUS_TOPIC]; /* of its own presence */
    int unsubscribed;             /* subscriptions that the broker has not answered */
    enum ranks_state state;       /* as was told last */
    uint64_t subscribed;          /* when the broker had answered all; 0: it has not on this connection */
    uint64_t told;                /* when it was told; 0: not on this connection */
    uint64_t came;                /* when it came back; 0: it did not yet */
    uint64_t settling;            /* when that came back; 0: it did not yet */
    uint64_t leaving;             /* when the leaving was told; 0: it was not */
    bool gone;                    /* it has told that it is gone */
    struct bucket silent;         /* of lines about workers that are silent */
    struct bucket log;            /* of lines about calls that cannot be kept */
    uint64_t dropped;             /* such calls that were not logged */
};

static const char *const rendezvous_states[] = {
    [RANKS_JOINING] = "joining",
    [RANKS_SETTLING] = "settling",
    [RANKS_HERE] = "here",
    [RANKS_LEAVING] = "leaving",
};

static struct rendezvous *rendezvous_of(const struct worker *worker)
{
    return worker->mode_state;
}

/* ---- Copies ---- */

static void rendezvous_free(struct rendezvous_copy *copy)
{
    if (copy)
        mosquitto_property_free_all(&copy->properties);
    free(copy);
}

static void rendezvous_free_list(struct ranks_copy *copies)
{
    for (struct ranks_copy *copy = copies, *next; copy; copy = next) {
        next = copy->next;
        rendezvous_free((struct rendezvous_copy *)copy);
    }
}

static struct rendezvous_copy *rendezvous_copy(const struct mosquitto_message *message,
                                               const mosquitto_property *properties)
{
    const size_t topic = strlen(message->topic) + 1, size = (size_t)message->payloadlen;
    struct rendezvous_copy *copy = calloc(1, sizeof *copy + topic + size + 1);
    if (!copy)
        return NULL;
    char *text = (char *)(copy + 1);
    copy->message = *message;
    copy->message.topic = memcpy(text, message->topic, topic);
    copy->message.payload = text + topic; /* the NUL behind it is there */
    if (size)
        memcpy(text + topic, message->payload, size);
    copy->copy.size = sizeof *copy + topic + size + 1;
    if (!properties || mosquitto_property_copy_all(&copy->properties, properties) == MOSQ_ERR_SUCCESS)
        return copy;
    rendezvous_free(copy);
    return NULL;
}

/* From when on nobody waits for the reply any more. */
static uint64_t rendezvous_deadline(const struct worker *worker, const struct client_message *message,
                                    uint64_t now)
{
    char text[16], *end;
    uint64_t longest = (uint64_t)worker->settings.current->engine.timeout_max;
    if (client_host_user_property(message->seen.properties, "timeout-ms", text, sizeof text)) {
        const unsigned long long asked = strtoull(text, &end, 10);
        if (asked && !*end && asked < longest)
            longest = asked;
    }
    return now + longest * MILLISECOND;
}

static void rendezvous_log_drop(struct rendezvous *state, uint64_t now)
{
    state->dropped++;
    if (!bucket_take(&state->log, now, 1, 1, 1))
        return;
    worker_log(RPC_LOG_WARNING,
               "%llu calls of other workers could not be kept, and are lost if those workers go: "
               "see max_pending and max_pending_bytes",
               (unsigned long long)state->dropped);
    state->dropped = 0;
}

static void rendezvous_keep(struct worker *worker, struct ranks_call *call,
                            const struct client_message *message, const struct mosquitto_message *received,
                            const mosquitto_property *properties, uint64_t now)
{
    struct rendezvous *state = rendezvous_of(worker);
    struct rendezvous_copy *copy = rendezvous_copy(received, properties);
    if (!copy) {
        rendezvous_log_drop(state, now);
        return;
    }
    copy->copy.arrived = now;
    copy->copy.due = rendezvous_deadline(worker, message, now);
    ranks_keep(&state->ranks, call, &copy->copy);
}

/* ---- Telling the others ---- */

/* key: NULL: none. */
static bool rendezvous_tell(struct worker *worker, const char *what, const struct digest *key,
                            const char *payload, bool retain)
{
    const struct rendezvous *state = rendezvous_of(worker);
    char topic[RENDEZVOUS_BELOW];
    mosquitto_property *properties = NULL;
    snprintf(topic, sizeof topic, "%s%s", state->topic, what);
    int result =
        key ? mosquitto_property_add_binary(&properties, MQTT_PROP_CORRELATION_DATA, key, sizeof *key)
            : MOSQ_ERR_SUCCESS;
    /* What is retained vanishes where neither the worker nor its will can take it back. */
    if (!result && retain && *payload)
        result = mosquitto_property_add_int32(&properties, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL,
                                              3 * (uint32_t)worker->options->keepalive);
    const bool is_sent = !result && connection_publish(&worker->connection, topic, payload, strlen(payload),
                                                       1, retain, properties);
    mosquitto_property_free_all(&properties);
    return is_sent;
}

/* How often presence is told: so often that a worker that stops for as long as its keep alive is not gone
 * yet. */
static uint64_t rendezvous_every(const struct worker *worker)
{
    return (uint64_t)worker->options->keepalive * SECOND / 2;
}

static void rendezvous_tell_presence(struct worker *worker, enum ranks_state as, uint64_t now)
{
    struct rendezvous *state = rendezvous_of(worker);
    char text[RENDEZVOUS_PRESENCE];
    snprintf(text, sizeof text,
             "{\"name\":\"%s\",\"since\":%lld,\"version\":\"" RPC_VERSION
             "\",\"every_ms\":%llu,\"state\":\"%s\",\"leaving\":%s}",
             worker->name, (long long)time(NULL) - (long long)((now - state->came) / SECOND) * !!state->came,
             (unsigned long long)(rendezvous_every(worker) / MILLISECOND), rendezvous_states[as],
             as == RANKS_LEAVING ? "true" : "false");
    state->state = as;
    state->told = now;
    rendezvous_tell(worker, "", NULL, text, true);
}

/* ---- Calls ---- */

/*
 * Whether the others take this worker for gone without its word: it has stopped, or its connection stands
 * still. This is asked for each message, since a worker may stop between two. A worker that knows no other
 * one is not missed: its calls are run here or not at all.
 */
static bool rendezvous_is_missed(const struct rendezvous *state, uint64_t now)
{
    return !state->gone && !ranks_is_alone(&state->ranks) && ranks_is_missed(&state->ranks, now);
}

/* Whether the others have been told that it is gone. They have what comes now, too: it passes nothing on. */
static bool rendezvous_has_left(const struct rendezvous *state)
{
    return state->gone && !ranks_is_alone(&state->ranks);
}

/* Whether others run a call that was begun here: the caller is to have one reply. */
static bool rendezvous_is_given_up(const struct rendezvous *state, const struct ranks_call *call,
                                   uint64_t now)
{
    return call->abandoned || rendezvous_is_missed(state, now);
}

static void rendezvous_run(struct worker *worker, struct ranks_call *call, struct client_message *message,
                           uint64_t now)
{
    struct ranks *ranks = &rendezvous_of(worker)->ranks;
    ranks_begin(ranks, call, now);
    message->client.mark = call;
    if (!worker_receive(worker, &message->seen))
        ranks_finish(ranks, call, now);
}

/* The same of every worker, and of a call that is sent again. */
static struct digest rendezvous_key(const struct host_message *message)
{
    const char *reply = message->response_topic;
    const struct digest_part parts[] = {
        {message->topic, strlen(message->topic)},
        {message->payload, message->size},
        {reply, reply ? strlen(reply) : 0},
        {message->correlation, message->correlation_size},
    };
    return ranks_key(parts, sizeof parts / sizeof *parts);
}

static void rendezvous_receive(struct worker *worker, const struct mosquitto_message *received,
                               const mosquitto_property *properties, uint64_t now)
{
    struct rendezvous *state = rendezvous_of(worker);
    struct client_message message;
    client_message_init(&message, received, properties);
    const struct digest key = rendezvous_key(&message.seen);
    struct ranks_call *call = ranks_find(&state->ranks, &key, now);
    const enum ranks_verdict verdict = call ? ranks_decide(&state->ranks, call, now) : RANKS_DROP;
    if (!call)
        rendezvous_log_drop(state, now);
    if (verdict == RANKS_PASS)
        rendezvous_tell(worker, "/pass", &key, call->owner->id, false);
    if (verdict == RANKS_RUN)
        rendezvous_run(worker, call, &message, now);
    else if (verdict != RANKS_DROP)
        rendezvous_keep(worker, call, &message, received, properties, now);
    client_message_fini(&message);
}

/* Runs what others had, or what has waited for this worker to be here. */
static void rendezvous_go_on(struct worker *worker, uint64_t now)
{
    struct rendezvous *state = rendezvous_of(worker);
    struct ranks_copy *copies = rendezvous_has_left(state) ? NULL : ranks_take_mine(&state->ranks), *copy;
    while ((copy = copies)) {
        struct rendezvous_copy *own = (struct rendezvous_copy *)copy;
        struct client_message message;
        copies = copy->next;
        client_message_init(&message, &own->message, own->properties);
        if (copy->due > now)
            rendezvous_run(worker, copy->call, &message, now);
        client_message_fini(&message);
        rendezvous_free(own);
    }
}

static void rendezvous_handled(struct worker *worker, const void *mark)
{
    struct rendezvous *state = rendezvous_of(worker);
    struct ranks_call *call = (struct ranks_call *)mark;
    const uint64_t now = client_host_now();
    if (calls_is_to_all(mark))
        return;
    call->abandoned = rendezvous_is_given_up(state, call, now);
    ranks_finish(&state->ranks, call, now);
    if (!call->abandoned && state->told)
        rendezvous_tell(worker, "/done", &call->key, "", false);
}

static bool rendezvous_publish(struct worker *worker, const struct host_publication *publication)
{
    const void *mark = publication->client ? publication->client->mark : NULL;
    const bool is_reply = publication->status && mark && !calls_is_to_all(mark);
    if (!is_reply || !rendezvous_is_given_up(rendezvous_of(worker), mark, client_host_now()))
        return calls_publish(worker, publication);
    free(publication->payload);
    return true;
}

/* ---- What the others tell ---- */

/* A state that is not known is that of a later version, whose worker is not reckoned with yet. */
static enum ranks_state rendezvous_read_state(const cJSON *presence)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(presence, "state"));
    for (enum ranks_state as = RANKS_JOINING; text && as <= RANKS_LEAVING; as++) {
        if (strcmp(text, rendezvous_states[as]) == 0)
            return as;
    }
    return RANKS_JOINING;
}

/* How often the worker is to be heard of. One that does not say so is to be heard of as often as this one, so
 * that nobody is taken to be there for ever. */
static uint64_t rendezvous_read_every(const struct worker *worker, const cJSON *presence)
{
    const cJSON *every = cJSON_GetObjectItemCaseSensitive(presence, "every_ms");
    const bool is_usable = cJSON_IsNumber(every) && every->valuedouble >= 1 &&
                           every->valuedouble <= (double)RENDEZVOUS_EVERY_MAX;
    return is_usable ? (uint64_t)every->valuedouble * MILLISECOND : rendezvous_every(worker);
}

static void rendezvous_hear_presence(struct worker *worker, const char *id, const char *text, size_t size,
                                     uint64_t now)
{
    struct rendezvous *state = rendezvous_of(worker);
    const bool is_self = strcmp(id, state->id) == 0;
    if ((is_self && (!state->told || state->gone)) || size > RENDEZVOUS_HEARD)
        return; /* of an earlier connection, or none */
    if (!size && is_self) {
        rendezvous_tell_presence(worker, state->state, now); /* the will of an earlier connection */
    } else if (!size) {
        ranks_go(&state->ranks, id, now);
    } else {
        cJSON *presence = cJSON_ParseWithLength(text, size);
        const enum ranks_state as = rendezvous_read_state(presence);
        struct ranks_worker *other =
            cJSON_IsObject(presence) ? ranks_come(&state->ranks, id, as, is_self, now) : NULL;
        if (other)
            other->every = rendezvous_read_every(worker, presence);
        if (other && is_self && !state->came)
            state->came = now;
        if (other && is_self && as == RANKS_SETTLING && !state->settling)
            state->settling = now;
        /* Not every node of a cluster gives it what others have retained. */
        if (other && !is_self && other->seen == other->heard && state->came)
            rendezvous_tell_presence(worker, state->state, now);
        cJSON_Delete(presence);
    }
}

static void rendezvous_hear_note(struct rendezvous *state, const char *id, const char *what,
                                 const struct mosquitto_message *received,
                                 const mosquitto_property *properties, uint64_t now)
{
    struct client_message message;
    struct digest key;
    client_message_init(&message, received, properties);
    if (strcmp(id, state->id) == 0) {
        ranks_hear(&state->ranks, id, now);
    } else if (message.seen.correlation_size == sizeof key) {
        memcpy(&key, message.seen.correlation, sizeof key);
        if (strcmp(what, "done") == 0)
            rendezvous_free((struct rendezvous_copy *)ranks_answered(&state->ranks, id, &key, now));
        else if (strcmp(what, "pass") == 0 || strcmp(what, "doubt") == 0)
            ranks_passed(&state->ranks, id, message.seen.payload, &key, *what == 'd', now);
    }
    client_message_fini(&message);
}

/* Returns false: the message is none of another worker's. */
static bool rendezvous_hear(struct worker *worker, const struct mosquitto_message *received,
                            const mosquitto_property *properties, uint64_t now)
{
    struct rendezvous *state = rendezvous_of(worker);
    const size_t root = strlen(state->root);
    char id[RANKS_ID_MAX + 1];
    if (strncmp(received->topic, state->root, root) != 0)
        return false;
    const char *rest = received->topic + root;
    const size_t length = strcspn(rest, "/");
    snprintf(id, sizeof id, "%.*s", (int)(length < sizeof id ? length : 0), rest);
    if (!worker_is_name(id))
        return true;
    if (rest[length])
        rendezvous_hear_note(state, id, rest + length + 1, received, properties, now);
    else
        rendezvous_hear_presence(worker, id, received->payload, (size_t)received->payloadlen, now);
    return true;
}

static void rendezvous_message(struct worker *worker, const struct mosquitto_message *received,
                               const mosquitto_property *properties)
{
    const struct rendezvous *state = rendezvous_of(worker);
    const uint64_t now = client_host_now();
    const bool is_others = rendezvous_has_left(state) || rendezvous_is_missed(state, now);
    if (is_others || calls_answer_all(worker, received, properties))
        return;
    if (!rendezvous_hear(worker, received, properties, now) && !calls_is_reply(worker, received->topic))
        rendezvous_receive(worker, received, properties, now);
    rendezvous_go_on(worker, now);
}

/* ---- The connection ---- */

static void rendezvous_connected(struct worker *worker)
{
    struct rendezvous *state = rendezvous_of(worker);
    char filter[RENDEZVOUS_BELOW];
    static const char *const below[] = {"+", "+/done", "+/pass", "+/doubt"};
    state->unsubscribed = calls_subscribe(worker, NULL);
    for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
        snprintf(filter, sizeof filter, "%s%s", state->root, below[i]);
        state->unsubscribed += connection_subscribe(&worker->connection, filter, 1, 0) >= 0;
    }
}

static void rendezvous_subscribed(struct worker *worker, int mid, int reason)
{
    struct rendezvous *state = rendezvous_of(worker);
    if (!calls_subscribed(worker, mid, reason) || --state->unsubscribed > 0)
        return;
    state->subscribed = client_host_now();
    worker_ready(worker);
}

static void rendezvous_lost(struct worker *worker)
{
    struct rendezvous *state = rendezvous_of(worker);
    rendezvous_free_list(ranks_forget(&state->ranks));
    state->subscribed = state->told = state->came = state->settling = 0;
    state->gone = state->leaving;
}

/* ---- Rounds ---- */

/*
 * A worker is joining until it remembers all that the others do; then it is settling, one after the other.
 * Its time counts from when its word has come back: a broker may have kept it for longer than it takes to
 * settle.
 */
static void rendezvous_settle(struct worker *worker, uint64_t now)
{
    struct rendezvous *state = rendezvous_of(worker);
    struct ranks *ranks = &state->ranks;
    const uint64_t age = now - state->came;
    const bool is_new = state->state == RANKS_JOINING || state->state == RANKS_SETTLING;
    const bool is_alone = age >= ALONE && !ranks_has_other(ranks, RANKS_HERE);
    ranks->takes = state->settling && now >= state->settling + OVERLAP && state->state != RANKS_LEAVING &&
                   ranks->self && ranks->self->state == RANKS_SETTLING;
    if (is_new && (is_alone || (state->settling && now >= state->settling + 2 * OVERLAP))) {
        rendezvous_tell_presence(worker, RANKS_HERE, now);
    } else if (state->state == RANKS_JOINING && age >= ranks->window &&
               !ranks_has_other(ranks, RANKS_SETTLING)) {
        rendezvous_tell_presence(worker, RANKS_SETTLING, now);
    }
}

static void rendezvous_expire(struct worker *worker, uint64_t now)
{
    struct rendezvous *state = rendezvous_of(worker);
    const struct engine_options *options = &worker->settings.current->engine;
    struct ranks *ranks = &state->ranks;
    struct ranks_copy *copy;
    const char *silent;
    ranks->max_copies = (size_t)options->max_pending;
    ranks->max_bytes = (size_t)options->max_pending_bytes;
    ranks->max_calls = (size_t)options->duplicate_entries;
    ranks->doubt = OVERLAP;
    ranks->window = (uint64_t)options->duplicate_window * MILLISECOND;
    while ((silent = ranks_find_silent(ranks, now))) {
        if (bucket_take(&rendezvous_of(worker)->silent, now, 1, RENDEZVOUS_SILENT, 1))
            worker_log(RPC_LOG_WARNING, "worker %s is silent, and is taken for gone", silent);
        ranks_go(ranks, silent, now);
    }
    while ((copy = ranks_take_excess(ranks, now))) {
        if (copy->due > now)
            rendezvous_log_drop(state, now);
        rendezvous_free((struct rendezvous_copy *)copy);
    }
    ranks_expire(ranks, now);
}

/* While it drains: when nothing is open any more, and others have had time to learn of it, it is gone. */
static void rendezvous_end(struct worker *worker, uint64_t now)
{
    struct rendezvous *state = rendezvous_of(worker);
    const bool is_over = (!service_has_pending(worker->service) && now - state->leaving >= LINGER) ||
                         now + LAST >= worker->drained_at;
    if (!state->leaving || state->gone || !is_over)
        return;
    state->gone = true;
    rendezvous_tell(worker, "", NULL, "", true);
}

static void rendezvous_check_missed(struct worker *worker, uint64_t now)
{
    const struct rendezvous *state = rendezvous_of(worker);
    if (!rendezvous_is_missed(state, now))
        return;
    worker_log(RPC_LOG_WARNING,
               "this worker has not heard of itself for %.1f s, and takes it that others run its calls",
               (double)(now - state->ranks.self->heard) / (double)SECOND);
    connection_cut(&worker->connection, "it is made anew", now);
}

static void rendezvous_tick(struct worker *worker, uint64_t now)
{
    struct rendezvous *state = rendezvous_of(worker);
    const struct ranks_call *doubtful;
    rendezvous_check_missed(worker, now);
    rendezvous_expire(worker, now);
    if (worker->connection.state != CONNECTION_THERE || !state->subscribed)
        return;
    if (!state->told && now >= state->subscribed + PAUSE) {
        rendezvous_tell_presence(worker, RANKS_JOINING, now);
        ranks_come(&state->ranks, state->id, RANKS_JOINING, true,
                   now); /* calls may be passed to it at once */
    }
    if (!state->told)
        return;
    if (state->came)
        rendezvous_settle(worker, now);
    if (!state->gone && now - state->told >= rendezvous_every(worker))
        rendezvous_tell_presence(worker, state->state, now);
    while ((doubtful = ranks_take_doubtful(&state->ranks, now)))
        rendezvous_tell(worker, "/doubt", &doubtful->key, doubtful->owner->id, false);
    rendezvous_go_on(worker, now);
    rendezvous_end(worker, now);
}

/* A moment at which rendezvous_tick() goes on: one that has passed, and at which nothing could be done, would
 * keep the worker busy. */
static uint64_t rendezvous_due(const struct worker *worker)
{
    const struct rendezvous *state = rendezvous_of(worker);
    const struct ranks *ranks = &state->ranks;
    const uint64_t last = worker->drained_at - LAST, linger = state->leaving + LINGER;
    if (state->leaving && !state->gone)
        return service_has_pending(worker->service) || last < linger ? last : linger;
    if (state->subscribed && !state->told)
        return state->subscribed + PAUSE;
    if (!state->came || state->state != RANKS_JOINING)
        return UINT64_MAX;
    if (!ranks_has_other(ranks, RANKS_HERE))
        return state->came + ALONE;
    return ranks_has_other(ranks, RANKS_SETTLING) ? UINT64_MAX : state->came + ranks->window;
}

static void rendezvous_drain(struct worker *worker)
{
    struct rendezvous *state = rendezvous_of(worker);
    const uint64_t now = client_host_now();
    if (!state->told)
        return;
    rendezvous_tell_presence(worker, RANKS_LEAVING, now);
    if (state->ranks.self) /* at once, since it shall begin nothing more */
        ranks_come(&state->ranks, state->id, RANKS_LEAVING, true, now);
    state->leaving = now;
}

static bool rendezvous_is_idle(const struct worker *worker)
{
    const struct rendezvous *state = rendezvous_of(worker);
    return !state->leaving || state->gone;
}

/* ---- The beginning and the end ---- */

static bool rendezvous_init(struct worker *worker, char why[SERVICE_WHY])
{
    struct rendezvous *state = calloc(1, sizeof *state);
    worker->mode_state = state;
    if (!state) {
        snprintf(why, SERVICE_WHY, "no memory");
        return false;
    }
    const char *id = worker_is_name(worker->client_id) ? worker->client_id : worker->name;
    snprintf(state->id, sizeof state->id, "%.*s", RANKS_ID_MAX, id);
    snprintf(state->root, sizeof state->root, "%.*s/worker/", TOPIC_PREFIX_MAX,
             worker->settings.first->prefixes[0]);
    snprintf(state->topic, sizeof state->topic, "%s%s", state->root, state->id);
    worker->will = state->topic;
    return true;
}

static void rendezvous_fini(struct worker *worker)
{
    struct rendezvous *state = rendezvous_of(worker);
    if (!state)
        return;
    rendezvous_free_list(ranks_forget(&state->ranks));
    ranks_fini(&state->ranks);
    free(state);
    worker->mode_state = NULL;
}

const struct worker_mode rendezvous_mode = {
    .word = "rendezvous",
    .forgets = true,
    .init = rendezvous_init,
    .fini = rendezvous_fini,
    .connected = rendezvous_connected,
    .lost = rendezvous_lost,
    .message = rendezvous_message,
    .subscribed = rendezvous_subscribed,
    .publish = rendezvous_publish,
    .handled = rendezvous_handled,
    .tick = rendezvous_tick,
    .due = rendezvous_due,
    .drain = rendezvous_drain,
    .is_idle = rendezvous_is_idle,
};

/* ---- auto ---- */

/* The first connection decides for good. */
static void auto_connected(struct worker *worker)
{
    const bool has_shared = worker->connection.has_shared;
    worker_log(RPC_LOG_NOTICE, "the broker has %sshared subscriptions: mode %s", has_shared ? "" : "no ",
               has_shared ? share_mode.word : rendezvous_mode.word);
    if (has_shared) {
        worker->connection.settings.will = NULL; /* of this connection it clears what is not there */
        rendezvous_fini(worker);
    }
    worker->mode = has_shared ? &share_mode : &rendezvous_mode;
    worker->connection.settings.forgets = worker->mode->forgets;
    worker->mode->connected(worker);
}

static void auto_message(struct worker *worker, const struct mosquitto_message *received,
                         const mosquitto_property *properties)
{
    (void)worker, (void)received, (void)properties; /* none before the first connection */
}

const struct worker_mode auto_mode = {
    .word = "auto",
    .init = rendezvous_init,
    .fini = rendezvous_fini,
    .connected = auto_connected,
    .message = auto_message,
    .publish = calls_publish,
};
