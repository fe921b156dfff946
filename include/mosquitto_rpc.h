// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * mosquitto_rpc.h: all that the author of a handler includes.
 *
 * A module is one constant table: methods, the events they announce, the options they read, the inboxes that
 * receive other messages, and how large their state is. A method names the shape of its parameters and of its
 * result; the engine decodes, checks, encodes and documents both from that one table, so that a handler is an
 * ordinary function from one C struct to another:
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
 * Rules that hold for every function here, unless it says otherwise:
 *
 * - Thread: everything runs on the one thread that also serves all clients, and so does every
 *   function that a module supplies. A handler that waits makes everybody wait. The one exception is work
 *   (rpc_work), which is there for what waits, and runs on a thread of its own kind.
 * - Ownership: a handler frees nothing. What it is given, and what it asks of rpc_alloc(), lives
 *   until the call has ended. What it must keep, it copies into its own state.
 * - Text is UTF-8, ends with a NUL and holds no other.
 * - Tables are never copied: a module, and all that it points at, has static storage.
 */
#ifndef MOSQUITTO_RPC_H
#define MOSQUITTO_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define RPC_PRINTF(string, first) __attribute__((__format__(__printf__, string, first)))
#else
#define RPC_PRINTF(string, first)
#endif

/* One call, from its arrival to its last reply. */
typedef struct rpc_call rpc_call;

/* One module inside one prefix, from before its init to after its fini. */
typedef struct rpc_instance rpc_instance;

/* ---- Outcomes ------------------------------------------------------------------------------ */

/*
 * Every outcome that the engine itself knows: X(enumerator, name on the wire, JSON-RPC 2.0 code, text
 * for people). The first five codes are those of section 5.1 of the JSON-RPC 2.0 specification, the
 * others lie in the range that it leaves to servers. RPC_RAISED stands for the codes that handlers
 * declare themselves: its name never appears, the declared one does.
 */
#define RPC_STATUS_MAP(X)                                                                     \
    X(RPC_OK, "ok", 0, "success")                                                             \
    X(RPC_PARSE_ERROR, "parse_error", -32700, "the payload is not JSON")                      \
    X(RPC_INVALID_REQUEST, "invalid_request", -32600, "the call itself is malformed")         \
    X(RPC_METHOD_NOT_FOUND, "method_not_found", -32601, "no such method")                     \
    X(RPC_INVALID_PARAMS, "invalid_params", -32602, "the parameters do not fit the method")   \
    X(RPC_INTERNAL_ERROR, "internal_error", -32603, "the handler failed")                     \
    X(RPC_TIMEOUT, "timeout", -32000, "the deadline passed before the handler finished")      \
    X(RPC_CANCELLED, "cancelled", -32001, "the caller went away, or the service is stopping") \
    X(RPC_OVERLOADED, "overloaded", -32002, "too many calls are waiting")                     \
    X(RPC_RATE_LIMITED, "rate_limited", -32003, "too many calls in a short time")             \
    X(RPC_PAYLOAD_TOO_LARGE, "payload_too_large", -32004, "the payload is over the limit")    \
    X(RPC_REPLY_TOO_LARGE, "reply_too_large", -32005, "the result is over the limit")         \
    X(RPC_RAISED, "raised", -32010, "an error that the method declares")

#define RPC_STATUS_ENUMERATOR_(enumerator, name, code, text) enumerator,
typedef enum rpc_status {
    RPC_PENDING = -1, /* no outcome yet: the call is pending, see rpc_start() and rpc_defer() */
    RPC_STATUS_MAP(RPC_STATUS_ENUMERATOR_) RPC_STATUS_COUNT_
} rpc_status;
#undef RPC_STATUS_ENUMERATOR_

/* ---- Shapes -------------------------------------------------------------------------------- */

/* JSON text as it is: for parameters and results whose shape is not known beforehand. */
typedef struct rpc_json {
    const char *text; /* one JSON value; NULL where an optional member was not given */
} rpc_json;

/* The whole payload of a method that takes raw bytes (RPC_BYTES_SHAPE). */
typedef struct rpc_bytes {
    const void *data; /* not NULL, also when size is 0; followed by a NUL that size does not count */
    size_t size;      /* bytes */
} rpc_bytes;

typedef enum rpc_kind {
    RPC_KIND_BOOL,   /* bool: true, false */
    RPC_KIND_INT32,  /* int32_t: a number without a fractional part (1.0 and 1e3 have none) */
    RPC_KIND_INT64,  /* int64_t: likewise, exact over its whole range */
    RPC_KIND_DOUBLE, /* double: any finite number */
    RPC_KIND_STRING, /* const char *: text, its length bounded */
    RPC_KIND_CHOICE, /* int or an enum: one of a list of strings, as its index */
    RPC_KIND_JSON,   /* rpc_json: any value */
    RPC_KIND_OBJECT  /* a struct that has a shape of its own: an object within the object */
} rpc_kind;

