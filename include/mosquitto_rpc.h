// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * mosquitto_rpc.h: the only header of this project that a handler module includes.
 *
 * A module is one constant table: its methods, its events, its options, its inboxes, the commands of its
 * devices and the size of its state. A method names the shape of its parameters and the shape of its result.
 * From these shapes the engine decodes and checks parameters, encodes results and prints the reference. A
 * handler is therefore a function from one C struct to another:
 *
 *     struct greeting_params { const char *name; };
 *     struct greeting { const char *text; };
 *
 *     static rpc_status greet(rpc_call *call, void *state, const void *params, void *result)
 *     {
 *         const struct greeting_params *given = params;
 *         struct greeting *greeting = result;
 *         (void)state;
 *         greeting->text = rpc_printf(call, "Hello, %s", given->name);
 *         return greeting->text ? RPC_OK : RPC_INTERNAL_ERROR;
 *     }
 *
 * These rules hold for every function and callback below, unless its own comment says otherwise.
 *
 * Threads: the engine calls a module on the broker's thread, which also serves all clients of the broker, and
 * a module calls the functions below on the same thread. The broker serves no client while a module's
 * function runs, so the function must not wait. Work (rpc_work) runs on a worker thread and may wait.
 *
 * Ownership: the memory of a call is the memory that the engine passes to its handler and that the functions
 * below return for the call. The engine frees it when the call has ended; a handler frees nothing. A module
 * copies into its state what it needs for longer. The engine reads the texts and structs that a module passes
 * to a function before the function returns, and keeps no pointer to them. The data of work, deferred calls
 * and timers is the module's: the engine passes the pointer back and never reads what it points at. The
 * engine does not copy tables: a module and everything that it points at have static storage duration.
 *
 * Failure: the comment of a function lists all its return values; a function whose comment lists none cannot
 * fail. A pointer argument must not be NULL unless the comment allows it.
 *
 * Not checked, and therefore able to corrupt memory: the engine cannot see that a module uses a call after
 * its end (to raise an error, to resume it, for its memory), calls a function on the wrong thread, takes
 * params, result or data for a struct of another type, or frees data before the engine has passed it back.
 *
 * Text is UTF-8, ends with a NUL and contains no U+0000, as MQTT 5.0 requires in section 1.5.4.
 *
 * Units: a time is Unix time in seconds with a fraction, a duration is in milliseconds, a size is in bytes.
 */
#ifndef MOSQUITTO_RPC_H
#define MOSQUITTO_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define RPC_PRINTF(string, first) __attribute__((__format__(__printf__, string, first)))
#define RPC_RETURNED                                                                      \
    __attribute__((__warn_unused_result__)) /* a handler that does not return it is wrong \
                                             */
#else
#define RPC_PRINTF(string, first)
#define RPC_RETURNED
#endif

/* One call, from its arrival to its end. It ends when its outcome is known and its work and done, if it has
 * any, have returned. */
typedef struct rpc_call rpc_call;

/* One module within one topic prefix. It exists from before the module's init until its fini has returned. */
typedef struct rpc_instance rpc_instance;

/* ---- Outcomes ------------------------------------------------------------------------------ */

/*
 * All outcomes that the engine defines: X(enumerator, name on the wire, JSON-RPC 2.0 code, text for people).
 * Section 5.1 of the JSON-RPC 2.0 specification defines the codes -32700 and -32603 to -32600, and reserves
 * -32099 to -32000 for servers: the other codes are from that range. RPC_RAISED stands for the errors that
 * methods declare (struct rpc_error); on the wire the declared code takes the place of its name.
 */
#define RPC_STATUS_MAP(X)                                                                          \
    X(RPC_OK, "ok", 0, "success")                                                                  \
    X(RPC_PARSE_ERROR, "parse_error", -32700, "the payload is not JSON")                           \
    X(RPC_INVALID_REQUEST, "invalid_request", -32600, "the call itself is malformed")              \
    X(RPC_METHOD_NOT_FOUND, "method_not_found", -32601, "no such method")                          \
    X(RPC_INVALID_PARAMS, "invalid_params", -32602, "the parameters do not fit the method")        \
    X(RPC_INTERNAL_ERROR, "internal_error", -32603, "the handler failed")                          \
    X(RPC_TIMEOUT, "timeout", -32000, "the deadline passed before the handler finished")           \
    X(RPC_CANCELLED, "cancelled", -32001, "the caller went away, or the service is stopping")      \
    X(RPC_OVERLOADED, "overloaded", -32002, "too much is waiting: try again later")                \
    X(RPC_RATE_LIMITED, "rate_limited", -32003, "too many calls in a short time: try again later") \
    X(RPC_PAYLOAD_TOO_LARGE, "payload_too_large", -32004, "the payload is over max_payload")       \
    X(RPC_REPLY_TOO_LARGE, "reply_too_large", -32005, "the result is over max_reply")              \
    X(RPC_OUTCOME_UNKNOWN, "outcome_unknown", -32006, "it was begun, and its outcome is unknown")  \
    X(RPC_RAISED, "raised", -32010, "an error that the method declares")

#define RPC_STATUS_ENUMERATOR_(enumerator, name, code, text) enumerator,
typedef enum rpc_status {
    RPC_PENDING = -1, /* the call is pending: it has no outcome yet, see rpc_start() and rpc_defer() */
    RPC_STATUS_MAP(RPC_STATUS_ENUMERATOR_) RPC_STATUS_COUNT_
} rpc_status;
#undef RPC_STATUS_ENUMERATOR_

/* ---- Tables -------------------------------------------------------------------------------- */

/*
 * A table is an array of rows and their number. A module writes the array, which needs no last row to end it,
 * and passes it with RPC_TABLE():
 *
 *     static const rpc_method methods[] = {{.name = "greet", …}, {.name = "leave", …}};
 *     RPC_MODULE(door, .methods = RPC_TABLE(methods), …);
 *
 * RPC_TABLE() does not compile with a pointer, and a constant table does not compile without RPC_TABLE(). The
 * broker does not start if a row has no name. A table that is all zero has no rows.
 */
#define RPC_TABLE(...)                       \
    {                                        \
        RPC_COUNT_(__VA_ARGS__), __VA_ARGS__ \
    }

/* Whether `row` is a row of `table`, for loops that begin at table.rows and count up. An empty table has
 * none. */
#define RPC_HAS_ROW(table, row) ((row) && (row) < (table).rows + (table).count)

/* A number of rows. Compilers name the enum in their error about a table without RPC_TABLE(). */
enum rpc_count_by_RPC_TABLE { RPC_NO_ROWS_ };
#define RPC_ROWS_(type)                    \
    struct {                               \
        enum rpc_count_by_RPC_TABLE count; \
        type const *rows;                  \
    }
/* 0, if `check` holds; else it does not compile, and the compiler says `text`. */
#define RPC_CHECK_(check, text)       \
    (0 * sizeof(struct {              \
         _Static_assert(check, text); \
         char rpc_;                   \
     }))
#define RPC_COUNT_(...)                                                                                    \
    ((unsigned)(sizeof(__VA_ARGS__) / sizeof((__VA_ARGS__)[0]) +                                           \
                RPC_CHECK_(                                                                                \
                    _Generic(&(__VA_ARGS__), RPC_ARRAYS_),                                                 \
                    "RPC_TABLE() takes an array of methods, events, errors, commands, inboxes, gauges or " \
                    "texts, no pointer")))
/* The type of a pointer to an array matches that of a pointer to an array of unknown size. */
#define RPC_ARRAYS_                                                                                     \
    const rpc_method(*)[] : 1, rpc_method(*)[] : 1, const rpc_event(*)[] : 1, rpc_event(*)[] : 1,       \
        const rpc_error(*)[] : 1, rpc_error(*)[] : 1, const rpc_inbox(*)[] : 1, rpc_inbox(*)[] : 1,     \
        const rpc_command(*)[] : 1, rpc_command(*)[] : 1, const rpc_gauge(*)[] : 1, rpc_gauge(*)[] : 1, \
        const char *const(*)[] : 1, const char *(*)[] : 1, default : 0

/* ---- Shapes -------------------------------------------------------------------------------- */

/* A JSON value as text: for parameters and results whose shape is not known in advance. */
typedef struct rpc_json {
    const char *text; /* one JSON value; NULL: the member was not given */
} rpc_json;

/* The whole payload of a method that takes raw bytes (RPC_BYTES_SHAPE). */
typedef struct rpc_bytes {
    const void *data; /* not NULL, also when size is 0; followed by a NUL that size does not count */
    size_t size;      /* bytes */
} rpc_bytes;

typedef enum rpc_kind {
    RPC_KIND_BOOL,   /* C type bool: true or false */
    RPC_KIND_INT32,  /* int32_t: a number without a fractional part (1.0 and 1e3 have none) */
    RPC_KIND_INT64,  /* int64_t: likewise; exact over the whole range of the type */
    RPC_KIND_DOUBLE, /* double: any finite number */
    RPC_KIND_STRING, /* const char *: a string of bounded length */
    RPC_KIND_CHOICE, /* int or an enum: one of a list of strings, stored as its index */
    RPC_KIND_JSON,   /* rpc_json: any value */
    RPC_KIND_OBJECT  /* a struct with a shape of its own: an object within the object */
} rpc_kind;

