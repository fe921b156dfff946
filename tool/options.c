// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The table of options, the config file and the command line: see options.h. */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { OPTIONS_LINE = 4096, OPTIONS_LONG = 256 /* getopt_long() gives this and a row's number */ };

#define OPTIONS_MEMBER(name) offsetof(struct tool_options, name)

const struct option_row option_rows[] = {
    {'h', "host", "HOST", "the broker's name or address (localhost)", NULL, OPTION_TEXT,
     OPTIONS_MEMBER(client.host), 0, 0},
    {'p', "port", "PORT", "its port (1883, with TLS 8883)", NULL, OPTION_NUMBER, OPTIONS_MEMBER(client.port),
     1, 65535},
    {0, "unix", "PATH", "connect through this unix domain socket", NULL, OPTION_UNIX,
     OPTIONS_MEMBER(client.host), 0, 0},
    {'L', "url", "URL", "host, port and user at once: mqtt(s)://[user[:password]@]host[:port]", NULL,
     OPTION_URL, 0, 0, 0},
    {'u', "username", "NAME", "the user's name", NULL, OPTION_TEXT, OPTIONS_MEMBER(client.username), 0, 0},
    {'P', "pw", "PASSWORD", "the password, which other users of this machine can see; better:", NULL,
     OPTION_TEXT, OPTIONS_MEMBER(client.password), 0, 0},
    {0, "password-file", "FILE", "read the password from the first line of FILE", NULL, OPTION_SECRET,
     OPTIONS_MEMBER(client.password), 0, 0},
    {'i', "id", "ID", "the client id (random)", NULL, OPTION_TEXT, OPTIONS_MEMBER(client.client_id), 0, 0},
    {'V', "protocol-version", "VERSION", "MQTT's version: 5 or 311 (5)", NULL, OPTION_PROTOCOL,
     OPTIONS_MEMBER(client.protocol), 0, 0},
    {'k', "keepalive", "SECONDS", "the keep alive (60)", NULL, OPTION_NUMBER,
     OPTIONS_MEMBER(client.keepalive), 5, 65535},
    {'q', "qos", "QOS", "the quality of service of calls and subscriptions (1)", NULL, OPTION_NUMBER,
     OPTIONS_MEMBER(client.qos), 0, 2},
    {'A', "bind-address", "ADDRESS", "the local address to connect from", NULL, OPTION_TEXT,
     OPTIONS_MEMBER(client.bind_address), 0, 0},
    {0, "prefix", "PREFIX", "the prefix of the service's topics (rpc)", NULL, OPTION_TEXT,
     OPTIONS_MEMBER(client.prefix), 0, 0},
    {'W', "timeout", "SECONDS", "how long to wait for the connection and a reply (10)", NULL, OPTION_SECONDS,
     OPTIONS_MEMBER(client.timeout_ms), 1, 86400000},
    {0, "cafile", "FILE", "certificates to trust, for TLS", NULL, OPTION_TEXT, OPTIONS_MEMBER(client.cafile),
     0, 0},
    {0, "capath", "FOLDER", "a folder of certificates to trust, for TLS", NULL, OPTION_TEXT,
     OPTIONS_MEMBER(client.capath), 0, 0},
    {0, "tls-use-os-certs", NULL, "trust the system's certificates, for TLS", NULL, OPTION_FLAG,
     OPTIONS_MEMBER(client.tls_os_certs), 0, 0},
    {0, "cert", "FILE", "the client's certificate", NULL, OPTION_TEXT, OPTIONS_MEMBER(client.certfile), 0, 0},
    {0, "key", "FILE", "the client's private key", NULL, OPTION_TEXT, OPTIONS_MEMBER(client.keyfile), 0, 0},
    {0, "ciphers", "LIST", "OpenSSL's list of ciphers", NULL, OPTION_TEXT, OPTIONS_MEMBER(client.ciphers), 0,
     0},
    {0, "tls-version", "VERSION", "tlsv1.3, tlsv1.2 or tlsv1.1", NULL, OPTION_TEXT,
     OPTIONS_MEMBER(client.tls_version), 0, 0},
    {0, "tls-alpn", "PROTOCOL", "the protocol for ALPN", NULL, OPTION_TEXT, OPTIONS_MEMBER(client.tls_alpn),
     0, 0},
    {0, "insecure", NULL, "do not compare the broker's name with its certificate: not for production", NULL,
     OPTION_FLAG, OPTIONS_MEMBER(client.tls_insecure), 0, 0},
    {0, "psk", "KEY", "a pre-shared key in hexadecimal, for TLS", NULL, OPTION_TEXT,
     OPTIONS_MEMBER(client.psk), 0, 0},
    {0, "psk-identity", "NAME", "the name of that key", NULL, OPTION_TEXT,
     OPTIONS_MEMBER(client.psk_identity), 0, 0},
    {0, "max-reply", "BYTES", "do not read larger replies (1048576)", NULL, OPTION_SIZE,
     OPTIONS_MEMBER(client.max_reply), 1, INT_MAX},
    {'j', "json", NULL, "print JSON, as when standard output is no terminal", NULL, OPTION_FLAG,
     OPTIONS_MEMBER(json), 0, 0},
    {0, "plain", NULL, "print for people, also when standard output is no terminal", NULL, OPTION_FLAG,
     OPTIONS_MEMBER(plain), 0, 0},
    {0, "quiet", NULL, "print no messages of errors", NULL, OPTION_FLAG, OPTIONS_MEMBER(quiet), 0, 0},
    {0, "params", "JSON", "the parameters as JSON; -: read them from standard input", "call command bench",
     OPTION_TEXT, OPTIONS_MEMBER(params), 0, 0},
    {0, "batch", NULL, "make one call for each element of the parameters, as one batch", "call", OPTION_FLAG,
     OPTIONS_MEMBER(batch), 0, 0},
    {0, "progress", NULL, "print interim replies, too, as they come", "call command", OPTION_FLAG,
     OPTIONS_MEMBER(progress), 0, 0},
    {0, "traceparent", "CONTEXT", "the W3C Trace Context of the call", "call", OPTION_TEXT,
     OPTIONS_MEMBER(traceparent), 0, 0},
    {0, "offline", "fail|wait|queue", "what becomes of a command if its device is not there (fail)",
     "command call", OPTION_TEXT, OPTIONS_MEMBER(offline), 0, 0},
    {0, "ttl-ms", "MS", "with --offline queue: how long the command waits for its device", "command call",
     OPTION_TEXT, OPTIONS_MEMBER(ttl_ms), 0, 0},
    {0, "stale-ms", "MS", "the command is not sent later than so long after the call", "command call",
     OPTION_TEXT, OPTIONS_MEMBER(stale_ms), 0, 0},
    {0, "want", "present|all|N", "of a group: which devices are waited for, or how many of them (present)",
     "command call", OPTION_TEXT, OPTIONS_MEMBER(want), 0, 0},
    {0, "stall-ms", "MS", "of a group: the call ends when no device has answered for so long", "command call",
     OPTION_TEXT, OPTIONS_MEMBER(stall_ms), 0, 0},
    {0, "abort", "PERCENT", "of a group: no more commands are sent when so many have failed", "command call",
     OPTION_TEXT, OPTIONS_MEMBER(abort_percent), 0, 0},
    {'C', "count", "N", "end after so many events, or calls", "events bench", OPTION_NUMBER,
     OPTIONS_MEMBER(count), 1, INT_MAX},
    {0, "duration", "SECONDS", "end after this time (bench: 5, unless --count is given)",
     "events stats bench", OPTION_SECONDS, OPTIONS_MEMBER(duration_ms), 1, INT_MAX},
    {'R', "no-retained", NULL, "leave out events that were published before", "events", OPTION_FLAG,
     OPTIONS_MEMBER(no_retained), 0, 0},
    {0, "watch", NULL, "print the statistics again and again", "stats", OPTION_FLAG, OPTIONS_MEMBER(watch), 0,
     0},
    {0, "interval", "SECONDS", "the time between two of them (2)", "stats", OPTION_SECONDS,
     OPTIONS_MEMBER(interval_ms), 100, INT_MAX},
    {0, "state", "unknown|online|ready|sleeping|silent|offline", "only devices in this state", "devices",
     OPTION_TEXT, OPTIONS_MEMBER(state), 0, 0},
    {0, "group", "GROUP", "only devices of this group", "devices", OPTION_TEXT, OPTIONS_MEMBER(group), 0, 0},
    {0, "concurrency", "N", "how many calls are made at once (1; with --rate up to 1000)", "bench",
     OPTION_NUMBER, OPTIONS_MEMBER(concurrency), 1, 1000},
    {0, "rate", "N", "make so many calls a second, whether or not those before were answered", "bench",
     OPTION_NUMBER, OPTIONS_MEMBER(rate), 1, 1000000},
    {0, "warmup", "SECONDS", "calls of this first time do not count (0.5; with --count 0)", "bench",
     OPTION_SECONDS, OPTIONS_MEMBER(warmup_ms), 0, 3600000},
    {0, "language", "python|typescript|c", "the language of the client", "generate", OPTION_TEXT,
     OPTIONS_MEMBER(language), 0, 0},
    {0, "from", "FILE",
     "read the OpenRPC document from FILE instead of asking the service; -: from standard input", "generate",
     OPTION_TEXT, OPTIONS_MEMBER(from), 0, 0},
    {0, "output", "FILE", "write to FILE, or into the folder FILE (standard output)", "generate", OPTION_TEXT,
     OPTIONS_MEMBER(output), 0, 0},
    {0, "name", "NAME", "what the client's class is called, or in C what all names begin with (service)",
     "generate", OPTION_TEXT, OPTIONS_MEMBER(name), 0, 0},
    {0, "help", NULL, "describe the tool, or the command", NULL, OPTION_FLAG, OPTIONS_MEMBER(help), 0, 0},
    {0, "version", NULL, "print the version", NULL, OPTION_FLAG, OPTIONS_MEMBER(version), 0, 0},
};
const size_t option_row_count = sizeof option_rows / sizeof *option_rows;
_Static_assert(sizeof option_rows / sizeof *option_rows <= OPTION_ROWS_MAX, "OPTION_ROWS_MAX is too small");

