// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What devices answer: see answer.h. */
#include "answer.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { LOOK_MAX = 1048576 }; /* bytes of a payload that is looked at although it could not be decoded */

static const rpc_field answer_fields[] = {
    ANSWER_ID_FIELDS(struct answer, ids),
    RPC_JSON(struct answer, result, .doc = "what the command has come to", .optional = true),
    RPC_JSON(struct answer, error,
             .doc = "why it was not carried out: `{\"err\",\"msg\"}`; `rejected` and `out_of_order`, with "
                    "`expected`, are known",
             .optional = true),
    RPC_JSON(struct answer, progress, .doc = "how far it is; the result follows", .optional = true),
};

const rpc_shape answer_shape = RPC_OBJECT_SHAPE(struct answer, answer_fields);

/* ---- Ids ---- */

/* Copies the text of a string, or of a number. */
static bool answer_copy_id(const char *json, char text[ANSWER_ID_BYTES])
{
    cJSON *string = json[0] == '"' ? cJSON_Parse(json) : NULL;
    const bool is_number = json[0] == '-' || (json[0] >= '0' && json[0] <= '9');
    const char *from = string ? string->valuestring : json;
    const size_t size = strlen(from);
    const bool fits = (string || is_number) && size && size < ANSWER_ID_BYTES;
    if (fits)
        memcpy(text, from, size + 1);
    cJSON_Delete(string);
    return fits;
}

bool answer_read_id(const struct answer_ids *ids, char text[ANSWER_ID_BYTES])
{
    const char *const all[] = {ids->id.text, ids->tid.text, ids->request_id.text, ids->transaction.text};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i] && answer_copy_id(all[i], text))
            return true;
    }
    return false;
}

/* How an answer names its command. */
enum naming {
    NAMES_NONE,
    NAMES_ONE,
    NAMES_WRONGLY, /* by an id that can be no command's */
};

/* A payload that could not be decoded is still looked at for an id, if it is not too large. */
static enum naming answer_look_for_id(const rpc_message *message, char text[ANSWER_ID_BYTES])
{
    cJSON *tree = message->size <= LOOK_MAX ? cJSON_ParseWithLength(message->payload, message->size) : NULL;
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(tree, "id");
    const char *string = cJSON_GetStringValue(id);
    const size_t size = string ? strlen(string) : 0;
    const bool fits = size && size < ANSWER_ID_BYTES;
    const enum naming naming = fits ? NAMES_ONE : id && !cJSON_IsNull(id) ? NAMES_WRONGLY : NAMES_NONE;
    if (fits)
        memcpy(text, string, size + 1);
    cJSON_Delete(tree);
    return naming;
}

static bool answer_is_given(const rpc_json *json)
{
    return json->text && strcmp(json->text, "null") != 0;
}

static enum naming answer_read_name(const rpc_message *message, char text[ANSWER_ID_BYTES])
{
    const struct answer *answer = message->data;
    if (!answer)
        return answer_look_for_id(message, text);
    const struct answer_ids *ids = &answer->ids;
    const bool has_any = answer_is_given(&ids->id) || answer_is_given(&ids->tid) ||
                         answer_is_given(&ids->request_id) || answer_is_given(&ids->transaction);
    return !has_any ? NAMES_NONE : answer_read_id(ids, text) ? NAMES_ONE : NAMES_WRONGLY;
}

/* ---- Which command it is for ---- */

static bool answer_correlates(const struct command *command, const rpc_message *message)
{
    const struct live *live = command->live;
    const void *own = live->correlation ? live->correlation : command->id;
    const size_t size = live->correlation ? live->correlation_size : strlen(command->id);
    return message->correlation && message->correlation_size == size &&
           memcmp(message->correlation, own, size) == 0;
}

/* The command in flight that the message names by its Correlation Data, or by its id. */
static struct command *answer_find(const struct device *device, const rpc_message *message, const char *id)
{
    struct command *command;
    DL_FOREACH(device->flying, command)
    {
        if (answer_correlates(command, message))
            return command;
    }
    DL_FOREACH(device->flying, command)
    {
        if (id && strcmp(command->id, id) == 0)
            return command;
    }
    return NULL;
}