/*
 * One member of a shape. Written with the macros below, which take the struct's type, the member and
 * then designated initialisers for what else there is to say, .doc at least:
 *
 *     RPC_DOUBLE(struct reading, value, .doc = "the reading", .unit = "Celsius", .range = {-90, 60})
 *
 * The macro does not compile when the member's C type is not the one of its kind.
 */
typedef struct rpc_field {
    const char *member;       /* the C member's name, written by the macro */
    const char *name;         /* the name on the wire; NULL: the C member's name */
    const char *doc;          /* one line for the reader of the reference */
    const char *unit;         /* NULL: none. In options, "ms" and "s" accept 10s, 5m, "bytes" accepts 64k */
    rpc_kind kind;            /* of the member, or of the elements of an array */
    bool optional;            /* may be missing; a field with a default may be, too */
    bool nullable;            /* may be null, which the handler sees as not given */
    const char *default_json; /* JSON text of the value that stands in for a missing member */
    struct {
        double min, max;
    } range; /* numbers: both ends allowed; INFINITY: open; no range unless min < max */
    struct {
        unsigned min, max;
    } length; /* strings: Unicode characters; a string's max must be at least 1 */
    struct {
        unsigned min, max;
    } items;                       /* arrays: elements; an array's max must be at least 1 */
    const char *const *choices;    /* RPC_KIND_CHOICE: the strings, ending with NULL */
    const struct rpc_shape *shape; /* RPC_KIND_OBJECT: of the struct, RPC_FORM_OBJECT */
    size_t offset;                 /* of the member, written by the macro */
    size_t size;                   /* of the value or, of an array, of one element; likewise */
    size_t counter;                /* arrays: 1 + the offset of the element count; likewise; 0: no array */
    size_t flag;                   /* RPC_FLAG(): tells whether the member was given; 0: none */
} rpc_field;

/*
 * Where an optional or nullable number, bool, choice or object without a default was not given, its member is
 * zero and only a flag tells: `.flag = RPC_FLAG(struct s, has_value)` names a bool of the same struct.
 * Decoding sets it; in a result the handler sets it. Strings, JSON and arrays need no flag: NULL means not
 * given. What a result does not give is left out if it is optional, else written as null if it is nullable.
 */
#define RPC_FLAG(type, m) (1 + RPC_OFFSET_(type, m, bool * : 0))

#define RPC_BOOL(type, m, ...) \
    RPC_FIELD_(type, m, RPC_KIND_BOOL, RPC_OFFSET_(type, m, bool * : 0), __VA_ARGS__)
#define RPC_INT32(type, m, ...) \
    RPC_FIELD_(type, m, RPC_KIND_INT32, RPC_OFFSET_(type, m, int32_t * : 0), __VA_ARGS__)
#define RPC_INT64(type, m, ...) \
    RPC_FIELD_(type, m, RPC_KIND_INT64, RPC_OFFSET_(type, m, int64_t * : 0), __VA_ARGS__)
#define RPC_DOUBLE(type, m, ...) \
    RPC_FIELD_(type, m, RPC_KIND_DOUBLE, RPC_OFFSET_(type, m, double * : 0), __VA_ARGS__)
#define RPC_STRING(type, m, ...) \
    RPC_FIELD_(type, m, RPC_KIND_STRING, RPC_OFFSET_(type, m, const char ** : 0), __VA_ARGS__)
#define RPC_CHOICE(type, m, ...) \
    RPC_FIELD_(type, m, RPC_KIND_CHOICE, RPC_OFFSET_(type, m, int * : 0, unsigned * : 0), __VA_ARGS__)
#define RPC_JSON(type, m, ...) \
    RPC_FIELD_(type, m, RPC_KIND_JSON, RPC_OFFSET_(type, m, rpc_json * : 0), __VA_ARGS__)

/* An object within the object: the member is a `struct_type`, .shape describes it. */
#define RPC_OBJECT(type, m, struct_type, ...) \
    RPC_FIELD_(type, m, RPC_KIND_OBJECT, RPC_OFFSET_(type, m, struct_type * : 0), __VA_ARGS__)

/*
 * Arrays. The member is a pointer to the elements, which may be const, and `n` the name of a size_t of the
 * same struct that tells how many there are; .items bounds them, and .range, .length, .choices and .shape
 * hold for each element:
 *
 *     struct batch { const double *values; size_t count; };
 *     RPC_DOUBLE_ARRAY(struct batch, values, count, .doc = "the values", .items = {1, 100})
 *
 * In a result, a NULL without elements stands for an empty array unless the field is optional or nullable.
 */