void options_init(struct tool_options *options)
{
    *options = (struct tool_options){.client = RPC_CLIENT_DEFAULTS, .interval_ms = 2000, .warmup_ms = -1};
}

void options_fini(struct tool_options *options)
{
    for (size_t at = 0; at < options->owned_count; at++) {
        explicit_bzero(options->owned[at], strlen(options->owned[at]));
        free(options->owned[at]);
    }
    free(options->owned);
    options->owned = NULL;
    options->owned_count = 0;
}

bool option_is_of(const struct option_row *row, const char *command)
{
    return !row->command || text_has_word(row->command, command);
}

/* A copy of a text, which options_fini() frees; NULL: no memory. */
static char *options_own(struct tool_options *options, const char *text, size_t size)
{
    char **owned = realloc(options->owned, (options->owned_count + 1) * sizeof *owned);
    if (!owned)
        return NULL;
    options->owned = owned;
    char *copy = strndup(text, size);
    if (copy)
        owned[options->owned_count++] = copy;
    return copy;
}

static const char *options_set_number(struct tool_options *options, void *member,
                                      const struct option_row *row, const char *text)
{
    char *end = NULL;
    errno = 0;
    double scale = row->kind == OPTION_SECONDS ? 1000 : 1, number = strtod(text, &end) * scale;
    if (errno || end == text || *end || isspace((unsigned char)*text) ||
        !(number >= row->min && number <= row->max) ||
        (row->kind != OPTION_SECONDS && number != (int)number)) {
        if (row->kind == OPTION_SECONDS)
            snprintf(options->why, sizeof options->why, "must be a number of %.10g to %.10g",
                     row->min / scale, row->max / scale);
        else
            snprintf(options->why, sizeof options->why, "must be a whole number of %d to %d", row->min,
                     row->max);
        return options->why;
    }
    if (row->kind == OPTION_SIZE)
        *(size_t *)member = (size_t)number;
    else
        *(int *)member = (int)number;
    return NULL;
}

