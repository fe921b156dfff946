// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/call/registry.c: every fault of a module's tables stops the start, and the explanation says where it
 * is; what is right is found again by its name; modules begin in order and end in the reverse one.
 */
#include "rig.h"
#include "unit.h"

#include "call/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rig rig;
static char why[ENGINE_WHY];

static void open_rig(void)
{
    rig_init(&rig);
    rig_start(&rig);
    why[0] = '\0';
}

static void close_rig(void)
{
    rig_close(&rig);
}

static void do_nothing(rpc_job *job, void *data)
{
    (void)job, (void)data;
}

static rpc_status run(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state, (void)params, (void)result;
    return RPC_OK;
}

static void see(rpc_instance *instance, void *state, const rpc_presence *presence)
{
    (void)instance, (void)state, (void)presence;
}

static void look(rpc_instance *instance, void *state, const rpc_observation *observation)
{
    (void)instance, (void)state, (void)observation;
}

/* ---- Tables to build modules of ---- */

struct text {
    const char *text;
    int32_t number;
};

static const rpc_field text_fields[] = {RPC_STRING(struct text, text, .doc = "a text", .length = {0, 9})};
static const rpc_shape text_shape = RPC_OBJECT_SHAPE(struct text, text_fields);
static const rpc_field changing_fields[] = {
    RPC_STRING(struct text, text, .doc = "a text", .optional = true, .length = {1, 9}, .reloads = true)};
static rpc_status begin_two(rpc_instance *instance, void *state, const void *options);
static const rpc_shape changing_shape = RPC_OBJECT_SHAPE(struct text, changing_fields);
static const rpc_shape text_value = RPC_VALUE_SHAPE(struct text, text_fields);
static const rpc_shape bytes_shape = RPC_BYTES_SHAPE;

static const rpc_field wrong_fields[] = {RPC_STRING(struct text, text, .doc = "has no length")};
static const rpc_shape wrong_shape = RPC_OBJECT_SHAPE(struct text, wrong_fields);
#define WRONG "text needs a .length with a maximum"

static const rpc_field method_field[] = {
    RPC_STRING(struct text, text, .name = "method", .doc = "taken", .length = {0, 9})};
static const rpc_field err_field[] = {
    RPC_INT32(struct text, number, .doc = "free"),
    RPC_STRING(struct text, text, .name = "err", .doc = "taken", .length = {0, 9})};
static const rpc_field msg_field[] = {
    RPC_STRING(struct text, text, .name = "msg", .doc = "taken", .length = {0, 9})};
static const rpc_field client_field[] = {
    RPC_STRING(struct text, text, .name = "client", .doc = "taken", .length = {0, 9})};
static const rpc_shape method_shape = RPC_OBJECT_SHAPE(struct text, method_field);
static const rpc_shape err_shape = RPC_OBJECT_SHAPE(struct text, err_field);
static const rpc_shape msg_shape = RPC_OBJECT_SHAPE(struct text, msg_field);
static const rpc_shape client_shape = RPC_OBJECT_SHAPE(struct text, client_field);

#define X16 "xxxxxxxxxxxxxxxx"
#define X64 X16 X16 X16 X16
#define BAD_NAME                                                                                   \
    "a name has levels of [A-Za-z0-9_.-]+, none of them \"response\" or \"request\", and at most " \
    "128 bytes"

struct keys {
    const char *name, *optional, *usual, *nullable;
    const char *const *list;
    size_t count;
    bool flag;
    double real;
    rpc_json json;
    struct text object;
};

static const rpc_field key_fields[] = {
    RPC_STRING(struct keys, name, .doc = "may be a key", .length = {0, 9}),
    RPC_STRING(struct keys, optional, .doc = "may be missing", .optional = true, .length = {0, 9}),
    RPC_STRING(struct keys, usual, .doc = "has a default", .default_json = "\"a\"", .length = {0, 9}),
    RPC_STRING(struct keys, nullable, .doc = "may be null", .nullable = true, .length = {0, 9}),
    RPC_STRING_ARRAY(struct keys, list, count, .doc = "several", .length = {0, 9}, .items = {0, 9}),
    RPC_BOOL(struct keys, flag, .doc = "a bool"),
    RPC_DOUBLE(struct keys, real, .doc = "a double"),
    RPC_JSON(struct keys, json, .doc = "any value"),
    RPC_OBJECT(struct keys, object, struct text, .doc = "an object", .shape = &text_shape),
};
static const rpc_shape key_shape = RPC_OBJECT_SHAPE(struct keys, key_fields);

static const rpc_field renamed_fields[] = {
    RPC_STRING(struct text, text, .name = "other", .doc = "has another name on the wire", .length = {0, 9})};
static const rpc_shape renamed_shape = RPC_OBJECT_SHAPE(struct text, renamed_fields);

#define KEYED(...) .events = RPC_TABLE((const rpc_event[]){{__VA_ARGS__}})
#define NO_KEY(key, where)                                                                                   \
    "module m: event e: its .key is " key ", but in " where " that is no string, choice or integer that is " \
    "always there"

