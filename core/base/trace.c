// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Trace Context: see trace.h. */
#include "base/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* xorshift64*: it never returns 0, which is no id. */
static uint64_t trace_random(uint64_t *random)
{
    uint64_t mixed = *random;
    mixed ^= mixed >> 12;
    mixed ^= mixed << 25;
    mixed ^= mixed >> 27;
    *random = mixed;
    return mixed * UINT64_C(0x2545F4914F6CDD1D);
}

static bool trace_is_zero(const char *digits, size_t count)
{
    return strspn(digits, "0") >= count;
}

/* Whether a text begins with the four fields of a traceparent, of lower-case hexadecimal digits. Returns what
 * follows them; NULL: it does not. */
static const char *trace_skip_fields(const char *text)
{
    static const size_t digits[] = {2, TRACE_ID, TRACE_SPAN, 2};
    for (size_t i = 0; i < sizeof digits / sizeof digits[0]; i++) {
        if (i && *text++ != '-')
            return NULL;
        if (strspn(text, "0123456789abcdef") != digits[i])
            return NULL;
        text += digits[i];
    }
    return text;
}

bool trace_read(struct trace *trace, const char *text, uint64_t *random)
{
    const char *rest = trace_skip_fields(text);
    const char *id = text + 3, *span = id + TRACE_ID + 1, *flags = span + TRACE_SPAN + 1;
    trace->parent[0] = '\0';
    if (!rest || strncmp(text, "ff", 2) == 0 || trace_is_zero(id, TRACE_ID) ||
        trace_is_zero(span, TRACE_SPAN) || (*rest && (*rest != '-' || trace_is_zero(text, 2))))
        return false;
    const char last = flags[1];
    const int known = (last <= '9' ? last - '0' : last - 'a' + 10) & 3; /* sampled, and a random trace id */
    snprintf(trace->caller, sizeof trace->caller, "%.*s", TRACE_SPAN, span);
    snprintf(trace->parent, sizeof trace->parent, "00-%.*s-%016" PRIx64 "-0%d", TRACE_ID, id,
             trace_random(random), known);
    trace->state = NULL;
    return true;
}

void trace_begin(struct trace *trace, uint64_t *random)
{
    const uint64_t high = trace_random(random), low = trace_random(random);
    trace->caller[0] = '\0';
    trace->state = NULL;
    snprintf(trace->parent, sizeof trace->parent, "00-%016" PRIx64 "%016" PRIx64 "-%016" PRIx64 "-00", high,
             low, trace_random(random));
}

bool trace_is_state(const char *text)
{
    size_t size = 0;
    while (text[size] >= ' ' && text[size] <= '~')
        size++;
    return size && !text[size] && size <= TRACE_STATE_MAX;
}

size_t trace_properties(const struct trace *trace, rpc_property properties[TRACE_PROPERTIES])
{
    if (!trace)
        return 0;
    properties[0] = (rpc_property){"traceparent", trace->parent};
    if (!trace->state)
        return 1;
    properties[1] = (rpc_property){"tracestate", trace->state};
    return TRACE_PROPERTIES;
}
