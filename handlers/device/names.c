// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Names of devices, and lists of words: see names.h. */
#include "names.h"

#include <stdint.h>
#include <string.h>

/* The length of the well-formed UTF-8 character at text, which ends with a NUL; 0: it is none, or one that a
 * topic must not have (MQTT 5.0, section 1.5.4). */
static size_t name_character(const unsigned char *text)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char first = *text;
    const size_t length = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    uint32_t value = length == 1 ? first : first & (0x7FU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xC0) != 0x80)
            return 0;
        value = value << 6 | (text[i] & 0x3FU);
    }
    const bool is_fine = length && value >= smallest[length] && value <= 0x10FFFF && value >= ' ' &&
                         (value < 0x7F || value > 0x9F) && (value < 0xD800 || value > 0xDFFF) &&
                         (value < 0xFDD0 || value > 0xFDEF) && (value & 0xFFFE) != 0xFFFE;
    return is_fine ? length : 0;
}

bool name_is_device(const char *text)
{
    const char *at = text;
    while (*at) {
        const size_t length = strchr("/+#", *at) ? 0 : name_character((const unsigned char *)at);
        if (!length)
            return false;
        at += length;
    }
    return at != text && at - text <= NAME_MAX_BYTES;
}

bool name_is_command(const char *text)
{
    const size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");
    return length && length <= NAME_MAX_BYTES && !text[length];
}

const char *name_next(const char **at, size_t *length)
{
    if (!*at)
        return NULL;
    const char *word = *at + strspn(*at, " ");
    *length = strcspn(word, " ");
    *at = word + *length;
    return *length ? word : NULL;
}

bool name_is_listed(const char *list, const char *word)
{
    const size_t size = strlen(word);
    size_t length;
    for (const char *next; (next = name_next(&list, &length));) {
        if (length == size && memcmp(next, word, size) == 0)
            return true;
    }
    return false;
}