static const char *options_set_protocol(int *member, const char *text)
{
    static const struct {
        const char *name;
        int protocol;
    } names[] = {{"5", 5}, {"mqttv5", 5}, {"311", 311}, {"mqttv311", 311}};
    for (size_t at = 0; at < sizeof names / sizeof *names; at++)
        if (strcmp(text, names[at].name) == 0) {
            *member = names[at].protocol;
            return NULL;
        }
    return "must be 5 (mqttv5) or 311 (mqttv311)";
}

static const char *options_set_text(struct tool_options *options, const char **member, const char *text,
                                    size_t size)
{
    *member = options_own(options, text, size);
    return *member ? NULL : "there is no memory";
}

/* Decodes %20 and its like in place. */
static void options_decode(char *text)
{
    char *to = text;
    for (; *text; text++) {
        bool is_escape = *text == '%' && isxdigit((unsigned char)text[1]) && isxdigit((unsigned char)text[2]);
        char digits[3] = {is_escape ? text[1] : '0', is_escape ? text[2] : '0', 0};
        char code = (char)strtoul(digits, NULL, 16);
        if (code) {
            *to++ = code;
            text += 2;
        } else
            *to++ = *text;
    }
    *to = 0;
}

static const char *options_set_user(struct tool_options *options, char *user)
{
    char *password = strchr(user, ':');
    if (password) {
        *password++ = 0;
        options_decode(password);
        options->client.password = password;
    }
    options_decode(user);
    options->client.username = user;
    return NULL;
}

