// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Typed clients out of an OpenRPC document of the service, in several languages. Each stands on the client of
 * clients/ in its language. The same document gives the same code, byte for byte.
 *
 * Threads: any. Ownership: the caller keeps the document, and the files, which are open for writing.
 *
 * Failure: functions return a fault in words that stay valid, or NULL. What could not be written shows in
 * ferror().
 */
#ifndef TOOL_GENERATE_GENERATE_H
#define TOOL_GENERATE_GENERATE_H

#include "generate/files.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

struct api;

struct generate_language {
    const char *name;
    const char *suffix;        /* of the file of the code */
    const char *header_suffix; /* NULL: there is no header */
    /* Writes the client. name: what its type, or in C its prefix, is called after. Returns false: no memory.
     */
    bool (*write)(struct api *api, const char *name, const struct generate_files *files);
};

extern const struct generate_language generate_languages[];
extern const size_t generate_language_count;

/* The language of this name; NULL: there is none. */
const struct generate_language *generate_find(const char *name);

/* Writes a client for a document. name: what it is called, words of letters and digits. */
const char *generate_write(const cJSON *document, const struct generate_language *language, const char *name,
                           const struct generate_files *files);

#endif
