// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Texts of clients, and what fits into a reply: see wire.h. */
#include "observe/wire.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

enum {
    WIRE_AROUND = 160, /* bytes around the rows, with the wrapping of a reply */
    WIRE_ROW = 384,    /* the names of a row's members, its numbers and its separators */
    WIRE_ESCAPE = 4    /* \xNN */
};

static const char *wire_escape(struct arena *arena, const char *bytes, size_t size)
{
    char *text = arena_take(arena, WIRE_ESCAPE * size + 1), *end = text;
    if (!text)
        return NULL;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] >= ' ' && bytes[i] <= '~' && bytes[i] != '\\')
            *end++ = bytes[i];
        else
            end += snprintf(end, WIRE_ESCAPE + 1, "\\x%02X", (unsigned)(unsigned char)bytes[i]);
    }
    *end = '\0';
    return text;
}

const char *wire_text(struct arena *arena, const char *text)
{
    size_t characters;
    return text_is_utf8(text, &characters) ? text : wire_escape(arena, text, strlen(text));
}

/* Bytes of an unfinished character at the end of text; 0: there is none. */
static size_t wire_unfinished(const char *text, size_t size)
{
    enum { UNFINISHED_MAX = 3 };
    for (size_t back = 1; back <= UNFINISHED_MAX && back <= size; back++) {
        const unsigned char byte = (unsigned char)text[size - back];
        const size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
        if ((byte & 0xC0) != 0x80)
            return length > back ? back : 0;
    }
    return 0;
}

const char *wire_bytes(struct arena *arena, const char *bytes, size_t size, bool is_cut)
{
    const size_t whole = is_cut ? size - wire_unfinished(bytes, size) : size;
    const char *text = arena_copy(arena, bytes, whole);
    size_t characters;
    if (!text || (strlen(text) == whole && text_is_utf8(text, &characters)))
        return text;
    return wire_escape(arena, bytes, size);
}

struct wire_room wire_room_of(const rpc_instance *instance)
{
    const size_t max = rpc_max_reply(instance);
    return (struct wire_room){max > WIRE_AROUND ? max - WIRE_AROUND : 0};
}

/* JSON's longest escape is that of a control character, \u0001. */
static size_t wire_size(const char *text)
{
    enum { CONTROL = 6 };
    size_t size = 0;
    for (; *text; text++)
        size += (unsigned char)*text < ' ' ? CONTROL : *text == '"' || *text == '\\' ? 2 : 1;
    return size;
}

bool wire_take_room(struct wire_room *room, const char *const texts[], size_t count)
{
    size_t needed = WIRE_ROW;
    for (size_t i = 0; i < count; i++)
        needed += texts[i] ? wire_size(texts[i]) : 0;
    if (needed > room->left)
        return false;
    room->left -= needed;
    return true;
}