static const char *options_set_url(struct tool_options *options, const char *text)
{
    static const struct option_row port_row = {.kind = OPTION_NUMBER, .min = 1, .max = 65535};
    bool is_secure = strncmp(text, "mqtts://", 8) == 0;
    if (!is_secure && strncmp(text, "mqtt://", 7) != 0)
        return "must begin with mqtt:// or mqtts://";
    char *host = options_own(options, text + (is_secure ? 8 : 7), strlen(text));
    if (!host)
        return "there is no memory";
    char *at = strrchr(host, '@');
    if (at) {
        *at = 0;
        options_set_user(options, host);
        host = at + 1;
    }
    host[strcspn(host, "/")] = 0;
    char *port = *host == '[' ? strchr(host, ']') : host;
    port = port ? strchr(port, ':') : NULL;
    if (port) {
        *port++ = 0;
        if (options_set_number(options, &options->client.port, &port_row, port))
            return "must have a port of 1 to 65535";
    }
    if (*host == '[' && strchr(host, ']'))
        *strchr(host++, ']') = 0;
    if (!*host)
        return "must have the name of a host";
    options->client.host = host;
    if (is_secure && !options->client.cafile && !options->client.capath)
        options->client.tls_os_certs = true;
    return NULL;
}

static const char *options_set_secret(struct tool_options *options, const char **member, const char *path)
{
    char line[OPTIONS_LINE];
    FILE *file = fopen(path, "re");
    if (!file)
        return strerror(errno);
    errno = 0;
    const char *read = fgets(line, sizeof line, file);
    const char *why = read ? NULL : errno ? strerror(errno) : "has no line";
    fclose(file);
    if (read && strlen(line) + 1 == sizeof line)
        why = "its first line is too long";
    else if (read)
        why = options_set_text(options, member, line, strcspn(line, "\r\n"));
    explicit_bzero(line, sizeof line);
    return why;
}

