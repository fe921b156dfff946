// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What is wrong with what modules depend on: see trouble.h. */
#include "base/trouble.h"

#include "base/text.h"

#include <stdio.h>

bool trouble_is_name(const char *what)
{
    const size_t length = strspn(what, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return length && !what[length] && length < TROUBLE_WHAT;
}

/* The trouble of this name; "" finds a free place. NULL: there is none. */
static struct troubles_row *trouble_find(struct troubles *troubles, const char *what)
{
    for (size_t i = 0; i < TROUBLES_MAX; i++) {
        if (strcmp(troubles->rows[i].what, what) == 0)
            return &troubles->rows[i];
    }
    return NULL;
}

bool trouble_begin(struct troubles *troubles, const char *what, const char *text, double now)
{
    struct troubles_row *trouble = trouble_find(troubles, what);
    size_t characters;
    if (!trouble) {
        trouble = trouble_find(troubles, "");
        if (!trouble)
            return false;
        snprintf(trouble->what, sizeof trouble->what, "%s", what);
        trouble->since = now;
    }
    if (text_is_utf8(text, &characters))
        snprintf(trouble->text, sizeof trouble->text, "%.*s", (int)text_cut(text, TROUBLE_TEXT - 1), text);
    else
        text_printable(text, trouble->text, sizeof trouble->text);
    return true;
}

bool trouble_end(struct troubles *troubles, const char *what)
{
    struct troubles_row *trouble = trouble_find(troubles, what);
    if (trouble)
        *trouble = (struct troubles_row){.what = ""};
    return trouble;
}
