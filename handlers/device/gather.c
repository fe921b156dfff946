// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Calls to groups: see gather.h. */
#include "gather.h"

#include "names.h"
#include "wishes.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    PACE_MS = 50,         /* between two times at which commands leave */
    FAILURES_MIN = 5,     /* verdicts before `abort` counts */
    MEMBERS_MAX = 100000, /* of one call */
    TEXT_MAX = 65535
};

/* The part of a turn that a command takes which is refused, so that many of them do not keep the broker. */
static const double refused_cost = 0.01;

/* What has become of a member. The order is that of the words. */
enum member_status {
    MEMBER_NOT_SENT,   /* the call has ended before its turn, or `err` says why */
    MEMBER_UNANSWERED, /* sent, and the call has ended before its answer */
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
    RPC_STRING(struct member, id, .doc = "the id of the command, unless it is ok", .optional = true,
               .length = {1, NAME_MAX_BYTES}),
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

/* What a command of this name is for one kind of device, and whether its parameters fit. Memory of the call.
 */
struct kind {
    const rpc_command *declared; /* NULL: nobody has declared it */
    const char *params;          /* for the device */
    const char *err, *msg;       /* why it gets no command; NULL: it does */
    struct kind *next;
};

struct gather {
    struct gathers *gathers;
    rpc_call *call;
    const char *name, *params; /* of the command */
    struct wishes wishes;
    struct kind *kinds;
    struct member *members;
    size_t total;
    size_t next;            /* the first member whose turn has not come, and that has no verdict */
    size_t open;            /* commands on their way */
    size_t ok, failed;      /* verdicts of these kinds */
    size_t results, causes; /* bytes of what devices have said */
    bool wants_number;
    uint64_t wanted;       /* members that are ok */
    uint64_t stall, abort; /* ms, percent; 0: not given */
    uint64_t began, heard; /* rpc_clock(): when it started, and when the last verdict came */
    bool is_aborting;      /* too many have failed: no more are sent */
    bool is_late;          /* a command has ended since the deadline has come */
    bool is_over;          /* it ends as soon as nothing of it runs */
    enum gather_end ended;
    struct gather **home; /* the list that it is on, by prev and next; NULL: none */
    struct gather *prev, *following;
    bool is_lined_up; /* it is on the list of those that have commands to send, by these: */
    struct gather *before, *behind;
};

static void gather_move(struct gather *gather, struct gather **home)
{
    if (gather->home)
        DL_DELETE2(*gather->home, gather, prev, following);
    gather->home = home;
    if (home)
        DL_APPEND2(*home, gather, prev, following);
}

static void gather_line_up(struct gather *gather)
{
    DL_APPEND2(gather->gathers->unsent, gather, before, behind);
    gather->is_lined_up = true;
}

static void gather_step_back(struct gather *gather)
{
    if (gather->is_lined_up)
        DL_DELETE2(gather->gathers->unsent, gather, before, behind);
    gather->is_lined_up = false;
}

static void gather_note_end(struct gather *gather, enum gather_end why)
{
    gather->is_over = true;
    gather->ended = gather->is_aborting && why != ENDED_ENOUGH ? ENDED_ABORTED : why;
    gather_step_back(gather);
}

static void gathers_end(struct gathers *gathers)
{
    rpc_timer_cancel(gathers->instance, gathers->ender);
    gathers->ender = (rpc_timer){.id = 0};
    for (struct gather *gather; (gather = gathers->over);) {
        gather_move(gather, NULL);
        rpc_resume(gather->call);
    }
}

static void gathers_on_end(rpc_instance *instance, void *state, void *data)
{
    (void)instance, (void)state;
    gathers_end(data);
}

/* A call ends a moment later, since the function that finds out that it is over may still work on it. If
 * there is no timer for that, the pacer ends it. */
static void gather_end(struct gather *gather, enum gather_end why)
{
    struct gathers *gathers = gather->gathers;
    if (gather->is_over)
        return;
    gather_note_end(gather, why);
    gather_move(gather, &gathers->over);
    if (!gathers->ender.id)
        gathers->ender = rpc_after(gathers->instance, 0, gathers_on_end, gathers);
}

/* Looks whether a call is over. After too many failures it sends no more, and waits for what it has sent. */
static void gather_judge(struct gather *gather)
{
    const size_t tried = gather->ok + gather->failed;
    const bool has_more = gather->next < gather->total;
    if (has_more && gather->abort && tried >= FAILURES_MIN && gather->failed * 100 >= gather->abort * tried) {
        gather->is_aborting = true;
        gather_step_back(gather);
    }
    if (gather->wants_number && gather->ok >= gather->wanted)
        gather_end(gather, ENDED_ENOUGH);
    else if (!gather->open && (gather->is_aborting || !has_more))
        gather_end(gather, gather->is_late ? ENDED_DEADLINE : ENDED_ALL);
}

/* ---- Verdicts ---- */

static bool member_is_there(const struct member *member)
{
    const struct device *device = devices_find(member->gather->gathers->table, member->device);
    return device && device_is_present(device);
}

static enum member_status member_status_of(const struct member *member, const struct verdict *verdict)
{
    if (verdict->queued)
        return MEMBER_QUEUED;
    if (verdict->err && strcmp(verdict->err, "device_offline") == 0)
        return MEMBER_OFFLINE;
    if (verdict->err && strcmp(verdict->err, "device_rejected") == 0)
        return MEMBER_REJECTED;
    switch (verdict->state) {
    case COMMAND_SUCCEEDED:
        return MEMBER_OK;
    case COMMAND_FAILED:
        return MEMBER_FAILED;
    case COMMAND_REJECTED:
        return MEMBER_REJECTED;
    case COMMAND_TIMEOUT:
        return MEMBER_TIMEOUT;
    case COMMAND_UNKNOWN:
        return MEMBER_UNKNOWN;
    case COMMAND_EXPIRED:
        return member_is_there(member) ? MEMBER_NOT_SENT : MEMBER_OFFLINE;
    default:
        return MEMBER_NOT_SENT;
    }
}

/* Copies a text into memory of the call. NULL: there is none, or no memory. */
static char *gather_copy(const struct gather *gather, const char *text)
{
    const size_t size = text ? strlen(text) + 1 : 0;
    char *copy = text ? rpc_alloc(gather->call, size) : NULL;
    return copy ? memcpy(copy, text, size) : NULL;
}

/* Keeps what a device has said, unless all of that is more than a reply can have. *bytes is how much it is.
 */
static const char *gather_keep(const struct gather *gather, const char *text, size_t *bytes)
{
    *bytes += text ? strlen(text) : 0;
    return *bytes <= rpc_max_reply(gather->gathers->instance) ? gather_copy(gather, text) : NULL;
}

/* Gives a member its verdict, whose texts are copied. */
static void member_settle(struct member *member, const struct verdict *verdict)
{
    struct gather *gather = member->gather;
    member->is_over = true;
    member->command = NULL;
    member->status = member_status_of(member, verdict);
    member->err = verdict->err; /* a constant */
    member->msg = gather_keep(gather, verdict->msg, &gather->causes);
    member->cause.text = gather_keep(gather, verdict->cause, &gather->causes);
    if (member->status == MEMBER_OK)
        member->result.text = gather_keep(gather, verdict->result, &gather->results);
    else
        member->id = gather_copy(gather, verdict->id);
    member->seen = verdict->seen;
    member->has_seen = member->status == MEMBER_OFFLINE && member->seen > 0;
    gather->ok += member->status == MEMBER_OK;
    gather->failed +=
        member->status != MEMBER_OK && member->status != MEMBER_QUEUED && member->status != MEMBER_OFFLINE;
    gather->heard = rpc_clock(gather->gathers->instance);
    while (gather->next < gather->total && gather->members[gather->next].is_over)
        gather->next++;
}

static void member_on_ended(void *context, const struct verdict *verdict)
{
    struct member *member = context;
    struct gather *gather = member->gather;
    const bool is_out_of_time = verdict->state == COMMAND_TIMEOUT || verdict->state == COMMAND_EXPIRED;
    gather->is_late = gather->is_late || (is_out_of_time && rpc_call_left(gather->call) <= 1);
    gather->open--;
    member_settle(member, verdict);
    gather_judge(gather);
}

static void member_on_progress(void *context, const char *text)
{
    const struct member *member = context;
    const struct progress progress = {member->device, {text}};
    (void)!rpc_progress(member->gather->call, &progress);
}

/* ---- Kinds ---- */

static struct kind *gather_add_kind(struct gather *gather, const rpc_command *declared)
{
    const struct gathers *gathers = gather->gathers;
    char why[RPC_WHY_BYTES], *checked;
    struct kind *kind = rpc_alloc(gather->call, sizeof *kind);
    if (!kind)
        return NULL;
    *kind = (struct kind){.declared = declared, .params = gather->params};
    kind->err = wishes_check(gathers->instance, gathers->options, declared, gather->params, &checked, why);
    if (kind->err)
        kind->msg = gather_copy(gather, why);
    if (checked)
        kind->params = gather_copy(gather, checked);
    free(checked);
    if (!kind->params)
        return NULL;
    LL_PREPEND(gather->kinds, kind);
    return kind;
}

/* What the command is for the device of this name. NULL: no memory. */
static const struct kind *gather_kind_of(struct gather *gather, const struct device *device)
{
    const char *name = device ? device->kind : NULL;
    const rpc_command *declared = rpc_command_find(gather->gathers->instance, name, gather->name);
    struct kind *kind;
    LL_FOREACH(gather->kinds, kind)
    {
        if (kind->declared == declared)
            return kind;
    }
    return gather_add_kind(gather, declared);
}

/* Checks the parameters for all members: they must fit one of them. Gives the call the time that the slowest
 * one needs. */
static rpc_status gather_check(struct gather *gather)
{
    const struct kind *misfit = NULL;
    uint32_t timeout = 0;
    bool fits = false;
    for (size_t i = 0; i < gather->total; i++) {
        const struct kind *kind =
            gather_kind_of(gather, devices_find(gather->gathers->table, gather->members[i].device));
        if (!kind)
            return RPC_INTERNAL_ERROR;
        fits = fits || !kind->err;
        misfit = kind->err && strcmp(kind->err, "invalid_params") == 0 ? kind : misfit;
        if (!kind->err && kind->declared && kind->declared->timeout > timeout)
            timeout = kind->declared->timeout;
    }
    if (misfit && !fits)
        return rpc_raise(gather->call, "invalid_params", "%s", misfit->msg ? misfit->msg : "no memory");
    rpc_call_set_timeout(gather->call, timeout);
    return RPC_OK;
}

/* ---- Sending ---- */

/* Makes the command of a member. NULL: *why is its verdict. */
static struct command *member_prepare(struct member *member, struct verdict *why)
{
    struct gather *gather = member->gather;
    struct gathers *gathers = gather->gathers;
    const struct wishes *wishes = &gather->wishes;
    const uint64_t waited = rpc_clock(gathers->instance) - gather->began;
    rpc_trace trace;
    struct device *device = wishes_find_device(gathers->presence, member->device, wishes->offline, why);
    if (!device)
        return NULL;
    const struct kind *kind = gather_kind_of(gather, device);
    *why = (struct verdict){.state = COMMAND_EXPIRED, .device = device->name, .seen = device->seen};
    if (!kind || kind->err) {
        why->state = kind ? COMMAND_REJECTED : COMMAND_CANCELLED;
        why->err = kind ? kind->err : "internal_error";
        why->msg = kind ? kind->msg : "there is no memory for the command";
        return NULL;
    }
    if (wishes->stale && waited >= wishes->stale) {
        why->err = "expired";
        why->msg = "it was not sent before stale-ms had passed";
        return NULL;
    }
    const struct order order = {
        .device = device,
        .name = gather->name,
        .params = kind->params,
        .trace = rpc_call_trace(gather->call, &trace) ? &trace : NULL,
        .declared = kind->declared,
        .offline = wishes->offline,
        .timeout = rpc_call_left(gather->call),
        .ttl = wishes->ttl,
        .stale = wishes->stale ? wishes->stale - (uint32_t)waited : 0,
        .ended = member_on_ended,
        .progress = member_on_progress,
        .context = member,
    };
    return command_prepare(gathers->commands, &order, why);
}

/* Begins the command of the next member. It may end before this returns. Returns the part of a turn that this
 * has taken. */
static double gather_begin_next(struct gather *gather)
{
    struct verdict why;
    struct member *member = &gather->members[gather->next];
    struct command *command = member_prepare(member, &why);
    if (!command) {
        member_settle(member, &why);
        return refused_cost;
    }
    member->command = command;
    gather->open++;
    do
        gather->next++;
    while (gather->next < gather->total && gather->members[gather->next].is_over);
    command_start(gather->gathers->commands, command);
    return 1;
}

/* How many commands may leave at once. */
static double gathers_burst(const struct gathers *gathers)
{
    const double burst = (double)gathers->options->fanout_rate * (double)PACE_MS / 1000;
    return burst > 1 ? burst : 1;
}

static void gathers_send(struct gathers *gathers)
{
    while (gathers->unsent && gathers->allowance >= 1) {
        struct gather *gather = gathers->unsent;
        gather_step_back(gather);
        gathers->allowance -= gather_begin_next(gather);
        if (gather->next < gather->total && !gather->is_over && !gather->is_aborting)
            gather_line_up(gather);
        gather_judge(gather);
    }
}

static void gathers_check_stalls(struct gathers *gathers)
{
    const uint64_t now = rpc_clock(gathers->instance);
    struct gather *gather, *next;
    DL_FOREACH_SAFE2(gathers->running, gather, next, following)
    {
        if (gather->stall && now - gather->heard >= gather->stall)
            gather_end(gather, ENDED_STALL);
    }
}

static void gathers_on_pace(rpc_instance *instance, void *state, void *data)
{
    struct gathers *gathers = data;
    const double burst = gathers_burst(gathers);
    (void)state;
    gathers->allowance += (double)gathers->options->fanout_rate * (double)PACE_MS / 1000;
    if (gathers->allowance > burst)
        gathers->allowance = burst;
    gathers_send(gathers);
    gathers_check_stalls(gathers);
    gathers_end(gathers);
    if (gathers->running || gathers->allowance < burst)
        return;
    rpc_timer_cancel(instance, gathers->pacer);
    gathers->pacer = (rpc_timer){.id = 0};
}

/* Returns false: there can be no timer. */
static bool gathers_start_pacer(struct gathers *gathers)
{
    if (gathers->pacer.id)
        return true;
    gathers->allowance = gathers_burst(gathers);
    gathers->pacer = rpc_every(gathers->instance, PACE_MS, gathers_on_pace, gathers);
    return gathers->pacer.id;
}

/* ---- The beginning ---- */

static rpc_status gather_read_want(rpc_call *call, struct gather *gather)
{
    char text[16];
    if (!rpc_caller_property(call, "want", text, sizeof text) || strcmp(text, "present") == 0)
        return RPC_OK;
    if (strcmp(text, "all") == 0) {
        if (!gather->wishes.has_offline)
            gather->wishes.offline = OFFLINE_WAIT;
        return RPC_OK;
    }
    if (*text < '0' || *text > '9')
        return rpc_raise(call, "invalid_params",
                         "the user property want must be present, all or a whole number");
    gather->wants_number = true;
    return wishes_read_number(call, "want", MEMBERS_MAX, "", &gather->wanted);
}

static rpc_status gather_read_properties(rpc_call *call, struct gather *gather)
{
    rpc_status status = wishes_read(call, gather->gathers->options, &gather->wishes);
    if (status == RPC_OK)
        status = gather_read_want(call, gather);
    if (status == RPC_OK)
        status = wishes_read_number(call, "stall-ms", UINT32_MAX, "", &gather->stall);
    if (status == RPC_OK)
        status = wishes_read_number(call, "abort", 100, "", &gather->abort);
    return status;
}

/* Copies the names of the members: those of a group; NULL: all known devices. Returns false: no memory. */
static bool gather_fix_members(struct gather *gather, const struct group *group)
{
    const struct devices *table = gather->gathers->table;
    gather->total = group ? group->count : HASH_COUNT(table->all);
    gather->members = rpc_alloc(gather->call, gather->total * sizeof *gather->members);
    if (!gather->members)
        return false;
    const struct device *device = table->all;
    for (size_t i = 0; i < gather->total; i++) {
        struct member *member = &gather->members[i];
        member->gather = gather;
        member->device = gather_copy(gather, group ? group->members[i] : device->name);
        if (!member->device)
            return false;
        device = group ? NULL : device->hh.next;
    }
    return true;
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
                              .params = params ? params : "{}",
                              .wishes = wishes_usual(gathers->options),
                              .began = rpc_clock(gathers->instance),
                              .heard = rpc_clock(gathers->instance)};
    *made = gather;
    const rpc_status status = gather_read_properties(call, gather);
    if (status != RPC_OK)
        return status;
    return gather_fix_members(gather, group) ? gather_check(gather) : RPC_INTERNAL_ERROR;
}

