// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// A lamp that carries out the commands light, blink and getStatus. ../README.md says how to run it.
#include <MosquittoRpc.h> // for Scratch; includes PubSubClient and ArduinoJson
#include <ESP8266WiFi.h>  // on an ESP32: <WiFi.h>

#define DEVICE "lamp1" // the client id, the user name, and a level of the topics
const char WIFI_NAME[] = "home", WIFI_PASSWORD[] = "secret", BROKER[] = "192.168.1.10", PASSWORD[] = "secret";

const char REQUESTS[] = "cmd/" DEVICE "/req", ANSWERS[] = "cmd/" DEVICE "/resp", HELLO[] = "cmd/" DEVICE "/hello";
const char ALIVE[] = "alive/" DEVICE; // "1" as a heartbeat, "0" as the last will
const unsigned long HEARTBEAT = 2000, RETRY = 3000; // ms

WiFiClient network;
PubSubClient mqtt(network);
Scratch<192 * sizeof(void *)> memory; // enough for any command that PubSubClient takes

bool on = false;
int brightness = 100;              // percent
int blinks = 0, phase, interval;   // how often it is to blink (0: it does not), half blinks done, ms
unsigned long lastPhase, lastBeat, lastTry;
char lastId[48];                   // the id of the last command, as JSON; "": it has none
char answer[144];                  // what was last said about that command

void show(bool lit) {
  analogWrite(LED_BUILTIN, lit ? brightness * 255 / 100 : 0);
}

void publishAnswer() {
  if (answer[0])
    mqtt.publish(ANSWERS, answer);
}

// Answers the last command with {"id":…,member:json}, and remembers the answer. Without an id there is none.
void respond(const char *member, const char *json) {
  if (lastId[0] == 0)
    return;
  snprintf(answer, sizeof answer, "{\"id\":%s,\"%s\":%s}", lastId, member, json);
  publishAnswer();
}

void fail(const char *err, const char *msg) {
  char json[88];
  snprintf(json, sizeof json, "{\"err\":\"%s\",\"msg\":\"%s\"}", err, msg);
  respond("error", json);
}

void report() {
  char json[40];
  snprintf(json, sizeof json, "{\"on\":%s,\"brightness\":%d}", on ? "true" : "false", brightness);
  respond("result", json);
}

// A parameter that is a whole number; -1: it is something else.
int number(JsonVariantConst given, int absent) {
  return given.isNull() ? absent : given.is<int>() ? given.as<int>() : -1;
}

void light(JsonObjectConst params) {
  int percent = number(params["brightness"], 100);
  if (!params["on"].is<bool>() || percent < 0 || percent > 100)
    return fail("rejected", "light takes on (true or false) and brightness (0 to 100)");
  on = params["on"];
  brightness = percent;
  show(on);
  report();
}

// One step of blinking: on, or off. It never waits, because the lamp must go on listening.
void blinkOn() {
  char json[44];
  lastPhase = millis();
  show(phase++ % 2 == 0);
  if (phase % 2 == 1)
    return;
  if (phase < 2 * blinks) {
    snprintf(json, sizeof json, "{\"done\":%d,\"times\":%d}", phase / 2, blinks);
    return respond("progress", json);
  }
  snprintf(json, sizeof json, "{\"times\":%d}", blinks);
  blinks = 0;
  show(on);
  respond("result", json);
}

void blink(JsonObjectConst params) {
  int times = number(params["times"], 0), ms = number(params["interval"], 500);
  if (times < 1 || times > 100 || ms < 20 || ms > 10000)
    return fail("rejected", "blink takes times (1 to 100) and interval (20 to 10000 ms)");
  blinks = times;
  interval = ms;
  phase = 0;
  blinkOn();
}

// Makes place for a new command. There is memory for the answer to one, so a newer command ends the blinking.
void begin(const char *id) {
  if (blinks) {
    blinks = 0;
    show(on);
    fail("interrupted", "a newer command came");
  }
  strcpy(lastId, strcmp(id, "null") == 0 ? "" : id);
  answer[0] = 0;
}

void carryOut(const char *command, JsonObjectConst params) {
  if (strcmp(command, "light") == 0)
    light(params);
  else if (strcmp(command, "blink") == 0)
    blink(params);
  else if (strcmp(command, "getStatus") == 0)
    report();
  else
    fail("rejected", "the commands are light, blink and getStatus");
}

// PubSubClient calls this. The payload lies in the buffer that publish() overwrites; the document has copies.
void onCommand(char *, byte *payload, unsigned int size) {
  memory.clear();
  JsonDocument command(&memory);
  char id[sizeof lastId];
  if (deserializeJson(command, payload, size) || measureJson(command["id"]) >= sizeof id)
    return; // not a command, or one whose id cannot be remembered
  serializeJson(command["id"], id);
  if (strcmp(id, lastId) == 0)
    return publishAnswer(); // the same command once more: the same answer
  begin(id);
  carryOut(command["cmd"] | "", command["params"]);
}

void beat() {
  lastBeat = millis();
  mqtt.publish(ALIVE, "1", true);
}

void connectAgain() {
  if (WiFi.status() != WL_CONNECTED || millis() - lastTry < RETRY)
    return;
  if (mqtt.connect(DEVICE, DEVICE, PASSWORD, ALIVE, 1, true, "0")) {
    mqtt.subscribe(REQUESTS, 1); // first: hello means that the lamp is listening
    mqtt.publish(HELLO, "{\"kind\":\"lamp\",\"once\":true,\"commands\":[\"light\",\"blink\",\"getStatus\"]}");
    beat();
  }
  lastTry = millis();
}

void setup() {
  pinMode(LED_BUILTIN, OUTPUT);
  WiFi.mode(WIFI_STA);
  WiFi.begin(WIFI_NAME, WIFI_PASSWORD); // comes back by itself when it was lost
  mqtt.setServer(BROKER, 1883);
  mqtt.setCallback(onCommand);
  lastTry = millis() - RETRY;
}

void loop() {
  if (!mqtt.loop())
    connectAgain();
  else if (millis() - lastBeat >= HEARTBEAT)
    beat();
  if (blinks && millis() - lastPhase >= (unsigned long)interval / 2)
    blinkOn();
}