#define METHODS(...) \
    .methods = RPC_TABLE((const rpc_method[]){{.name = "fine", .run = run}, {.run = run, __VA_ARGS__}})
#define EVENTS(...) .events = RPC_TABLE((const rpc_event[]){{.name = "known"}, {__VA_ARGS__}})
#define ERRORS(...) .errors = RPC_TABLE((const rpc_error[]){{.code = "fine"}, {__VA_ARGS__}})
#define COUNTED "RPC_TABLE() counts the rows, and no empty one ends them"
#define NOT_COUNTED "is to be passed with RPC_TABLE(), which counts the rows"

#define WORKS .work = do_nothing, .done = rig_end
#define NEEDS_DONE "it has .work or .defers: it also needs .done, which ends its pending calls"
#define NOT_PENDING                                                                                         \
    "it has .timeout, .max_pending, .must_finish or .progress, which are for pending calls: it also needs " \
    ".done, and .work or .defers"
#define UNPUBLISHED                                                                               \
    "nothing publishes it: it needs .data, for rpc_announce(), or a method with it as .event or " \
    ".error_event"
#define NO_WORK "it has .priority, which is that of its work: it also needs .work"

#define MISPLACED "module m: method a: its .placement is no good: "
#define LOCAL_ONLY \
    "the method has .must_finish, .decides_timeout or .awaits_device, which hold in the plugin alone"
#define NO_LANE(member)                                                                                     \
    "module m: method a: its .lane is " member ", but that is no string, choice or integer that is always " \
    "there"

#define BAD_COMMAND                                                                                       \
    "a command's name is one level of [A-Za-z0-9_.-]+, not \"response\" or \"request\", and at most 128 " \
    "bytes"
#define COMMANDS(...) .commands = RPC_TABLE((const rpc_command[]){{.name = "fine"}, {__VA_ARGS__}})

static const rpc_method without_handler[] = {{.name = "a"}};

