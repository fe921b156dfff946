// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Calls to groups: see gather.h. */
#include "gather.h"

#include "names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { PACE_MS = 50, FAILURES_MIN = 5, MEMBERS_MAX = 100000, TEXT_MAX = 65535 };

/* What has become of a member. The order is that of the words. */
enum member_status {
    MEMBER_NOT_SENT, /* the call has ended before its turn */
    MEMBER_UNANSWERED,
    MEMBER_OK,
    MEMBER_QUEUED,
    MEMBER_FAILED,
    MEMBER_REJECTED,
    MEMBER_OFFLINE,
    MEMBER_TIMEOUT,
    MEMBER_UNKNOWN,
    MEMBER_STATUSES
};

static const char *const status_words[MEMBER_STATUSES] = {
    [MEMBER_NOT_SENT] = "not_sent", [MEMBER_UNANSWERED] = "unanswered", [MEMBER_OK] = "ok",
    [MEMBER_QUEUED] = "queued",     [MEMBER_FAILED] = "failed",         [MEMBER_REJECTED] = "rejected",
    [MEMBER_OFFLINE] = "offline",   [MEMBER_TIMEOUT] = "timeout",       [MEMBER_UNKNOWN] = "unknown",
};

/* Why a call has ended. */
enum gather_end { ENDED_ALL, ENDED_ENOUGH, ENDED_STALL, ENDED_DEADLINE, ENDED_ABORTED };

static const char *const end_words[] = {
    [ENDED_ALL] = "all",           [ENDED_ENOUGH] = "enough",   [ENDED_STALL] = "stall",
    [ENDED_DEADLINE] = "deadline", [ENDED_ABORTED] = "aborted",
};

enum gather_want { WANT_PRESENT, WANT_ALL, WANT_NUMBER };

/* ---- Shapes ---- */

struct member {
    const char *device;
    enum member_status status;
    const char *err, *msg, *id;
    rpc_json result, cause;
    double seen;
    bool has_seen;

    struct gather *gather;
    struct command *command; /* while it is on its way */
    bool is_over;            /* it has a verdict */
};

static const rpc_field member_fields[] = {
    RPC_STRING(struct member, device, .doc = "the device", .length = {1, NAME_MAX_BYTES}),
    RPC_CHOICE(struct member, status, .doc = "what has become of its command",
               .choices = RPC_TABLE(status_words)),
    RPC_JSON(struct member, result, .doc = "ok: what the device has answered", .optional = true),
    RPC_STRING(struct member, err, .doc = "the error's code, as a call of this device alone would get it",
               .optional = true, .length = {1, 64}),
    RPC_STRING(struct member, msg, .doc = "the error's text", .optional = true, .length = {0, TEXT_MAX}),
    RPC_JSON(struct member, cause, .doc = "the device's own error", .optional = true),
    RPC_STRING(struct member, id, .doc = "the id of the command", .optional = true, .length = {1, 128}),
    RPC_DOUBLE(struct member, seen, .doc = "when the device published last, Unix time", .unit = "s",
               .optional = true, .flag = RPC_FLAG(struct member, has_seen)),
};

static const rpc_shape member_shape = RPC_OBJECT_SHAPE(struct member, member_fields);

struct gathered {
    int32_t total, ok, omitted;
    bool has_omitted;
    enum gather_end ended;
    const struct member *results;
    size_t count;
};

static const rpc_field gathered_fields[] = {
    RPC_INT32(struct gathered, total, .doc = "the number of members"),
    RPC_INT32(struct gathered, ok, .doc = "those that have carried out the command"),
    RPC_CHOICE(struct gathered, ended,
               .doc = "why the call has ended: all have a verdict, as many as were wanted are ok, no verdict "
                      "has come for stall-ms, the deadline has passed, or too many have failed",
               .choices = RPC_TABLE(end_words)),
    RPC_OBJECT_ARRAY(struct gathered, results, count, struct member, .doc = "a verdict for each member",
                     .items = {0, MEMBERS_MAX}, .shape = &member_shape),
    RPC_INT32(struct gathered, omitted,
              .doc = "members with the status ok that are left out, since the reply would be over max_reply",
              .optional = true, .flag = RPC_FLAG(struct gathered, has_omitted)),
};

const rpc_shape gather_result_shape = RPC_OBJECT_SHAPE(struct gathered, gathered_fields);

struct progress {
    const char *device;
    rpc_json progress;
};

static const rpc_field progress_fields[] = {
    RPC_STRING(struct progress, device, .doc = "the member that reports", .length = {1, NAME_MAX_BYTES}),
    RPC_JSON(struct progress, progress, .doc = "what it reports"),
};

const rpc_shape gather_progress_shape = RPC_OBJECT_SHAPE(struct progress, progress_fields);

struct which {
    const char *group;
};

