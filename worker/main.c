// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * mosquitto_rpc_worker [--config FILE] [--NAME VALUE ...]
 *
 * Ends with 0 after a signal, with 1 if it cannot do its work, with 2 if its options are wrong.
 */
#include "attach.h"
#include "command_line.h"
#include "rendezvous.h"
#include "share.h"
#include "worker.h"

#include <stdio.h>
#include <stdlib.h>

enum { EXIT_OPTIONS = 2 };

static const struct worker_mode *main_choose_mode(const struct worker_options *options)
{
    if (options->attach)
        return &attach_mode;
    if (options->rendezvous)
        return &rendezvous_mode;
    return options->share ? &share_mode : &auto_mode;
}

static int main_fail(int code, const char *why)
{
    fprintf(stderr, "mosquitto_rpc_worker: %s\n", why);
    return code;
}

static int main_run(struct worker *worker)
{
    char why[SERVICE_WHY] = "";
    const struct worker_options *options = worker->settings.first->host_options;
    mosquitto_lib_init();
    const bool is_started = worker_start(worker, main_choose_mode(options), why);
    const int code = is_started ? worker_run(worker) : main_fail(EXIT_FAILURE, why);
    worker_stop(worker);
    mosquitto_lib_cleanup();
    return code;
}

int main(int count, char **arguments)
{
    struct worker worker = {.client = {.wake = -1}, .signals = -1};
    struct command_line line;
    char why[OPTIONS_WHY] = "";
    const enum command_line_result result = command_line_read(&line, count, arguments, why);
    const bool is_read =
        result == COMMAND_LINE_RUN && settings_start(&worker.settings, line.lines, line.count, why);
    command_line_fini(&line);
    if (result == COMMAND_LINE_DONE)
        return EXIT_SUCCESS;
    if (is_read)
        return main_run(&worker);
    if (result == COMMAND_LINE_RUN)
        settings_fini(&worker.settings, true);
    return main_fail(EXIT_OPTIONS, why);
}
