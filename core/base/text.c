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

/* Whether section 1.5.4 of MQTT 5.0 lets a receiver refuse a character. */
static bool text_is_refused(uint32_t character)
{
    return character < ' ' || (character >= 0x7F && character <= 0x9F) ||
           (character >= 0xFDD0 && character <= 0xFDEF) || (character & 0xFFFE) == 0xFFFE;
}

bool text_is_mqtt(const char *text)
{
    while (*text) {
        uint32_t character;
        const size_t length = text_decode(text, LONGEST, &character);
        if (!length || text_is_refused(character))
            return false;
        text += length;
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
        if (!length || character == '+' || character == '#' || text_is_refused(character))
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

/* ---- Misspelt words ---- */

enum { NEAR_WORD_MAX = 64 }; /* bytes of a word that is compared, behind what is equal at its beginning */

static char text_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Levenshtein's distance, of which only what is at most max is found: else the result is larger. */
static size_t text_distance(const char *one, const char *other, size_t max)
{
    size_t row[NEAR_WORD_MAX + 1];
    for (; *one && text_lower(*one) == text_lower(*other); one++)
        other++;
    const size_t length = strlen(one), width = strlen(other);
    if (length > width + max || width > length + max || width > NEAR_WORD_MAX)
        return max + 1;
    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 1; i <= length; i++) {
        size_t diagonal = row[0], least = row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            const size_t above = row[j];
            const size_t replaced = diagonal + (text_lower(one[i - 1]) != text_lower(other[j - 1]));
            const size_t inserted = (above < row[j - 1] ? above : row[j - 1]) + 1;
            row[j] = replaced < inserted ? replaced : inserted;
            least = row[j] < least ? row[j] : least;
            diagonal = above;
        }
        if (least > max)
            return max + 1;
    }
    return row[width];
}

const char *text_base64(const void *bytes, size_t size, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = bytes;
    char *at = out;
    for (size_t i = 0; i < size; i += 3) {
        const size_t left = size - i;
        const uint32_t three = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
                               (left > 2 ? (uint32_t)in[i + 2] : 0);
        *at++ = digits[three >> 18];
        *at++ = digits[three >> 12 & 63];
        *at++ = left > 1 ? digits[three >> 6 & 63] : '=';
        *at++ = left > 2 ? digits[three & 63] : '=';
    }
    *at = '\0';
    return out;
}

struct text_near text_near_to(const char *word)
{
    enum { DIFFERENCES_MAX = 3 };
    const size_t max = strlen(word) / 3;
    return (struct text_near){word, NULL, max < DIFFERENCES_MAX ? max : DIFFERENCES_MAX};
}

void text_near_try(struct text_near *near, const char *other)
{
    const size_t distance = text_distance(near->word, other, near->max);
    if (distance > near->max)
        return;
    near->best = other;
    near->max = distance ? distance - 1 : 0;
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