static const struct wrong {
    rpc_module module;
    const char *why;
} wrong[] = {
    /* Rows without a name, such as one that a table used to end with, and tables that nothing counts. */
    {{.name = "m", METHODS(.name = NULL)},
     "module m: prefix rpc: row 2 of 2 of its table of methods has no .name; " COUNTED},
    {{.name = "m", EVENTS(.doc = "has no name")},
     "module m: prefix rpc: row 2 of 2 of its table of events has no .name; " COUNTED},
    {{.name = "m", METHODS(.name = "a", ERRORS(.doc = "has no code"))},
     "module m: method a: row 2 of 2 of its table of errors has no .code; " COUNTED},
    {{.name = "m", .methods = {.rows = without_handler}},
     "module m: prefix rpc: its table of methods " NOT_COUNTED},
    {{.name = "m", .methods = {.count = 1}}, "module m: prefix rpc: its table of methods " NOT_COUNTED},
    {{.name = "m", .events = {.count = 1}}, "module m: prefix rpc: its table of events " NOT_COUNTED},
    {{.name = "m", METHODS(.name = "a", .errors = {.count = 1})},
     "module m: method a: its table of errors " NOT_COUNTED},
    {{.name = "m", .options = &text_shape},
     "module m: prefix rpc: it has .options: it also needs .init, which gets them"},
    {{.name = "m", .options = &changing_shape, .init = begin_two},
     "module m: prefix rpc: its option text has .reloads: it also needs .reload, which gets it"},
    {{.name = "other"}, "module other: prefix rpc: there are two modules of this name"},
    /* Names of methods. */
    {{.name = "m", METHODS(.name = "")}, "module m: method : " BAD_NAME},
    {{.name = "m", METHODS(.name = "a b")}, "module m: method a b: " BAD_NAME},
    {{.name = "m", METHODS(.name = "a//b")}, "module m: method a//b: " BAD_NAME},
    {{.name = "m", METHODS(.name = "/a")}, "module m: method /a: " BAD_NAME},
    {{.name = "m", METHODS(.name = "a/")}, "module m: method a/: " BAD_NAME},
    {{.name = "m", METHODS(.name = "a/+")}, "module m: method a/+: " BAD_NAME},
    {{.name = "m", METHODS(.name = "a/response")}, "module m: method a/response: " BAD_NAME},
    {{.name = "m", METHODS(.name = "request/a")}, "module m: method request/a: " BAD_NAME},
    {{.name = "m", METHODS(.name = X64 X64 "x")}, "module m: method " X64 X64 "x: " BAD_NAME},
    {{.name = "m", METHODS(.name = "fine")}, "module m: method fine: declared twice"},
    /* What methods are made of. */
    {{.name = "m", .methods = RPC_TABLE(without_handler)},
     "module m: method a: it has no .run, which handles its calls"},
    {{.name = "m", METHODS(.name = "a", .work = do_nothing)}, "module m: method a: " NEEDS_DONE},
    {{.name = "m", METHODS(.name = "a", .defers = true)}, "module m: method a: " NEEDS_DONE},
    {{.name = "m", METHODS(.name = "a", .done = rig_end)},
     "module m: method a: it has .done: it also needs .work, which rpc_start() begins, or .defers = true, if "
     "it calls rpc_defer()"},
    {{.name = "m", METHODS(.name = "a", .timeout = 1)}, "module m: method a: " NOT_PENDING},
    {{.name = "m", METHODS(.name = "a", .max_pending = 1)}, "module m: method a: " NOT_PENDING},
    {{.name = "m", METHODS(.name = "a", .must_finish = true)}, "module m: method a: " NOT_PENDING},
    {{.name = "m", METHODS(.name = "a", .progress = &text_shape)}, "module m: method a: " NOT_PENDING},
    {{.name = "m", METHODS(.name = "a", .progress = &wrong_shape, WORKS)},
     "module m: method a: its progress: " WRONG},
    {{.name = "m", METHODS(.name = "a", .progress = &bytes_shape, WORKS)},
     "module m: method a: its progress cannot be raw bytes"},
    {{.name = "m", METHODS(.name = "a", .priority = RPC_PRIORITY_HIGH)}, "module m: method a: " NO_WORK},
    {{.name = "m", METHODS(.name = "a", WORKS, .decides_timeout = true)},
     "module m: method a: it has .decides_timeout, which is for deferred calls: it also needs .defers = "
     "true"},
    {{.name = "m", METHODS(.name = "a", WORKS, .awaits_device = true)},
     "module m: method a: it has .awaits_device, which is for deferred calls: it also needs .defers = true"},
    {{.name = "m", METHODS(.name = "a", .defers = true, .done = rig_end, .priority = RPC_PRIORITY_LOW)},
     "module m: method a: " NO_WORK},
    {{.name = "m", METHODS(.name = "a", WORKS, .priority = (rpc_priority)(RPC_PRIORITY_LOW + 1))},
     "module m: method a: its .priority is no rpc_priority"},
    {{.name = "m", METHODS(.name = "a", WORKS, .priority = (rpc_priority)-1)},
     "module m: method a: its .priority is no rpc_priority"},
    {{.name = "m", METHODS(.name = "a", WORKS, .timeout = 86400001)},
     "module m: method a: its .timeout, in milliseconds, is longer than 24 hours"},
    {{.name = "m", METHODS(.name = "a", WORKS, .max_pending = 100001)},
     "module m: method a: its .max_pending is larger than the option max_pending can be, 100000"},
    {{.name = "m", METHODS(.name = "a", WORKS, .read_only = true, .must_finish = true)},
     "module m: method a: it is .read_only, so that nobody depends on its effect, and .must_finish: it needs "
     "one of them"},
    {{.name = "m", METHODS(.name = "a", .announce = RPC_ANNOUNCE_UNANSWERED)},
     "module m: method a: it has .announce, which is for a result event: it also needs .event"},
    {{.name = "m", METHODS(.name = "a", .announce = (rpc_announcement)2)},
     "module m: method a: its .announce is no rpc_announcement"},
    /* Where methods are carried out. */
    {{.name = "m", METHODS(.name = "a", .placement = (rpc_placement)3)},
     "module m: method a: its .placement is no rpc_placement"},
    {{.name = "m", METHODS(.name = "a", .placement = (rpc_placement)-1)},
     "module m: method a: its .placement is no rpc_placement"},
    {{.name = "m", METHODS(.name = "a", .placement = RPC_PLACEMENT_SPILL)},
     MISPLACED "only a method with .work can wait for a thread of the plugin, and spill"},
    {{.name = "m", METHODS(.name = "a", WORKS, .must_finish = true, .placement = RPC_PLACEMENT_REMOTE)},
     MISPLACED LOCAL_ONLY},
    {{.name = "m",
      METHODS(.name = "a", .defers = true, .done = rig_end, .decides_timeout = true,
              .placement = RPC_PLACEMENT_REMOTE)},
     MISPLACED LOCAL_ONLY},
    {{.name = "m",
      METHODS(.name = "a", WORKS, .defers = true, .awaits_device = true, .placement = RPC_PLACEMENT_SPILL)},
     MISPLACED LOCAL_ONLY},
    {{.name = "m",
      .methods = RPC_TABLE((const rpc_method[]){
          {.name = "a", .run = run, .placement = RPC_PLACEMENT_REMOTE},
          {.name = "b", .run = run, .defers = true, .done = rig_end, .awaits_device = true}})},
     MISPLACED
     "the method's module commands devices, which the plugin alone can reach, so that it runs there"},
    {{.name = "observe", METHODS(.name = "a", .placement = RPC_PLACEMENT_REMOTE)},
     "module observe: method a: its .placement is no good: the method tells of the plugin itself, so that it "
     "runs there"},
    /* Lanes. */
    {{.name = "m", METHODS(.name = "a", .lane = "name")},
     "module m: method a: its .lane is name, but its parameters have no such member"},
    {{.name = "m", METHODS(.name = "a", .params = &renamed_shape, .lane = "text")},
     "module m: method a: its .lane is text, but its parameters have no such member"},
    {{.name = "m", METHODS(.name = "a", .params = &text_value, .lane = "text")},
     "module m: method a: its .lane is text, but its parameters have no such member"},
    {{.name = "m", METHODS(.name = "a", .params = &bytes_shape, .lane = "text")},
     "module m: method a: its .lane is text, but its parameters have no such member"},
    {{.name = "m", METHODS(.name = "a", .params = &key_shape, .lane = "optional")}, NO_LANE("optional")},
    {{.name = "m", METHODS(.name = "a", .params = &key_shape, .lane = "usual")}, NO_LANE("usual")},
    {{.name = "m", METHODS(.name = "a", .params = &key_shape, .lane = "nullable")}, NO_LANE("nullable")},
    {{.name = "m", METHODS(.name = "a", .params = &key_shape, .lane = "list")}, NO_LANE("list")},
    {{.name = "m", METHODS(.name = "a", .params = &key_shape, .lane = "real")}, NO_LANE("real")},
    {{.name = "m", METHODS(.name = "a", .params = &wrong_shape)},
     "module m: method a: its parameters: " WRONG},
    {{.name = "m", METHODS(.name = "a", .result = &wrong_shape)}, "module m: method a: its result: " WRONG},
    {{.name = "m", METHODS(.name = "a", .result = &bytes_shape)},
     "module m: method a: its result cannot be raw bytes"},
    {{.name = "m", METHODS(.name = "a", .event = "unknown")},
     "module m: method a: it announces unknown, which the module does not declare"},
    {{.name = "m", METHODS(.name = "a", .error_event = "unknown")},
     "module m: method a: it announces unknown, which the module does not declare"},
    {{.name = "m", METHODS(.name = "a", .event = "theirs")},
     "module m: method a: it announces theirs, which the module does not declare"},
    {{.name = "m", METHODS(.name = "a", .error_event = "error")},
     "module m: method a: it announces error, which the module does not declare"},
    {{.name = "m", METHODS(.name = "theirs")}, "module m: method theirs: declared twice"},
    /* Events. */
    {{.name = "m", EVENTS(.name = "")}, "module m: event : " BAD_NAME},
    {{.name = "m", EVENTS(.name = "#")}, "module m: event #: " BAD_NAME},
    {{.name = "m", EVENTS(.name = "response")}, "module m: event response: " BAD_NAME},
    {{.name = "m", EVENTS(.name = "error")}, "module m: event error: the name belongs to the engine"},
    {{.name = "m", EVENTS(.name = "known")}, "module m: event known: declared twice"},
    {{.name = "m", EVENTS(.name = "theirs")}, "module m: event theirs: declared twice"},
    {{.name = "m", EVENTS(.name = "e", .data = &wrong_shape)}, "module m: event e: its data: " WRONG},
    {{.name = "m", EVENTS(.name = "e", .data = &bytes_shape)},
     "module m: event e: its data cannot be raw bytes"},
    {{.name = "m", EVENTS(.name = "e", .data = &text_shape)}, "module m: event known: " UNPUBLISHED},
    {{.name = "m", METHODS(.name = "a", .event = "known", .error_event = "known"), EVENTS(.name = "e")},
     "module m: event e: " UNPUBLISHED},
    /* Keys of events. */
    {{.name = "m", KEYED(.name = "e", .data = &key_shape, .key = "nothing")},
     "module m: event e: its .key is nothing, but its data has no such member"},
    {{.name = "m", KEYED(.name = "e", .data = &key_shape, .key = "")},
     "module m: event e: its .key is , but its data has no such member"},
    {{.name = "m", KEYED(.name = "e", .data = &renamed_shape, .key = "text")},
     "module m: event e: its .key is text, but its data has no such member"},
    {{.name = "m", KEYED(.name = "e", .data = &text_value, .key = "text")},
     "module m: event e: its .key is text, but its data has no such member"},
    {{.name = "m", KEYED(.name = "e", .data = &key_shape, .key = "optional")},
     NO_KEY("optional", "its data")},
    {{.name = "m", KEYED(.name = "e", .data = &key_shape, .key = "usual")}, NO_KEY("usual", "its data")},
    {{.name = "m", KEYED(.name = "e", .data = &key_shape, .key = "nullable")},
     NO_KEY("nullable", "its data")},
    {{.name = "m", KEYED(.name = "e", .data = &key_shape, .key = "list")}, NO_KEY("list", "its data")},
    {{.name = "m", KEYED(.name = "e", .data = &key_shape, .key = "flag")}, NO_KEY("flag", "its data")},
    {{.name = "m", KEYED(.name = "e", .data = &key_shape, .key = "real")}, NO_KEY("real", "its data")},
    {{.name = "m", KEYED(.name = "e", .data = &key_shape, .key = "json")}, NO_KEY("json", "its data")},
    {{.name = "m", KEYED(.name = "e", .data = &key_shape, .key = "object")}, NO_KEY("object", "its data")},
    {{.name = "m", METHODS(.name = "a", .event = "e"), KEYED(.name = "e", .key = "name")},
     "module m: event e: its .key is name, but the result of a has no such member"},
    {{.name = "m",
      METHODS(.name = "a", .event = "e", .result = &text_shape),
      KEYED(.name = "e", .data = &key_shape, .key = "name")},
     "module m: event e: its .key is name, but the result of a has no such member"},
    {{.name = "m",
      METHODS(.name = "a", .event = "e", .result = &key_shape),
      KEYED(.name = "e", .data = &key_shape, .key = "list")},
     NO_KEY("list", "its data")},
    {{.name = "m",
      METHODS(.name = "a", .event = "e", .result = &key_shape),
      KEYED(.name = "e", .key = "list")},
     NO_KEY("list", "the result of a")},
    {{.name = "m", METHODS(.name = "a", .error_event = "e"), KEYED(.name = "e", .key = "name")},
     "module m: event e: it has a .key, but a declares no errors, which would have it"},
    {{.name = "m",
      METHODS(.name = "a", .error_event = "e", ERRORS(.code = "x", .data = &key_shape)),
      KEYED(.name = "e", .key = "name")},
     "module m: event e: its .key is name, but the data of error fine has no such member"},
    {{.name = "m",
      METHODS(.name = "a", .error_event = "e",
              .errors = RPC_TABLE((const rpc_error[]){{.code = "x", .data = &key_shape}})),
      KEYED(.name = "e", .key = "flag")},
     NO_KEY("flag", "the data of error x")},
    /* Where the values of keys lie. */
    {{.name = "m", KEYED(.name = "keyed/open", .data = &key_shape)},
     "module m: event keyed/open: it lies where values of the keyed event keyed of module other lie"},
    {{.name = "m", KEYED(.name = "keyed/open", .data = &key_shape, .key = "name")},
     "module m: event keyed/open: it lies where values of the keyed event keyed of module other lie"},
    {{.name = "m", KEYED(.name = "room", .data = &key_shape, .key = "name")},
     "module m: event room: it is keyed, and the event room/open of module other lies where its values lie"},
    {{.name = "m",
      .events = RPC_TABLE((const rpc_event[]){{.name = "a/b", .data = &key_shape, .key = "name"},
                                              {.name = "a/b/c", .data = &key_shape}})},
     "module m: event a/b/c: it lies where values of the keyed event a/b of module m lie"},
    /* Errors. */
    {{.name = "m", METHODS(.name = "a", ERRORS(.code = ""))},
     "module m: method a:  is no code for an error of its own"},
    {{.name = "m", METHODS(.name = "a", ERRORS(.code = "Upper"))},
     "module m: method a: Upper is no code for an error of its own"},
    {{.name = "m", METHODS(.name = "a", ERRORS(.code = "a-b"))},
     "module m: method a: a-b is no code for an error of its own"},
    {{.name = "m", METHODS(.name = "a", ERRORS(.code = X64 "x"))},
     "module m: method a: " X64 "x is no code for an error of its own"},
    {{.name = "m", METHODS(.name = "a", ERRORS(.code = "ok"))},
     "module m: method a: ok is no code for an error of its own"},
    {{.name = "m", METHODS(.name = "a", ERRORS(.code = "raised"))},
     "module m: method a: raised is no code for an error of its own"},
    {{.name = "m", METHODS(.name = "a", ERRORS(.code = "progress"))},
     "module m: method a: progress is no code for an error of its own"},
    {{.name = "m", METHODS(.name = "a", ERRORS(.code = "ok", .data = &text_shape))},
     "module m: method a: ok is no code for an error of its own"},
    {{.name = "m", METHODS(.name = "a", ERRORS(.code = "timeout"))},
     "module m: method a: timeout is an error of the engine's own, which a method declares only to add "
     "members to it: it needs .data"},
    {{.name = "m", METHODS(.name = "a", ERRORS(.code = "timeout", .data = &client_shape))},
     "module m: method a: the data of error timeout redefines the member client"},
    {{.name = "m", METHODS(.name = "a", ERRORS(.code = "e", .data = &wrong_shape))},
     "module m: method a: its error data: " WRONG},
    {{.name = "m", METHODS(.name = "a", ERRORS(.code = "e", .data = &bytes_shape))},
     "module m: method a: its error data cannot be raw bytes"},
    {{.name = "m", METHODS(.name = "a", ERRORS(.code = "e", .data = &text_value))},
     "module m: method a: the data of error e is no object"},
    {{.name = "m", METHODS(.name = "a", ERRORS(.code = "e", .data = &method_shape))},
     "module m: method a: the data of error e redefines the member method"},
    {{.name = "m", METHODS(.name = "a", ERRORS(.code = "e", .data = &err_shape))},
     "module m: method a: the data of error e redefines the member err"},
    {{.name = "m", METHODS(.name = "a", ERRORS(.code = "e", .data = &msg_shape))},
     "module m: method a: the data of error e redefines the member msg"},
    /* Commands. */
    {{.name = "m", COMMANDS(.doc = "has no name")},
     "module m: prefix rpc: row 2 of 2 of its table of commands has no .name; " COUNTED},
    {{.name = "m", .commands = {.count = 1}}, "module m: prefix rpc: its table of commands " NOT_COUNTED},
    {{.name = "m", COMMANDS(.name = "a", .errors = {.count = 1})},
     "module m: command a: its table of errors " NOT_COUNTED},
    {{.name = "m", COMMANDS(.name = "")}, "module m: command : " BAD_COMMAND},
    {{.name = "m", COMMANDS(.name = "a b")}, "module m: command a b: " BAD_COMMAND},
    {{.name = "m", COMMANDS(.name = "a/b")}, "module m: command a/b: " BAD_COMMAND},
    {{.name = "m", COMMANDS(.name = "{a}")}, "module m: command {a}: " BAD_COMMAND},
    {{.name = "m", COMMANDS(.name = "+")}, "module m: command +: " BAD_COMMAND},
    {{.name = "m", COMMANDS(.name = "request")}, "module m: command request: " BAD_COMMAND},
    {{.name = "m", COMMANDS(.name = "response")}, "module m: command response: " BAD_COMMAND},
    {{.name = "m", COMMANDS(.name = X64 X64 "x")}, "module m: command " X64 X64 "x: " BAD_COMMAND},
    {{.name = "m", COMMANDS(.name = "fine")}, "module m: command fine: declared twice"},
    {{.name = "m", COMMANDS(.name = "a", .params = &wrong_shape)},
     "module m: command a: its parameters: " WRONG},
    {{.name = "m", COMMANDS(.name = "a", .result = &wrong_shape)}, "module m: command a: its result: " WRONG},
    {{.name = "m", COMMANDS(.name = "a", .progress = &wrong_shape)},
     "module m: command a: its progress: " WRONG},
    {{.name = "m", COMMANDS(.name = "a", .params = &bytes_shape)},
     "module m: command a: its parameters cannot be raw bytes"},
    {{.name = "m", COMMANDS(.name = "a", .result = &bytes_shape)},
     "module m: command a: its result cannot be raw bytes"},
    {{.name = "m", COMMANDS(.name = "a", .progress = &bytes_shape)},
     "module m: command a: its progress cannot be raw bytes"},
    {{.name = "m", COMMANDS(.name = "a", .timeout = 86400001)},
     "module m: command a: its .timeout, in milliseconds, is longer than 24 hours"},
    {{.name = "m", COMMANDS(.name = "a", ERRORS(.doc = "has no code"))},
     "module m: command a: row 2 of 2 of its table of errors has no .code; " COUNTED},
    {{.name = "m", COMMANDS(.name = "a", ERRORS(.code = "fine"))},
     "module m: command a: the error fine is declared twice"},
    {{.name = "m", COMMANDS(.name = "a", ERRORS(.code = "a-b"))},
     "module m: command a: a-b is no code for an error of its own"},
    {{.name = "m", COMMANDS(.name = "a", ERRORS(.code = "e", .data = &wrong_shape))},
     "module m: command a: its error data: " WRONG},
    {{.name = "m", COMMANDS(.name = "a", ERRORS(.code = "e", .data = &text_value))},
     "module m: command a: the data of error e is no object"},
};

