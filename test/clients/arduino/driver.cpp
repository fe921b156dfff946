// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// A sketch that makes the calls that it reads from standard input, in the lines of cutter.py's Program.
// Further lines:
//   wait MS METHOD JSON    a call with this timeout
//   twice METHOD JSON      two calls at once
//   cancel METHOD JSON     a call that is cancelled at once
//   listen TOPIC           subscribes now and on each connection; what comes is: message TOPIC PAYLOAD
//   ram                    ram SIZE: bytes of the client with its default sizes
#include <MosquittoRpc.h>

#include <ESP8266WiFi.h>
#include <poll.h>
#include <signal.h>

WiFiClient network;
PubSubClient mqtt(network);
MosquittoRpc<400> rpc(mqtt);
static char client_id[32], filter[64];

static bool connect_now()
{
    if (!mqtt.connect(client_id))
        return false;
    if (filter[0])
        mqtt.subscribe(filter, 1);
    return true;
}

static void show(const RpcReply &reply)
{
    static char text[1024];
    if (!reply) {
        printf("error %s %s\n", reply.err, reply.msg);
    } else {
        serializeJson(reply.result, text);
        printf("result %s\n", text);
    }
}

static void receive(char *topic, uint8_t *payload, unsigned int size)
{
    printf("message %s %.*s\n", topic, (int)size, (const char *)payload);
}

// Calls from inside a handler, too: the second call of `again` is made where the first one ends.
static void show_and_call(const RpcReply &reply)
{
    show(reply);
    JsonDocument params(rpc.memory());
    params["name"] = "from a handler";
    rpc.call("echo", params, show);
}

static void carry_out(char *line)
{
    char *word = strtok(line, " "), *first = strtok(nullptr, " "), *rest = strtok(nullptr, "");
    if (strcmp(word, "call") == 0) {
        rpc.call(first, rest, show, 60000);
    } else if (strcmp(word, "again") == 0) {
        rpc.call(first, rest, show_and_call);
    } else if (strcmp(word, "twice") == 0) {
        rpc.call(first, rest, show);
        rpc.call(first, rest, show);
    } else if (strcmp(word, "cancel") == 0) {
        rpc.call(first, rest, show);
        rpc.cancel();
        puts("cancelled");
    } else if (strcmp(word, "wait") == 0) {
        char *method = strtok(rest, " ");
        rpc.call(method, strtok(nullptr, ""), show, strtoul(first, nullptr, 10));
    } else if (strcmp(word, "listen") == 0) {
        snprintf(filter, sizeof filter, "%s", first);
        mqtt.subscribe(filter, 1);
        puts("listening");
    } else if (strcmp(word, "ram") == 0) {
        printf("ram %zu\n", sizeof(MosquittoRpc<>));
    } else if (strcmp(word, "pending") == 0) {
        printf("pending %d\n", rpc.isPending());
    }
}

void setup()
{
    static char lines[4096];
    setvbuf(stdin, lines, _IOFBF, sizeof lines);
    snprintf(client_id, sizeof client_id, "board-%08lx", (unsigned long)random(0x7FFFFFFF));
    rpc.begin(connect_now, receive, 20);
}

void loop()
{
    static char line[2048];
    pollfd input = {0, POLLIN, 0};
    rpc.loop();
    if (rpc.isPending() || poll(&input, 1, 0) <= 0)
        return;
    if (!fgets(line, sizeof line, stdin)) {
        mqtt.disconnect();
        raise(SIGTERM);
        return;
    }
    line[strcspn(line, "\n")] = 0;
    carry_out(line);
}
