// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The hidden command complete, which serves mosquitto_rpc.bash: prints what can stand in the place of the
 * last word of a command line, one a line. What a command takes is read from its row in the table of
 * commands, and what the service has, from the broker that the command line names.
 *
 * Bash puts what is printed on its command line as it is: names from the wire are offered only if each of
 * their characters means nothing to a shell.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "commands.h"
#include "show.h"

enum {
    COMPLETE_WORDS = 256,    /* of a command line */
    COMPLETE_TIMEOUT = 1000, /* ms */
    COMPLETE_KEPT = 10,      /* seconds that an answer is used again */
    COMPLETE_KEY = 2048
};

struct complete {
    struct tool tool;                /* with the options of the command line that is completed */
    char *words[COMPLETE_WORDS + 1]; /* those before the last one */
    int count;
    int first;   /* of those that are no options: the command */
    char *word;  /* the last one */
    size_t kept; /* how many characters of it bash leaves as they are */
};

/* Whether a name may stand on a shell's command line as it is. */
static bool complete_is_plain(const char *name)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:@+,-=";
    return *name && !strchr("-:=+@,", *name) && !name[strspn(name, plain)];
}

/* Offers what begins as the word does. end: "", or what stands between it and what follows. */
static void complete_offer(const struct complete *complete, const char *prefix, const char *name,
                           const char *end)
{
    char offer[1024];
    const int length = snprintf(offer, sizeof offer, "%s%s%s", prefix, name, end);
    if (length > 0 && (size_t)length < sizeof offer &&
        strncmp(offer, complete->word, strlen(complete->word)) == 0)
        puts(offer + complete->kept);
}

/* Likewise, for a name from the wire. */
static void complete_offer_plain(const struct complete *complete, const char *prefix, const char *name,
                                 const char *end)
{
    if (complete_is_plain(name))
        complete_offer(complete, prefix, name, end);
}

/* ---- The command line ---- */

/* Takes the next word of a line as a shell does, which shrinks in place; *is_open: the line ends in it. */
static char *complete_next_word(char **line, bool *is_open)
{
    char *at = *line + strspn(*line, " \t\n");
    char *const word = at;
    char *to = at;
    char quote = 0;
    for (; *at && (quote || !strchr(" \t\n", *at)); at++) {
        if (quote ? *at == quote : *at == '"' || *at == '\'')
            quote = quote ? 0 : *at;
        else if (*at == '\\' && quote != '\'' && at[1])
            *to++ = *++at;
        else
            *to++ = *at;
    }
    *is_open = !*at;
    *line = *at ? at + 1 : at;
    *to = 0;
    return word;
}

/* Splits the line to the cursor. part: what bash replaces, the end of the last word; NULL: all of it. Returns
 * false: there are too many words, or no command. */
static bool complete_split(struct complete *complete, char *line, const char *part)
{
    bool is_open = false;
    while (!is_open) {
        if (complete->count == COMPLETE_WORDS)
            return false;
        complete->words[complete->count++] = complete_next_word(&line, &is_open);
    }
    complete->word = complete->words[--complete->count];
    complete->words[complete->count] = NULL;
    const size_t size = strlen(complete->word);
    const size_t end = part ? strlen(part) : size;
    complete->kept = part && end <= size && strcmp(complete->word + size - end, part) == 0 ? size - end : 0;
    return complete->count > 0;
}

/* The option whose argument follows this word; NULL: none does. */
static const struct option_row *complete_option_before(const char *word)
{
    for (size_t at = 0; at < option_row_count; at++) {
        const struct option_row *const row = &option_rows[at];
        if (!row->argument)
            continue;
        if (row->name && strncmp(word, "--", 2) == 0 && strcmp(word + 2, row->name) == 0)
            return row;
        if (row->letter && word[0] == '-' && word[1] == row->letter && !word[2])
            return row;
    }
    return NULL;
}

/* ---- What the service has ---- */

static const char *complete_or_none(const char *text)
{
    return text ? text : "-";
}

/* An answer of the service, which the caller deletes; NULL: there is none, for now. Nothing is said about
 * failures. */
