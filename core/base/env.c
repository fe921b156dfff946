// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* An engine's clocks and its log: see env.h. */
#include "base/env.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    LOG_TEXT = 512, /* bytes */
    LOG_LINE = 900, /* the broker itself cuts its lines at 1000 */
    LOG_BURST = 10,
    LOG_PER_SECOND = 1
};

static void env_write_line(struct env *env, rpc_log_level level, const char *text)
{
    char line[LOG_LINE];
    char safe[LOG_LINE];
    snprintf(line, sizeof line, "%s: %s", env->options.prefix, text);
    env->host.log(env->host.context, level, text_printable(line, safe, sizeof safe));
}

/* Each level has a bucket of its own: debug lines must not keep warnings back. */
static void env_write_limited(struct env *env, struct log_limit *limit, rpc_log_level level,
                              const char *format, va_list arguments)
{
    char text[LOG_TEXT];
    uint64_t *held = &limit->levels[level].held;
    if (!bucket_take(&limit->levels[level].bucket, env_now(env), LOG_PER_SECOND, LOG_BURST, 1)) {
        ++*held;
        return;
    }
    if (*held) {
        snprintf(text, sizeof text, "%" PRIu64 " lines were held back", *held);
        env_write_line(env, level, text);
        *held = 0;
    }
    vsnprintf(text, sizeof text, format, arguments);
    env_write_line(env, level, text);
}

void env_log(struct env *env, rpc_log_level level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    env_write_limited(env, &env->log_limit, level, format, arguments);
    va_end(arguments);
}

void env_log_always(struct env *env, rpc_log_level level, const char *format, ...)
{
    char text[LOG_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    env_write_line(env, level, text);
}

void env_log_limited(struct env *env, struct log_limit *limit, rpc_log_level level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    env_write_limited(env, limit, level, format, arguments);
    va_end(arguments);
}

void env_note_incident(struct env *env, struct env_incident *incident)
{
    const uint64_t now = env_now(env);
    if (!env_is_recent(incident, now))
        incident->since = env_wall_time(env);
    incident->last = now ? now : 1;
    env->health_is_stale = true;
}

uint64_t env_check_time(struct env *env, const char *what, const char *name, uint64_t start)
{
    const uint64_t now = env_now(env), taken = now - start;
    if (taken <= env_nanoseconds(env->options.slow_call))
        return now;
    env->counters.slow++;
    env_log(env, RPC_LOG_WARNING, "%s %s took %" PRIu64 " ms, and all %s waited for it", what, name,
            taken / 1000000, env->host.replies_to_caller ? "clients of the broker" : "other calls here");
    return now;
}