/* The command of an answer that names none: the only one in flight, unless the answer may be one of a command
 * that has timed out not long ago. */
static struct command *answer_guess(const struct commands *commands, const struct device *device)
{
    const uint64_t now = rpc_clock(commands->instance);
    const struct command *command;
    if (device->flying_count != 1)
        return NULL;
    DL_FOREACH(device->ended, command)
    {
        if (command->state == COMMAND_TIMEOUT && now - command->changed < 2 * (uint64_t)command->timeout)
            return NULL;
    }
    return device->flying;
}

/* The command that the message is late for; NULL: none. Of an id that an application uses again, the newest
 * one. */
static struct command *answer_find_late(const struct device *device, const rpc_message *message,
                                        const char *id)
{
    struct command *found = NULL, *command;
    DL_FOREACH(device->ended, command)
    {
        const bool correlates = message->correlation && message->correlation_size == strlen(command->id) &&
                                memcmp(message->correlation, command->id, message->correlation_size) == 0;
        if (correlates || (id && strcmp(command->id, id) == 0))
            found = command;
    }
    return found && found->state == COMMAND_TIMEOUT ? found : NULL;
}

/* ---- What it says ---- */

/* What an answer says of its command. Texts are JSON. */
struct said {
    const char *result, *error, *progress;
    char *made; /* one of them; from malloc() */
};

/* Whether an object without an id, or with the id null, has one other member, which is one of an answer's:
 * else it is a bare result, whose members only have the same names. */
static bool answer_is_wrapped(const struct answer *answer, const rpc_message *message)
{
    if (!answer || !(answer->result.text || answer->error.text || answer->progress.text))
        return false;
    const bool has_null = answer->ids.id.text && !answer_is_given(&answer->ids.id);
    cJSON *tree = cJSON_ParseWithLength(message->payload, message->size);
    const bool is_wrapped = tree && cJSON_GetArraySize(tree) == 1 + has_null;
    cJSON_Delete(tree);
    return is_wrapped;
}

/* An object that could not be decoded is no bare result: what is wrong with it is wrong with an answer. */
static bool answer_is_broken_object(const rpc_message *message)
{
    size_t at = 0;
    while (at < message->size &&
           (message->payload[at] == ' ' || (message->payload[at] >= '\t' && message->payload[at] <= '\r')))
        at++;
    return !message->data && at < message->size && message->payload[at] == '{';
}

/* The whole payload as JSON text; NULL: it is no JSON. An empty one is null. */
static char *answer_take_whole(const rpc_message *message)
{
    if (!message->size)
        return strdup("null");
    return rpc_is_json(message->payload, message->size) ? strndup(message->payload, message->size) : NULL;
}

/* Reads an answer. is_named: it has the id of its command. */
static struct said answer_read(const rpc_message *message, bool is_named, bool adopted)
{
    const struct answer *answer = message->data;
    struct said said = {NULL, NULL, NULL, NULL};
    if (is_named || answer_is_wrapped(answer, message)) {
        said.progress = answer_is_given(&answer->progress) ? answer->progress.text : NULL;
        said.error = answer_is_given(&answer->error) ? answer->error.text : NULL;
        said.result = answer->result.text ? answer->result.text : "null";
        if (!adopted || said.progress)
            return said;
    }
    if (adopted || !answer_is_broken_object(message))
        said.made = answer_take_whole(message);
    said.result = said.made;
    return said;
}

/* ---- What becomes of the command ---- */

/* What the device's error object says. */
struct trouble_said {
    char err[65], msg[256];
    int64_t expected;
};

/* A text that is too long is cut between two characters. */
static void answer_copy(char *text, size_t size, const cJSON *string)
{
    if (!cJSON_IsString(string))
        return;
    const char *from = string->valuestring;
    size_t length = strlen(from);
    if (length >= size) {
        length = size - 1;
        while (length && (from[length] & 0xC0) == 0x80)
            length--;
    }
    memcpy(text, from, length);
    text[length] = '\0';
}