#define RPC_BOOL_ARRAY(type, m, n, ...) RPC_ARRAY_(type, m, n, RPC_KIND_BOOL, bool, __VA_ARGS__)
#define RPC_INT32_ARRAY(type, m, n, ...) RPC_ARRAY_(type, m, n, RPC_KIND_INT32, int32_t, __VA_ARGS__)
#define RPC_INT64_ARRAY(type, m, n, ...) RPC_ARRAY_(type, m, n, RPC_KIND_INT64, int64_t, __VA_ARGS__)
#define RPC_DOUBLE_ARRAY(type, m, n, ...) RPC_ARRAY_(type, m, n, RPC_KIND_DOUBLE, double, __VA_ARGS__)
#define RPC_STRING_ARRAY(type, m, n, ...) RPC_ARRAY_(type, m, n, RPC_KIND_STRING, const char *, __VA_ARGS__)
#define RPC_JSON_ARRAY(type, m, n, ...) RPC_ARRAY_(type, m, n, RPC_KIND_JSON, rpc_json, __VA_ARGS__)
#define RPC_OBJECT_ARRAY(type, m, n, struct_type, ...) \
    RPC_ARRAY_(type, m, n, RPC_KIND_OBJECT, struct_type, __VA_ARGS__)
#define RPC_CHOICE_ARRAY(type, m, n, ...) \
    RPC_ARRAY_OF_(type, m, n, RPC_KIND_CHOICE, int, RPC_CHOICES_OFFSET_(type, m), __VA_ARGS__)

/* A _Generic without a default: the member's type is one of those listed, or nothing compiles. */
#define RPC_OFFSET_(type, m, ...) (offsetof(type, m) + _Generic(&((type *)0)->m, __VA_ARGS__))
/* Clang 14 takes a const enum behind a pointer for no integer: so its value is looked at, and its size. */
#define RPC_CHOICES_OFFSET_(type, m)                                        \
    (offsetof(type, m) + _Generic(*((type *)0)->m, int : 0, unsigned : 0) + \
     _Generic((char(*)[sizeof(((type *)0)->m)])0, char(*)[sizeof(int *)] : 0))
#define RPC_COUNTER_(type, n) (1 + RPC_OFFSET_(type, n, size_t * : 0))
#define RPC_FIELD_(type, m, k, o, ...)                                                        \
    {                                                                                         \
        .member = #m, .kind = (k), .offset = (o), .size = sizeof(((type *)0)->m), __VA_ARGS__ \
    }
#define RPC_ARRAY_(type, m, n, k, element, ...)                                                       \
    RPC_ARRAY_OF_(type, m, n, k, element, RPC_OFFSET_(type, m, element ** : 0, element const ** : 0), \
                  __VA_ARGS__)
#define RPC_ARRAY_OF_(type, m, n, k, element, o, ...)                                                        \
    {                                                                                                        \
        .member = #m, .kind = (k), .offset = (o), .size = sizeof(element), .counter = RPC_COUNTER_(type, n), \
        __VA_ARGS__                                                                                          \
    }

typedef enum rpc_form {
    RPC_FORM_OBJECT, /* a JSON object, its members are the fields; others are ignored */
    RPC_FORM_VALUE,  /* one JSON value, described by the only field */
    RPC_FORM_BYTES   /* parameters only: the payload as it is, in an rpc_bytes */
} rpc_form;

/* A struct and the table that describes it. Written with one of the three macros. */
typedef struct rpc_shape {
    rpc_form form;
    size_t size; /* of the struct, bytes */
    const rpc_field *fields;
    size_t count; /* of the fields */
} rpc_shape;

/* The shape of struct `type`, whose members the array `table` describes. */
#define RPC_OBJECT_SHAPE(type, table)                                              \
    {                                                                              \
        RPC_FORM_OBJECT, sizeof(type), (table), sizeof(table) / sizeof((table)[0]) \
    }
/* The shape of a payload that is one JSON value; `table` has one entry. */
#define RPC_VALUE_SHAPE(type, table)                                              \
    {                                                                             \
        RPC_FORM_VALUE, sizeof(type), (table), sizeof(table) / sizeof((table)[0]) \
    }
/* The shape of a payload that is no JSON: the handler's parameters are an rpc_bytes. */
#define RPC_BYTES_SHAPE                            \
    {                                              \
        RPC_FORM_BYTES, sizeof(rpc_bytes), NULL, 0 \
    }

/* ---- Modules ------------------------------------------------------------------------------- */

