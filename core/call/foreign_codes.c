// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Codes of errors of declared methods: see foreign_codes.h. */
#include "call/foreign_codes.h"

#include <stdlib.h>
#include <string.h>

struct foreign_code {
    UT_hash_handle hh;
    char text[];
};

const char *foreign_codes_take(struct foreign_code **codes, const char *text)
{
    const size_t size = strlen(text);
    struct foreign_code *code;
    HASH_FIND(hh, *codes, text, size, code);
    if (code || HASH_COUNT(*codes) >= FOREIGN_CODES_MAX)
        return code ? code->text : NULL;
    code = calloc(1, sizeof *code + size + 1);
    if (!code)
        return NULL;
    memcpy(code->text, text, size);
    HASH_ADD_KEYPTR(hh, *codes, code->text, size, code);
    if (code->hh.tbl)
        return code->text;
    free(code);
    return NULL;
}

void foreign_codes_fini(struct foreign_code **codes)
{
    struct foreign_code *code, *next;
    HASH_ITER(hh, *codes, code, next)
    {
        HASH_DEL(*codes, code);
        free(code);
    }
}
