// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Identifiers: see names.h. */
#define HASH_NONFATAL_OOM 1

#include "generate/names.h"

#include <stdio.h>
#include <string.h>
#include <uthash.h>

enum { NAMES_SIZE = 96 }; /* bytes of an identifier without its prefix and number */

struct name {
    const char *ident;
    unsigned last; /* the last number that was given behind it */
    UT_hash_handle hh;
};

void names_init(struct names *names, struct arena *arena, const char *reserved)
{
    *names = (struct names){.arena = arena, .reserved = reserved};
}

void names_fini(struct names *names)
{
    HASH_CLEAR(hh, names->known);
}

static bool names_is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool names_is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool names_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool names_is_part(char c)
{
    return names_is_upper(c) || names_is_lower(c) || names_is_digit(c);
}

/* Whether a word begins at c, whose neighbours are given; 0 is no neighbour. HTTPStatus is two words. */
static bool names_begins(char before, char c, char after)
{
    return !names_is_part(before) ||
           (names_is_upper(c) && (!names_is_upper(before) || names_is_lower(after)));
}

static char names_turn(char c, bool to_upper)
{
    return to_upper && names_is_lower(c)    ? (char)(c - 'a' + 'A')
           : !to_upper && names_is_upper(c) ? (char)(c - 'A' + 'a')
                                            : c;
}

/* Writes the words of a name in a style. */
static void names_write(char *out, enum names_style style, const char *name)
{
    size_t used = 0;
    for (const char *c = name; *c && used < NAMES_SIZE - 2; c++) {
        if (!names_is_part(*c))
            continue;
        const bool begins = names_begins(c > name ? c[-1] : '\0', *c, c[1]);
        if (begins && used && (style == NAMES_SNAKE || style == NAMES_UPPER))
            out[used++] = '_';
        const bool is_capital =
            style == NAMES_UPPER || (begins && (style == NAMES_PASCAL || (style == NAMES_CAMEL && used)));
        out[used++] = names_turn(*c, is_capital);
    }
    out[used] = '\0';
}

static bool names_is_reserved(const struct names *names, const char *ident)
{
    const size_t size = strlen(ident);
    for (const char *found = strstr(names->reserved, ident); found; found = strstr(found + 1, ident)) {
        if (found > names->reserved && found[-1] == ' ' && found[size] == ' ')
            return true;
    }
    return false;
}

static struct name *names_find(const struct names *names, const char *ident)
{
    struct name *found;
    HASH_FIND_STR(names->known, ident, found);
    return found;
}

const char *names_give(struct names *names, const char *prefix, enum names_style style, const char *name)
{
    char words[NAMES_SIZE];
    names_write(words, style, name);
    const bool needs_letter = !*prefix && !names_is_upper(*words) && !names_is_lower(*words);
    const char *letter = !needs_letter && *words                        ? ""
                         : style == NAMES_SNAKE || style == NAMES_CAMEL ? "n"
                                                                        : "N";
    const char *ident = arena_printf(names->arena, "%s%s%s", prefix, letter, words);
    if (ident && names_is_reserved(names, ident))
        ident = arena_printf(names->arena, "%s_", ident);
    struct name *known = ident ? names_find(names, ident) : NULL;
    const char *base = ident;
    while (known && ident) {
        unsigned *last = &known->last;
        *last += *last ? 1 : 2;
        ident = arena_printf(names->arena, names_is_digit(base[strlen(base) - 1]) ? "%s_%u" : "%s%u", base,
                             *last);
        if (!ident || !names_find(names, ident))
            break;
    }
    struct name *added = ident ? arena_alloc(names->arena, sizeof *added) : NULL;
    if (added) {
        added->ident = ident;
        HASH_ADD_KEYPTR(hh, names->known, added->ident, strlen(added->ident), added);
    }
    if (!added || !added->hh.tbl) {
        names->failed = true;
        return "";
    }
    return ident;
}

bool names_is_plain(const struct names *names, const char *name)
{
    if (!names_is_lower(*name) && !names_is_upper(*name) && *name != '_')
        return false;
    for (const char *c = name; *c; c++) {
        if (!names_is_part(*c) && *c != '_')
            return false;
    }
    return !names_is_reserved(names, name) && !names_find(names, name);
}