/*
 * Runs one call.
 *   state   the module's state in the caller's prefix; NULL if its state_size is 0
 *   params  the parameters, decoded and checked: a struct of the method's params shape; NULL if it
 *           declares none. Lives until the call has ended
 *   result  a zeroed struct of the method's result shape, to be filled in; NULL if it declares none.
 *           What it points at must live until the call has ended: constants, state, params, rpc_alloc()
 * Thread: the broker's; must not wait for a disk, a network, a lock or the time of day.
 * Returns RPC_OK: the result is the reply; what rpc_raise() returned: that error is the reply; any other
 *   rpc_status: that error with its standard text. A result that does not fit its own shape (a string
 *   too long, a number out of range) is the handler's fault: internal_error, and a line in the log.
 *   RPC_PENDING, which rpc_start() or rpc_defer() returned: the method's done gives the outcome later.
 */
typedef rpc_status (*rpc_handler)(rpc_call *call, void *state, const void *params, void *result);

/* One piece of work, as it is being done. */
typedef struct rpc_job rpc_job;

/*
 * Does what takes time: waits for a disk, a network, a device. data is what was given to rpc_start().
 * Thread: a worker. It touches data and what hangs below it alone, which nothing else touches meanwhile: not
 *   the module's state, not the call; and of all functions here it may call rpc_is_wanted() and
 * rpc_job_take_next(). Signals are blocked. What the module keeps for its work alone (a connection to a
 * database) is safe in a lane, since one lane's work runs one at a time. What came of it stands in data, for
 * done to look at. Work that nobody waits for any more does not count among the configured workers, for up to
 * 16 at a time; but it keeps its thread until it returns.
 */
typedef void (*rpc_work)(rpc_job *job, void *data);

/*
 * Ends what was kept open: frees what data holds, and gives the outcome. Called exactly once for each
 * rpc_start(), rpc_defer() and rpc_background() that returned RPC_PENDING, and never while its work runs.
 *   call    the call, NULL for work without one; whatever the outcome, it has ended when done returns
 *   data    what was given when it was started
 *   outcome RPC_OK: work has run to its end, or rpc_resume() was called, and the caller still waits.
 *           RPC_TIMEOUT, RPC_CANCELLED (the caller has gone, or the service is stopping), RPC_OVERLOADED (it
 *           waited, for a worker or for rpc_resume(), and had to make room for another client's call): that
 *           is what the caller has been told or is being told now. Work may have run, or never begun: only
 *           data can tell
 *   result  as in rpc_handler, with what the handler has already put into it; NULL for work without a call
 * Thread: the broker's. When the service stops, work that does not return in time gets no done at all, and
 *   its module no fini: all it uses is left as it is.
 * Returns with RPC_OK for outcome what a handler returns, also RPC_PENDING, to go on with further work under
 * the same deadline. Otherwise, and for work without a call, what it returns does not matter.
 */
typedef rpc_status (*rpc_done)(rpc_call *call, void *state, void *data, rpc_status outcome, void *result);

/* Whose work is begun first when several wait. The others get their turn nevertheless. */
typedef enum rpc_priority { RPC_PRIORITY_NORMAL, RPC_PRIORITY_HIGH, RPC_PRIORITY_LOW } rpc_priority;

/* An error that a method may raise beside the engine's own. Tables end with a NULL code. */
typedef struct rpc_error {
    const char *code; /* [a-z0-9_]+, at most 64 bytes, none of the engine's own names */
    const char *doc;
    const rpc_shape *data; /* members that rpc_raise_with() adds to the error object; NULL: none.
                              An object, without members named method, err or msg */
} rpc_error;

/* An announcement that others can subscribe to. Tables end with a NULL name. */
typedef struct rpc_event {
    const char *name; /* levels of [A-Za-z0-9_.-]+ between '/', at most 128 bytes, none is "response"
                         or "request" */
    const char *doc;
    const rpc_shape *data; /* of rpc_announce(); NULL: only announced as some method's result or error */
    bool retained;         /* late subscribers get the last one */
} rpc_event;

typedef enum rpc_announcement {
    RPC_ANNOUNCE_ALWAYS,    /* the result event follows every success: a change that others want to know */
    RPC_ANNOUNCE_UNANSWERED /* only when the caller asked for no reply */
} rpc_announcement;