static const rpc_module other = {
    .name = "other",
    .methods = RPC_TABLE((const rpc_method[]){{.name = "theirs", .run = run}}),
    .events = RPC_TABLE((const rpc_event[]){{.name = "theirs", .data = &text_shape},
                                            {.name = "keyed", .data = &key_shape, .key = "name"},
                                            {.name = "room/open", .data = &text_shape}}),
};

START_TEST(faults_are_told)
{
    rig_add(&rig, &other, NULL);
    ck_assert(!engine_add_module(rig.engine, &wrong[_i].module, NULL, why));
    ck_assert_str_eq(why, wrong[_i].why);
}
END_TEST

/* Rules that the header states beside the tables. */
static const struct unchecked {
    rpc_module module;
    const char *named;
} unchecked[] = {
    {{.name = "", METHODS(.name = "a")}, "module"},
    {{.name = "Upper", METHODS(.name = "a")}, "Upper"},
    {{.name = "my_module", METHODS(.name = "a")}, "my_module"},
    {{.name = "1st", METHODS(.name = "a")}, "1st"},
    {{.name = "m", METHODS(.name = "a", ERRORS(.code = "fine", .data = &text_shape))}, "fine"},
};

START_TEST(more_faults_are_told)
{
    ck_assert(!engine_add_module(rig.engine, &unchecked[_i].module, NULL, why));
    ck_assert_ptr_nonnull(strstr(why, unchecked[_i].named));
}
END_TEST