static const rpc_field which_fields[] = {
    RPC_STRING(struct which, group, .doc = "the group", .length = {1, NAME_MAX_BYTES}),
};

const rpc_shape gather_group_shape = RPC_OBJECT_SHAPE(struct which, which_fields);

/* ---- A call ---- */

struct gather {
    struct gathers *gathers;
    rpc_call *call;
    const char *name, *params; /* of the command */
    struct member *members;
    size_t total, next; /* next: the first one whose turn has not come */
    size_t open;        /* commands on their way */
    size_t ok, failed;  /* verdicts; those that are known to be gone do not count */
    enum gather_want want;
    uint32_t wanted;       /* WANT_NUMBER */
    uint32_t stall, abort; /* ms, percent; 0: not given */
    rpc_timer staller, ender;
    enum gather_end ended;
    bool is_over;                    /* it ends as soon as nothing of it runs */
    bool is_waiting;                 /* it is on the list of those that have commands to send */
    struct gather *prev, *next_call; /* there */
};

static void gather_resume(rpc_instance *instance, void *state, void *data)
{
    struct gather *gather = data;
    (void)instance, (void)state;
    rpc_resume(gather->call);
}

/* A call ends a moment later, since whoever finds out that it is over may still work on it. */
static void gather_end(struct gather *gather, enum gather_end why)
{
    if (gather->is_over)
        return;
    gather->is_over = true;
    gather->ended = why;
    gather->ender = rpc_after(gather->gathers->instance, 0, gather_resume, gather);
}

static void gather_stop_sending(struct gather *gather)
{
    if (gather->is_waiting)
        DL_DELETE2(gather->gathers->unsent, gather, prev, next_call);
    gather->is_waiting = false;
}

/* Looks whether a call is over. After too many failures it sends no more, and waits for what it has sent. */
static void gather_judge(struct gather *gather)
{
    const size_t tried = gather->ok + gather->failed;
    const bool is_bad =
        gather->abort && tried >= FAILURES_MIN && gather->failed * 100 >= (size_t)gather->abort * tried;
    if (gather->want == WANT_NUMBER && gather->ok >= gather->wanted)
        gather_end(gather, ENDED_ENOUGH);
    else if (is_bad && gather->next < gather->total)
        gather_stop_sending(gather);
    else if (!gather->open && gather->next == gather->total)
        gather_end(gather, ENDED_ALL);
    if (is_bad && !gather->open)
        gather_end(gather, ENDED_ABORTED);
}

static void gather_on_stall(rpc_instance *instance, void *state, void *data)
{
    (void)instance, (void)state;
    gather_end(data, ENDED_STALL);
}

static void gather_wait_on(struct gather *gather)
{
    rpc_instance *instance = gather->gathers->instance;
    rpc_timer_cancel(instance, gather->staller);
    if (gather->stall)
        gather->staller = rpc_after(instance, gather->stall, gather_on_stall, gather);
}

/* ---- Verdicts ---- */

static enum member_status member_status_of(const struct verdict *verdict)
{
    if (verdict->queued)
        return MEMBER_QUEUED;
    if (verdict->err && strcmp(verdict->err, "device_offline") == 0)
        return MEMBER_OFFLINE;
    switch (verdict->state) {
    case COMMAND_SUCCEEDED:
        return MEMBER_OK;
    case COMMAND_FAILED:
        return MEMBER_FAILED;
    case COMMAND_TIMEOUT:
        return MEMBER_TIMEOUT;
    case COMMAND_UNKNOWN:
        return MEMBER_UNKNOWN;
    default:
        return MEMBER_REJECTED;
    }
}

static const char *member_copy(const struct member *member, const char *text)
{
    return text ? rpc_printf(member->gather->call, "%s", text) : NULL;
}

/* Gives a member its verdict, whose texts are copied. */
static void member_settle(struct member *member, const struct verdict *verdict)
{
    struct gather *gather = member->gather;
    const struct device *device = devices_find(gather->gathers->table, member->device);
    member->is_over = true;
    member->command = NULL;
    member->status = member_status_of(verdict);
    member->err = member_copy(member, verdict->err);
    member->msg = member_copy(member, verdict->msg);
    member->id = member_copy(member, verdict->id);
    member->result.text = member_copy(member, verdict->queued ? NULL : verdict->result);
    member->cause.text = member_copy(member, verdict->cause);
    member->seen = device ? device->seen : 0;
    member->has_seen = member->status == MEMBER_OFFLINE && member->seen > 0;
    const bool is_fine = member->status == MEMBER_OK || member->status == MEMBER_QUEUED;
    gather->ok += is_fine;
    gather->failed += !is_fine && member->status != MEMBER_OFFLINE;
    gather_wait_on(gather);
}

static void member_on_ended(void *context, const struct verdict *verdict)
{
    struct member *member = context;
    member->gather->open--;
    member_settle(member, verdict);
    gather_judge(member->gather);
}

