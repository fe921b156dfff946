// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The writers of languages: see struct generate_language.
 *
 * Threads: one thread at a time uses an api and its files. Ownership: the api and the files are borrowed;
 * what a writer adds to the api lives in its arena. Failure: they return false if there is no memory.
 */
#ifndef TOOL_GENERATE_LANGUAGES_H
#define TOOL_GENERATE_LANGUAGES_H

#include "generate/api.h"
#include "generate/files.h"
#include "generate/names.h"
#include "generate/write.h"

bool python_write(struct api *api, const char *name, const struct generate_files *files);
bool typescript_write(struct api *api, const char *name, const struct generate_files *files);
bool c_write(struct api *api, const char *name, const struct generate_files *files);

#endif
