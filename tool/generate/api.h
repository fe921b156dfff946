// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What an OpenRPC document of the service describes, as the writers of the languages need it: methods,
 * events, devices and errors, and the types of their values.
 *
 * A document is hostile until it is read: what does not fit is read as a value of any type, names that no
 * client could use are left out, and objects that would contain themselves become values of any type. So
 * writers see a bounded tree whose strings may still hold anything: they are printed by the functions of
 * write.h alone.
 *
 * Threads: one thread at a time uses an api.
 *
 * Ownership: everything lives in the api's arena until api_fini(). Strings point into the document, which
 * must live as long.
 *
 * Failure: api_read() returns false: there is no memory, or the document is none of this kind; api->fault
 * says which.
 */
#ifndef TOOL_GENERATE_API_H
#define TOOL_GENERATE_API_H

#include "base/arena.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    API_NAME_MAX = 1024, /* bytes of a name; an object's member of a longer one is left out */
    API_DEPTH_MAX = 32,  /* levels of a type; deeper ones are values of any type */
    /* Values of an object: itself, and those in it and in its objects. An object that does not fit beside the
     * members before it is a value of any type; members behind the last value are left out. */
    API_WEIGHT_MAX = 4096
};

enum api_kind {
    API_ANY, /* any JSON value */
    API_MAP, /* an object of which nothing is known */
    API_BOOL,
    API_INTEGER,
    API_NUMBER,
    API_STRING,
    API_CHOICE, /* one of some strings */
    API_ARRAY,
    API_OBJECT,
    API_UNION /* a value of one of some types */
};

struct api_object;

struct api_type {
    enum api_kind kind;
    bool nullable;
    const struct api_type *types; /* API_ARRAY: of its items; API_UNION: count types */
    const char *const *choices;   /* API_CHOICE: count strings, all different */
    size_t count;
    struct api_object *object; /* API_OBJECT */
};

struct api_member {
    const char *name; /* on the wire; unique in its object. NULL: it is the whole value. */
    const char *doc;  /* NULL: none; likewise unit and fallback */
    const char *unit;
    const char *fallback; /* the default, as JSON */
    bool required;
    struct api_type type;
    const char *ident;  /* the writer's name for it */
    const char *beside; /* in C: of its flag or count; NULL: it has none */
    const char *kind;   /* in C: of its enumeration */
    const char **kinds; /* in C: of its choices, with that of none first */
};

/* An object with a name. Objects that it contains come before it in the list of the api. */
struct api_object {
    const char *title; /* not unique: the writer's ident is */
    struct api_member *members;
    size_t count;
    size_t weight;     /* see API_WEIGHT_MAX */
    bool is_params;    /* it is what a method takes */
    const char *error; /* the code of the error whose object it is; NULL: it is none */
    const char *ident;
    const char *reader;      /* in C: of the function that reads it */
    const char *error_ident; /* the writer's name for the error itself */
    struct api_object *next;
    struct api_object *same; /* the next one that wants the same title */
};

struct api_error {
    const char *code;
    const char *doc;
    struct api_object *object; /* the error object; NULL: nothing is known of it */
};

enum api_payload { API_PARAMS, API_VALUE, API_BYTES };

/* A part of a method's name: text, or the name of a level that the caller gives. */
struct api_piece {
    const char *text;
    bool is_level;
    const char *ident;
};

struct api_method {
    const char *name;
    const char *title; /* of its name, for types: UpdateSensor */
    const char *doc;
    struct api_piece *pieces; /* of the name */
    size_t piece_count;
    enum api_payload payload;
    struct api_object *params; /* API_PARAMS; NULL: there are none */
    struct api_type value;     /* API_VALUE */
    struct api_type result;
    struct api_type progress;
    struct api_object *structs[4]; /* in C: of parameters, result and progress */
    bool has_progress;
    struct api_error *errors;
    size_t error_count;
    const char *ident;
    const char *sender;       /* in C: of the function that sends the call */
    const char *errors_ident; /* the writer's name for the table of errors, which methods may share */
};

struct api_event {
    const char *name;
    const char *doc;
    const char *key; /* NULL: it is not keyed */
    struct api_type type;
    const char *ident;
};

/* A kind of devices. The names of its commands begin with these pieces: device/, the level {device}, and / in
 * the third. */
struct api_device {
    const char *name;
    const char *doc;
    struct api_method *commands;
    size_t command_count;
    const char *ident;  /* of its type */
    const char *opener; /* of the function that makes one */
};

struct api {
    struct arena arena;
    const char *title, *version;
    struct api_object *objects; /* in an order in which each can be declared */
    struct api_object **objects_end;
    struct api_method *methods;
    size_t method_count;
    struct api_event *events;
    size_t event_count;
    struct api_device *devices;
    size_t device_count;
    const char *fault;

    const cJSON *document;
    struct api_node *nodes;   /* schemas that have been read */
    struct api_title *titles; /* titles that have been given */
    bool failed;              /* there is no memory */
};

/* Reads a document. api is not initialised; the caller calls api_fini() in every case. */
bool api_read(struct api *api, const cJSON *document);
void api_fini(struct api *api);

/* The string member of an object; NULL: there is none. */
const char *api_string(const cJSON *object, const char *name);

/* A formatted string of the api's arena; "", and the api has failed: there is no memory. */
const char *api_printf(struct api *api, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends to title, of size bytes, the words of a name, each with a capital first: `a/b-c` becomes ABC. */
void api_append_title(char *title, size_t size, const char *name);

enum { API_TITLE_SIZE = 96 };

/* ---- For api.c: schema.c reads types ---- */

/* Reads the type that a schema describes. hint: the title of an object that has none. */
struct api_type api_read_type(struct api *api, const cJSON *schema, const char *hint);

/*
 * Makes an object of Content Descriptors, the parameters of a method, and adds it to the list. NULL: it has
 * no members, or there is no memory.
 */
struct api_object *api_read_params(struct api *api, const cJSON *params, const char *title);

/* Forgets what reading has needed. */
void api_forget_schemas(struct api *api);

#endif