static cJSON *complete_ask(struct complete *complete, const char *method, const char *params)
{
    const struct rpc_client_options *const options = &complete->tool.options.client;
    struct rpc_client_reply reply;
    char key[COMPLETE_KEY];
    const int length =
        snprintf(key, sizeof key, "%s %d %s %s %s %s %s %s", complete_or_none(options->host), options->port,
                 complete_or_none(options->username), complete_or_none(options->certfile),
                 complete_or_none(options->client_id), complete_or_none(options->prefix), method, params);
    const bool has_key = length > 0 && (size_t)length < sizeof key && !strchr(key, '\n');
    char *const kept = has_key ? cache_get(key, COMPLETE_KEPT) : NULL;
    cJSON *answer = cJSON_Parse(kept);
    if (!kept && tool_call(&complete->tool, method, params, &reply) == TOOL_OK) {
        answer = cJSON_Duplicate(reply.data, true);
        if (has_key)
            cache_put(key, reply.text);
        rpc_client_reply_clear(&reply);
    } else if (!kept && has_key)
        cache_put(key, "null"); /* the next press of the key need not wait for a broker that is not there */
    free(kept);
    return answer;
}

/* The text before the last slash of the word, with the slash. */
static void complete_levels(const struct complete *complete, char *levels, size_t size)
{
    const char *const slash = strrchr(complete->word, '/');
    snprintf(levels, size, "%.*s", slash ? (int)(slash + 1 - complete->word) : 0, complete->word);
}

static void complete_devices(struct complete *complete, const char *prefix, const char *end)
{
    cJSON *const answer = complete_ask(complete, "device.list", "{\"limit\":1000}");
    const cJSON *device;
    cJSON_ArrayForEach(device, cJSON_GetObjectItemCaseSensitive(answer, "devices"))
        complete_offer_plain(complete, prefix, show_string(device, "device"), end);
    cJSON_Delete(answer);
}

static void complete_groups(struct complete *complete, const char *prefix, const char *end)
{
    cJSON *const answer = complete_ask(complete, "device.group.list", "{}");
    const cJSON *group;
    cJSON_ArrayForEach(group, cJSON_GetObjectItemCaseSensitive(answer, "groups"))
        complete_offer_plain(complete, prefix, show_string(group, "group"), end);
    cJSON_Delete(answer);
}

/* The commands of all kinds of devices. */
static void complete_commands_of_devices(struct complete *complete, const char *prefix)
{
    cJSON *const answer = complete_ask(complete, "rpc.list", "{}");
    const cJSON *kind;
    const cJSON *command;
    cJSON_ArrayForEach(kind, cJSON_GetObjectItemCaseSensitive(answer, "devices"))
        cJSON_ArrayForEach(command, cJSON_GetObjectItemCaseSensitive(kind, "commands"))
            complete_offer_plain(complete, prefix, show_string(command, "name"), "");
    cJSON_Delete(answer);
}

/* Names of methods; in the place of a family's levels the devices, groups and commands that there are. */
static void complete_methods(struct complete *complete)
{
    char levels[512];
    complete_levels(complete, levels, sizeof levels);
    const bool is_device = strncmp(levels, "device/", 7) == 0;
    if (is_device || strncmp(levels, "devices/", 8) == 0) {
        if (strchr(strchr(levels, '/') + 1, '/'))
            complete_commands_of_devices(complete, levels);
        else if (is_device)
            complete_devices(complete, levels, "/");
        else
            complete_groups(complete, levels, "/");
        return;
    }
    cJSON *const answer = complete_ask(complete, "rpc.list", "{}");
    const cJSON *method;
    cJSON_ArrayForEach(method, cJSON_GetObjectItemCaseSensitive(answer, "methods"))
    {
        char name[512];
        snprintf(name, sizeof name, "%s", show_string(method, "name"));
        name[strcspn(name, "{")] = 0; /* of a family what stands before its first level in braces */
        complete_offer_plain(complete, "", name, "");
    }
    cJSON_Delete(answer);
}

static void complete_events(struct complete *complete)
{
    cJSON *const answer = complete_ask(complete, "rpc.list", "{}");
    const cJSON *event;
    cJSON_ArrayForEach(event, cJSON_GetObjectItemCaseSensitive(answer, "events"))
        complete_offer_plain(complete, "", show_string(event, "name"), "");
    cJSON_Delete(answer);
}