/* Those that are known to be gone get their verdicts first, and are not waited for. */
static void gather_pass_over_the_gone(struct gather *gather)
{
    for (size_t i = 0; i < gather->total; i++) {
        struct member *member = &gather->members[i];
        const struct device *device = devices_find(gather->gathers->table, member->device);
        if (!device || device_is_present(device))
            continue;
        const struct verdict gone = {
            .state = COMMAND_CANCELLED, .err = "device_offline", .seen = device->seen};
        member_settle(member, &gone);
    }
}

static void gather_start(struct gather *gather)
{
    gather_move(gather, &gather->gathers->running);
    if (gather->wishes.offline == OFFLINE_FAIL)
        gather_pass_over_the_gone(gather);
    if (gather->next < gather->total)
        gather_line_up(gather);
    gather_judge(gather);
    gathers_send(gather->gathers);
}

rpc_status gather_run(rpc_call *call, struct gathers *gathers, const char *params)
{
    const char *name = rpc_call_level(call, "group");
    const bool is_all = strcmp(name, "*") == 0;
    const struct group *group = is_all ? NULL : groups_find(gathers->groups, name);
    const struct which which = {name};
    struct gather *gather;
    if (!name_is_command(rpc_call_level(call, "command")))
        return rpc_raise(call, "method_not_found", "%s", wishes_no_command);
    if (!group && !is_all)
        return rpc_raise_with(
            call, "not_a_member", &which,
            "there is no such group: device.group.set and the option device_groups make one");
    rpc_status status = gather_make(gathers, call, group, params, &gather);
    if (status == RPC_OK)
        status = gathers_start_pacer(gathers) ? rpc_defer(call, gather) : RPC_OVERLOADED;
    if (status == RPC_PENDING)
        gather_start(gather);
    return status;
}