static struct trouble_said answer_read_error(const char *error)
{
    struct trouble_said said = {"", "", 0};
    cJSON *tree = cJSON_Parse(error);
    const cJSON *expected = cJSON_GetObjectItemCaseSensitive(tree, "expected");
    answer_copy(said.err, sizeof said.err, cJSON_GetObjectItemCaseSensitive(tree, "err"));
    answer_copy(said.msg, sizeof said.msg, cJSON_GetObjectItemCaseSensitive(tree, "msg"));
    answer_copy(said.err, sizeof said.err, tree);
    if (cJSON_IsNumber(expected) && expected->valuedouble >= 1 && expected->valuedouble <= 9007199254740991)
        said.expected = (int64_t)expected->valuedouble;
    cJSON_Delete(tree);
    return said;
}

/* The device counts otherwise: its next command gets the number that it expects. */
static void answer_resync(struct commands *commands, struct device *device, int64_t expected)
{
    if (!expected)
        return;
    device->seq = expected - 1;
    disk_touch_device(commands->disk, device);
}

/* What an error of the device means; *state is written, too. */
static const char *answer_judge_error(const struct trouble_said *said, enum command_state *state)
{
    const bool is_order = strcmp(said->err, "out_of_order") == 0;
    const bool is_rejected = is_order || strcmp(said->err, "rejected") == 0;
    *state = is_rejected ? COMMAND_REJECTED : COMMAND_FAILED;
    return is_order ? "out_of_order" : is_rejected ? "device_rejected" : "device_failed";
}

/* The end of an adopted command: the device's own message goes to its subscribers. */
static void answer_end(struct commands *commands, struct command *command, struct verdict *verdict)
{
    if (command->adopted && verdict->result) {
        command->err = verdict->err;
        verdict->err = NULL;
    }
    lane_end(commands, command, verdict);
}

static void answer_fail(struct commands *commands, struct command *command, const struct said *said)
{
    const struct trouble_said trouble = answer_read_error(said->error);
    struct verdict verdict = life_verdict(command, COMMAND_FAILED, NULL, NULL);
    verdict.err = answer_judge_error(&trouble, &verdict.state);
    verdict.msg = trouble.msg[0] ? trouble.msg : "the device has reported an error";
    verdict.cause = said->error;
    verdict.result = command->adopted ? said->result : NULL;
    if (strcmp(verdict.err, "out_of_order") == 0) {
        verdict.expected = trouble.expected;
        answer_resync(commands, command->device, trouble.expected);
    }
    answer_end(commands, command, &verdict);
}

static void answer_fail_check(struct commands *commands, struct command *command, const char *why)
{
    const struct verdict verdict = life_verdict(command, COMMAND_FAILED, "device_failed", why);
    lane_end(commands, command, &verdict);
}

/* A result, which has to be what the command declares. */
static void answer_succeed(struct commands *commands, struct command *command, const char *result)
{
    char why[RPC_WHY_BYTES], msg[RPC_WHY_BYTES + 64];
    char *checked = NULL;
    const rpc_command *declared = command->adopted ? NULL : command->live->declared;
    const rpc_status status =
        declared && declared->result
            ? rpc_command_check(commands->instance, declared, RPC_COMMAND_RESULT, result, &checked, why)
            : RPC_OK;
    if (status == RPC_OK) {
        struct verdict verdict = life_verdict(command, COMMAND_SUCCEEDED, NULL, NULL);
        verdict.result = checked ? checked : result;
        answer_end(commands, command, &verdict);
    } else {
        snprintf(msg, sizeof msg, "the result of the device does not fit the command: %s",
                 status == RPC_INTERNAL_ERROR ? "no memory" : why);
        answer_fail_check(commands, command, msg);
    }
    free(checked);
}

/* A command may report twenty times a second, and a hundred times at once. Further reports are passed over,
 * or they would take the place of the reply in the broker's queue for the caller. */
