// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Hostile text: see text.h. */
#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* The longest character: where a text ends with a NUL, a shorter one that is cut off is seen by the NUL. */
enum { LONGEST = 4 };

size_t text_decode(const char *text, size_t size, uint32_t *character)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *byte = (const unsigned char *)text;
    if (size && byte[0] < 0x80) {
        *character = byte[0];
        return 1;
    }
    const unsigned char first = size ? byte[0] : 0;
    const size_t length = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
    if (!length || length > size)
        return 0;

    uint32_t value = byte[0] & (0xFFU >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((byte[i] & 0xC0) != 0x80)
            return 0;
        value = value << 6 | (byte[i] & 0x3FU);
    }
    if (value < smallest[length] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return 0;
    *character = value;
    return length;
}

bool text_is_utf8(const char *text, size_t *characters)
{
    *characters = 0;
    while (*text) {
        uint32_t character;
        const size_t length = text_decode(text, LONGEST, &character);
        if (!length)
            return false;
        text += length;
        ++*characters;
    }
    return true;
}

bool text_is_topic(const char *text)
{
    for (;;) {
        uint32_t character;
        while (*text > '+' && *text < 0x7F) /* letters, digits and '/' */
            text++;
        if (!*text)
            return true;
        const size_t length = text_decode(text, LONGEST, &character);
        if (!length || character < ' ' || character == '+' || character == '#' ||
            (character >= 0x7F && character <= 0x9F) || (character >= 0xFDD0 && character <= 0xFDEF) ||
            (character & 0xFFFE) == 0xFFFE)
            return false;
        text += length;
    }
}

size_t text_cut(const char *text, size_t limit)
{
    const size_t length = strlen(text);
    if (length <= limit)
        return length;
    while (limit && ((unsigned char)text[limit] & 0xC0) == 0x80)
        limit--;
    return limit;
}

const char *text_printable(const char *text, char *out, size_t capacity)
{
    size_t used = 0;
    size_t cut = 0; /* where "..." still fits */
    for (; *text; text++) {
        const size_t needed = *text >= ' ' && *text <= '~' && *text != '\\' ? 1 : 4;
        if (used + sizeof "..." <= capacity)
            cut = used;
        if (used + needed >= capacity) {
            memcpy(out + cut, "...", sizeof "...");
            return out;
        }
        if (needed == 1)
            out[used] = *text;
        else
            snprintf(out + used, 5, "\\x%02X", (unsigned)(unsigned char)*text);
        used += needed;
    }
    out[used] = '\0';
    return out;
}

bool text_has_word(const char *list, const char *word)
{
    const size_t length = strlen(word);
    if (!list)
        return false;
    for (list += strspn(list, " "); *list; list += strspn(list, " ")) {
        const size_t listed = strcspn(list, " ");
        if (listed == length && memcmp(list, word, length) == 0)
            return true;
        list += listed;
    }
    return false;
}
