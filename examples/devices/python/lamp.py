#!/usr/bin/env python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A lamp that carries out the commands light, blink and getStatus. Runs with paho-mqtt 1.6 and 2."""
import argparse
import json
import os
import time

import paho.mqtt.client as mqtt

HELLO = {"kind": "lamp", "once": True, "commands": ["light", "blink", "getStatus"]}
RETRY = 2  # seconds between two attempts to connect


class Rejected(Exception):
    """The command cannot be carried out."""


def whole_number(params, name, low, high, absent=None):
    value = params.get(name, absent)
    if type(value) is not int or not low <= value <= high:  # a bool is an int, too
        raise Rejected(f"{name} is a whole number from {low} to {high}")
    return value


class Lamp:
    """What the lamp does. Each command returns its result, or None if the result is to come from step()."""

    def __init__(self):
        self.on, self.brightness = False, 100
        self.blinks, self.phase, self.interval, self.next = 0, 0, 0, 0

    def show(self, lit):
        print("lamp", self.brightness if lit else 0, flush=True)

    def light(self, params):
        if not isinstance(params.get("on"), bool):
            raise Rejected("on is true or false")
        self.brightness = whole_number(params, "brightness", 0, 100, absent=100)
        self.on = params["on"]
        self.show(self.on)
        return self.getStatus(params)

    def blink(self, params):
        times = whole_number(params, "times", 1, 100)
        self.interval = whole_number(params, "interval", 20, 10000, absent=500)
        self.blinks, self.phase, self.next = times, 0, time.monotonic()

    def getStatus(self, _):
        return {"on": self.on, "brightness": self.brightness}

    def stop(self):
        """Ends blinking; returns whether it did."""
        blinked, self.blinks = self.blinks, 0
        if blinked:
            self.show(self.on)
        return bool(blinked)

    def step(self):
        """One step of blinking. Returns what to answer, if anything."""
        if not self.blinks or time.monotonic() < self.next:
            return None
        self.next = time.monotonic() + self.interval / 2000
        self.phase += 1
        self.show(self.phase % 2 == 1)
        if self.phase % 2 == 1:
            return None
        if self.phase < 2 * self.blinks:
            return "progress", {"done": self.phase // 2, "times": self.blinks}
        times = self.blinks
        self.stop()
        return "result", {"times": times}


class Device:
    """Takes commands for a lamp from cmd/{name}/req and answers on cmd/{name}/resp."""

    def __init__(self, name, heartbeat):
        self.name, self.heartbeat, self.next_beat = name, heartbeat, 0
        self.lamp = Lamp()
        self.last_id, self.answer = None, None  # of the last command: what was last said about it
        # paho 2 asks for the kind of callbacks; those of paho 1.6 with these parameters are the same.
        kinds = getattr(mqtt, "CallbackAPIVersion", None)
        self.client = mqtt.Client(*([kinds.VERSION2] if kinds else []), client_id=name)
        self.client.on_connect, self.client.on_message = self.connected, self.received
        self.client.will_set(f"alive/{name}", "0", qos=1, retain=True)

    def connected(self, client, userdata, flags, code, properties=None):
        if code != 0:
            print("refused:", code, flush=True)
            return
        client.subscribe(f"cmd/{self.name}/req", qos=1)  # first: hello means that the lamp is listening
        client.publish(f"cmd/{self.name}/hello", json.dumps(HELLO), qos=1)
        self.next_beat = 0

    def received(self, client, userdata, message):
        try:
            command = json.loads(message.payload)
            name, params, id = command["cmd"], command.get("params") or {}, command.get("id")
        except (ValueError, TypeError, AttributeError, KeyError):
            return  # not a command
        if id is not None and id == self.last_id:
            self.publish_answer()  # the same command once more: the same answer
            return
        if self.lamp.stop():  # there is memory for the answer to one command, so a newer one ends the blinking
            self.respond("error", {"err": "interrupted", "msg": "a newer command came"})
        self.last_id, self.answer = id, None
        self.carry_out(name, params)

    def carry_out(self, name, params):
        try:
            if name not in HELLO["commands"] or not isinstance(params, dict):
                raise Rejected("the commands are light, blink and getStatus; params is an object")
            result = getattr(self.lamp, name)(params)
        except Rejected as error:
            self.respond("error", {"err": "rejected", "msg": str(error)})
        else:
            if result is not None:
                self.respond("result", result)

    def respond(self, member, value):
        """Answers the last command, and remembers the answer. A command without an id gets none."""
        self.answer = json.dumps({"id": self.last_id, member: value})
        self.publish_answer()

    def publish_answer(self):
        if self.last_id is not None and self.answer:
            self.client.publish(f"cmd/{self.name}/resp", self.answer, qos=1)

    def beat(self):
        if time.monotonic() >= self.next_beat:
            self.next_beat = time.monotonic() + self.heartbeat
            self.client.publish(f"alive/{self.name}", "1", retain=True)

    def step(self):
        answer = self.lamp.step()
        if answer:
            self.respond(*answer)

    def run(self, host, port):
        while True:
            try:
                self.client.connect(host, port, keepalive=15)
                while self.client.loop(timeout=0.02) == mqtt.MQTT_ERR_SUCCESS:
                    self.step()
                    if self.client.is_connected():
                        self.beat()
            except OSError as error:
                print("not connected:", error, flush=True)
            self.wait()

    def wait(self):
        """Blinks on until the next attempt to connect."""
        until = time.monotonic() + RETRY
        while time.monotonic() < until:
            self.step()
            time.sleep(0.02)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--name", default="lamp1", help="client id and level of the topics")
    parser.add_argument("--user", help="the password is in the environment: MQTT_PASSWORD")
    parser.add_argument("--cafile", help="connect with TLS, and trust the certificates in this file")
    parser.add_argument("--heartbeat", type=float, default=2, metavar="SECONDS")
    options = parser.parse_args()
    device = Device(options.name, options.heartbeat)
    if options.user:
        device.client.username_pw_set(options.user, os.environ.get("MQTT_PASSWORD"))
    if options.cafile:
        device.client.tls_set(ca_certs=options.cafile)
    device.run(options.host, options.port)


if __name__ == "__main__":
    main()
