// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// A weather station: reports a reading every ten seconds with the method updateSensor.
#include <MosquittoRpc.h>
#include <ESP8266WiFi.h> // on an ESP32: <WiFi.h>

#define STATION "roof" // the client id and the name of the sensor
const char WIFI_NAME[] = "home", WIFI_PASSWORD[] = "secret", BROKER[] = "192.168.1.10";

WiFiClient network;
PubSubClient mqtt(network);
MosquittoRpc<> rpc(mqtt);
unsigned long lastReading;

bool connectToBroker() {
  return WiFi.status() == WL_CONNECTED && mqtt.connect(STATION);
}

void onReply(const RpcReply &reply) {
  if (reply)
    Serial.println(reply.result["value"].as<float>());
  else
    Serial.println(reply.msg);
}

void report(float value) {
  JsonDocument params(rpc.memory());
  params["sensor_id"] = STATION;
  params["value"] = value;
  rpc.call("updateSensor", params, onReply, 5000);
}

void setup() {
  Serial.begin(115200);
  WiFi.mode(WIFI_STA);
  WiFi.begin(WIFI_NAME, WIFI_PASSWORD);
  mqtt.setServer(BROKER, 1883);
  rpc.begin(connectToBroker);
}

void loop() {
  rpc.loop();
  if (!rpc.isPending() && millis() - lastReading >= 10000) {
    lastReading = millis();
    report((float)analogRead(A0) / 10);
  }
}