/* Whether the value of an option is the name of a file or a folder. */
static bool options_is_path(const struct option_row *row)
{
    return row->argument && (strcmp(row->argument, "FILE") == 0 || strcmp(row->argument, "FOLDER") == 0 ||
                             strcmp(row->argument, "PATH") == 0);
}

/* Sets the option of a row. Returns what is wrong with the value; NULL: nothing. */
static const char *options_set(struct tool_options *options, const struct option_row *row, const char *text)
{
    void *member = (char *)options + row->offset;
    switch (row->kind) {
    case OPTION_FLAG:
        *(bool *)member = true;
        return NULL;
    case OPTION_UNIX:
        options->client.port = 0;
        return options_set_text(options, member, text, strlen(text));
    case OPTION_TEXT:
        return options_set_text(options, member, text, strlen(text));
    case OPTION_NUMBER:
    case OPTION_SIZE:
    case OPTION_SECONDS:
        return options_set_number(options, member, row, text);
    case OPTION_PROTOCOL:
        return options_set_protocol(member, text);
    case OPTION_URL:
        return options_set_url(options, text);
    case OPTION_SECRET:
        return options_set_secret(options, member, text);
    }
    return NULL;
}

/* ---- The config file ---- */

static const struct option_row *options_find(const char *name, size_t size)
{
    for (size_t at = 0; at < option_row_count; at++) {
        const struct option_row *row = &option_rows[at];
        if ((size == 2 && row->letter && name[0] == '-' && name[1] == row->letter) ||
            (size > 2 && name[0] == '-' && name[1] == '-' && strlen(row->name) == size - 2 &&
             memcmp(row->name, name + 2, size - 2) == 0))
            return row;
    }
    return NULL;
}

/* Says what is wrong with the value of an option. A URL may have a password in it. */
static void options_blame_value(char why[OPTIONS_WHY], const struct option_row *row, const char *value,
                                const char *wrong)
{
    const bool is_shown = row->kind != OPTION_URL && value;
    snprintf(why, OPTIONS_WHY, "--%s%s%s: %s", row->name, is_shown ? " " : "", is_shown ? value : "", wrong);
}

/* Sets the option of a line, or says why not. No shell has expanded `~/` in it. */
static void options_set_line(struct tool_options *options, const struct option_row *row, const char *value,
                             char why[OPTIONS_WHY])
{
    char path[OPTIONS_LINE];
    const char *const home = getenv("HOME");
    const char *wrong = NULL;
    if (options_is_path(row) && strncmp(value, "~/", 2) == 0) {
        const int length = snprintf(path, sizeof path, "%s%s", home ? home : "", value + 1);
        if (!home || !*home)
            wrong = "HOME is not set, for which ~ stands";
        else if (length >= (int)sizeof path)
            wrong = "the path is too long";
        else
            value = path;
    }
    if (!wrong)
        wrong = options_set(options, row, value);
    if (wrong)
        options_blame_value(why, row, value, wrong);
}

/* Reads a line. why stays empty if nothing is wrong. */
static void options_read_line(struct tool_options *options, char *line, char why[OPTIONS_WHY])
{
    line += strspn(line, " \t");
    line[strcspn(line, "\r\n")] = 0;
    for (size_t end = strlen(line); end > 0 && strchr(" \t", line[end - 1]); end--)
        line[end - 1] = 0;
    if (!*line || *line == '#')
        return;
    size_t size = strcspn(line, " \t");
    const struct option_row *row = options_find(line, size);
    const char *value = line + size + strspn(line + size, " \t");
    if (!row)
        strcpy(why, "this is no option of mosquitto_rpc");
    else if (!row->argument != !*value)
        strcpy(why, row->argument ? "this option takes a value" : "this option takes no value");
    else
        options_set_line(options, row, value, why);
}

