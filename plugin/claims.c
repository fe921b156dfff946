// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Claimed prefixes in the environment: see claims.h. A list of words, the first is the process's id. */
#include "claims.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char claims_variable[] = "MOSQUITTO_RPC_PREFIXES";

/* What this process has claimed; NULL: nothing, or the list is inherited from another process. */
static const char *claims_list(void)
{
    const char *list = getenv(claims_variable);
    return list && strtol(list, NULL, 10) == (long)getpid() ? list : NULL;
}

bool claims_add(const char *prefix)
{
    char first[32];
    snprintf(first, sizeof first, "%ld", (long)getpid());
    const char *list = claims_list();
    if (!list)
        list = first;
    if (text_has_word(strchr(list, ' ') ? strchr(list, ' ') : "", prefix))
        return false;
    const size_t size = strlen(list) + strlen(prefix) + 2;
    char *longer = malloc(size);
    if (!longer)
        return true;
    snprintf(longer, size, "%s %s", list, prefix);
    setenv(claims_variable, longer, 1);
    free(longer);
    return true;
}

void claims_clear(void)
{
    if (claims_list())
        unsetenv(claims_variable);
}