/*
 * One member of a shape. A module writes it with the macros below, which take the struct's type, the member
 * and designated initialisers for the other members of rpc_field, at least .doc:
 *
 *     RPC_DOUBLE(struct reading, value, .doc = "the reading", .unit = "Celsius", .range = {-90, 60})
 *
 * The macro does not compile if the member's C type is not the one of its kind: the compiler then says which
 * type the member must have.
 */
typedef struct rpc_field {
    const char *member;       /* the C member's name, written by the macro */
    const char *name;         /* the name on the wire; NULL: the C member's name */
    const char *doc;          /* one line for the reference */
    const char *unit;         /* NULL: none. In options, "ms" and "s" accept 10s, 5m, "bytes" accepts 64k, and
                                 "words" makes a string a list whose words are separated by spaces, and "path"
                                 a file of the module's, which the log names at start */
    rpc_kind kind;            /* of the member, or of the elements of an array */
    bool optional;            /* may be missing; a field with a default may be missing, too */
    bool nullable;            /* may be null; the handler sees null as not given */
    const char *default_json; /* JSON text of the value that replaces a missing member; NULL: none */
    struct {
        double min, max;
    } range; /* numbers: both ends included; INFINITY: open; no range unless min < max */
    struct {
        unsigned min, max;
    } length; /* strings: Unicode characters; a string's max must be at least 1 */
    struct {
        unsigned min, max;
    } items;                         /* arrays: elements; an array's max must be at least 1 */
    RPC_ROWS_(const char *) choices; /* RPC_KIND_CHOICE: the table of the strings, each a different one */
    const struct rpc_shape *shape;   /* RPC_KIND_OBJECT: the struct's, of RPC_FORM_OBJECT */
    size_t owner;                    /* size of the struct, written by the macro; 0: any */
    size_t offset;                   /* of the member, likewise */
    size_t size;                     /* of the value or, of an array, of one element; likewise */
    size_t counter;                  /* arrays: 1 + the offset of the element count; likewise; 0: no array */
    size_t flag;                     /* RPC_FLAG(): a bool, whether the member was given; 0: none */
    bool reloads; /* an option that may change while the broker runs: see rpc_module.reload. Not looked at in
                     other shapes */
} rpc_field;

/*
 * `.flag = RPC_FLAG(struct s, has_value)` names a bool of the same struct that says whether the member was
 * given. An optional or nullable number, bool, choice or object without a default needs one: the member is
 * zero when it was not given. Strings, JSON and arrays need none: they are NULL when they were not given. The
 * engine sets the flag of a parameter, the handler sets the flag of a result. A result member that was not
 * given is left out if the field is optional, else it is null if the field is nullable.
 */
#define RPC_FLAG(type, m) (1 + RPC_OFFSET_(type, m, "RPC_FLAG", "a bool", bool * : 1))

#define RPC_BOOL(type, m, ...) \
    RPC_FIELD_(type, m, RPC_KIND_BOOL, RPC_OFFSET_(type, m, "RPC_BOOL", "a bool", bool * : 1), __VA_ARGS__)
#define RPC_INT32(type, m, ...)                                                                         \
    RPC_FIELD_(type, m, RPC_KIND_INT32, RPC_OFFSET_(type, m, "RPC_INT32", "an int32_t", int32_t * : 1), \
               __VA_ARGS__)
#define RPC_INT64(type, m, ...)                                                                         \
    RPC_FIELD_(type, m, RPC_KIND_INT64, RPC_OFFSET_(type, m, "RPC_INT64", "an int64_t", int64_t * : 1), \
               __VA_ARGS__)
#define RPC_DOUBLE(type, m, ...)                                                                       \
    RPC_FIELD_(type, m, RPC_KIND_DOUBLE, RPC_OFFSET_(type, m, "RPC_DOUBLE", "a double", double * : 1), \
               __VA_ARGS__)
#define RPC_STRING(type, m, ...)         \
    RPC_FIELD_(type, m, RPC_KIND_STRING, \
               RPC_OFFSET_(type, m, "RPC_STRING", "a const char *", const char ** : 1), __VA_ARGS__)
#define RPC_CHOICE(type, m, ...)                                                                   \
    RPC_FIELD_(type, m, RPC_KIND_CHOICE,                                                           \
               RPC_OFFSET_(type, m, "RPC_CHOICE", "an int or an enum", int * : 1, unsigned * : 1), \
               __VA_ARGS__)
#define RPC_JSON(type, m, ...)                                                                          \
    RPC_FIELD_(type, m, RPC_KIND_JSON, RPC_OFFSET_(type, m, "RPC_JSON", "an rpc_json", rpc_json * : 1), \
               __VA_ARGS__)

