// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * An engine with all modules, to be asked by a program in another language: each line of the input is a
 * method's name, a tab and a payload, each line of the output the reply's status, a tab and its payload. In
 * place of a name there may be a topic, which has a '/' in front: then no Response Topic is given, and behind
 * the reply's payload stand a tab and its topic. Or there may be the number of a part of a command of devices
 * (rpc_command_part), a '!' in front, and behind it a '/', the kind of devices, a '/' and the command's name:
 * then the payload is checked as that part, and what was checked, or null, stands for the reply's payload.
 */
#include "rig.h"

#include "base/status.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void answer_at(struct rig *rig, const char *topic, const char *payload)
{
    fake_host_forget(&rig->host);
    rig_publish(rig, topic, payload);
    rig_wait(rig, 1);
    const struct fake_message *reply = rig_last(&rig->host.replies);
    printf("%s\t%.*s\t%s\n", reply->status, (int)reply->size, reply->payload, reply->topic);
}

/* what: {part}/{kind}/{command} */
static void answer_checked(struct rig *rig, char *what, const char *payload)
{
    char why[RPC_WHY_BYTES], *checked;
    char *kind = strchr(what, '/') + 1, *name = strchr(kind, '/');
    *name = '\0';
    rpc_instance *instance = rig_instance(rig);
    const rpc_command *command = rpc_command_find(instance, kind, name + 1);
    const rpc_command_part part = (rpc_command_part)(*what - '0');
    const rpc_status status = rpc_command_check(instance, command, part, payload, &checked, why);
    printf("%s\t%s\n", status_name(status), checked ? checked : "null");
    free(checked);
}

static void answer(struct rig *rig, char *line)
{
    char *payload = strchr(line, '\t');
    ck_assert_ptr_nonnull(payload);
    *payload = '\0';
    if (*line == '!') {
        answer_checked(rig, line + 1, payload + 1);
        return;
    }
    if (*line == '/') {
        answer_at(rig, line + 1, payload + 1);
        return;
    }
    const struct fake_message *reply = rig_ask(rig, line, payload + 1);
    printf("%s\t%.*s\n", reply->status, (int)reply->size, reply->payload);
}

static void answer_all(struct rig *rig)
{
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, stdin) > 0) {
        line[strcspn(line, "\n")] = '\0';
        answer(rig, line);
    }
    free(line);
}

START_TEST(lines)
{
    static struct rig rig;
    rig_init(&rig);
    rig.impatient = true;
    rig.options.max_payload = rig.options.max_reply = 1000000;
    rig_start(&rig);
    struct config *config = rig_config(NULL, 0);
    rig_add_modules(&rig, config);
    answer_all(&rig);
    rig_close(&rig);
    config_destroy(config);
}
END_TEST

/* The fake host and the rig check what they see with Check, which wants to be asked in a test of its own. */
int main(void)
{
    Suite *suite = suite_create("ask");
    TCase *test_case = tcase_create("ask");
    tcase_add_test(test_case, lines);
    suite_add_tcase(suite, test_case);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_set_log(runner, "/dev/stderr");
    srunner_run_all(runner, CK_SILENT);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