/* Tables end with a NULL name. */
typedef struct rpc_method {
    /*
     * Spelt as an event's name. Or the name of a family of methods, in which up to 8 levels are written
     * {word}, each word [A-Za-z0-9_]+ and a different one: "device/{device}/{command}" is called as
     * "device/lamp1/light". A level in braces is any level of 1 to 128 bytes without wildcards and control
     * characters but "response" and "request"; rpc_call_level() reads it. A method whose name is the called
     * one exactly comes before a family. Two families that one name could mean are refused at the start.
     */
    const char *name;
    const char *doc;
    bool read_only;  /* it changes nothing: calls that come again run again */
    bool idempotent; /* running it twice has the same effect as running it once: it may be sent again after
                        its outcome is unknown. For the reader of the documents; read_only implies it */
    const rpc_shape *params; /* NULL: none; whatever object is given is ignored */
    const rpc_shape *result; /* NULL: the reply is {} */
    const rpc_error *errors; /* NULL: only the engine's own */
    const char *event;       /* announces the result; one of the module's events; NULL: none */
    rpc_announcement announce;
    const char *error_event; /* announces errors that the handler raised, of calls that asked for no
                                reply; one of the module's events; NULL: the common event "error" */
    rpc_handler run;

    /* For methods that take time: run checks and prepares, and keeps the call open. */
    rpc_work work; /* what rpc_start() hands to a worker; NULL: the method only defers */
    rpc_done done; /* ends what run has kept open; NULL: run always gives the outcome itself */
    rpc_priority priority;
    uint32_t timeout;     /* ms from the call's arrival, after which its caller is told; 0: as configured */
    uint32_t max_pending; /* open calls of the method at once; more are answered with overloaded; 0: no limit
                          but the common one */
    bool must_finish;     /* goes on when its caller has gone: what it does matters to others, too */
} rpc_method;

/* What a module that observes calls is told of each. */
typedef struct rpc_observation {
    const rpc_method *method; /* that was called */
    rpc_status status;        /* what its caller was told, or would have been: RPC_OK, or the error */
    uint64_t elapsed;         /* nanoseconds from the call's arrival to its outcome */
} rpc_observation;

/* What the host has noticed of a client. */
typedef enum rpc_sign {
    RPC_SIGN_SEEN,       /* it has published a message, to any topic */
    RPC_SIGN_CONNECTED,  /* it has connected; only brokers from 2.1 on tell */
    RPC_SIGN_SUBSCRIBED, /* it has subscribed; only brokers from 2.1 on tell */
    RPC_SIGN_GONE /* its connection has ended; may come twice for one connection, and after a sign of the
                     connection that took over */
} rpc_sign;

/* A sign of a client's presence or absence. */
typedef struct rpc_presence {
    rpc_sign sign;
    const char *client;     /* its client id, not NULL */
    const char *user;       /* NULL: anonymous, or not known (RPC_SIGN_GONE) */
    const char *filter;     /* RPC_SIGN_SUBSCRIBED: the topic filter; else NULL */
    const void *connection; /* tells this connection from others with the same client id. Only ever compared:
                               the broker uses the same value again later */
} rpc_presence;

/* A message that an inbox receives. It lives until the receive function returns. */
typedef struct rpc_message {
    const char *topic;
    const char *const *levels; /* for rpc_message_level() */
    const char *payload;       /* not NULL, also when size is 0; followed by a NUL that size does not count */
    size_t size;               /* bytes */
    int qos;
    const char *response_topic; /* MQTT 5; NULL: none; may be "" */
    const void *correlation;    /* Correlation Data; NULL: none */
    size_t correlation_size;    /* bytes */
    const char *sender_id;      /* the client id of the sender, not NULL, may be "" */
    const char *sender_user;    /* the user name under which it was let in; NULL: anonymous */
    int sender_version;         /* of its protocol: 3, 4, 5 */
    bool bridge;                /* the sender is a bridge that this broker opened, which brings messages of
                                   others: its client id says nothing about who has published this one */
} rpc_message;

/* What becomes of a message. */
typedef enum rpc_inbox_verdict {
    RPC_INBOX_PASS,    /* the broker delivers it, as if there were no inbox */
    RPC_INBOX_CONSUME, /* it is delivered to nobody and not retained */
    RPC_INBOX_REFUSE   /* likewise, and an MQTT 5 client is told that it may not publish it, if its QoS allows
                          that; it is counted as refused. A bridge is told nothing */
} rpc_inbox_verdict;

/*
 * Receives a message, before the broker delivers it.
 *   state    the module's state; NULL if its state_size is 0
 *   message  the message and its sender
 * Thread: the broker's; must not wait. It may do all that a handler may do outside a call: announce, log,
 *   resume calls, start background work and timers.
 */
typedef rpc_inbox_verdict (*rpc_inbox_receive)(rpc_instance *instance, void *state,
                                               const rpc_message *message);

/*
 * Topics whose messages a module receives. Tables end with a NULL topic. No two of a module may match the
 * same topic.
 */