/* An object within the object: the member's C type is `struct_type`, and .shape describes that struct. */
#define RPC_OBJECT(type, m, struct_type, ...) \
    RPC_FIELD_(type, m, RPC_KIND_OBJECT,      \
               RPC_OFFSET_(type, m, "RPC_OBJECT", "a " #struct_type, struct_type * : 1), __VA_ARGS__)

/*
 * Arrays. The member `m` is a pointer to the elements, which may be const. `n` is a size_t of the same
 * struct: the number of elements. .items bounds that number; .range, .length, .choices and .shape describe
 * each element:
 *
 *     struct batch { const double *values; size_t count; };
 *     RPC_DOUBLE_ARRAY(struct batch, values, count, .doc = "the values", .items = {1, 100})
 *
 * In a result, NULL with a count of 0 is an empty array, unless the field is optional or nullable: then it
 * was not given.
 */
#define RPC_BOOL_ARRAY(type, m, n, ...) \
    RPC_ARRAY_(type, m, n, RPC_KIND_BOOL, "RPC_BOOL_ARRAY", "bool", bool, __VA_ARGS__)
#define RPC_INT32_ARRAY(type, m, n, ...) \
    RPC_ARRAY_(type, m, n, RPC_KIND_INT32, "RPC_INT32_ARRAY", "int32_t", int32_t, __VA_ARGS__)
#define RPC_INT64_ARRAY(type, m, n, ...) \
    RPC_ARRAY_(type, m, n, RPC_KIND_INT64, "RPC_INT64_ARRAY", "int64_t", int64_t, __VA_ARGS__)
#define RPC_DOUBLE_ARRAY(type, m, n, ...) \
    RPC_ARRAY_(type, m, n, RPC_KIND_DOUBLE, "RPC_DOUBLE_ARRAY", "double", double, __VA_ARGS__)
#define RPC_STRING_ARRAY(type, m, n, ...) \
    RPC_ARRAY_(type, m, n, RPC_KIND_STRING, "RPC_STRING_ARRAY", "const char *", const char *, __VA_ARGS__)
#define RPC_JSON_ARRAY(type, m, n, ...) \
    RPC_ARRAY_(type, m, n, RPC_KIND_JSON, "RPC_JSON_ARRAY", "rpc_json", rpc_json, __VA_ARGS__)
#define RPC_OBJECT_ARRAY(type, m, n, struct_type, ...) \
    RPC_ARRAY_(type, m, n, RPC_KIND_OBJECT, "RPC_OBJECT_ARRAY", #struct_type, struct_type, __VA_ARGS__)
#define RPC_CHOICE_ARRAY(type, m, n, ...) \
    RPC_ARRAY_OF_(type, m, n, RPC_KIND_CHOICE, int, RPC_CHOICES_OFFSET_(type, m), __VA_ARGS__)

#define RPC_OFFSET_(type, m, macro, needs, ...)                                          \
    (offsetof(type, m) + RPC_CHECK_(_Generic(&((type *)0)->m, __VA_ARGS__, default : 0), \
                                    macro ": the member " #m " of " #type " must be " needs))
/* Clang 14 does not match a pointer to a const enum, so this macro matches the enum's value and its size. */
#define RPC_CHOICES_OFFSET_(type, m)                                                           \
    (offsetof(type, m) +                                                                       \
     RPC_CHECK_(_Generic(*RPC_POINTER_(((type *)0)->m), int : 1, unsigned : 1, default : 0) && \
                    sizeof(((type *)0)->m) == sizeof(int *),                                   \
                "RPC_CHOICE_ARRAY: the member " #m " of " #type " must be a pointer to int or to an enum"))
/* The pointer, or a text in place of a number, to which `*` cannot be applied. */
#define RPC_POINTER_(value)           \
    _Generic((value), bool            \
             : "", char               \
             : "", signed char        \
             : "", unsigned char      \
             : "", short              \
             : "", unsigned short     \
             : "", int                \
             : "", unsigned           \
             : "", long               \
             : "", unsigned long      \
             : "", long long          \
             : "", unsigned long long \
             : "", float              \
             : "", double             \
             : "", default            \
             : (value))
#define RPC_COUNTER_(type, n, macro) (1 + RPC_OFFSET_(type, n, macro, "a size_t", size_t * : 1))
#define RPC_FIELD_(type, m, k, o, ...)                                                                   \
    {                                                                                                    \
        .member = #m, .kind = (k), .owner = sizeof(type), .offset = (o), .size = sizeof(((type *)0)->m), \
        __VA_ARGS__                                                                                      \
    }
#define RPC_ARRAY_(type, m, n, k, macro, element_name, element, ...)                                     \
    RPC_ARRAY_OF_(                                                                                       \
        type, m, n, k, element,                                                                          \
        RPC_OFFSET_(type, m, macro, "a pointer to " element_name, element ** : 1, element const ** : 1), \
        __VA_ARGS__)
#define RPC_ARRAY_OF_(type, m, n, k, element, o, ...)                                             \
    {                                                                                             \
        .member = #m, .kind = (k), .owner = sizeof(type), .offset = (o), .size = sizeof(element), \
        .counter = RPC_COUNTER_(type, n, "the count of an array"), __VA_ARGS__                    \
    }

typedef enum rpc_form {
    RPC_FORM_OBJECT, /* a JSON object whose members are the fields; other members are ignored, or refused: see
                        rpc_method.strict */
    RPC_FORM_VALUE,  /* one JSON value, which the only field describes */
    RPC_FORM_BYTES   /* parameters only: the payload as it is, in an rpc_bytes. A plain call alone has one: a
                        batch or a JSON-RPC request gets invalid_params */
} rpc_form;

/* A struct and the table that describes it. A module writes it with one of the three macros below. */
typedef struct rpc_shape {
    rpc_form form;
    size_t size; /* of the struct, bytes */
    const rpc_field *fields;
    size_t count;     /* number of fields */
    const char *type; /* the struct's type as text, written by the macro, which names it in documents; or NULL
                       */
} rpc_shape;

/* The shape of struct `type`, whose members the array `table` describes. */
#define RPC_OBJECT_SHAPE(type, table)                                     \
    {                                                                     \
        RPC_FORM_OBJECT, sizeof(type), (table), RPC_FIELDS_(table), #type \
    }
/* The shape of one JSON value that is not an object with declared members; `table` has one entry. */
#define RPC_VALUE_SHAPE(type, table)                                     \
    {                                                                    \
        RPC_FORM_VALUE, sizeof(type), (table), RPC_FIELDS_(table), #type \
    }
/* The shape of a payload that is not JSON: the handler's parameters are an rpc_bytes. */
#define RPC_BYTES_SHAPE                                  \
    {                                                    \
        RPC_FORM_BYTES, sizeof(rpc_bytes), NULL, 0, NULL \
    }

#define RPC_FIELDS_(table)                                                                     \
    (sizeof(table) / sizeof((table)[0]) +                                                      \
     RPC_CHECK_(_Generic(&(table), const rpc_field(*)[] : 1, rpc_field(*)[] : 1, default : 0), \
                "RPC_OBJECT_SHAPE() and RPC_VALUE_SHAPE() take an array of fields, no pointer"))

/* ---- Modules ------------------------------------------------------------------------------- */

/*
 * Handles one call. Arguments:
 *
 * - state: the module's state in the prefix of the call; NULL if state_size is 0.
 * - params: the decoded and checked parameters, a struct of the method's params shape; NULL if the method
 *   declares none. Memory of the call.
 * - result: a zeroed struct of the method's result shape, which the handler fills in; NULL if the method
 *   declares none. What its members point at must exist until the call has ended: constants, state, params,
 *   memory of the call.
 *
 * Thread: the broker's. The handler must not wait for a disk, a network, a lock or a time.
 *
 * Returns the outcome. RPC_OK: the result is the reply. What rpc_raise() returned: that error is the reply.
 * Any other status of RPC_STATUS_MAP: that error with its standard text. RPC_PENDING, if rpc_start() or
 * rpc_defer() has returned it: the call is pending, and the method's done gives the outcome later. If the
 * handler returns any other value, or the result does not fit its shape (a string too long, a number out of
 * range), the engine replies internal_error and logs the fault. If the result is larger than the configured
 * max_reply, the engine replies reply_too_large.
 */
typedef rpc_status (*rpc_handler)(rpc_call *call, void *state, const void *params, void *result);

/* The work of one call, or one piece of background work, while it runs. */
typedef struct rpc_job rpc_job;

/*
 * Work: the part of a call that may wait for a disk, a network or a device. data is the pointer that was
 * given to rpc_start() or rpc_background().
 *
 * Thread: a worker thread, with all signals blocked. Work may use data and what it points at, which no other
 * thread uses until the work has returned. It must not use the module's state or the call, and may call no
 * function of this header but rpc_is_wanted(), rpc_job_take_next() and rpc_job_trace(). What only the work of
 * one lane uses, for example a connection to a database, needs no lock, since the work of a lane runs one at
 * a time.
 *
 * Ownership: data stays the module's. Work leaves its result there, and done reads it.
 *
 * The engine cannot interrupt work. When no caller waits for it any more, it keeps its thread until it
 * returns, but another thread replaces that thread among the configured threads. At most 16 threads of a
 * prefix are replaced at a time.
 */
typedef void (*rpc_work)(rpc_job *job, void *data);

/*
 * Ends a pending call or background work: releases what data holds, and gives the outcome. The engine calls
 * it exactly once for each rpc_start(), rpc_defer() and rpc_background() that has returned RPC_PENDING, and
 * never while the work runs. Arguments:
 *
 * - call: the pending call; NULL for background work. It ends when done returns, unless done makes it pending
 *   again.
 * - state: as in rpc_handler.
 * - data: the pointer that was given to rpc_start(), rpc_defer() or rpc_background().
 * - outcome: RPC_OK if the call was pending when its work returned or rpc_resume() was called; done then
 *   decides the outcome of the call. RPC_TIMEOUT if the deadline of the call has passed, RPC_CANCELLED if the
 *   caller's connection has ended or the service is stopping, RPC_OVERLOADED if the call was evicted (see
 *   rpc_start()). In these three cases the engine has sent this error to the caller, if work had begun, or
 *   sends it when done has returned: done may then raise the same error, to give it a message and members of
 *   its own, or decide itself (decides_timeout). The work may have run or may never have begun; only data can
 *   say which. Background work gets RPC_OK or RPC_CANCELLED.
 * - result: the struct that the handler got, with what the handler has written into it; NULL if the method
 *   declares none, and for background work.
 *
 * Thread: the broker's. If work has not returned in time when the service stops, the engine calls neither its
 * done nor its module's fini, and never frees what the work may use.
 *
 * Returns what a handler returns, if outcome is RPC_OK and there is a call: RPC_PENDING, from rpc_start() or
 * rpc_defer(), makes the call pending again under the same deadline. If the method decides_timeout and the
 * call was deferred, the same holds for RPC_TIMEOUT, but for RPC_PENDING. In all other cases the engine
 * ignores the return value.
 */
typedef rpc_status (*rpc_done)(rpc_call *call, void *state, void *data, rpc_status outcome, void *result);

/*
 * The order in which threads begin the work that is ready: high, then normal, then low. Work is ready if it
 * has no lane or is the first of its lane; priorities do not change the order within a lane. Lower
 * priorities have their turn: ready work of normal priority waits while at most 4 others begin, of low
 * priority while at most 16 begin. Within a priority the clients take turns.
 */
typedef enum rpc_priority { RPC_PRIORITY_NORMAL, RPC_PRIORITY_HIGH, RPC_PRIORITY_LOW } rpc_priority;

/*
 * An error that a method may raise in addition to the engine's own; or one of the engine's own to which the
 * method adds members. Such an error keeps its status and its JSON-RPC code. It has the members only where
 * run or done raises it with rpc_raise_with(), and not where the engine itself gives it.
 */
typedef struct rpc_error {
    const char *code;      /* [a-z0-9_]+, at most 64 bytes; a name of RPC_STATUS_MAP only with data; not
                              "ok", "raised" or "progress" */
    const char *doc;       /* one line for the reference */
    const rpc_shape *data; /* members that rpc_raise_with() adds to the error object; NULL: none. Of
                              RPC_FORM_OBJECT, without members named method, err or msg, and without client if
                              code is a name of RPC_STATUS_MAP */
} rpc_error;

/*
 * An event: clients subscribe to {prefix}/event/{name}.
 *
 * A keyed event has a topic for each value of one of its members, its key: {prefix}/event/{name}/{value}. If
 * it is retained, the broker has the last one of each value, for example the state of each door, and
 * rpc_retract() removes the one of a value. A value can be a level of a topic if it has 1 to 128 bytes, and
 * none of them is `/`, `+`, `#` or a control character. An event with another value, or an error without the
 * key, is published to {prefix}/event/{name}, and is not retained, since the events of several values would
 * replace each other there. The broker does not start if another event has a name {name}/{level}, where
 * values lie.
 */
typedef struct rpc_event {
    const char *name; /* levels of [A-Za-z0-9_.-]+ between '/', at most 128 bytes, none is "response"
                         or "request" */
    const char *doc;  /* one line for the reference */
    const rpc_shape
        *data;       /* of rpc_announce(); NULL: it is a result or error event of methods, and no other */
    bool retained;   /* the broker retains the last one for clients that subscribe later */
    const char *key; /* the name of a member on the wire: the event is keyed by it; NULL: it is not keyed. All
                        that the event carries has the member: data, the results of the methods with this
                        event, and the data of all errors of the methods with this error event. It is an
                        RPC_STRING, RPC_CHOICE, RPC_INT32 or RPC_INT64, and always there: not optional or
                        nullable, and without a default */
} rpc_event;

typedef enum rpc_announcement {
    RPC_ANNOUNCE_ALWAYS,    /* the result event follows every success: for changes of state */
    RPC_ANNOUNCE_UNANSWERED /* it follows only if the caller asked for no reply */
} rpc_announcement;

/*
 * Where calls of a method are carried out: by the broker's plugin, or by workers, which are programs that are
 * attached to it and have the same modules. A caller sees no difference. The option
 * placement_{METHOD} says otherwise than the method's row.
 *
 * A method can be placed elsewhere than in the plugin unless it needs what only the plugin has: those of the
 * built-in modules do, those of a module of which a method has awaits_device, and those with must_finish or
 * decides_timeout. RPC_PLACEMENT_SPILL is for methods with work. The broker does not start if a row, or the
 * option, says otherwise.
 *
 * The plugin and each worker have an instance of the module, with a state of its own. In a worker, presence
 * and inboxes get nothing, since the broker tells the plugin alone of clients and messages, and observe gets
 * the calls that the worker carries out.
 */
typedef enum rpc_placement {
    RPC_PLACEMENT_LOCAL, /* the plugin */
    RPC_PLACEMENT_SPILL, /* the plugin, and a worker when the call would wait too long here for a thread of
                            the plugin: for more than half of the time until its deadline, or for a free slot
                            (max_pending). A call whose lane is in use stays where that is */
    RPC_PLACEMENT_REMOTE /* a worker, and the plugin never. Without a worker that offers the method its calls
                            wait for one, and then get RPC_OVERLOADED */
} rpc_placement;

/* A method: calls arrive at the topic {prefix}/call/{name}. */
typedef struct rpc_method {
    /*
     * Spelt like an event's name. The name of a method family has up to 8 levels that are written {word},
     * each with another word of [A-Za-z0-9_]+: a client calls "device/{device}/{command}" as
     * "device/lamp1/light", and rpc_call_level() returns what the call has at such a level: 1 to 128 bytes
     * without wildcards and control characters, and not "response" or "request". A method of exactly the
     * called name comes before a family. The broker does not start if one name could mean two families.
     */
    const char *name;
    const char *doc; /* one line for the reference */
    bool read_only;  /* it changes nothing: the engine runs a call that a client sends again, instead of
                        sending the cached reply */
    bool idempotent; /* running it twice has the effect of running it once: a client may send a call again if
                        it does not know the outcome. For the reference only; read_only implies it */
    bool strict;     /* members of parameters that no field declares, also in nested objects, are
                        RPC_INVALID_PARAMS. Otherwise they are ignored unless the option `undeclared` says so */
    const rpc_shape
        *params; /* NULL: none; the engine ignores the object that a caller sends, unless strict */
    const rpc_shape *result;     /* NULL: the reply is {} */
    RPC_ROWS_(rpc_error) errors; /* none: only the engine's own */
    const char *event;           /* the result event, one of the module's events; NULL: none. It follows no
                                    success that rpc_call_set_unchanged() says changes nothing */
    rpc_announcement announce;   /* when it is published; of a method with a result event */
    const char *error_event; /* the event for errors that the handler gives to calls that asked for no reply,
                                one of the module's events; NULL: the engine's event "error" */
    rpc_handler run;

    /*
     * For methods that take time: run checks the parameters and makes the call pending with rpc_start() or
     * rpc_defer(), and done ends it. Such a method has done, and work or defers or both. The broker does not
     * start if one of them is missing, or if another method has one of the members below.
     */
    rpc_work work; /* what rpc_start() passes to a thread; NULL: the method does not call rpc_start() */
    bool defers;   /* the method calls rpc_defer(); only a method without work must say so */
    rpc_done done; /* NULL: run always returns the outcome */
    const rpc_shape *progress; /* what rpc_progress() sends; NULL: the method does not call rpc_progress() */
    rpc_priority priority;     /* of work */
    uint32_t timeout; /* ms from the arrival of a call to its deadline, at most 24 hours, unless its caller
                         sets another; 0: the configured timeout, which is 10 s by default. A method whose
                         calls wait for something that may take longer needs a timeout of its own */
    uint32_t max_pending; /* calls of the method, of all clients, that may be pending at once, work that runs
                             included, at most 100000; further ones get RPC_OVERLOADED; 0: no limit of its
                             own */
    bool decides_timeout; /* done gives the outcome of a deferred call whose deadline has passed, too: it gets
                             RPC_TIMEOUT, and what it returns or raises is the reply. It cannot make the call
                             pending again. Of methods with .defers */
    bool awaits_device;   /* while a call is deferred, it waits for a device: rpc.running says so. Of methods
                             with .defers */
    bool must_finish; /* others depend on the effect of a method that is not read_only: the call goes on when
                         its caller's connection has ended, and its work when the service stops; it may still
                         time out or be evicted */

    rpc_placement placement; /* where its calls are carried out, unless the option placement_{METHOD} says
                                otherwise */
    const char *lane; /* the name of a member of params on the wire: its value, an integer in decimal, is the
                         lane of the call, so that workers keep the order of a lane, too. An RPC_STRING,
                         RPC_CHOICE, RPC_INT32 or RPC_INT64, and always there: not optional or nullable, and
                         without a default. run gives rpc_start() this text as the lane. If it gives another,
                         or none, the engine logs that as the module's fault, and uses the member's. NULL: a
                         worker gets the method's calls in no certain order; a method with SPILL that has
                         lanes names its lane here */
} rpc_method;

/*
 * A command that devices of the module's kind carry out, and not the plugin: a caller calls it at
 * {prefix}/call/device/{device}/{name}. The module `device` takes such calls to the device; a plugin without
 * it answers method_not_found. It checks the parameters of a declared command before the device gets them,
 * and the result before the caller gets it. The row is also what discovery and the reference say about the
 * command.
 */
typedef struct rpc_command {
    const char *name;        /* one level of [A-Za-z0-9_.-]+, at most 128 bytes, not "response" or "request".
                                Modules may declare commands of the same name */
    const char *doc;         /* one line for the reference */
    const rpc_shape *params; /* NULL: none. No shape of a command is of RPC_FORM_BYTES */
    const rpc_shape *result; /* NULL: any JSON value */
    const rpc_shape *progress;   /* of what the device reports before its result; NULL: any JSON value */
    RPC_ROWS_(rpc_error) errors; /* that the device may report, for the reference */
    bool strict;                 /* as in rpc_method */
    bool read_only;              /* it changes nothing; implies idempotent */
    bool idempotent;  /* carrying it out twice has the effect of carrying it out once: the device may get it
                         again if its outcome is not known */
    uint32_t timeout; /* ms from the arrival of a call to its deadline, at most 24 hours, unless its caller
                         sets another; 0: the configured timeout */
} rpc_command;

/* One call, as a module's observe gets it. */
typedef struct rpc_observation {
    const rpc_method *method; /* the method that was called */
    rpc_status status;        /* the outcome, also of a call that asked for no reply */
    uint64_t elapsed;         /* nanoseconds from the arrival of the call to its outcome */
} rpc_observation;

/* What has happened to a client or its connection. */
typedef enum rpc_sign {
    RPC_SIGN_SEEN,       /* the client has published a message, to any topic; see rpc_presence_watch() */
    RPC_SIGN_CONNECTED,  /* the client has connected; only brokers from 2.1 on report it */
    RPC_SIGN_SUBSCRIBED, /* the client has subscribed; only brokers from 2.1 on report it */
    RPC_SIGN_GONE        /* the connection has ended; may come twice for one connection, and after a sign of
                            another connection that has taken the client id over */
} rpc_sign;

/* One sign of one client, as a module's presence gets it. */
typedef struct rpc_presence {
    rpc_sign sign;
    const char *client;     /* the client id, not NULL */
    const char *user;       /* the user name; NULL: anonymous, or unknown (RPC_SIGN_GONE) */
    const char *filter;     /* RPC_SIGN_SUBSCRIBED: the topic filter; else NULL */
    const void *connection; /* identifies the connection, for comparison only. After RPC_SIGN_GONE the broker
                               may use the same value for another connection */
} rpc_presence;

/* A message that an inbox receives. The struct and what it points at exist until receive returns. */
typedef struct rpc_message {
    const char *topic;         /* the whole topic */
    const char *const *levels; /* for rpc_message_level() */
    const char *payload;       /* not NULL, also when size is 0; followed by a NUL that size does not count */
    size_t size;               /* bytes */
    int qos;                   /* 0, 1 or 2 */
    const char *response_topic; /* of an MQTT 5 message; NULL: none; may be "" */
    const void *correlation;    /* Correlation Data of an MQTT 5 message; NULL: none */
    size_t correlation_size;    /* bytes */
    const void *connection;     /* tells the sender's connection from others; only ever compared */
    const char *sender_id;      /* the client id of the sender, not NULL, may be "" */
    const char *sender_user;    /* the user name of the sender; NULL: anonymous */
    int sender_version;         /* as rpc_caller_version() */
    bool bridge;                /* the sender is a bridge that this broker opened: other clients may have
                                   published the message, so its client id says nothing about them */
    const void *data; /* the payload, decoded into a struct of the inbox's shape. NULL: the inbox has no
                         shape, the payload is empty, or why says what is wrong with it */
    const char
        *why; /* why a payload was not decoded, in one line: it is no JSON, does not fit the shape, or is
                 larger than the configured max_payload; or there is no memory. NULL: nothing is wrong */
} rpc_message;

/* What the broker does with a message of an inbox. */
typedef enum rpc_inbox_verdict {
    RPC_INBOX_PASS,    /* it delivers and retains the message as if there were no inbox */
    RPC_INBOX_CONSUME, /* it neither delivers nor retains the message */
    RPC_INBOX_REFUSE   /* likewise, and the engine counts the message as refused; an MQTT 5 client gets the
                          reason code Not authorized at QoS 1 and 2, a bridge does not */
} rpc_inbox_verdict;

/*
 * Receives a message before the broker delivers it. state is as in rpc_handler.
 *
 * Thread: the broker's; it must not wait. It may do what a module may do outside of calls: publish, log,
 * resume calls, start background work and timers. It may also adopt the message, see rpc_adopt().
 *
 * Returns what the broker does with the message.
 */
typedef rpc_inbox_verdict (*rpc_inbox_receive)(rpc_instance *instance, void *state,
                                               const rpc_message *message);

/* Topics whose messages a module receives. */
typedef struct rpc_inbox {
    const char *topic; /* below the module's inbox root: levels of [A-Za-z0-9_.-]+ and up to 8 levels `+`, at
                          most 128 bytes. `+` matches what a level {word} of a method family matches, and
                          "response" and "request". No topic may match two inboxes of a module */
    const char *doc;   /* one line on what the inbox is for */
    unsigned sender_level;  /* n: the level that the n-th `+` matches must be the sender's client id. The
                               engine refuses other messages without calling receive, and leaves other messages
                               of a bridge to the broker. 0: any sender */
    const rpc_shape *shape; /* of the payload, of RPC_FORM_OBJECT: the engine decodes the payload before it
                               calls receive, whether or not it fits. Members that no field declares are
                               ignored. The text of an RPC_JSON has the exact value of every number, whatever
                               its length. NULL: the engine does not look at the payload */
    rpc_inbox_receive receive;
} rpc_inbox;

enum { RPC_WHY_BYTES = 480 }; /* bytes that hold any explanation of a value that does not fit, with its NUL */

/* Why a module does not take options that have changed. Its prepare fills this in. */
typedef struct rpc_refusal {
    const char *option;      /* the field at fault, by its name in the configuration; not NULL, static */
    char why[RPC_WHY_BYTES]; /* what is accepted, or what is missing, in one line that follows a comma */
} rpc_refusal;

/* How full something bounded is. A maximum of 0 means that this is not limited; rpc.stats then does not show
 * the maximum, nor bytes without bytes_max. */
typedef struct rpc_use {
    size_t entries, max;     /* what is in it, and how much fits */
    size_t bytes, bytes_max; /* the bytes that it holds, and may hold */
} rpc_use;

/*
 * Something bounded that a module has, such as the devices that it knows. rpc.stats and rpc.metrics show how
 * full it is, among the tables of the service.
 */
typedef struct rpc_gauge {
    const char *name; /* [a-z][a-z0-9_]*; it is shown as {module}.{name} */
    const char *doc;  /* one line on what is in it */

    /*
     * Says how full it is. state is as in rpc_handler; *use is zeroed. The engine calls it whenever a client
     * asks, so it must be short.
     */
    void (*look)(const void *state, rpc_use *use);
} rpc_gauge;

typedef struct rpc_module {
    const char *name;         /* [a-z][a-z0-9]*, written by RPC_MODULE() */
    const char *doc;          /* one line for the reference */
    size_t state_size;        /* bytes that the engine allocates, zeroed, for each prefix, and frees */
    const rpc_shape *options; /* NULL: none. Of RPC_FORM_OBJECT; each field is a bool, number, string or
                                 choice, and is optional or has a default. The engine reads it from the
                                 configuration as plugin_opt_{module}_{field} */
    RPC_ROWS_(rpc_method) methods;
    RPC_ROWS_(rpc_event) events;
    /* Of devices. Their kind has the module's name and doc. A module may have commands and no methods. */
    RPC_ROWS_(rpc_command) commands;
    RPC_ROWS_(rpc_inbox) inboxes;
    RPC_ROWS_(rpc_gauge) gauges;
    const char *inbox_root; /* one level, which replaces the last level of the prefix: "cmd" makes the root of
                               the inboxes prod/cmd for the prefix prod/rpc. init may set another root. If
                               this one overlaps the topics of a prefix, or such a root of an instance that
                               was started before, the inboxes of the instance are off, which init sees
                               (rpc_inbox_root()) and the engine logs. NULL: the module has no inboxes */
    const char *inbox_option; /* the field of options with which users set another root, which init passes to
                                 rpc_inbox_set_root(); the engine's log names it where the inboxes are off.
                                 NULL: there is none */

    /*
     * Starts one instance, before its first call; NULL: nothing to do. options is the decoded struct of the
     * options shape, which exists as long as the instance; NULL if the module has no options. init may wait:
     * the broker serves no client yet. Returns RPC_OK, or any other status to stop the broker's start, after
     * it has written the reason with rpc_log(). The engine then calls fini, too.
     */
    rpc_status (*init)(rpc_instance *instance, void *state, const void *options);

    /*
     * Takes over options that have changed while the broker runs: those whose fields have .reloads, from the
     * file that the option config_file names. Either all changes of all modules are taken over, or none, so
     * this happens in two steps. First the engine calls prepare in each instance whose options have changed;
     * NULL: every value that fits the shape is taken. prepare checks the options, and allocates in state what
     * reload will need; it changes nothing that a call could notice. It returns RPC_OK, or any other value
     * after it has filled in the refusal, and then nothing changes anywhere. If all have returned RPC_OK, the
     * engine calls reload in the same instances, which cannot fail. What was prepared may never be taken,
     * since another instance has refused: the next prepare or fini frees it.
     *
     * options is a new struct of the options shape, which exists until the function returns, so reload copies
     * what it needs; the struct that init got goes on to exist. Options without .reloads are the same in
     * both. A module has reload if one of its options has .reloads; else the broker does not start.
     *
     * Thread: the broker's; the functions must not wait.
     */
    rpc_status (*prepare)(rpc_instance *instance, void *state, const void *options, rpc_refusal *refusal);
    void (*reload)(rpc_instance *instance, void *state, const void *options);

    /*
     * Frees what state holds, but not state itself; NULL: nothing to do. fini accepts a state that init has
     * initialised in part or not at all (all zero). state is NULL if state_size is 0. fini may write to the
     * log and cancel timers; it must call no other function of this header.
     */
    void (*fini)(void *state);

    /*
     * Observes the calls of all modules of the prefix, for statistics; NULL: the module does not observe. The
     * engine calls it once for each call of a registered method, after it has written the outcome into the
     * reply and before it sends the reply. It observes calls that it refused before their handler ran, too,
     * but no reply from the cache. The observation exists until observe returns.
     *
     * Thread: the broker's. Every call waits for observe, so it must be short. It must not call rpc_resume().
     */
    void (*observe)(rpc_instance *instance, void *state, const rpc_observation *observation);

    /*
     * Follows which clients are connected; NULL: the module does not. The engine calls it for each sign of
     * each client of the broker, whether or not the client uses the prefix. The struct and its texts exist
     * until presence returns.
     *
     * Thread: the broker's. It must be short, since the engine calls it for every message that the broker
     * receives, unless rpc_presence_watch() has switched RPC_SIGN_SEEN off.
     */
    void (*presence)(rpc_instance *instance, void *state, const rpc_presence *presence);
} rpc_module;

/* Defines the module `word`, in the file handlers/word.c: RPC_MODULE(word, .doc = "…", …); The build refuses
 * a file that does not define the module of its name, and that one alone. */
#define RPC_MODULE(word, ...)                  \
    extern const rpc_module rpc_module_##word; \
    const rpc_module rpc_module_##word = {.name = #word, __VA_ARGS__}

/* ---- Functions for handlers ---------------------------------------------------------------- */

/* Returns the name of the called method from the module's table: of a family the name with braces. */
const char *rpc_call_method(const rpc_call *call);

/*
 * Returns what the name of a call of a method family has at the level {level} of the family's name: for the
 * family device/{device}/{command}, called as device/lamp1/light, "lamp1" for "device". Memory of the call.
 * Returns NULL if the family has no such level, or the method is no family.
 */
const char *rpc_call_level(const rpc_call *call, const char *level);

/* Returns the time at which the call arrived. All calls of a batch have the same time. */
double rpc_call_time(const rpc_call *call);

/* Returns the client id of the caller: any text, "" if it has none; NULL: it is not known, as in a worker
 * that is not attached to a plugin. Memory of the call. */
const char *rpc_caller_id(const rpc_call *call);

/* Returns the user name with which the caller logged in; NULL: it is anonymous. Memory of the call. */
const char *rpc_caller_user(const rpc_call *call);

/* Returns the network address of the caller as text; NULL: a bridge of this broker, or, in a worker and in a
 * replay of a letter that a module has made, not known. Memory of the call. */
const char *rpc_caller_address(const rpc_call *call);

/* Returns the caller's protocol version as in its CONNECT packet: 3 for MQTT 3.1, 4 for 3.1.1, 5 for 5.0; 0:
 * it is not known, in a replay of a letter that a module has made. */
int rpc_caller_version(const rpc_call *call);

/* Who called, as far as it is known. All zero: nothing is known. */
typedef struct rpc_caller {
    const char *id;      /* the client id; NULL: unknown */
    const char *user;    /* the user name; NULL: anonymous, or unknown */
    const char *address; /* the network address as text; NULL: a bridge of this broker, or unknown */
    int version;         /* as rpc_caller_version(); 0: unknown */
    bool mounted;        /* its listener has the mount point that the option mount_point names */
} rpc_caller;

/*
 * Returns all of the caller at once, for a module that does something for it after the call: it copies the
 * texts, which are memory of the call. A call that dead.replay runs again has the caller of its letter, of
 * which less may be known; its id then is "".
 */
rpc_caller rpc_call_caller(const rpc_call *call);

/*
 * Copies the value of a user property of the caller's message, the first one of this name, into value: at
 * most size - 1 bytes and a NUL; size must be at least 1. All calls of a batch have the same properties.
 * Returns false, and leaves value alone: the message has no such property, as every message of MQTT 3; or run
 * has returned, after which the properties are gone. Call it in run, before run returns.
 */
bool rpc_caller_property(const rpc_call *call, const char *name, char *value, size_t size);

enum { RPC_TRACEPARENT_BYTES = 56 }; /* of a traceparent, with its NUL */

/* The W3C Trace Context of a call, as user properties, HTTP headers or the like carry it on. */
typedef struct rpc_trace {
    char parent[RPC_TRACEPARENT_BYTES]; /* traceparent: 00-{trace id}-{span id}-{flags}, where the span is the
                                           call's own in this service */
    const char *state;                  /* tracestate, up to 512 bytes of printable ASCII; NULL: none */
} rpc_trace;

/*
 * Reads the trace that the caller's message belongs to, so that what the handler does elsewhere can belong to
 * it, too: the engine itself puts it on the reply, on interim replies, and on all events that are published
 * for the call. The caller has sent it as the user properties traceparent and tracestate of MQTT 5, or as the
 * member traceparent beside request_id. All calls of a batch have the same trace. The text of state is memory
 * of the call. Returns false, and leaves *trace alone: the caller has sent no traceparent, or a malformed
 * one.
 */
bool rpc_call_trace(const rpc_call *call, rpc_trace *trace);

/* Returns the instance of the module that the call runs in. */
rpc_instance *rpc_call_instance(const rpc_call *call);

/* Returns the topic prefix of the instance. Instances of different prefixes must not share data. */
const char *rpc_prefix(const rpc_instance *instance);

/* Returns the time now. */
double rpc_time(const rpc_instance *instance);

/* Returns the milliseconds since some moment, by a clock that cannot be set. For durations; timers use it. */
uint64_t rpc_clock(const rpc_instance *instance);

/*
 * Allocates size bytes of the call's memory, zeroed and aligned for any type; size may be 0. Returns NULL if
 * there is no memory: the handler then returns RPC_INTERNAL_ERROR. While the call is pending, its memory
 * counts towards max_pending_bytes.
 */
void *rpc_alloc(rpc_call *call, size_t size);

/* Formats a string into the call's memory. Returns NULL if there is no memory. */
char *rpc_printf(rpc_call *call, const char *format, ...) RPC_PRINTF(2, 3);

/*
 * Encodes a struct of a shape as JSON text in the call's memory: for members of RPC_JSON that consist of
 * parts with shapes. A method of the module must use the shape as well, since the engine checks only the
 * shapes of methods at the start. Returns NULL if the struct does not fit its shape, which the engine logs;
 * if the text is larger than the configured max_reply; if there is no memory.
 */
const char *rpc_encode(rpc_call *call, const rpc_shape *shape, const void *data);

/*
 * Decodes JSON text into a struct of a shape, in the call's memory: the counterpart of rpc_encode(), for
 * members of RPC_JSON. shape is the parameters of one of the module's methods. The function reads text and
 * stores the struct in *data. Returns:
 *
 * - RPC_OK.
 * - RPC_PARSE_ERROR: text is not JSON. RPC_INVALID_PARAMS: it does not fit the shape. A handler may return
 *   either one; its caller then gets the reason as `msg`.
 * - RPC_INTERNAL_ERROR: there is no memory, or no method of the module has the shape, which the engine logs.
 */
rpc_status rpc_decode(rpc_call *call, const rpc_shape *shape, const char *text, const void **data);

/*
 * Raises an error and returns its status: write `return rpc_raise(…)`. code is one that the method declares,
 * or a name of RPC_STATUS_MAP other than "ok" and "raised". With any other code the function returns
 * RPC_INTERNAL_ERROR, and the engine logs the fault. The message is cut at 512 bytes; if there is no memory
 * for it, the reply has the standard text of the code. A later call of the function replaces the error.
 */
rpc_status rpc_raise(rpc_call *call, const char *code, const char *format, ...) RPC_PRINTF(3, 4) RPC_RETURNED;

/*
 * Does what rpc_raise() does, with more members in the error object: data is a struct of the shape that the
 * method declares for this code; NULL adds none. The engine raises the error without them if data does not
 * fit its shape, which it logs; if they are larger than the configured max_reply; if there is no memory.
 */
rpc_status rpc_raise_with(rpc_call *call, const char *code, const void *data, const char *format, ...)
    RPC_PRINTF(4, 5) RPC_RETURNED;

/*
 * Publishes one of the module's events that declare a data shape; data is a struct of that shape. The engine
 * publishes result and error events itself. Inside a call, pass call: the event belongs to its trace, and if
 * the listener of its caller has a mount point, the event appears below it. Outside of calls, pass NULL, or
 * use rpc_announce_for(); init may call it, too. Returns:
 *
 * - RPC_OK: the broker has the event.
 * - RPC_INTERNAL_ERROR: the module does not declare this event with a shape, or data does not fit the shape,
 *   both of which the engine logs; or there is no memory.
 * - RPC_REPLY_TOO_LARGE: the event is larger than the configured max_reply.
 * - RPC_CANCELLED: the service is stopping.
 */
rpc_status rpc_announce(rpc_instance *instance, rpc_call *call, const char *event, const void *data);

/*
 * Does what rpc_announce() does without a call, for what follows from a call and happens after it, such as
 * what becomes of a command: the event belongs to trace, which the module has kept from rpc_call_trace(). Its
 * topic is the same whoever called: without a mount point. trace may be NULL: the event belongs to none.
 * Returns what rpc_announce() does; RPC_INTERNAL_ERROR also, which the engine logs, if parent does not have
 * the length of a traceparent, or parent or state is no printable ASCII, or state is longer than 512 bytes.
 */
rpc_status rpc_announce_for(rpc_instance *instance, const rpc_trace *trace, const char *event,
                            const void *data);

/*
 * Removes the retained message of one value of one of the module's events that are retained and keyed: for
 * what is no more. Subscribers of its topic get an empty message, so that they know. key is the value as
 * text, of an integer in decimal; the function need not have published it. call is as in rpc_announce(): the
 * one with which the event was published. Returns:
 *
 * - RPC_OK: the broker has no retained message of this value; or key cannot be a level of a topic, so that
 *   there was none.
 * - RPC_INTERNAL_ERROR: the module does not declare this event as retained and keyed, which the engine logs;
 *   or there is no memory.
 * - RPC_CANCELLED: the service is stopping.
 */
rpc_status rpc_retract(rpc_instance *instance, rpc_call *call, const char *event, const char *key);

/* A user property of a message. Both are UTF-8 without control characters, of at most 65535 bytes. */
typedef struct rpc_property {
    const char *name;  /* not empty */
    const char *value; /* may be "" */
} rpc_property;

/* A message that a module publishes. Its properties reach MQTT 5 clients only. */
typedef struct rpc_publication {
    const char *client; /* send to the client with this id alone, whether or not it has subscribed; NULL: send
                           to all clients that have subscribed to the topic */
    const char *topic;  /* the whole topic; not below $, and none that the engine serves or publishes to */
    const void *payload;        /* any bytes; may be NULL if size is 0 */
    size_t size;                /* bytes, at most the configured max_reply */
    const rpc_shape *shape;     /* the payload is `data` as JSON, and payload is NULL. Any shape but raw bytes
                                   that one of the module's tables uses as well, since the engine checks only
                                   those at the start. NULL: the payload is `payload` */
    const void *data;           /* a struct of the shape; NULL if there is no shape */
    int qos;                    /* 0, 1 or 2 */
    bool retain;                /* to subscribers only; an empty payload removes the retained message of the
                                   topic (MQTT 5.0, section 3.3.1.3) */
    uint32_t expiry;            /* Message Expiry Interval in seconds; 0: none */
    const char *content_type;   /* of a payload that is UTF-8 (MQTT 5.0, section 3.3.2.3.9); NULL: none */
    const char *response_topic; /* NULL: none */
    const void *correlation;    /* Correlation Data; NULL: none */
    size_t correlation_size;    /* bytes, at most 65535 */
    const rpc_property *properties; /* user properties, in the order in which they are sent; NULL: none */
    unsigned property_count;        /* at most 8 */
} rpc_publication;

/*
 * Publishes a message to one client or to subscribers. A message at QoS 0 to a client that is not connected
 * is lost, and some brokers never free it: send such a message only to a client that is connected, as
 * presence (struct rpc_module) reports. Returns:
 *
 * - RPC_OK: the broker has the message.
 * - RPC_INVALID_PARAMS: the topic, the Response Topic, the Content Type, the QoS, the size of the
 *   Correlation Data, a user property or the number of them is not allowed; a message to one client is
 *   retained; the payload, the Correlation Data or the user properties are NULL, but their size or number
 *   is not 0; or there is a shape and data does not fit it, or one of shape and data without the other, or
 *   both a shape and a payload. The engine logs the fault.
 * - RPC_REPLY_TOO_LARGE: the payload is larger than the configured max_reply.
 * - RPC_CANCELLED: the service is stopping.
 * - RPC_INTERNAL_ERROR: there is no memory, or the host cannot send to one client.
 */
rpc_status rpc_send(rpc_instance *instance, const rpc_publication *publication);

/*
 * What a module tells of something that failed after its call had been answered, or with nobody to tell, and
 * that people may want to run again, for example a command that its device never got. It becomes a dead
 * letter.
 */
typedef struct rpc_letter {
    const char *method;  /* the method that would run it again, as it is called; of any module */
    const char *params;  /* its parameters as JSON text; NULL: it has none, or see payload */
    const void *payload; /* in place of parameters: bytes that cannot be run again; NULL: none */
    size_t size;         /* of the payload, bytes */
    rpc_caller caller;   /* who called. The letter is published below its mount point, as the events of its
                            call are, and a replay runs in its name */
    double arrived;      /* when the call arrived */
    const char *err;     /* the error's code: [a-z0-9_]+, at most 64 bytes */
    const char *msg;     /* for people: UTF-8 that is cut at 1023 bytes; NULL: none */
    const char *trace;   /* the parent of the call's rpc_trace; NULL: none */
    rpc_call *call;      /* the pending call that ends for the same reason: the engine makes no letter of it;
                            NULL: none */
} rpc_letter;

/*
 * Makes a dead letter, which the methods dead.* show, and publishes it to {prefix}/dead/{method}, as the
 * options dead_letters, dead_payload and error_rate say. Does nothing if call is a replay, if dead_letters is
 * false, if the service is stopping or there is no memory. It also does nothing, and the engine logs the
 * fault, if no module has the method, the method is one of dead.*, params is not JSON, payload is NULL
 * although size is not 0, err is not a code, msg is not UTF-8, or trace does not have the length of a
 * traceparent.
 */
void rpc_dead_letter(rpc_instance *instance, const rpc_letter *letter);

/*
 * Returns whether the call is a replay: dead.replay runs the call of a dead letter again. A replay makes no
 * dead letter; so what fails later because of it must make none, either.
 */
bool rpc_call_is_replay(const rpc_call *call);

typedef enum rpc_log_level {
    RPC_LOG_DEBUG,
    RPC_LOG_INFO,
    RPC_LOG_NOTICE,
    RPC_LOG_WARNING,
    RPC_LOG_ERROR
} rpc_log_level;

/*
 * Writes one line to the broker's log, after the prefix and the module's name. A level that is none counts as
 * RPC_LOG_ERROR. The text is cut at 512 bytes.
 * Bytes that are not printable ASCII appear as \xNN, so that the text may contain text of clients; the line
 * is then cut at 640 bytes. Since clients can cause lines, each level of an instance is limited to ten lines
 * at once and one a second on average. The engine drops further lines, and logs their number before the next
 * one.
 */
void rpc_log(rpc_instance *instance, rpc_log_level level, const char *format, ...) RPC_PRINTF(3, 4);

/*
 * Says that something that the module depends on, such as its database, is out of order, or is well again.
 * rpc.health and its retained document, which monitoring reads, tell of it. The module calls this whenever it
 * notices either, also if it has said the same before. Arguments:
 *
 * - what: the name of the trouble, [a-z0-9_]+ and at most 32 bytes: "database". An instance has at most 4
 *   troubles at a time. The engine logs a name of another form, or a fifth trouble, and does nothing else.
 * - text: what is wrong, and what to do, in one line for the operator; it is copied, and cut at 200 bytes.
 *   Every client that may call rpc.health can read it, so it names no files and no users. If the trouble is
 *   there already, the text replaces the former one, and the time at which the trouble began stays. NULL: the
 *   trouble is over; without one, nothing happens.
 */
void rpc_trouble(rpc_instance *instance, const char *what, const char *text);

/* ---- Work that takes time -------------------------------------------------------------------- */

/*
 * Passes the method's work to a thread and makes the call pending: write `return rpc_start(…)` in run or in
 * done. Arguments:
 *
 * - lane: a name, or NULL for none. The work of one lane of an instance runs one at a time, in the order of
 *   the calls of rpc_start(); work of different lanes, and work without a lane, runs in parallel. Use one
 *   lane for each thing that only one thread may use at a time: a device, a database, a client.
 * - data: for work and done, usually memory of the call; may be NULL. It may point at the parameters, since
 *   the memory of the call exists until done has returned.
 *
 * Returns RPC_PENDING: done will run. With any other value neither work nor done runs for this data, and the
 * handler returns that value, or another one that is not RPC_PENDING:
 *
 * - RPC_OVERLOADED: as many calls of the method are pending as its max_pending allows; or all slots are
 *   occupied, or the pending calls hold as many bytes as max_pending_bytes allows, and no call can be
 * evicted.
 * - RPC_CANCELLED: the service is stopping, or done was called with another outcome than RPC_OK.
 * - RPC_INTERNAL_ERROR: there is no memory, or no thread can be started; or the method has no work or no
 *   done, or the call is pending already, which the engine logs.
 *
 * Slots and eviction. A call occupies one of the configured max_pending slots of the prefix while it waits
 * for a thread or for rpc_resume(). If all are occupied, the engine evicts the newest such call of the client
 * that occupies most slots, if that client occupies at least two more than the caller. If the bytes do not
 * suffice, it evicts the newest such calls of the client that holds most, as long as that client holds more
 * than the caller would. rate_limit_by says who is one client. The done of an evicted call gets
 * RPC_OVERLOADED, after the function that called rpc_start() has returned.
 */
rpc_status rpc_start(rpc_call *call, const char *lane, void *data) RPC_RETURNED;

/*
 * Makes the call pending until rpc_resume(): write `return rpc_defer(…)` in run or done. For calls that wait
 * for something that happens on the broker's thread: a timer, an event, another call. data, slots and return
 * values are those of rpc_start(), without work and its thread.
 *
 * The deadline of the call runs while it waits: if what it waits for may take longer than the configured
 * timeout, 10 s by default, the method needs a timeout that is longer.
 */
rpc_status rpc_defer(rpc_call *call, void *data) RPC_RETURNED;

/*
 * Ends a call that rpc_defer() has made pending: done runs with RPC_OK before rpc_resume() returns. The call
 * must not be used afterwards unless done has made it pending again. The same holds after done has run with
 * another outcome, so done removes the call wherever the module has noted it: the engine cannot tell a call
 * that has ended from another one. It logs a fault and does nothing if the call is not deferred, or if its
 * own run or done has not returned yet.
 */
void rpc_resume(rpc_call *call);

/*
 * Sets how many milliseconds after its arrival the deadline of a call is, instead of the method's timeout and
 * the configured one: at most 24 hours; 0 sets nothing. A deadline that the caller has set stays. Call it in
 * run before it makes the call pending.
 */
void rpc_call_set_timeout(rpc_call *call, uint32_t milliseconds);

/*
 * Says that a success of the call changes nothing: the engine does not publish the method's result event, and
 * the caller gets the result as ever. For methods that recognise what they have done already, for example a
 * reading that a device has sent again. Events that the module announces itself, and errors, are published as
 * ever. Call it in run or done, before that returns the outcome.
 */
void rpc_call_set_unchanged(rpc_call *call);

/*
 * Returns whether a text is one JSON value, as an RPC_JSON of a result must be: for text of clients that the
 * engine has not decoded. A NUL must follow its size bytes.
 */
bool rpc_is_json(const char *text, size_t size);

/* Returns the configured timeout_max, in milliseconds: the longest deadline that callers may set. */
uint32_t rpc_timeout_max(const rpc_instance *instance);

/* Returns the configured max_reply, in bytes: the largest payload of a reply, and of what rpc_send() sends.
 */
size_t rpc_max_reply(const rpc_instance *instance);

/*
 * Returns how many milliseconds are left until the deadline of a call of a method that has done: at least 1
 * before the deadline, 0 afterwards. run may ask it before it makes the call pending. Returns 0 for a call of
 * any other method, which has no deadline.
 */
uint32_t rpc_call_left(const rpc_call *call);

/*
 * Tells the caller of a pending call how far the call is: an interim reply, which changes nothing of the
 * call. data is a struct of the method's .progress shape. Only a caller that asked for it gets it: an MQTT 5
 * client whose call has a Response Topic and the user property `progress` with the value 1. The interim reply
 * goes to the Response Topic, with the Correlation Data and the QoS of the reply, and has the user property
 * `status` with the value `progress`. It goes to the connection that called, and never to a session. The
 * engine does not cache it. Callers of batches and JSON-RPC get none, nor callers with a request_id. Call it
 * after rpc_start() or rpc_defer() and before the outcome is known. Returns:
 *
 * - RPC_OK: the interim reply is on its way; or its caller did not ask for it, or has no connection any more;
 *   or it was dropped for want of memory, which the engine counts and logs.
 * - RPC_REPLY_TOO_LARGE: the interim reply is larger than the configured max_reply.
 * - RPC_CANCELLED: the outcome of the call is known already, or the service is stopping.
 * - RPC_INTERNAL_ERROR: the method has no .progress, the call is not pending, or data does not fit the shape,
 *   which the engine logs. Data is looked at only if the caller asked for it.
 */
rpc_status rpc_progress(rpc_call *call, const void *data);

/*
 * Starts work without a call, at low priority and without a deadline. init may call it, too. lane is as in
 * rpc_start(). data belongs to the module, which frees it in done; it may be NULL. done gets NULL for call
 * and result. Returns RPC_PENDING: done will run. With any other value neither work nor done runs:
 *
 * - RPC_OVERLOADED: 256 pieces of background work of the prefix have not ended.
 * - RPC_CANCELLED: the service is stopping.
 * - RPC_INTERNAL_ERROR: there is no memory, or no thread can be started; or work or done is NULL, which the
 *   engine logs.
 */
rpc_status rpc_background(rpc_instance *instance, const char *lane, rpc_work work, rpc_done done, void *data);

/*
 * Returns whether the work is still wanted, for long work to ask from time to time: false if the deadline of
 * its call has passed, the caller's connection has ended, or the service is stopping. Work of a method that
 * must finish stays wanted in the last two cases. Work that has taken over other jobs is wanted as long as
 * one of them is.
 *
 * Thread: the work's.
 */
bool rpc_is_wanted(const rpc_job *job);

/*
 * Does what rpc_call_trace() does, for work: reads the trace of its call. The text of state exists until the
 * work returns. Of work that has taken over other jobs it is the trace of the call that began it. Returns
 * false, and leaves *trace alone: the call has none, or it is background work.
 *
 * Thread: the work's.
 */
bool rpc_job_trace(const rpc_job *job, rpc_trace *trace);

/*
 * Takes over the next job of the lane, if one waits and has the same work function, and returns its data. The
 * running work then does that job, too, and the engine calls its done after the work has returned. So work
 * can do several jobs together, for example commit many changes to a database at once. Returns NULL if there
 * is no such job or no lane; therefore data must not be NULL in a lane whose work calls this function.
 *
 * Thread: the work's.
 */
void *rpc_job_take_next(rpc_job *job);

/* ---- Timers ----------------------------------------------------------------------------------- */

/* The name of a timer of an instance, which a module may keep and copy for as long as it likes: it names no
 * other timer later. All zero: no timer. */
typedef struct rpc_timer {
    const rpc_instance *instance; /* the engine's */
    uint64_t id;                  /* likewise; 0: no timer */
} rpc_timer;

/* Called when a timer is due, with the timer's data. It may start and cancel timers, also its own. */
typedef void (*rpc_timer_handler)(rpc_instance *instance, void *state, void *data);

/*
 * Start a timer. rpc_every() calls the handler after each interval of so many milliseconds, for the first
 * time after one interval; 0 counts as 1. The times do not drift, and the engine leaves out those that it has
 * missed. rpc_after() calls the handler once, after so many milliseconds or, with 0, as soon as possible.
 * data may be NULL. init may call both functions, too. Return a timer whose id is 0 if there is no memory,
 * the prefix has 200000 timers, or the service is stopping; or if handler is NULL, which the engine logs. A
 * timer takes about 100 bytes, and starting or cancelling one less than a microsecond on average.
 *
 * A timer ends before its only call, when it is cancelled, and with its instance.
 */
rpc_timer rpc_every(rpc_instance *instance, uint32_t milliseconds, rpc_timer_handler handler, void *data);
rpc_timer rpc_after(rpc_instance *instance, uint32_t milliseconds, rpc_timer_handler handler, void *data);

/*
 * Cancels a timer of the instance. Returns true if the engine will not call its handler any more, and false
 * if there was nothing to cancel: timer is all zero, or has been cancelled before, or its only call has
 * begun; or it is another instance's, which the engine logs. instance may be NULL if timer is all zero.
 */
bool rpc_timer_cancel(rpc_instance *instance, rpc_timer timer);

/* ---- Presence --------------------------------------------------------------------------------- */

/*
 * Sets whether the module's presence gets RPC_SIGN_SEEN in this instance, the sign of every message that the
 * broker receives. At first it does. It gets all other signs in any case. Switch RPC_SIGN_SEEN off while
 * there is nobody to look for: as long as no instance wants it, a message costs what it costs without the
 * module. All functions of the module that run on the broker's thread may call it, presence itself and init
 * included. Does nothing if the module has no presence, which the engine logs.
 */
void rpc_presence_watch(rpc_instance *instance, bool seen);

/* ---- Inboxes ---------------------------------------------------------------------------------- */

/*
 * Returns what the message's topic has at the n-th level `+` of the inbox's topic, counted from 1. Returns
 * NULL if the inbox has fewer. The text exists as long as the message.
 */
const char *rpc_message_level(const rpc_message *message, unsigned level);

/* What rpc_adopt() makes a call of. */
typedef struct rpc_adoption {
    const char *method;      /* the method as it is called, for example "device/lamp1/light" */
    const char *params;      /* JSON text of the parameters; may be NULL if params_size is 0 */
    size_t params_size;      /* bytes; 0: the method gets {} */
    const char *reply_topic; /* where the reply goes, to the sender alone; held to the rules of a Response
                                Topic */
    const void *correlation; /* the call's identity, which an MQTT 5 sender also gets back as Correlation
                                Data; NULL: none */
    size_t correlation_size; /* bytes, at most 65535 */
    bool errors_only;        /* the sender gets a reply only if it is an error; also no interim reply */
} rpc_adoption;

/*
 * Carries out a message of an inbox as a call of its sender: as if the sender had published the parameters to
 * {prefix}/call/{method}, with this Response Topic and Correlation Data and with the QoS and the user
 * properties of the message. Rates, the recognition of duplicates, the deadline and the end of the sender's
 * connection are those of any call; so a message that comes again is adopted again and recognised by its
 * identity. The parameters are never taken for JSON-RPC, and an MQTT 3.1.1 sender gets its reply on
 * reply_topic, too. A success that errors_only keeps back is cached, announced and counted like any other.
 *
 * To be called in receive, once for a message, with the instance and the message that receive got. The
 * handler runs before rpc_adopt() returns. Returns:
 *
 * - true: the call is taken, also if it was answered with an error. receive returns RPC_INBOX_CONSUME.
 * - false: it is not, and the sender gets no answer: there is no memory; or the message is a bridge's and
 *   the option bridge_calls is false; or no module has the method and the option unknown_methods is forward;
 *   or no reply may go to reply_topic, by its form or by the options response_topic_filter, reply_delivery
 *   and bridge_response_topics; or, which the engine logs, message is not the one that the instance
 *   receives, method or reply_topic is NULL, params or correlation is NULL and its size is not 0, or the
 *   correlation is too large.
 */
bool rpc_adopt(rpc_instance *instance, const rpc_message *message, const rpc_adoption *adoption);

/*
 * Sets the root of the module's inboxes in this instance, which only init may do. root is a topic of at most
 * 128 bytes without wildcards and empty levels, which may begin with a slash, but not with `$`; NULL switches
 * the inboxes off. A root that was set and overlaps the topics of a prefix or another root stops the broker's
 * start after init: unlike the usual root (rpc_module.inbox_root), somebody has asked for it. Returns:
 *
 * - RPC_OK: the root is set.
 * - RPC_INVALID_PARAMS: root cannot be a root.
 * - RPC_INTERNAL_ERROR: there is no memory; or init has returned already or the module has no inboxes, which
 *   the engine logs.
 */
rpc_status rpc_inbox_set_root(rpc_instance *instance, const char *root);

/* Returns the root of the module's inboxes in this instance, which exists as long as the instance; NULL: the
 * inboxes are off. */
const char *rpc_inbox_root(const rpc_instance *instance);

/* ---- Commands of devices ------------------------------------------------------------------------ */

/*
 * Returns the row of a command that a module of the prefix declares, which has static storage duration. kind
 * is the name of a module, for example what a device said that it is; NULL: any. Every instance of the prefix
 * may ask for the commands of all modules. Returns NULL if
 *
 * - the module of the name kind, or with NULL every module, declares no command of this name; or
 * - kind is NULL, and several modules declare one of this name.
 */
const rpc_command *rpc_command_find(const rpc_instance *instance, const char *kind, const char *name);

/* The parts of a command that have shapes. */
typedef enum rpc_command_part {
    RPC_COMMAND_PARAMS,  /* the parameters */
    RPC_COMMAND_RESULT,  /* the result */
    RPC_COMMAND_PROGRESS /* what is reported before the result */
} rpc_command_part;

/*
 * Checks a part of a command. command is a row that rpc_command_find() has returned. json is JSON text; NULL
 * counts as {}. Returns:
 *
 * - RPC_OK: json fits. *checked is a JSON text without white space, which the caller frees with free(). Of
 *   parameters it has the defaults of members that are not given, and only members that the shape declares:
 *   without a shape it is {}. Of the other parts it is the value as given.
 * - RPC_PARSE_ERROR: json is not JSON. RPC_INVALID_PARAMS: it does not fit the shape of the part, or the text
 *   would be larger than the configured max_reply. why says in one line what is wrong.
 * - RPC_INTERNAL_ERROR: there is no memory; or command is no row of a module of the prefix, or part is no
 *   rpc_command_part, both of which the engine logs.
 *
 * Unless it returns RPC_OK, *checked is NULL. why is "" unless it returns one of the second two values.
 */
rpc_status rpc_command_check(rpc_instance *instance, const rpc_command *command, rpc_command_part part,
                             const char *json, char **checked, char why[RPC_WHY_BYTES]);

#endif
