// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Titles of schemas: see titles.h. */
#define HASH_NONFATAL_OOM 1

#include "shape/titles.h"

#include <stdio.h>
#include <string.h>
#include <uthash.h>

/* A key, with a title, or a title that is taken. Keys begin with a space, titles do not. */
struct title {
    const char *name;
    const char *title; /* NULL: this is a title */
    bool asked;        /* of a title: by titles_take_first() */
    UT_hash_handle hh;
};

void titles_init(struct titles *titles)
{
    arena_init(&titles->arena);
    titles->known = NULL;
    titles->failed = false;
}

void titles_fini(struct titles *titles)
{
    HASH_CLEAR(hh, titles->known);
    arena_fini(&titles->arena);
}

static struct title *titles_find(const struct titles *titles, const char *name)
{
    struct title *found;
    HASH_FIND_STR(titles->known, name, found);
    return found;
}

/* Returns the copy of name; NULL: no memory. */
static const char *titles_add(struct titles *titles, const char *name, const char *title)
{
    struct title *added = arena_alloc(&titles->arena, sizeof *added);
    if (added)
        added->name = arena_copy(&titles->arena, name, strlen(name));
    if (added && added->name) {
        added->title = title;
        HASH_ADD_KEYPTR(hh, titles->known, added->name, strlen(added->name), added);
        if (added->hh.tbl)
            return added->name;
    }
    titles->failed = true;
    return NULL;
}

const char *titles_meet(struct titles *titles, const char *key, const char *name, const char *other)
{
    char own_key[TITLES_NAME + 1], numbered[TITLES_MAX];
    snprintf(own_key, sizeof own_key, " %s", key);
    const struct title *known = titles_find(titles, own_key);
    if (known)
        return known->title;
    snprintf(numbered, sizeof numbered, "%s", name);
    if (titles_find(titles, numbered))
        snprintf(numbered, sizeof numbered, "%s", other);
    for (unsigned number = 2; titles_find(titles, numbered); number++)
        snprintf(numbered, sizeof numbered, "%s%u", other, number);
    const char *title = titles_add(titles, numbered, NULL);
    return title && titles_add(titles, own_key, title) ? title : NULL;
}

bool titles_take_first(struct titles *titles, const char *title)
{
    struct title *found = titles_find(titles, title);
    const bool is_first = found && !found->asked;
    if (found)
        found->asked = true;
    return is_first;
}

static bool titles_is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

void titles_append(char *out, const char *name)
{
    size_t used = strlen(out);
    bool begins = true;
    for (; *name && used < TITLES_NAME - 1; name++) {
        const char c = *name;
        if (titles_is_word(c))
            out[used++] = begins && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        begins = !titles_is_word(c);
    }
    out[used] = '\0';
}