typedef struct rpc_inbox {
    /* Below the module's inbox root: levels of [A-Za-z0-9_.-]+ and up to 8 levels `+`, at most 128 bytes. A
       `+` matches what a level in braces of a method family does, and "response" and "request" as well. */
    const char *topic;
    const char *doc;
    unsigned sender_level; /* n: the n-th level that is `+` must be the sender's client id; else the message
                              is refused without asking receive or, when a bridge brings it, left untouched.
                              0: any sender */
    rpc_inbox_receive receive;
} rpc_inbox;

typedef struct rpc_module {
    const char *name; /* [a-z][a-z0-9]*, written by RPC_MODULE() */
    const char *doc;
    size_t state_size;         /* bytes the engine allocates, zeroed, for each prefix */
    const rpc_shape *options;  /* NULL: none. An object; each field is optional or has a default, and is
                                  read from the configuration as plugin_opt_{module}_{field}: bool, int,
                                  double, string and choice. The struct lives as long as the instance */
    const rpc_method *methods; /* NULL: none */
    const rpc_event *events;   /* NULL: none */
    const rpc_inbox *inboxes;  /* NULL: none */
    const char *inbox_root; /* one level, which replaces the last one of the prefix and makes the root of the
                               inboxes: with "cmd" it is prod/cmd for the prefix prod/rpc. init may set
                               another root. NULL: there are no inboxes */

    /*
     * Prepares one instance, before its first call; NULL: nothing to prepare. state is as allocated,
     * options is decoded. May wait: the broker is only starting. Returns RPC_OK, or anything else to
     * stop the broker's start, after saying why with rpc_log(); fini is then called all the same.
     */
    rpc_status (*init)(rpc_instance *instance, void *state, const void *options);

    /*
     * Frees what state holds, not state itself; NULL: nothing to free. Accepts a state that init left
     * half made, or never saw (all zero); state is NULL if state_size is 0. May neither announce nor call.
     */
    void (*fini)(void *state);

    /*
     * Observes calls of all modules of the prefix, for statistics; NULL: does not. Called once for each call
     * of a registered method, after its outcome is known and its reply has been written. observation is
     * borrowed for the time of the call. Thread: the broker's; it must be short, since every call waits for
     * it.
     */
    void (*observe)(rpc_instance *instance, void *state, const rpc_observation *observation);

    /*
     * Is called for each sign of each client of the broker, whether or not the client has to do with the
     * prefix; NULL: the module does not want to know. presence is borrowed for the time of the call. Thread:
     * the broker's; it must be short, since it is called for every message that the broker receives.
     */
    void (*presence)(rpc_instance *instance, void *state, const rpc_presence *presence);
} rpc_module;

/* Defines the module `word` in the file word.c of handlers/: RPC_MODULE(word, .doc = "…", …); */
#define RPC_MODULE(word, ...)                  \
    extern const rpc_module rpc_module_##word; \
    const rpc_module rpc_module_##word = {.name = #word, __VA_ARGS__}

/* ---- What a handler may ask and do --------------------------------------------------------- */

/* The method that was called: one of the module's own names, of a family the one with braces. */
const char *rpc_call_method(const rpc_call *call);

/*
 * What the call's name has at a level in braces of the method's: of a call of device/lamp1/light, a method
 * device/{device}/{command}, "lamp1" for "device". It lives until the call has ended. Returns NULL if the
 * method's name has no such level.
 */
const char *rpc_call_level(const rpc_call *call, const char *level);

/* When the call arrived: Unix time, seconds and their fraction. */
double rpc_call_time(const rpc_call *call);

/* Who calls: the id under which the client is connected. Any text, "" if there is none. */
const char *rpc_caller_id(const rpc_call *call);

/* The user name under which the caller was let in; NULL for an anonymous one. */
const char *rpc_caller_user(const rpc_call *call);

/* The network address of the caller as text; NULL when it came through another server. */
const char *rpc_caller_address(const rpc_call *call);

/* The version of the protocol that the caller speaks, as the protocol numbers itself (3, 4, 5). */
int rpc_caller_version(const rpc_call *call);

/* The instance that the call runs in. */
rpc_instance *rpc_call_instance(const rpc_call *call);

/* The topic prefix that the instance serves. Instances of other prefixes must see nothing of its data. */
const char *rpc_prefix(const rpc_instance *instance);

/* What time it is: Unix time, seconds and their fraction. */
double rpc_time(const rpc_instance *instance);

/*
 * Allocates size bytes, zeroed, aligned for any type, that live until the call has ended. Size 0 gives
 * a pointer, too. Returns NULL when there is no memory: return RPC_INTERNAL_ERROR then.
 */
void *rpc_alloc(rpc_call *call, size_t size);