/* Long names do not run over the explanation. */
START_TEST(explanations_are_bounded)
{
    static char name[2001];
    memset(name, 'n', sizeof name - 1);
    const rpc_method methods[] = {{.name = name, .run = run}};
    const rpc_module module = {.name = name, .methods = RPC_TABLE(methods)};
    ck_assert(!engine_add_module(rig.engine, &module, NULL, why));
    ck_assert_uint_lt(strlen(why), ENGINE_WHY);
}
END_TEST

/* ---- What is right ---- */

static rpc_inbox_verdict hear(rpc_instance *instance, void *state, const rpc_message *message)
{
    (void)instance, (void)state, (void)message;
    return RPC_INBOX_PASS;
}

static const rpc_module watcher = {
    .name = "m",
    .presence = see,
    .observe = look,
    .inboxes = RPC_TABLE((const rpc_inbox[]){{.topic = "in", .doc = "d", .receive = hear}}),
    .inbox_root = "watched",
    METHODS(.name = "a", .placement = RPC_PLACEMENT_REMOTE),
};

/* What a module gets in the plugin alone does not keep its methods there. */
START_TEST(methods_of_modules_that_watch_can_be_placed)
{
    ck_assert_msg(engine_add_module(rig.engine, &watcher, NULL, why), "%s", why);
}
END_TEST