/* The values that a parameter's schema names. */
static void complete_values(const struct complete *complete, const cJSON *parameter)
{
    const cJSON *const schema = cJSON_GetObjectItemCaseSensitive(parameter, "schema");
    char prefix[300];
    const cJSON *value;
    snprintf(prefix, sizeof prefix, "%s=", show_string(parameter, "name"));
    cJSON_ArrayForEach(value, cJSON_GetObjectItemCaseSensitive(schema, "enum"))
    {
        if (cJSON_IsString(value))
            complete_offer_plain(complete, prefix, value->valuestring, "");
    }
    if (strcmp(show_string(schema, "type"), "boolean") == 0) {
        complete_offer(complete, prefix, "true", "");
        complete_offer(complete, prefix, "false", "");
    }
}

static bool complete_has_parameter(const struct complete *complete, const char *name)
{
    const size_t size = strlen(name);
    for (int at = complete->first; at < complete->count; at++)
        if (strncmp(complete->words[at], name, size) == 0 && strchr("=:", complete->words[at][size]) &&
            complete->words[at][size])
            return true;
    return false;
}

/* The parameters in a Method Object that are not given yet, or the values of the one that is being written.
 */
static void complete_parameters_of(const struct complete *complete, const cJSON *method)
{
    const size_t size = strcspn(complete->word, "=");
    const cJSON *parameter;
    if (strcmp(show_string(cJSON_GetObjectItemCaseSensitive(method, "x-mqtt"), "payload"), "object") != 0)
        return;
    cJSON_ArrayForEach(parameter, cJSON_GetObjectItemCaseSensitive(method, "params"))
    {
        const char *const name = show_string(parameter, "name");
        if (complete->word[size] && strncmp(complete->word, name, size) == 0 && !name[size])
            complete_values(complete, parameter);
        else if (!complete->word[size] && !complete_has_parameter(complete, name))
            complete_offer_plain(complete, "", name, "=");
    }
}

static void complete_parameters(struct complete *complete, const char *method)
{
    cJSON *const asked = cJSON_CreateObject();
    cJSON_AddStringToObject(asked, "method", method);
    char *const params = cJSON_PrintUnformatted(asked);
    cJSON *const answer = params ? complete_ask(complete, "rpc.describe", params) : NULL;
    const cJSON *command;
    complete_parameters_of(complete, cJSON_GetObjectItemCaseSensitive(answer, "method"));
    cJSON_ArrayForEach(command, cJSON_GetObjectItemCaseSensitive(answer, "commands"))
        complete_parameters_of(complete, command);
    cJSON_free(params);
    cJSON_Delete(asked);
    cJSON_Delete(answer);
}

/* ---- What stands where ---- */

/* The word of this number behind the command. */
static const char *complete_argument(const struct complete *complete, int number)
{
    const int at = complete->first + 1 + number;
    return at < complete->count ? complete->words[at] : "";
}

static void complete_device(struct complete *complete)
{
    complete_devices(complete, "", "");
}

static void complete_worker(struct complete *complete)
{
    cJSON *const answer = complete_ask(complete, "rpc.workers", "{\"limit\":1000}");
    const cJSON *worker;
    cJSON_ArrayForEach(worker, cJSON_GetObjectItemCaseSensitive(answer, "workers"))
        complete_offer_plain(complete, "", show_string(worker, "id"), "");
    cJSON_Delete(answer);
}

static void complete_target(struct complete *complete)
{
    if (complete->word[0] == '@')
        complete_groups(complete, "@", "");
    else
        complete_devices(complete, "", "");
}

static void complete_command_of_device(struct complete *complete)
{
    complete_commands_of_devices(complete, "");
}

static void complete_parameter(struct complete *complete)
{
    char method[1200];
    const char *const target = complete_argument(complete, 0);
    if (strcmp(complete->words[complete->first], "command") == 0)
        snprintf(method, sizeof method, target[0] == '@' ? "devices/%s/%s" : "device/%s/%s",
                 target + (target[0] == '@'), complete_argument(complete, 1));
    else
        snprintf(method, sizeof method, "%s", target);
    complete_parameters(complete, method);
}

static void complete_command(struct complete *complete)
{
    for (size_t at = 0; at < command_count; at++)
        if (!commands[at].is_hidden)
            complete_offer(complete, "", commands[at].name, "");
}

