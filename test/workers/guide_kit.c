// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The guide's module without a broker, for test_guide.py: carries out the steps that it reads, a line each,
 * and prints what comes of them. Words are separated by tabs.
 *
 *     publish TOPIC RESPONSE_TOPIC TIMEOUT_MS PAYLOAD    empty: none
 *     pass MILLISECONDS
 *     patience MILLISECONDS                              as rpc_test_set_patience()
 *     show TOPIC                                         prints the messages to this topic so far
 *
 * A reply is printed as: reply TAB topic TAB status TAB content type TAB payload; another message with the
 * word "message". A line "done" ends what a step prints.
 */
#include <mosquitto_rpc_testing.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_SIZE = 65536 };

static void print_message(const char *word, const rpc_test_message *message)
{
    printf("%s\t%s\t%s\t%s\t%.*s\n", word, message->topic, message->status, message->content_type,
           (int)message->size, message->payload);
}

/* Returns the next word of a line, and moves the line behind it. */
static char *take_word(char **line)
{
    char *word = *line;
    *line += strcspn(word, "\t");
    if (**line)
        *(*line)++ = '\0';
    return word;
}

static void publish(rpc_test *test, char *line)
{
    const char *topic = take_word(&line), *response_topic = take_word(&line), *timeout = take_word(&line);
    const rpc_property property = {"timeout-ms", timeout};
    const rpc_test_client client = {.qos = 1, .properties = &property, .property_count = *timeout != '\0'};
    const rpc_publication publication = {
        .topic = topic,
        .payload = line,
        .size = strlen(line),
        .response_topic = *response_topic ? response_topic : NULL,
    };
    rpc_test_set_client(test, &client);
    rpc_test_publish_message(test, &publication);
}

static void carry_out(rpc_test *test, char *line)
{
    const rpc_test_message *message;
    const char *word = take_word(&line);
    if (strcmp(word, "publish") == 0)
        publish(test, line);
    else if (strcmp(word, "pass") == 0)
        rpc_test_pass(test, (uint32_t)strtoul(line, NULL, 10));
    else if (strcmp(word, "patience") == 0)
        rpc_test_set_patience(test, (uint32_t)strtoul(line, NULL, 10));
    while (strcmp(word, "show") == 0 && (message = rpc_test_take_message(test, line)))
        print_message("message", message);
    while ((message = rpc_test_take_reply(test)))
        print_message("reply", message);
    puts("done");
    fflush(stdout);
}

int main(void)
{
    static char line[LINE_SIZE];
    rpc_test *test = rpc_test_open(NULL);
    while (test && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        carry_out(test, line);
    }
    return rpc_test_close(test);
}