static const rpc_module extremes = {
    .name = "m",
    METHODS(.name = X64 X64, .params = &text_shape, .result = &text_value, .event = "known",
            .error_event = "e/f", ERRORS(.code = X64, .data = &text_shape)),
    EVENTS(.name = "e/f", .data = &text_value, .retained = true),
    COMMANDS(.name = X64 X64, .params = &text_value, .result = &text_shape, .progress = &text_value,
             .timeout = 86400000, ERRORS(.code = X64, .data = &text_shape)),
};

START_TEST(extremes_are_fine)
{
    rig_add(&rig, &extremes, NULL);
    rig_expect(&rig, "fine", "", "ok", "{}");
    ck_assert_ptr_nonnull(rpc_command_find(rig_instance(&rig), "m", X64 X64));
}
END_TEST

/* Neither below values, nor beside them. */
static const rpc_module neighbours = {
    .name = "m",
    .events = RPC_TABLE((const rpc_event[]){{.name = "keyed/a/b", .data = &text_shape},
                                            {.name = "keyedtoo", .data = &key_shape, .key = "name"},
                                            {.name = "roo", .data = &key_shape, .key = "name"},
                                            {.name = "theirs/open", .data = &key_shape, .key = "name"}}),
};

START_TEST(neighbours_of_keyed_events_are_fine)
{
    rig_add(&rig, &other, NULL);
    rig_add(&rig, &neighbours, NULL);
}
END_TEST

