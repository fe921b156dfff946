// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Text from the wire, which may be hostile: functions that check it, cut it and make it fit for a log.
 *
 * Threads: any. These functions touch nothing but their arguments.
 *
 * Ownership: nothing is allocated.
 *
 * Failure: what is not well-formed is reported; nothing else fails.
 */
#ifndef CORE_BASE_TEXT_H
#define CORE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Decodes the UTF-8 character at text, which has size bytes left. Returns how many bytes it takes, or 0:
 * not well-formed (RFC 3629: overlong, a surrogate, beyond U+10FFFF, cut off) or size is 0.
 */
size_t text_decode(const char *text, size_t size, uint32_t *character);

/* Whether a NUL-terminated text is well-formed UTF-8; *characters gets how many it has. */
bool text_is_utf8(const char *text, size_t *characters);

/*
 * Whether text may be part of an MQTT topic to publish to: well-formed UTF-8 without wildcards, and
 * without the control and non-characters that section 1.5.4 of MQTT 5.0 lets a receiver refuse.
 */
bool text_is_topic(const char *text);

/* Whether text may be a string of an MQTT message: the same, but with wildcards. */
bool text_is_mqtt(const char *text);

/* The largest number of bytes up to limit that cuts no character of well-formed text in two. */
size_t text_cut(const char *text, size_t limit);

/*
 * Copies text into out as printable ASCII: other bytes, and '\', become \xNN, and "..." ends what did
 * not fit. capacity is that of out, at least 8. Returns out.
 */
const char *text_printable(const char *text, char *out, size_t capacity);

/* Bytes that size bytes take in base64, with a NUL. */
#define TEXT_BASE64(size) (((size) + 2) / 3 * 4 + 1)

/* Writes size bytes as base64 (RFC 4648, section 4) with a NUL behind. Returns out, of TEXT_BASE64(size)
 * bytes. */
const char *text_base64(const void *bytes, size_t size, char *out);

/* The nearest of several words to one that is misspelt. Begins as text_near_to() returns it. */
struct text_near {
    const char *word;
    const char *best; /* NULL: none is near */
    size_t max;       /* a nearer one has at most so many differences */
};

struct text_near text_near_to(const char *word);

/* Looks at one more word, which becomes the best if it is near and nearer than those before: if few
 * characters have to be inserted, removed or replaced, whatever their case. Its cost is bounded. */
void text_near_try(struct text_near *near, const char *other);

/* Whether two texts are the same; NULL is no text. */
static inline bool text_is(const char *text, const char *other)
{
    return text && strcmp(text, other) == 0;
}

/* Whether word is one of the words of a list with spaces between them; NULL: a list without words. */
bool text_has_word(const char *list, const char *word);

#endif
