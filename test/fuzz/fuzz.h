// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What the fuzz targets share. A target is a function that takes any bytes; libFuzzer (clang, -DRPC_FUZZ=ON)
 * calls it with bytes that it makes up, and replay.c with the seeds, in every build. Inputs are text, so that
 * seeds can be read and a dictionary helps. Targets with a state read a script: a line is a step, its first
 * character says which one, and its words are separated by single spaces.
 *
 * Threads: one.
 *
 * Ownership: the words of a line are valid until the script is freed.
 *
 * Failure: what is wrong ends the process with abort(), as a failed assertion of Check does here (fuzz.c).
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The target. The bytes are not followed by a NUL. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process, and says why, unless it holds. */
#define FUZZ_EXPECT(holds) ((holds) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #holds))
void fuzz_fail(const char *file, int line, const char *what) __attribute__((noreturn));

/* Expects one line of printable ASCII, not empty, in a buffer of so many bytes. */
void fuzz_check_line(const char *line, size_t capacity);

/* A copy of the input with a NUL behind it, to be freed with free(). */
char *fuzz_text(const uint8_t *data, size_t size);

/* The next line from *at on, which is cut off with a NUL; *at moves behind it. NULL: there is none. */
char *fuzz_line(char **at);

/* Likewise, the next word of a line; "": there is none. What is left of the line behind the words is *at. */
char *fuzz_word(char **at);

/* Likewise, a number below limit: of the decimal digits of the next word. */
unsigned fuzz_number(char **at, unsigned limit);

/* Likewise, a word of which "-" stands for NULL. */
char *fuzz_optional(char **at);

/* Whether a broker lets a plugin see a message with this topic, this Response Topic (NULL: none) and this
 * client: it checks that all are well-formed. */
bool fuzz_is_mqtt(const char *topic, const char *response_topic, const char *client);

#endif