START_TEST(a_module_can_be_empty)
{
    static const rpc_module module = {.name = "m"};
    rig_add(&rig, &module, NULL);
}
END_TEST

START_TEST(finds_errors_by_their_code)
{
    static const rpc_error errors[] = {{.code = "one"}, {.code = "two"}};
    const rpc_method with = {.errors = RPC_TABLE(errors)};
    const rpc_method without = {.name = NULL};
    ck_assert_ptr_eq(registry_find_error(&with, "one"), &errors[0]);
    ck_assert_ptr_eq(registry_find_error(&with, "two"), &errors[1]);
    ck_assert_ptr_null(registry_find_error(&with, "tw"));
    ck_assert_ptr_null(registry_find_error(&without, "one"));
}
END_TEST

/* ---- Many ---- */

enum { MANY = 2000 };

/* A module with MANY methods m0, m1, … and as many events. */
struct many {
    char names[MANY][16];
    rpc_method methods[MANY];
    rpc_event events[MANY];
    rpc_command commands[MANY];
    rpc_module module;
};

static struct many many;

static void make_many(void)
{
    for (int i = 0; i < MANY; i++) {
        snprintf(many.names[i], sizeof many.names[i], "m%d", i);
        many.methods[i] = (rpc_method){.name = many.names[i], .event = many.names[i], .run = run};
        many.events[i] = (rpc_event){.name = many.names[i]};
        many.commands[i] = (rpc_command){.name = many.names[i]};
    }
    many.module = (rpc_module){.name = "many",
                               .methods = RPC_TABLE(many.methods),
                               .events = RPC_TABLE(many.events),
                               .commands = RPC_TABLE(many.commands)};
}

START_TEST(finds_each_of_many)
{
    struct registry registry = {.methods = NULL};
    make_many();
    ck_assert_msg(registry_add(&registry, "a/b", &many.module, NULL, why), "%s", why);
    for (int i = 0; i < MANY; i++) {
        char topic[64];
        const struct registry_method *method = registry_find_method(&registry, many.names[i]);
        ck_assert_ptr_eq(method->declared, &many.methods[i]);
        ck_assert_ptr_eq(method->event, registry_find_event(&registry, many.names[i]));
        ck_assert_ptr_null(method->error_event);
        ck_assert_ptr_eq(method->instance->module, &many.module);
        ck_assert_ptr_eq(registry_find_command(&registry, NULL, many.names[i])->declared, &many.commands[i]);
        ck_assert_ptr_eq(registry_find_declared(&registry, &many.commands[i])->declared, &many.commands[i]);
        snprintf(topic, sizeof topic, "a/b/event/m%d", i);
        ck_assert_str_eq(method->event->topic, topic);
    }
    ck_assert_ptr_null(registry_find_method(&registry, "m"));
    ck_assert_ptr_null(registry_find_method(&registry, "M0"));
    ck_assert_ptr_null(registry_find_event(&registry, "m2000"));
    registry_fini(&registry);
    ck_assert_ptr_null(registry_find_method(&registry, "m0"));
    ck_assert_ptr_null(registry_find_command(&registry, "many", "m0"));
    registry_fini(&registry);
}
END_TEST

