// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Copies for the time of one call: see loans.h. */
#include "loans.h"

#include <stdlib.h>
#include <string.h>

void *loans_lend(struct loans *loans, const void *text, size_t size)
{
    if (!text)
        return NULL;
    char *memory = malloc(size + 1);
    if (!memory || loans->count == LOANS_MAX)
        abort();
    if (size)
        memcpy(memory, text, size);
    memory[size] = '\0';
    loans->sizes[loans->count] = size + 1;
    return loans->memory[loans->count++] = memory;
}

char *loans_lend_text(struct loans *loans, const char *text)
{
    return loans_lend(loans, text, text ? strlen(text) : 0);
}

void loans_take_back(struct loans *loans)
{
    for (int i = 0; i < loans->count; i++) {
        memset(loans->memory[i], 'X', loans->sizes[i]);
        free(loans->memory[i]);
    }
    loans->count = 0;
}