/* What completes the words of the synopses in the table of commands. */
static const struct {
    const char *argument;
    void (*run)(struct complete *complete);
} complete_arguments[] = {
    {"METHOD", complete_methods}, {"NAME=VALUE", complete_parameter}, {"EVENT", complete_events},
    {"DEVICE", complete_device},  {"DEVICE|@GROUP", complete_target}, {"COMMAND", complete_command_of_device},
    {"WORKER", complete_worker},
};

/* Runs what completes a word of a synopsis. */
static void complete_run_argument(struct complete *complete, const char *argument, size_t size)
{
    for (size_t at = 0; at < sizeof complete_arguments / sizeof *complete_arguments; at++)
        if (strlen(complete_arguments[at].argument) == size &&
            strncmp(complete_arguments[at].argument, argument, size) == 0)
            complete_arguments[at].run(complete);
}

/* Finds the word of this number in a synopsis such as `METHOD [NAME=VALUE …]`, whose last one is repeated by
 * the dots. */
static void complete_by_synopsis(struct complete *complete, const char *synopsis, int number)
{
    const char *last = "";
    size_t last_size = 0;
    for (const char *at = synopsis + strspn(synopsis, " []"); *at; at += strspn(at, " []")) {
        const size_t size = strcspn(at, " []");
        const bool is_repeated = size == strlen("…") && strncmp(at, "…", size) == 0;
        if (is_repeated || number-- == 0) {
            complete_run_argument(complete, is_repeated ? last : at, is_repeated ? last_size : size);
            return;
        }
        last = at;
        last_size = size;
        at += size;
    }
}

/* The names of the options that this command takes; NULL: no command was given yet. */
static void complete_options(const struct complete *complete, const char *command)
{
    for (size_t at = 0; at < option_row_count; at++)
        if (command ? option_is_of(&option_rows[at], command) : !option_rows[at].command)
            complete_offer(complete, "--", option_rows[at].name, "");
}

/* The argument of an option: a file, one of the words that the table names, such as fail|wait|queue, or a
 * group. */
static void complete_option_argument(struct complete *complete, const char *argument)
{
    if (strcmp(argument, "FILE") == 0 || strcmp(argument, "FOLDER") == 0 || strcmp(argument, "PATH") == 0)
        puts(":files");
    else if (strcmp(argument, "GROUP") == 0)
        complete_groups(complete, "", "");
    else if (strchr(argument, '|'))
        for (const char *at = argument; *at; at += strspn(at, "|")) {
            char word[64];
            const size_t size = strcspn(at, "|");
            snprintf(word, sizeof word, "%.*s", (int)size, at);
            complete_offer(complete, "", word, "");
            at += size;
        }
}

static void complete_word(struct complete *complete)
{
    const struct option_row *const before = complete_option_before(complete->words[complete->count - 1]);
    if (before)
        complete->words[--complete->count] =
            NULL; /* it has no argument yet, and would be wrong without one */
    char why[OPTIONS_WHY];
    complete->first = options_read(&complete->tool.options, complete->count, complete->words, why);
    if (complete->first < 0)
        return;
    complete->tool.options.quiet = true;
    complete->tool.options.client.timeout_ms = COMPLETE_TIMEOUT;
    complete->tool.options.client.connect_timeout_ms = COMPLETE_TIMEOUT;
    tool_wait_anew(&complete->tool);
    const char *const name = complete->first < complete->count ? complete->words[complete->first] : NULL;
    const struct command *const command = name ? commands_find(name) : NULL;
    if (before)
        complete_option_argument(complete, before->argument);
    else if (complete->word[0] == '-')
        complete_options(complete, command ? command->name : NULL);
    else if (!name)
        complete_command(complete);
    else if (command)
        complete_by_synopsis(complete, command->arguments, complete->count - complete->first - 1);
}

enum tool_exit command_complete_run(struct tool *tool, int count, char **words)
{
    struct complete complete = {.tool.client = NULL};
    (void)tool;
    options_init(&complete.tool.options);
    optind = 0; /* getopt_long() begins again */
    if (complete_split(&complete, words[0], count > 1 ? words[1] : NULL))
        complete_word(&complete);
    rpc_client_destroy(complete.tool.client);
    options_fini(&complete.tool.options);
    return TOOL_OK;
}