static void count_in_order(const rpc_method *method, void *context)
{
    int *next = context;
    ck_assert_ptr_eq(method, &many.methods[*next]);
    ++*next;
}

START_TEST(walks_in_order)
{
    make_many();
    rig_add(&rig, &many.module, NULL);
    int next = 0;
    rig_each_method(rig.engine, count_in_order, &next);
    ck_assert_int_eq(next, MANY);
}
END_TEST

/* ---- Beginning and end ---- */

static char history[256];

static void note(const char *what)
{
    strcat(history, what);
}

static rpc_status begin_one(rpc_instance *instance, void *state, const void *options)
{
    static const unsigned char zero[64];
    ck_assert_ptr_eq(instance->state, state);
    ck_assert_mem_eq(state, zero, sizeof zero);
    memcpy(state, "one", 4);
    ck_assert_str_eq(options, "options of one");
    note("+1");
    return RPC_OK;
}

static void end_one(void *state)
{
    ck_assert_str_eq(state, "one");
    note("-1");
}

static rpc_status begin_two(rpc_instance *instance, void *state, const void *options)
{
    ck_assert_ptr_nonnull(instance);
    ck_assert_ptr_null(state);
    ck_assert_ptr_null(options);
    note("+2");
    return RPC_OK;
}

static void end_two(void *state)
{
    ck_assert_ptr_null(state);
    note("-2");
}

static rpc_status begin_badly(rpc_instance *instance, void *state, const void *options)
{
    (void)options;
    *(char **)state = malloc(10);
    rpc_log(instance, RPC_LOG_ERROR, "no such file: %s", "sensors.db");
    note("+3");
    return RPC_INTERNAL_ERROR;
}

static void end_badly(void *state)
{
    free(*(char **)state);
    note("-3");
}

static void end_unseen(void *state)
{
    (void)state;
    note("-4");
}

static const rpc_module one = {.name = "one", .state_size = 64, .init = begin_one, .fini = end_one};
static const rpc_module two = {.name = "two", .init = begin_two, .fini = end_two};
static const rpc_module bad = {
    .name = "bad", .state_size = sizeof(char *), .init = begin_badly, .fini = end_badly};
static const rpc_module unseen = {.name = "unseen", .fini = end_unseen};

START_TEST(ends_in_reverse)
{
    rig_add(&rig, &one, "options of one");
    rig_add(&rig, &two, NULL);
    rig_add(&rig, &unseen, NULL);
    ck_assert_str_eq(history, "+1+2");
    engine_destroy(rig.engine, RIG_SECOND);
    rig.engine = NULL;
    ck_assert_str_eq(history, "+1+2-4-2-1");
}
END_TEST

/* A module that could not start is ended all the same, and then those before it. */
START_TEST(a_failed_start_is_ended)
{
    rig_add(&rig, &one, "options of one");
    ck_assert(!engine_add_module(rig.engine, &bad, NULL, why));
    ck_assert_str_eq(why, "module bad: prefix rpc: it could not be started");
    ck_assert_uint_eq(rig.host.line_count, 1);
    ck_assert_str_eq(rig.host.lines[0].text, "rpc: bad: no such file: sensors.db");
    ck_assert_int_eq(rig.host.lines[0].level, RPC_LOG_ERROR);
    engine_destroy(rig.engine, RIG_SECOND);
    rig.engine = NULL;
    ck_assert_str_eq(history, "+1+3-3-1");
}
END_TEST

/* One with wrong tables was never started. */
START_TEST(wrong_tables_are_never_started)
{
    const rpc_module module = {.name = "m", METHODS(.name = ""), .init = begin_two, .fini = end_two};
    ck_assert(!engine_add_module(rig.engine, &module, NULL, why));
    engine_destroy(rig.engine, RIG_SECOND);
    rig.engine = NULL;
    ck_assert_str_eq(history, "");
}
END_TEST

UNIT_MAIN("registry", open_rig, close_rig, {faults_are_told, UNIT_ROWS(wrong)},
          {more_faults_are_told, UNIT_ROWS(unchecked)}, {explanations_are_bounded, 0}, {extremes_are_fine, 0},
          {methods_of_modules_that_watch_can_be_placed, 0}, {neighbours_of_keyed_events_are_fine, 0},
          {a_module_can_be_empty, 0}, {finds_errors_by_their_code, 0}, {finds_each_of_many, 0},
          {walks_in_order, 0}, {ends_in_reverse, 0}, {a_failed_start_is_ended, 0},
          {wrong_tables_are_never_started, 0})