static bool answer_take_report(const struct commands *commands, struct live *live)
{
    enum { REPORT_MS = 50, REPORTS_AT_ONCE = 100 };
    const uint64_t now = rpc_clock(commands->instance);
    if (live->reports > now + REPORT_MS * REPORTS_AT_ONCE)
        return false;
    live->reports = (live->reports > now ? live->reports : now) + REPORT_MS;
    return true;
}

/* Progress that does not fit what the command declares is not passed on. */
static void answer_progress(struct commands *commands, struct command *command, const char *progress)
{
    if (!answer_take_report(commands, command->live))
        return;
    char why[RPC_WHY_BYTES];
    char *checked = NULL;
    const struct live *live = command->live;
    const rpc_command *declared = command->adopted ? NULL : live->declared;
    if (declared && declared->progress &&
        rpc_command_check(commands->instance, declared, RPC_COMMAND_PROGRESS, progress, &checked, why) !=
            RPC_OK)
        progress = NULL;
    lane_note_progress(commands, command, progress);
    if (progress && live->progress)
        live->progress(live->context, progress);
    free(checked);
}

static void answer_refuse(struct commands *commands, struct command *command, const char *why)
{
    char msg[RPC_WHY_BYTES + 64];
    snprintf(msg, sizeof msg, "the answer of the device is not taken: %s", why ? why : "no memory");
    answer_fail_check(commands, command, msg);
}

static void answer_take(struct commands *commands, struct command *command, const struct said *said,
                        const char *why)
{
    if (said->progress)
        answer_progress(commands, command, said->progress);
    else if (said->error)
        answer_fail(commands, command, said);
    else if (said->result)
        answer_succeed(commands, command, said->result);
    else if (command->adopted)
        answer_succeed(commands, command, "null"); /* words of its own: its application has got them */
    else
        answer_refuse(commands, command, why);
}

/* Whether a result that is late is one of its command; that of an adopted one may be anything. */
static bool answer_fits_late(const struct commands *commands, const struct command *command,
                             const char *result)
{
    char why[RPC_WHY_BYTES], *checked = NULL;
    if (command->adopted)
        return true;
    const rpc_command *declared = rpc_command_find(commands->instance, command->device->kind, command->name);
    const bool fits = result && (!declared || !declared->result ||
                                 rpc_command_check(commands->instance, declared, RPC_COMMAND_RESULT, result,
                                                   &checked, why) == RPC_OK);
    free(checked);
    return fits;
}

/* Only the state is left of a command whose answer is late. */
static void answer_take_late(struct commands *commands, struct command *command, const struct said *said)
{
    enum command_state state = COMMAND_SUCCEEDED;
    const char *err = NULL;
    if (said->progress)
        return;
    if (said->error) {
        const struct trouble_said trouble = answer_read_error(said->error);
        err = answer_judge_error(&trouble, &state);
    } else if (!answer_fits_late(commands, command, said->result)) {
        state = COMMAND_FAILED;
        err = "device_failed";
    }
    life_end_late(commands, command, state, err);
}

void commands_answer(struct commands *commands, struct device *device, const rpc_message *message)
{
    char id[ANSWER_ID_BYTES];
    const enum naming naming = message->size ? answer_read_name(message, id) : NAMES_NONE;
    const bool has_id = naming == NAMES_ONE;
    if (!message->size && !message->correlation)
        return;
    struct command *command = answer_find(device, message, has_id ? id : NULL);
    struct command *late = command ? NULL : answer_find_late(device, message, has_id ? id : NULL);
    if (!command && !late && naming == NAMES_NONE && !message->correlation)
        command = answer_guess(commands, device);
    const struct command *found = command ? command : late;
    /* in flight only on its way to the disk, it was not sent yet */
    if (!found || (command && command->live->ticket))
        return;
    const bool is_named = message->data && has_id && strcmp(found->id, id) == 0;
    struct said said = answer_read(message, is_named, found->adopted);
    if (command)
        answer_take(commands, command, &said, message->why);
    else
        answer_take_late(commands, late, &said);
    free(said.made);
}