static void member_on_progress(void *context, const char *text)
{
    const struct member *member = context;
    const struct progress progress = {member->device, {text}};
    (void)!rpc_progress(member->gather->call, &progress);
}

/* ---- Sending ---- */

/* Begins the command of a member. */
static void member_begin(struct member *member)
{
    struct gather *gather = member->gather;
    struct gathers *gathers = gather->gathers;
    struct device *device = devices_find(gathers->table, member->device);
    struct verdict why = {
        .state = COMMAND_REJECTED, .err = "device_unknown", .msg = "the device is not known any more"};
    struct order order = {
        .device = device,
        .name = gather->name,
        .params = gather->params,
        .offline = gather->want == WANT_ALL ? OFFLINE_WAIT : OFFLINE_FAIL,
        .timeout = rpc_call_left(gather->call),
        .ended = member_on_ended,
        .progress = member_on_progress,
        .context = member,
    };
    member->command = device ? command_begin(gathers->commands, &order, &why) : NULL;
    if (member->command)
        gather->open++;
    else
        member_settle(member, &why);
}

/* How many commands may leave at once. */
static double gathers_burst(const struct gathers *gathers)
{
    const double burst = (double)gathers->options->fanout_rate * PACE_MS / 1000;
    return burst > 1 ? burst : 1;
}

/* Begins the next command of the call whose turn it is. */
static void gathers_send_one(struct gathers *gathers)
{
    struct gather *gather = gathers->unsent;
    gather_stop_sending(gather);
    while (gather->next < gather->total && gather->members[gather->next].is_over)
        gather->next++;
    if (gather->next < gather->total && !gather->is_over) {
        gathers->allowance--;
        member_begin(&gather->members[gather->next++]);
    }
    if (gather->next < gather->total && !gather->is_over) {
        DL_APPEND2(gathers->unsent, gather, prev, next_call);
        gather->is_waiting = true;
    }
    gather_judge(gather);
}

static void gathers_send(struct gathers *gathers)
{
    while (gathers->unsent && gathers->allowance >= 1)
        gathers_send_one(gathers);
}

static void gathers_on_pace(rpc_instance *instance, void *state, void *data)
{
    struct gathers *gathers = data;
    const double burst = gathers_burst(gathers);
    (void)state;
    gathers->allowance += (double)gathers->options->fanout_rate * PACE_MS / 1000;
    if (gathers->allowance > burst)
        gathers->allowance = burst;
    gathers_send(gathers);
    if (gathers->unsent || gathers->allowance < burst)
        return;
    rpc_timer_cancel(instance, gathers->pacer);
    gathers->pacer = (rpc_timer){.id = 0};
}

static void gather_start(struct gather *gather)
{
    struct gathers *gathers = gather->gathers;
    DL_APPEND2(gathers->unsent, gather, prev, next_call);
    gather->is_waiting = true;
    gather_wait_on(gather);
    if (!gathers->pacer.id) {
        gathers->allowance = gathers_burst(gathers);
        gathers->pacer = rpc_every(gathers->instance, PACE_MS, gathers_on_pace, gathers);
    }
    gathers_send(gathers);
}

/* ---- The beginning ---- */

/* A number in a user property, in *value if it is given. Another text than a number of the range is an error.
 */
static rpc_status gather_read_number(rpc_call *call, const char *name, uint32_t max, uint32_t *value)
{
    char text[16], *end = NULL;
    if (!rpc_caller_property(call, name, text, sizeof text))
        return RPC_OK;
    const unsigned long number = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;
    if (!number || *end || number > max)
        return rpc_raise(call, "invalid_params", "user property %s: it takes a number from 1 to %lu", name,
                         (unsigned long)max);
    *value = (uint32_t)number;
    return RPC_OK;
}

static rpc_status gather_read_want(rpc_call *call, struct gather *gather)
{
    char text[16];
    if (!rpc_caller_property(call, "want", text, sizeof text) || strcmp(text, "present") == 0)
        return RPC_OK;
    gather->want = strcmp(text, "all") == 0 ? WANT_ALL : WANT_NUMBER;
    if (gather->want == WANT_ALL)
        return RPC_OK;
    if (*text < '0' || *text > '9')
        return rpc_raise(call, "invalid_params", "user property want: it takes present, all, or a number");
    return gather_read_number(call, "want", MEMBERS_MAX, &gather->wanted);
}

/* Fixes the members. Returns false: no memory. */
static bool gather_fix_members(struct gather *gather, const struct group *group)
{
    const struct devices *table = gather->gathers->table;
    const struct device *device = group ? NULL : table->all;
    gather->total = group ? group->count : HASH_COUNT(table->all);
    gather->members = rpc_alloc(gather->call, gather->total * sizeof *gather->members);
    for (size_t i = 0; gather->members && i < gather->total; i++) {
        struct member *member = &gather->members[i];
        member->gather = gather;
        member->device = member_copy(member, group ? group->members[i] : device->name);
        device = device ? device->hh.next : NULL;
        if (!member->device)
            return false;
    }
    return gather->members;
}

