// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Reports: what the statistics of one method say, as JSON. rpc.stats lists them, and each stands in a
 * retained document below $SYS, which is published again when it has changed.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a report points at the statistics, at the tables and into the arena that it was made in.
 *
 * Failure: making a report needs memory. A document that cannot be published is tried again the next time.
 */
#ifndef CORE_OBSERVE_REPORT_H
#define CORE_OBSERVE_REPORT_H

#include "base/arena.h"
#include "call/registry.h"

struct report_error {
    double at;
    const char *err, *msg;
};

struct report {
    const char *method;
    int64_t calls;
    rpc_json errors;
    int64_t running, waiting;
    double sum_s, max_s;
    const int64_t *buckets;
    size_t bucket_count;
    bool has_last_error;
    struct report_error last_error;
    double since;
};

#define REPORT_DOC "what is counted of the calls of a method, published when it has changed"

/* A report in a document of its own, which its topic names, and one among others. */
extern const rpc_shape report_document_shape, report_shape;

/* Whether there is anything to report of a method: it has been called. */
bool report_is_due(const struct registry_method *method);

/* Makes the report of a method, whose open calls survey_tasks() has counted. Returns false: no memory. */
bool report_make(const struct registry_method *method, struct arena *arena, struct report *report);

/* How many calls of a method ended with the i-th error of its table, if that is an error of its own; else 0.
 */
uint64_t report_raised(const struct registry_method *method, size_t i);

/* Unix time at which the engine's counting began, by the clock as it is now. */
double report_since(const struct engine *engine);

/* Begins to publish the documents of the methods of which something has changed since the last time. */
void report_begin(struct engine *engine, uint64_t now);

/* Goes on with it at engine->report_due, as long as engine->to_report is not NULL: so many documents at a
 * time that the clients of the broker do not wait for them. */
void report_publish(struct engine *engine, uint64_t now);

#endif
