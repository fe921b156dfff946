// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What workers declare: see foreign.h. */
#include "call/foreign.h"

#include "base/text.h"
#include "call/answer.h"
#include "call/connections.h"
#include "call/engine_parts.h"
#include "call/task.h"
#include "call/topic.h"
#include "shape/fields_check.h"
#include "stats/recorder.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

/* The module that the rows are of, for tags and logs. The registry does not have it. */
static const rpc_module foreign_module = {.name = "declared", .doc = "What workers declare."};

/* ---- A declaration that is being checked ---- */

struct foreign_draft {
    struct engine *engine;
    struct foreign *foreign;
    struct foreign_declarer *declarer;
    struct foreign_claim *former; /* the first of those that the worker has had */
    const char *list;             /* "declares" or "events", */
    size_t index;                 /* the element that is looked at, */
    const char *name;             /* and its name */
    char *why;
};

static rpc_status foreign_fault(const struct foreign_draft *draft, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static rpc_status foreign_fault(const struct foreign_draft *draft, const char *format, ...)
{
    char safe[TOPIC_NAME_MAX + 1];
    va_list arguments;
    va_start(arguments, format);
    const int used = snprintf(draft->why, FOREIGN_WHY, "%s[%zu], %s: ", draft->list, draft->index,
                              text_printable(draft->name, safe, sizeof safe));
    if (used > 0 && used < FOREIGN_WHY)
        vsnprintf(draft->why + used, FOREIGN_WHY - (size_t)used, format, arguments);
    va_end(arguments);
    return RPC_INVALID_PARAMS;
}

static rpc_status foreign_overflow(const struct foreign_draft *draft, int max, const char *what)
{
    foreign_fault(draft, "workers declare as much as fits already: at most %d %s", max, what);
    return RPC_OVERLOADED;
}

/* Likewise of a schema of a card: see foreign_card_check_schema(). */
static rpc_status foreign_check_schema(const struct foreign_draft *draft, const char *text, const char *role,
                                       const char *member)
{
    char fault[FOREIGN_CARD_WHY];
    const rpc_status status = foreign_card_check_schema(text, role, member, fault);
    return status == RPC_INVALID_PARAMS ? foreign_fault(draft, "%s", fault) : status;
}

/* ---- Contents ---- */

/* Copies a text to *end, which moves behind it. NULL stays NULL. */
static const char *foreign_put(char **end, const char *text)
{
    const size_t size = text ? strlen(text) + 1 : 0;
    char *copy = *end;
    if (!text)
        return NULL;
    memcpy(copy, text, size);
    *end += size;
    return copy;
}

/* Makes room for the texts, and copies them to where `to` points. NULL: no memory. */
static struct foreign_content *foreign_make_content(const char *const texts[], const char *copies[],
                                                    size_t count)
{
    size_t bytes = sizeof(struct foreign_content);
    for (size_t i = 0; i < count; i++)
        bytes += texts[i] ? strlen(texts[i]) + 1 : 0;
    struct foreign_content *content = calloc(1, bytes);
    if (!content)
        return NULL;
    content->bytes = bytes;
    char *end = (char *)(content + 1);
    for (size_t i = 0; i < count; i++)
        copies[i] = foreign_put(&end, texts[i]);
    return content;
}

static struct foreign_content *foreign_copy_method(const struct foreign_method_card *card,
                                                   const struct foreign_row *event)
{
    const char *const texts[] = {card->doc, card->params.text, card->result.text, card->lane};
    const char *copies[4] = {NULL};
    struct foreign_content *content = foreign_make_content(texts, copies, 4);
    if (!content)
        return NULL;
    content->doc = copies[0];
    content->params = copies[1];
    content->result = copies[2];
    content->lane = copies[3];
    content->event = event;
    content->read_only = card->read_only;
    content->idempotent = card->idempotent;
    content->timeout = (uint32_t)card->timeout;
    content->announce = (rpc_announcement)card->announce;
    return content;
}

static struct foreign_content *foreign_copy_event(const struct foreign_event_card *card)
{
    const char *const texts[] = {card->doc, card->data.text, card->key};
    const char *copies[3] = {NULL};
    struct foreign_content *content = foreign_make_content(texts, copies, 3);
    if (!content)
        return NULL;
    content->doc = copies[0];
    content->result = copies[1];
    content->key = copies[2];
    content->retained = card->retained;
    return content;
}

/* Makes a content, of which there may be none, the row's staged one. */
static rpc_status foreign_stage(const struct foreign_draft *draft, struct foreign_row *row,
                                struct foreign_content *content)
{
    if (!content)
        return RPC_INTERNAL_ERROR;
    row->staged = content;
    draft->foreign->bytes += content->bytes;
    return draft->foreign->bytes <= FOREIGN_BYTES_MAX
               ? RPC_OK
               : foreign_overflow(draft, FOREIGN_BYTES_MAX, "bytes of schemas and other texts");
}

static void foreign_drop_content(struct foreign *foreign, struct foreign_content **content)
{
    if (*content)
        foreign->bytes -= (*content)->bytes;
    free(*content);
    *content = NULL;
}

/* ---- Rows ---- */

static size_t foreign_row_bytes(const struct foreign_row *row)
{
    return sizeof *row + strlen(row->name) + 1;
}

/* Frees a row that the registry does not have, or any more. Accepts one that is not whole. */
static void foreign_free_row(struct foreign *foreign, struct foreign_row *row)
{
    foreign_drop_content(foreign, &row->content);
    foreign_drop_content(foreign, &row->staged);
    foreign->ways.forget(&row->method);
    statistics_fini(&row->method.statistics);
    fields_fini(&row->event.data);
    free(row->event.topic);
    free(row->name);
    free(row);
}

/* Gives a row what an event or a method needs beside its texts. Returns false: no memory. */
static bool foreign_prepare_row(struct engine *engine, struct foreign_row *row)
{
    const struct engine_options *options = &engine->env.options;
    char why[FIELDS_WHY];
    row->event.declared = &row->as_event;
    row->method.declared = &row->as_method;
    row->event.instance = row->method.instance = &engine->foreign->instance;
    row->event.foreign = row->method.foreign = row;
    if (row->is_event) {
        row->event.topic = topic_of_event(options->prefix, row->name);
        return row->event.topic && fields_init(&row->event.data, &registry_any_shape, why) == RPC_OK;
    }
    row->method.is_family = strchr(row->name, '{');
    row->method.placement = RPC_PLACEMENT_REMOTE;
    row->method.at_endpoint = text_has_word(options->jsonrpc_methods, "*");
    return statistics_init(&row->method.statistics, FOREIGN_ERRORS_MAX) &&
           engine->foreign->ways.place(engine, &row->method);
}

/* Returns a row that is linked nowhere. NULL: no memory. */
static struct foreign_row *foreign_make_row(struct engine *engine, const char *name, bool is_event)
{
    struct foreign_row *row = calloc(1, sizeof *row);
    if (!row)
        return NULL;
    row->name = strdup(name);
    row->is_event = is_event;
    row->as_event = (rpc_event){.name = row->name, .data = &registry_any_shape};
    row->as_method = (rpc_method){
        .name = row->name, .result = &registry_any_shape, .progress = &registry_any_shape, .defers = true};
    if (row->name && foreign_prepare_row(engine, row))
        return row;
    foreign_free_row(engine->foreign, row);
    return NULL;
}

/* Which of the counts a row belongs to beside that of methods, if it is one. */
static void foreign_count_row(struct foreign *foreign, const struct foreign_row *row, bool is_in)
{
    const size_t one = is_in ? 1 : SIZE_MAX;
    foreign->events += row->is_event ? one : 0;
    foreign->methods += row->is_event ? 0 : one;
    foreign->families += row->method.is_family ? one : 0;
    foreign->bytes += one * foreign_row_bytes(row);
}

/* Adds a row to the registry. Returns NULL: no memory. */
static struct foreign_row *foreign_add_row(struct engine *engine, const char *name, bool is_event)
{
    struct foreign *foreign = engine->foreign;
    struct registry *registry = &engine->registry;
    struct foreign_row *row = foreign_make_row(engine, name, is_event);
    if (!row)
        return NULL;
    if (is_event ? !registry_link_event(registry, &row->event)
                 : !registry_link_method(registry, &row->method)) {
        foreign_free_row(foreign, row);
        return NULL;
    }
    DL_APPEND(foreign->rows, row);
    foreign_count_row(foreign, row, true);
    return row;
}

/* Takes a row out of the registry, and frees it. */
static void foreign_remove_row(struct engine *engine, struct foreign_row *row)
{
    struct foreign *foreign = engine->foreign;
    if (row->is_event)
        registry_unlink_event(&engine->registry, &row->event);
    else
        registry_unlink_method(&engine->registry, &row->method);
    DL_DELETE(foreign->rows, row);
    foreign_count_row(foreign, row, false);
    foreign_free_row(foreign, row);
}

/* ---- Claims ---- */

static struct foreign_declarer *foreign_find_declarer(const struct foreign *foreign, const void *worker)
{
    struct foreign_declarer *declarer = foreign->declarers;
    while (declarer && declarer->worker != worker)
        declarer = declarer->next;
    return declarer;
}

/* Returns NULL: no memory. */
static struct foreign_declarer *foreign_get_declarer(struct foreign *foreign, const void *worker,
                                                     const char *name)
{
    struct foreign_declarer *declarer = foreign_find_declarer(foreign, worker);
    if (declarer)
        return declarer;
    declarer = calloc(1, sizeof *declarer);
    if (!declarer)
        return NULL;
    declarer->worker = worker;
    declarer->name = strdup(name);
    if (!declarer->name) {
        free(declarer);
        return NULL;
    }
    DL_APPEND(foreign->declarers, declarer);
    return declarer;
}

static void foreign_release_declarer(struct foreign *foreign, struct foreign_declarer *declarer)
{
    if (declarer->claims)
        return;
    DL_DELETE(foreign->declarers, declarer);
    free(declarer->name);
    free(declarer);
}

/* Frees a claim that its worker's list does not have any more. */
static void foreign_drop_claim(struct foreign *foreign, struct foreign_claim *claim)
{
    DL_DELETE(claim->row->claims, claim);
    foreign->bytes -= sizeof *claim;
    free(claim);
}

/* The worker of the draft declares the row. It is entered as the row's own unless it has declared it before.
 */
static rpc_status foreign_claim_row(const struct foreign_draft *draft, struct foreign_row *row)
{
    struct foreign_declarer *declarer = draft->declarer;
    if (row->mine)
        return RPC_OK;
    struct foreign_claim *claim = calloc(1, sizeof *claim);
    if (!claim)
        return RPC_INTERNAL_ERROR;
    claim->row = row;
    claim->declarer = declarer;
    DL_APPEND(row->claims, claim);
    LL_PREPEND2(declarer->claims, claim, next_of_worker);
    draft->foreign->bytes += sizeof *claim;
    return draft->foreign->bytes <= FOREIGN_BYTES_MAX
               ? RPC_OK
               : foreign_overflow(draft, FOREIGN_BYTES_MAX, "bytes of schemas and other texts");
}

bool foreign_is_declared_by(const struct foreign_row *row, const void *worker)
{
    const struct foreign_claim *claim = row->claims;
    while (claim && claim->declarer->worker != worker)
        claim = claim->next;
    return claim;
}

/* ---- Rows go ---- */

static void foreign_mark(const struct registry_method *method)
{
    if (method && method->foreign)
        method->foreign->is_used = true;
}

/* Marks the methods that something pending refers to. */
static void foreign_mark_methods(const struct engine *engine)
{
    struct foreign_row *row;
    DL_FOREACH(engine->foreign->rows, row)
    {
        row->is_used = !row->is_event && (row->method.open || row->method.dispatches);
    }
    for (const struct connection *connection = engine->connections; connection;
         connection = connection->hh.next) {
        const struct exchange *exchange;
        DL_FOREACH(connection->exchanges, exchange)
        {
            foreign_mark(exchange->method);
            foreign_mark(exchange->call.method);
            for (const struct task *task = exchange->pending.tasks; task; task = task->item_next)
                foreign_mark(task->call ? task->call->method : NULL);
        }
    }
}

/* Makes what refers to a method forget it. Its retained statistics go, too. */
static void foreign_forget_method(struct engine *engine, const struct foreign_row *row)
{
    char level[sizeof TOPIC_METHOD_LEVEL "/" + TOPIC_NAME_MAX];
    recorder_forget(engine->recorder, &row->as_method);
    if (engine->to_report == &row->method)
        engine->to_report = row->method.hh.next;
    if (!row->method.statistics.calls || !engine->env.options.sys_interval)
        return;
    snprintf(level, sizeof level, TOPIC_METHOD_LEVEL "/%s", row->name);
    answer_publish_counter(&engine->env, level, true, NULL, "", 0);
}

/* Removes the rows of methods, or those of events, that nobody declares any more and nothing uses. Returns
 * the nanoseconds until the next one is due; UINT64_MAX: none will be. */
static uint64_t foreign_remove_left(struct engine *engine, bool events)
{
    const uint64_t now = env_now(&engine->env), linger = env_nanoseconds(FOREIGN_LINGER);
    struct foreign_row *row, *next;
    uint64_t wait = UINT64_MAX;
    DL_FOREACH_SAFE(engine->foreign->rows, row, next)
    {
        if (row->is_event != events || row->claims)
            continue;
        const uint64_t left = now - row->left < linger ? linger - (now - row->left) : 0;
        if (left || row->is_used) {
            const uint64_t again = left ? left : env_nanoseconds(FOREIGN_RETRY);
            wait = again < wait ? again : wait;
            continue;
        }
        if (!events)
            foreign_forget_method(engine, row);
        foreign_remove_row(engine, row);
        engine->foreign->changes++;
    }
    return wait;
}

static void foreign_sweep(rpc_instance *instance, void *state, void *data);

/* Has rows looked at after so many nanoseconds. Without memory for it they are when the next worker goes. */
static void foreign_wait(struct foreign *foreign, uint64_t nanoseconds)
{
    if (nanoseconds != UINT64_MAX)
        foreign->timer =
            rpc_after(&foreign->instance, (uint32_t)(nanoseconds / 1000000 + 1), foreign_sweep, NULL);
}

static void foreign_sweep(rpc_instance *instance, void *state, void *data)
{
    struct engine *engine = instance->engine;
    struct foreign_row *row;
    (void)state, (void)data;
    engine->foreign->timer = (rpc_timer){.id = 0};
    foreign_mark_methods(engine);
    const uint64_t methods = foreign_remove_left(engine, false);
    DL_FOREACH(engine->foreign->rows, row)
    {
        if (!row->is_event && row->content->event)
            ((struct foreign_row *)row->content->event)->is_used = true;
    }
    const uint64_t events = foreign_remove_left(engine, true);
    foreign_wait(engine->foreign, methods < events ? methods : events);
}

/* A row whose last claim has gone goes after a while. */
static void foreign_leave_row(struct engine *engine, struct foreign_row *row)
{
    struct foreign *foreign = engine->foreign;
    foreign->changes++;
    if (row->claims)
        return;
    row->left = env_now(&engine->env);
    if (!foreign->timer.id)
        foreign_wait(foreign, env_nanoseconds(FOREIGN_LINGER));
}

void foreign_forget(struct engine *engine, const void *worker)
{
    struct foreign *foreign = engine->foreign;
    struct foreign_declarer *declarer = foreign_find_declarer(foreign, worker);
    struct foreign_claim *claim, *next;
    if (!declarer)
        return;
    LL_FOREACH_SAFE2(declarer->claims, claim, next, next_of_worker)
    {
        struct foreign_row *row = claim->row;
        foreign_drop_claim(foreign, claim);
        foreign_leave_row(engine, row);
    }
    declarer->claims = NULL;
    foreign_release_declarer(foreign, declarer);
}

/* ---- Declaring ---- */

/* Gets the row of the name that is looked at. existing: the row that there is, or NULL. */
static rpc_status foreign_enter(const struct foreign_draft *draft, struct foreign_row *existing,
                                bool is_event, struct foreign_row **row)
{
    const struct foreign *foreign = draft->foreign;
    if (existing && existing->turn == foreign->turn)
        return foreign_fault(draft, "declared twice");
    if (!existing && is_event && foreign->events >= FOREIGN_EVENTS_MAX)
        return foreign_overflow(draft, FOREIGN_EVENTS_MAX, "events");
    if (!existing && !is_event && foreign->methods >= FOREIGN_METHODS_MAX)
        return foreign_overflow(draft, FOREIGN_METHODS_MAX, "methods");
    if (!existing && !is_event && strchr(draft->name, '{') && foreign->families >= FOREIGN_FAMILIES_MAX)
        return foreign_overflow(draft, FOREIGN_FAMILIES_MAX, "method families");
    *row = existing ? existing : foreign_add_row(draft->engine, draft->name, is_event);
    if (!*row)
        return RPC_INTERNAL_ERROR;
    (*row)->turn = foreign->turn;
    return foreign_claim_row(draft, *row);
}

static rpc_status foreign_check_event(const struct foreign_draft *draft,
                                      const struct foreign_event_card *card, struct foreign_row **existing)
{
    const struct registry *registry = &draft->engine->registry;
    const struct registry_event *event = registry_find_event(registry, card->name);
    const rpc_event declared = {.name = card->name, .key = card->key};
    if (!topic_is_name(card->name))
        return foreign_fault(
            draft, "a name has levels of [A-Za-z0-9_.-]+, none of them \"response\" or \"request\"");
    if (strcmp(card->name, TOPIC_ERROR_EVENT) == 0)
        return foreign_fault(draft, "the name belongs to the plugin");
    if (event && !event->foreign)
        return foreign_fault(draft, "module %s has this event", event->instance->module->name);
    if (!foreign_card_is_line(card->doc) || !foreign_card_is_line(card->key))
        return foreign_fault(draft, "its doc or its key has a control character");
    const struct registry_event *other = registry_find_overlap(registry, &declared);
    if (other)
        return foreign_fault(draft, "it and the event %s lie where values of the key of one of them lie",
                             other->declared->name);
    *existing = event ? event->foreign : NULL;
    return foreign_check_schema(draft, card->data.text, "data", card->key);
}

/* Until all is settled the key alone tells those events that come after it where values lie. */
static rpc_status foreign_declare_event(const struct foreign_draft *draft,
                                        const struct foreign_event_card *card)
{
    struct foreign_row *row = NULL;
    rpc_status status = foreign_check_event(draft, card, &row);
    if (status == RPC_OK)
        status = foreign_enter(draft, row, true, &row);
    if (status == RPC_OK)
        status = foreign_stage(draft, row, foreign_copy_event(card));
    if (status == RPC_OK)
        row->as_event.key = row->staged->key;
    return status;
}

/* A family whose first level is free could take the calls of every name that is misspelt. */
static rpc_status foreign_check_name(const struct foreign_draft *draft)
{
    const char *name = draft->name;
    const bool is_family = strpbrk(name, "{}");
    if (is_family ? !topic_is_family(name) || *name == '{' : !topic_is_name(name))
        return foreign_fault(
            draft,
            "a name has levels of [A-Za-z0-9_.-]+, none of them \"response\" or \"request\", "
            "and at most %d of {[A-Za-z0-9_]+}, each a different one, but not the first one",
            TOPIC_WILD_MAX);
    if (strncmp(name, "rpc.", 4) == 0 || strncmp(name, "dead.", 5) == 0)
        return foreign_fault(draft, "names that begin with rpc. and dead. belong to the plugin");
    return RPC_OK;
}

/* Finds the row of the method's name, or NULL. A module's method comes first, also where it is a family. */
static rpc_status foreign_check_rivals(const struct foreign_draft *draft, struct foreign_row **existing)
{
    struct registry *registry = &draft->engine->registry;
    const char *name = draft->name;
    const struct registry_method *method = registry_find_exactly(registry, name, strlen(name));
    const struct registry_method *rival = method;
    *existing = method ? method->foreign : NULL;
    if (*existing)
        return RPC_OK;
    if (!rival)
        rival =
            strchr(name, '{') ? registry_find_meeting(registry, name) : registry_find_method(registry, name);
    if (!rival || (rival->foreign && !strchr(name, '{')))
        return RPC_OK;
    if (rival->foreign)
        return foreign_fault(draft, "a call could also be one of %s, which is declared, too",
                             rival->declared->name);
    return foreign_fault(draft, "module %s has the method %s", rival->instance->module->name,
                         rival->declared->name);
}

static rpc_status foreign_check_method(const struct foreign_draft *draft,
                                       const struct foreign_method_card *card, struct foreign_row **existing)
{
    rpc_status status = foreign_check_name(draft);
    if (status == RPC_OK && (!foreign_card_is_line(card->doc) || !foreign_card_is_line(card->lane)))
        status = foreign_fault(draft, "its doc or its lane has a control character");
    if (status == RPC_OK)
        status = foreign_check_rivals(draft, existing);
    if (status == RPC_OK)
        status = foreign_check_schema(draft, card->params.text, "params", card->lane);
    return status == RPC_OK ? foreign_check_schema(draft, card->result.text, "result", NULL) : status;
}

static rpc_status foreign_declare_method(const struct foreign_draft *draft,
                                         const struct foreign_method_card *card)
{
    const struct registry_event *event =
        card->event ? registry_find_event(&draft->engine->registry, card->event) : NULL;
    struct foreign_row *row = NULL;
    rpc_status status = foreign_check_method(draft, card, &row);
    if (status != RPC_OK)
        return status;
    if (card->event && !(event && event->foreign && event->foreign->turn == draft->foreign->turn))
        return foreign_fault(draft, "its event, %.64s, is not one of `events` beside `declares`",
                             card->event);
    if (!card->event && card->announce != RPC_ANNOUNCE_ALWAYS)
        return foreign_fault(draft, "it has announce, which is for a result event: it also needs event");
    status = foreign_enter(draft, row, false, &row);
    return status == RPC_OK
               ? foreign_stage(draft, row, foreign_copy_method(card, event ? event->foreign : NULL))
               : status;
}

static rpc_status foreign_check_all(struct foreign_draft *draft, const struct foreign_cards *cards)
{
    rpc_status status = RPC_OK;
    draft->list = "events";
    for (size_t i = 0; i < cards->event_count && status == RPC_OK; i++) {
        draft->index = i;
        draft->name = cards->events[i].name;
        status = foreign_declare_event(draft, &cards->events[i]);
    }
    draft->list = "declares";
    for (size_t i = 0; i < cards->method_count && status == RPC_OK; i++) {
        draft->index = i;
        draft->name = cards->methods[i].name;
        status = foreign_declare_method(draft, &cards->methods[i]);
    }
    draft->list = "methods";
    for (size_t i = 0; i < cards->offered_count && status == RPC_OK; i++) {
        const struct registry_method *method = cards->offered[i];
        if (!method->foreign || method->foreign->turn == draft->foreign->turn)
            continue;
        draft->index = i;
        draft->name = method->declared->name;
        method->foreign->turn = draft->foreign->turn;
        status = foreign_claim_row(draft, method->foreign);
    }
    return status;
}

/* Takes back what the draft has entered so far. */
static void foreign_undo(const struct foreign_draft *draft)
{
    struct foreign *foreign = draft->foreign;
    struct foreign_declarer *declarer = draft->declarer;
    struct foreign_row *row, *next;
    while (declarer->claims != draft->former) {
        struct foreign_claim *claim = declarer->claims;
        declarer->claims = claim->next_of_worker;
        foreign_drop_claim(foreign, claim);
    }
    DL_FOREACH_SAFE(foreign->rows, row, next)
    {
        if (row->turn != foreign->turn)
            continue;
        row->turn = 0;
        foreign_drop_content(foreign, &row->staged);
        if (row->content)
            row->as_event.key = row->content->key;
        else
            foreign_remove_row(draft->engine, row);
    }
}

/* Makes the staged content of a row the one that holds. */
static void foreign_settle_row(struct foreign *foreign, struct foreign_row *row)
{
    if (!row->staged)
        return; /* it is offered only */
    foreign_drop_content(foreign, &row->content);
    const struct foreign_content *content = row->content = row->staged;
    row->staged = NULL;
    row->as_event.doc = row->as_method.doc = content->doc;
    row->as_event.retained = content->retained;
    row->as_event.key = content->key;
    row->as_method.lane = content->lane;
    row->as_method.read_only = row->method.may_run_twice = content->read_only;
    row->as_method.idempotent = content->idempotent;
    row->as_method.timeout = content->timeout;
    row->as_method.announce = content->announce;
    row->as_method.event = content->event ? content->event->name : NULL;
    row->method.event = content->event ? &content->event->event : NULL;
}

/* All of the draft is right: it holds from now on, and what the worker does not declare any more is left. */
static void foreign_settle(const struct foreign_draft *draft)
{
    struct foreign *foreign = draft->foreign;
    struct foreign_claim *claim, *next;
    struct foreign_row *row;
    DL_FOREACH(foreign->rows, row)
    {
        if (row->turn == foreign->turn)
            foreign_settle_row(foreign, row);
    }
    LL_FOREACH_SAFE2(draft->former, claim, next, next_of_worker)
    {
        row = claim->row;
        if (row->turn == foreign->turn)
            continue;
        LL_DELETE2(draft->declarer->claims, claim, next_of_worker);
        foreign_drop_claim(foreign, claim);
        foreign_leave_row(draft->engine, row);
    }
    foreign->changes++;
}

rpc_status foreign_declare(struct engine *engine, const void *worker, const char *name,
                           const struct foreign_cards *cards, char why[FOREIGN_WHY])
{
    struct foreign *foreign = engine->foreign;
    struct foreign_claim *claim;
    *why = '\0';
    if (!cards->method_count && !cards->event_count && !cards->offered_count) {
        foreign_forget(engine, worker);
        return RPC_OK;
    }
    struct foreign_draft draft = {.engine = engine,
                                  .foreign = foreign,
                                  .declarer = foreign_get_declarer(foreign, worker, name),
                                  .why = why};
    if (!draft.declarer)
        return RPC_INTERNAL_ERROR;
    draft.former = draft.declarer->claims;
    foreign->turn++;
    LL_FOREACH2(draft.former, claim, next_of_worker)
    {
        claim->row->mine = claim;
    }
    const rpc_status status = foreign_check_all(&draft, cards);
    LL_FOREACH2(draft.former, claim, next_of_worker)
    {
        claim->row->mine = NULL;
    }
    if (status == RPC_OK)
        foreign_settle(&draft);
    else
        foreign_undo(&draft);
    foreign_release_declarer(foreign, draft.declarer);
    return status;
}

/* ---- What calls need ---- */

const char *foreign_take_code(struct foreign *foreign, struct foreign_row *row, const char *text)
{
    const unsigned count = row->as_method.errors.count;
    const rpc_error *known = registry_find_error(&row->as_method, text);
    const char *code = known ? known->code : NULL;
    if (!code && count < FOREIGN_ERRORS_MAX)
        code = foreign_codes_take(&foreign->codes, text);
    if (!code || known)
        return code;
    row->errors[count].code = code;
    row->as_method.errors.rows = row->errors;
    row->as_method.errors.count = count + 1;
    return code;
}

/* ---- The engine's part ---- */

struct foreign *foreign_create(struct engine *engine, const struct foreign_ways *ways)
{
    struct foreign *foreign = calloc(1, sizeof *foreign);
    if (!foreign)
        return NULL;
    foreign->ways = *ways;
    foreign->instance.engine = engine;
    foreign->instance.env = &engine->env;
    foreign->instance.timers = &engine->timers;
    foreign->instance.module = &foreign_module;
    foreign->instance.ready = true;
    return foreign;
}

void foreign_destroy(struct engine *engine)
{
    struct foreign *foreign = engine->foreign;
    if (!foreign)
        return;
    while (foreign->declarers) {
        struct foreign_declarer *declarer = foreign->declarers;
        while (declarer->claims) {
            struct foreign_claim *claim = declarer->claims;
            declarer->claims = claim->next_of_worker;
            foreign_drop_claim(foreign, claim);
        }
        foreign_release_declarer(foreign, declarer);
    }
    while (foreign->rows)
        foreign_remove_row(engine, foreign->rows);
    foreign_codes_fini(&foreign->codes);
    free(foreign);
}