/* Those that are known to be gone get their verdicts first, and are not waited for. */
static void gather_pass_over_the_gone(struct gather *gather)
{
    static const struct verdict gone = {.state = COMMAND_REJECTED, .err = "device_offline"};
    for (size_t i = 0; gather->want != WANT_ALL && i < gather->total; i++) {
        const struct device *device = devices_find(gather->gathers->table, gather->members[i].device);
        if (device && !device_is_present(device))
            member_settle(&gather->members[i], &gone);
    }
}

static rpc_status gather_make(struct gathers *gathers, rpc_call *call, const struct group *group,
                              const char *params, struct gather **made)
{
    struct gather *gather = rpc_alloc(call, sizeof *gather);
    if (!gather)
        return RPC_INTERNAL_ERROR;
    *gather = (struct gather){.gathers = gathers,
                              .call = call,
                              .name = rpc_call_level(call, "command"),
                              .params = params,
                              .ended = ENDED_DEADLINE};
    rpc_status status = gather_read_want(call, gather);
    if (status == RPC_OK)
        status = gather_read_number(call, "stall-ms", UINT32_MAX, &gather->stall);
    if (status == RPC_OK)
        status = gather_read_number(call, "abort", 100, &gather->abort);
    if (status == RPC_OK && !gather_fix_members(gather, group))
        status = RPC_INTERNAL_ERROR;
    *made = gather;
    return status;
}

rpc_status gather_run(rpc_call *call, struct gathers *gathers, const char *params)
{
    const char *name = rpc_call_level(call, "group");
    const bool is_all = strcmp(name, "*") == 0;
    const struct group *group = is_all ? NULL : groups_find(gathers->groups, name);
    const struct which which = {name};
    struct gather *gather = NULL;
    if (!group && !is_all)
        return rpc_raise_with(
            call, "not_a_member", &which,
            "there is no such group: device.group.set and the option device_groups make one");
    rpc_status status = gather_make(gathers, call, group, params, &gather);
    if (status == RPC_OK)
        status = rpc_defer(call, gather);
    if (status != RPC_PENDING)
        return status;
    gather_pass_over_the_gone(gather);
    gather_start(gather);
    return RPC_PENDING;
}

/* ---- The end ---- */

/* What is said of a member whose call ends before its verdict. */
static enum member_status gather_status_of(const struct gather *gather, const struct member *member)
{
    if (!member->command)
        return MEMBER_NOT_SENT;
    if (member->command->state == COMMAND_QUEUED)
        return MEMBER_OFFLINE;
    return gather->ended == ENDED_DEADLINE ? MEMBER_TIMEOUT : MEMBER_UNANSWERED;
}

/* Nobody waits for the commands of this call any more. */
static void gather_let_go(struct gather *gather)
{
    struct gathers *gathers = gather->gathers;
    gather_stop_sending(gather);
    rpc_timer_cancel(gathers->instance, gather->staller);
    rpc_timer_cancel(gathers->instance, gather->ender);
    for (size_t i = 0; i < gather->total; i++) {
        struct member *member = &gather->members[i];
        if (member->is_over)
            continue;
        member->status = gather_status_of(gather, member);
        if (member->command)
            command_abandon(gathers->commands, member->command);
        member->is_over = true;
    }
}

/* Leaves out what makes the reply too large: first the results, then all members that are ok. */
static void gather_shorten(const struct gather *gather, struct gathered *gathered)
{
    struct member *members = gather->members;
    size_t kept = 0;
    for (size_t i = 0; i < gather->total; i++)
        members[i].result.text = NULL;
    if (rpc_encode(gather->call, &gather_result_shape, gathered))
        return;
    for (size_t i = 0; i < gather->total; i++) {
        if (members[i].status != MEMBER_OK)
            members[kept++] = members[i];
    }
    gathered->count = kept;
    gathered->omitted = (int32_t)(gather->total - kept);
    gathered->has_omitted = true;
}

rpc_status gather_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)state;
    struct gather *gather = data;
    struct gathered *gathered = result;
    gather_let_go(gather);
    if (outcome != RPC_OK && outcome != RPC_TIMEOUT)
        return outcome;
    *gathered = (struct gathered){.total = (int32_t)gather->total,
                                  .ok = (int32_t)gather->ok,
                                  .ended = gather->ended,
                                  .results = gather->members,
                                  .count = gather->total};
    if (!rpc_encode(call, &gather_result_shape, gathered))
        gather_shorten(gather, gathered);
    return RPC_OK;
}