/* Formats a string into memory of the call. Returns NULL when there is no memory. */
char *rpc_printf(rpc_call *call, const char *format, ...) RPC_PRINTF(2, 3);

/*
 * The JSON text of a struct of a shape, in memory of the call: for RPC_JSON members whose parts have shapes.
 * The shape's table is one that a method of the module uses, too: only those are checked when the broker
 * starts. Returns NULL if the struct does not fit its shape (which is logged), is over the configured size of
 * a reply, or there is no memory.
 */
const char *rpc_encode(rpc_call *call, const rpc_shape *shape, const void *data);

/*
 * Raises an error; write `return rpc_raise(…)`. code is one that the method declares, or a name of
 * RPC_STATUS_MAP but "ok" and "raised"; any other is the handler's fault, becomes internal_error and is
 * logged. The message is cut at 512 bytes; without memory for it the code's standard text takes
 * its place. A later call replaces an earlier one.
 */
rpc_status rpc_raise(rpc_call *call, const char *code, const char *format, ...) RPC_PRINTF(3, 4);

/*
 * Likewise, with more members in the error object: data is a struct of the shape that the method
 * declares for this code, and is read before the function returns; NULL adds none. The error is raised
 * without them when data does not fit its shape (which is logged), is over the configured size of a reply, or
 * there is no memory.
 */
rpc_status rpc_raise_with(rpc_call *call, const char *code, const void *data, const char *format, ...)
    RPC_PRINTF(4, 5);

/*
 * Announces one of the module's events that declare a data shape; data is a struct of that shape, and is
 * read before the function returns. Beside the announcement of a result, which a handler never makes.
 * Inside a call give call, so that the announcement reaches those that see what its caller sees; else NULL.
 * Returns RPC_OK: handed over; RPC_INTERNAL_ERROR: not a declared event with a shape, data does not fit
 * the shape (both are logged), no memory; RPC_REPLY_TOO_LARGE: over the configured size; RPC_CANCELLED: the
 * service is stopping.
 */
rpc_status rpc_announce(rpc_instance *instance, rpc_call *call, const char *event, const void *data);

/* A message of a module's own making. */
typedef struct rpc_publication {
    const char *client; /* the client id to send to, whether or not that client has subscribed; NULL: all
                           clients that have subscribed to the topic */
    const char *topic;  /* whole; not one of the topics that only the engine publishes to */
    const void
        *payload; /* any bytes; may be NULL if size is 0, except with retain, where an empty payload clears */
    size_t size;  /* bytes, at most the configured size of a reply */
    int qos;      /* 0, 1 or 2 */
    bool retain;  /* to subscribers only */
    uint32_t expiry;          /* Message Expiry Interval, seconds; 0: none */
    const char *content_type; /* of a payload that is UTF-8 (section 3.3.2.3.9 of MQTT 5.0); NULL: none */
    const char
        *response_topic;     /* where an answer is to go; NULL: none. Properties reach MQTT 5 clients only */
    const void *correlation; /* Correlation Data; NULL: none */
    size_t correlation_size; /* bytes, at most 65535 */
} rpc_publication;

/*
 * Publishes a message to one client or to subscribers. All that the publication points at is copied. A
 * message at QoS 0 to a client that is not connected is lost, and some brokers never free it: send those only
 * to clients of whose connection the module knows (rpc_module.presence). Returns RPC_OK: the message is on
 * its way; RPC_INVALID_PARAMS: the topic, the Response Topic or the QoS cannot be published with, or a
 * message to one client is retained (all are logged); RPC_REPLY_TOO_LARGE: over the configured size;
 * RPC_CANCELLED: the service is stopping; RPC_INTERNAL_ERROR: no memory, or the host cannot send to one
 * client.
 */
rpc_status rpc_send(rpc_instance *instance, const rpc_publication *publication);

typedef enum rpc_log_level {
    RPC_LOG_DEBUG,
    RPC_LOG_INFO,
    RPC_LOG_NOTICE,
    RPC_LOG_WARNING,
    RPC_LOG_ERROR
} rpc_log_level;

/*
 * Writes one line to the log, with prefix and module before it. Bytes that are not printable ASCII appear
 * as \xNN, so that text of callers may be part of it; the text is cut at 512 bytes, and what became of it at
 * 640. Lines are limited, since callers can cause them: of each level a module has ten at once and one a
 * second on average, and the next one that gets through tells how many were held back.
 */
void rpc_log(rpc_instance *instance, rpc_log_level level, const char *format, ...) RPC_PRINTF(3, 4);

/* ---- Work that takes time -------------------------------------------------------------------- */