/* ---- The end ---- */

/* What is said of a member whose call ends before its verdict. */
static enum member_status member_status_now(const struct member *member)
{
    if (!member->command)
        return MEMBER_NOT_SENT;
    if (member->command->state == COMMAND_QUEUED)
        return member_is_there(member) ? MEMBER_NOT_SENT : MEMBER_OFFLINE;
    return MEMBER_UNANSWERED;
}

/* The call does not wait for a member any more. At the deadline its command is over, too. */
static void member_let_go(struct member *member, bool is_deadline)
{
    struct gather *gather = member->gather;
    struct commands *commands = gather->gathers->commands;
    if (is_deadline && member->command)
        command_expire(commands, member->command);
    if (member->is_over)
        return;
    member->is_over = true;
    member->status = member_status_now(member);
    if (!member->command)
        return;
    member->id = gather_copy(gather, member->command->id);
    if (!is_deadline)
        command_abandon(commands, member->command);
}

static void gather_let_go(struct gather *gather, bool is_deadline)
{
    if (!gather->is_over)
        gather_note_end(gather, ENDED_DEADLINE);
    gather_move(gather, NULL);
    for (size_t i = 0; i < gather->total; i++)
        member_let_go(&gather->members[i], is_deadline);
}

static void gather_drop_results(const struct gather *gather)
{
    for (size_t i = 0; i < gather->total; i++)
        gather->members[i].result.text = NULL;
}