static bool options_read_file(struct tool_options *options, char why_not[OPTIONS_WHY])
{
    char path[OPTIONS_LINE], line[OPTIONS_LINE];
    const char *folder = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (folder && *folder)
        snprintf(path, sizeof path, "%s/mosquitto_rpc", folder);
    else if (home)
        snprintf(path, sizeof path, "%s/.config/mosquitto_rpc", home);
    else
        return true;
    FILE *file = fopen(path, "re");
    if (!file) {
        if (errno == ENOENT || errno == ENOTDIR)
            return true;
        snprintf(why_not, OPTIONS_WHY, "%s: %s", path, strerror(errno));
        return false;
    }
    char why[OPTIONS_WHY] = "";
    int number = 0;
    while (!*why && fgets(line, sizeof line, file)) {
        number++;
        if (strlen(line) + 1 == sizeof line)
            strcpy(why, "this line is too long");
        else
            options_read_line(options, line, why);
    }
    if (!*why && ferror(file))
        snprintf(why, sizeof why, "%s", strerror(errno));
    fclose(file);
    explicit_bzero(line, sizeof line);
    if (*why)
        snprintf(why_not, OPTIONS_WHY, "%s, line %d: %.800s", path, number, why);
    return !*why;
}

/* ---- The command line ---- */

static void options_make_getopt(struct option *longs, char *letters)
{
    for (size_t at = 0; at < option_row_count; at++) {
        const struct option_row *row = &option_rows[at];
        longs[at] = (struct option){.name = row->name,
                                    .has_arg = row->argument ? required_argument : no_argument,
                                    .val = OPTIONS_LONG + (int)at};
        if (row->letter)
            letters += sprintf(letters, "%c%s", row->letter, row->argument ? ":" : "");
    }
    longs[option_row_count] = (struct option){.name = NULL};
    *letters = 0;
}

static const struct option_row *options_row_of(int value)
{
    if (value >= OPTIONS_LONG)
        return &option_rows[value - OPTIONS_LONG];
    char name[] = {'-', (char)value, 0};
    return options_find(name, 2);
}

/* What getopt_long() has found wrong with the word that it has just read. */
static void options_blame(char why[OPTIONS_WHY], int value, char **words)
{
    const char *word = words[optind - 1];
    if (value == ':')
        snprintf(why, OPTIONS_WHY, "the option %s takes a value", word);
    else if (optopt >= OPTIONS_LONG)
        snprintf(why, OPTIONS_WHY, "the option --%s takes no value", options_row_of(optopt)->name);
    else if (optopt)
        snprintf(why, OPTIONS_WHY, "there is no option -%c; see mosquitto_rpc --help", optopt);
    else
        snprintf(why, OPTIONS_WHY, "there is no option %s, or there are several; see mosquitto_rpc --help",
                 word);
}

static bool options_read_words(struct tool_options *options, int count, char **words,
                               char why_not[OPTIONS_WHY])
{
    struct option longs[OPTION_ROWS_MAX + 1];
    char letters[2 * OPTION_ROWS_MAX + 2] = ":";
    int value;
    options_make_getopt(longs, letters + 1);
    opterr = 0;
    while ((value = getopt_long(count, words, letters, longs, NULL)) != -1) {
        if (value == '?' || value == ':') {
            options_blame(why_not, value, words);
            return false;
        }
        const struct option_row *row = options_row_of(value);
        options->is_given[row - option_rows] = true;
        if (row->kind == OPTION_SECONDS)
            options->has_timeout = true;
        const char *why = options_set(options, row, optarg);
        if (why) {
            options_blame_value(why_not, row, optarg, why);
            return false;
        }
    }
    return true;
}

int options_read(struct tool_options *options, int count, char **words, char why[OPTIONS_WHY])
{
    return options_read_file(options, why) && options_read_words(options, count, words, why) ? optind : -1;
}
