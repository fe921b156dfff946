// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The ring of the last calls: see recorder.h. */
#include "stats/recorder.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

struct recorder *recorder_create(bool keeps_payloads)
{
    struct recorder *recorder = calloc(1, sizeof *recorder);
    if (!recorder)
        return NULL;
    recorder->next = recorder->records;
    if (!keeps_payloads)
        return recorder;
    recorder->payloads = malloc((size_t)RECORDER_CALLS * RECORDER_PAYLOAD);
    if (!recorder->payloads) {
        recorder_destroy(recorder);
        return NULL;
    }
    for (size_t i = 0; i < RECORDER_CALLS; i++)
        recorder->records[i].payload = recorder->payloads + i * RECORDER_PAYLOAD;
    return recorder;
}

void recorder_destroy(struct recorder *recorder)
{
    if (!recorder)
        return;
    free(recorder->payloads);
    free(recorder);
}

/* Copies limit bytes at most, which have a NUL after them in `out`. */
static void record_copy(char *out, const char *text, size_t limit)
{
    size_t length = strlen(text);
    if (length > limit)
        length = text_cut(text, limit);
    memcpy(out, text, length);
    out[length] = '\0';
}

void record_keep_caller(struct record *record, const char *caller)
{
    record_copy(record->caller, caller, RECORDER_CALLER);
}

void record_keep_worker(struct record *record, const char *worker)
{
    record_copy(record->worker, worker, RECORDER_WORKER);
}

void record_keep_name(struct record *record, const char *name)
{
    record_copy(record->name, name, RECORDER_NAME);
}

void record_keep_payload(struct record *record, const char *payload, size_t size)
{
    record->kept = size < RECORDER_PAYLOAD ? size : RECORDER_PAYLOAD;
    memcpy(record->payload, payload, record->kept);
}

const struct record *recorder_find(const struct recorder *recorder, size_t followers)
{
    const size_t next = (size_t)(recorder->next - recorder->records);
    if (followers >= RECORDER_CALLS)
        return NULL;
    const struct record *record =
        &recorder->records[(RECORDER_CALLS + next - 1 - followers) % RECORDER_CALLS];
    return record->code ? record : NULL;
}

void recorder_forget(struct recorder *recorder, const rpc_method *method)
{
    for (struct record *record = recorder->records; record < recorder->records + RECORDER_CALLS; record++) {
        if (record->method != method)
            continue;
        if (!*record->name)
            record_keep_name(record, method->name);
        record->method = NULL;
    }
}