static void gather_drop_causes(const struct gather *gather)
{
    for (size_t i = 0; i < gather->total; i++) {
        gather->members[i].msg = NULL;
        gather->members[i].cause.text = NULL;
    }
}

/* Leaves out all members that are ok. */
static void gather_omit(const struct gather *gather, struct gathered *gathered)
{
    struct member *members = gather->members;
    size_t kept = 0;
    for (size_t i = 0; i < gather->total; i++) {
        if (members[i].status != MEMBER_OK)
            members[kept++] = members[i];
    }
    gathered->count = kept;
    gathered->omitted = (int32_t)(gather->total - kept);
    gathered->has_omitted = true;
}

/* Leaves out what makes the reply too large: first the results, then all members that are ok, then what the
 * others have said. Of what was not kept as a whole, nothing is told. */
static void gather_fit(const struct gather *gather, struct gathered *gathered)
{
    const size_t max = rpc_max_reply(gather->gathers->instance);
    if (gather->results > max)
        gather_drop_results(gather);
    if (gather->causes > max)
        gather_drop_causes(gather);
    if (rpc_encode(gather->call, &gather_result_shape, gathered))
        return;
    gather_drop_results(gather);
    if (rpc_encode(gather->call, &gather_result_shape, gathered))
        return;
    gather_omit(gather, gathered);
    if (!rpc_encode(gather->call, &gather_result_shape, gathered))
        gather_drop_causes(gather);
}

rpc_status gather_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)call, (void)state;
    struct gather *gather = data;
    struct gathered *gathered = result;
    gather_let_go(gather, outcome == RPC_TIMEOUT);
    if (outcome != RPC_OK && outcome != RPC_TIMEOUT)
        return outcome;
    *gathered = (struct gathered){.total = (int32_t)gather->total,
                                  .ok = (int32_t)gather->ok,
                                  .ended = gather->ended,
                                  .results = gather->members,
                                  .count = gather->total};
    gather_fit(gather, gathered);
    return RPC_OK;
}