/*
 * Hands the method's work to a worker, and keeps the call open until it is done; write `return rpc_start(…)`
 * in run or done. data is the job's: usually of rpc_alloc(), and it may point at the parameters, since all
 * that belongs to the call lives until done has run.
 *   lane  a name, copied. Work of one lane of this instance runs one at a time, in the order in which it was
 *         started; different lanes run side by side. A lane is a device, a database, a client: whatever must
 *         not be used by two at once. NULL: any work may run beside it
 * Returns RPC_PENDING: done will run. Anything else: neither work nor done will, data is still the handler's,
 *   and the handler returns it (or something else that is not RPC_PENDING).
 *   RPC_OVERLOADED: max_pending calls wait, or as many of the method are open as it allows (most);
 *   RPC_CANCELLED: the service is stopping;
 *   RPC_INTERNAL_ERROR: no memory, no thread, or a method without work or done, which is logged.
 */
rpc_status rpc_start(rpc_call *call, const char *lane, void *data);

/*
 * Keeps the call open until rpc_resume(), under the same rules: write `return rpc_defer(…)`. For calls that
 * wait for something that comes to the broker's thread: a timer, an event, another call. Returns likewise.
 */
rpc_status rpc_defer(rpc_call *call, void *data);

/*
 * Ends a call that rpc_defer() keeps open: its done runs before this returns, with RPC_OK. The call is gone
 * afterwards, unless done has kept it open again. done is also what tells when it must not be resumed any
 * more: it runs with another outcome when the deadline has passed, the caller has gone, or the call had to
 * make room. A call cannot be resumed by its own run or done, before that has returned: this is logged, and
 * the call stays open.
 */
void rpc_resume(rpc_call *call);

/*
 * Starts work without a call, at low priority and without a deadline; done gets NULL for call and result.
 * data is the module's, and done is where it is freed. May be called from init. Returns as rpc_start() does,
 * RPC_OVERLOADED when 256 of them have not ended.
 */
rpc_status rpc_background(rpc_instance *instance, const char *lane, rpc_work work, rpc_done done, void *data);

/*
 * Whether anybody still waits for what the work does, for work to ask now and then: false when the call's
 * deadline has passed, its caller has gone, or the service is stopping. Thread: the work's.
 */
bool rpc_is_wanted(const rpc_job *job);

/*
 * Takes over the next piece of work that waits in the lane, if it has the same work function, and returns its
 * data; NULL: there is none. Whoever takes it over has to do it: its done runs after this work has returned,
 * as if it had been done by itself. So what waits can be done together, as a database commits many changes
 * at the cost of one. In such a lane no data may be NULL, which nobody could tell from none. Thread: the
 * work's.
 */
void *rpc_job_take_next(rpc_job *job);

/* ---- Timers ----------------------------------------------------------------------------------- */

/* One timer of an instance. */
typedef struct rpc_timer rpc_timer;

/* A timer is due. data is what was given with it. It may start and cancel timers, itself included. */
typedef void (*rpc_timer_handler)(rpc_instance *instance, void *state, void *data);

/*
 * Calls a function every so many milliseconds, at least 1, for the first time after that time; its moments do
 * not drift, and those that were missed are left out. Or once, after that time, 0 included; the timer is gone
 * then. May be called from init. All timers end with the instance. Returns NULL: no memory, the prefix has
 * 10000 timers, or the service is stopping.
 */
rpc_timer *rpc_every(rpc_instance *instance, uint32_t milliseconds, rpc_timer_handler handler, void *data);
rpc_timer *rpc_after(rpc_instance *instance, uint32_t milliseconds, rpc_timer_handler handler, void *data);

/* Ends a timer, which is gone then; accepts NULL. One that ran once must not be given any more. */
void rpc_timer_cancel(rpc_timer *timer);

/* ---- Inboxes ---------------------------------------------------------------------------------- */

/* What the message's topic has at the n-th level that is `+` in the inbox's, counted from 1. It lives as long
   as the message. Returns NULL if the inbox has no such level. */
const char *rpc_message_level(const rpc_message *message, unsigned level);

/*
 * Sets the root of the module's inboxes in this instance: a topic of at most 128 bytes without wildcards, a `$` in front and
 * empty levels, which is copied; NULL switches the inboxes off. Only init may call it. Returns RPC_OK;
 * RPC_INVALID_PARAMS: it cannot be a root; RPC_INTERNAL_ERROR: no memory, or not in the init of a module with
 * inboxes (which is logged). A root that overlaps the topics of a prefix or another root stops the broker's
 * start, after init.
 */
rpc_status rpc_inbox_set_root(rpc_instance *instance, const char *root);

/* The root of the module's inboxes in this instance; NULL: they are off. It lives as long as the instance. */
const char *rpc_inbox_root(const rpc_instance *instance);

#endif
