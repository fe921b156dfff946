#!/usr/bin/env python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Commands devices: `await devices.call("lamp1", "light", {"on": True})`. asyncio over paho-mqtt 1.6 or 2, MQTT 5.

As a program: devices.py [OPTION...] DEVICE COMMAND [PARAMS], prints the result.
"""
import argparse
import asyncio
import json
import os
import sys
import uuid

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

SESSION = 60  # seconds for which the broker keeps the replies to a connection that was lost
GRACE = 5  # seconds after a call's deadline in which its reply must have come


class CallError(Exception):
    """A call failed. `err` is the error's code, such as "device_offline"; `error` is the whole error object."""

    def __init__(self, error):
        super().__init__(f"{error['err']}: {error['msg']}")
        self.err, self.error = error["err"], error


class Devices:
    """A connection that commands devices: `async with Devices(host) as devices`."""

    def __init__(self, host="localhost", port=1883, user=None, password=None, cafile=None):
        self.address = host, port
        self.calls = {}  # identity of a call: its future, its function for progress
        name = f"app-{uuid.uuid4().hex}"
        self.reply_topic = f"reply/{name}"
        # paho 2 asks for the kind of callbacks; those of paho 1.6 for MQTT 5 are the same.
        kinds = getattr(mqtt, "CallbackAPIVersion", None)
        self.client = mqtt.Client(*([kinds.VERSION2] if kinds else []), client_id=name, protocol=mqtt.MQTTv5)
        self.client.on_connect, self.client.on_message = self.connected, self.received
        self.client.reconnect_delay_set(1, 10)
        if user:
            self.client.username_pw_set(user, password)
        if cafile:
            self.client.tls_set(ca_certs=cafile)

    async def __aenter__(self):
        self.loop = asyncio.get_running_loop()
        self.ready = self.loop.create_future()
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = SESSION
        await asyncio.to_thread(self.client.connect, *self.address, keepalive=15, properties=properties)
        self.client.loop_start()  # a thread of paho's, which also connects again
        try:
            await asyncio.wait_for(self.ready, GRACE)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_):
        properties = Properties(PacketTypes.DISCONNECT)
        properties.SessionExpiryInterval = 0
        self.client.disconnect(properties=properties)
        await asyncio.to_thread(self.client.loop_stop)

    async def call(self, device, command, params=None, *, timeout=10, offline=None, progress=None):
        """Returns the result, or raises CallError. offline: what becomes of the command if the device is not there,
        "fail", "wait" or "queue". progress: a function that gets what the device says on the way."""
        return await self.send(f"rpc/call/device/{device}/{command}", params, timeout, offline, progress)

    async def call_group(self, group, command, params=None, *, timeout=10):
        """The verdict of each device of a group."""
        return await self.send(f"rpc/call/devices/{group}/{command}", params, timeout)

    async def send(self, topic, params, timeout, offline=None, progress=None):
        identity = uuid.uuid4().bytes  # 16 bytes: however often the message is sent, it is one call
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic, properties.CorrelationData = self.reply_topic, identity
        properties.UserProperty = [("timeout-ms", str(int(timeout * 1000)))]
        properties.UserProperty += [("offline", offline)] if offline else []
        properties.UserProperty += [("progress", "1")] if progress else []
        future = self.loop.create_future()
        self.calls[identity] = future, progress
        try:
            self.client.publish(topic, json.dumps(params or {}), qos=1, properties=properties)
            return await asyncio.wait_for(future, timeout + GRACE)
        except asyncio.TimeoutError:
            raise CallError({"err": "no_reply", "msg": "no reply came: is the plugin loaded, and may I call?"}) from None
        finally:
            del self.calls[identity]

    # -- in paho's thread

    def connected(self, client, userdata, flags, code, properties=None):
        client.subscribe(self.reply_topic, qos=1)
        self.loop.call_soon_threadsafe(self.settle_connection, code)

    def received(self, client, userdata, message):
        self.loop.call_soon_threadsafe(self.take_reply, message)

    # -- in the thread of asyncio

    def settle_connection(self, code):
        if self.ready.done():
            return
        if code == 0:
            self.ready.set_result(None)
        else:
            self.ready.set_exception(CallError({"err": "refused", "msg": str(code)}))

    def take_reply(self, message):
        """A reply, or progress: the user property `status` says which. Those to calls that have ended are ignored."""
        status = dict(getattr(message.properties, "UserProperty", [])).get("status")
        future, progress = self.calls.get(getattr(message.properties, "CorrelationData", None), (None, None))
        if future is None or future.done():
            return
        content = json.loads(message.payload)
        if status == "progress":
            progress(content)
        elif status == "ok":
            future.set_result(content)
        else:
            future.set_exception(CallError(content))


async def main():
    parser = argparse.ArgumentParser(description="Commands a device and prints the result.")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--user", help="the password is in the environment: MQTT_PASSWORD")
    parser.add_argument("--cafile", help="connect with TLS, and trust the certificates in this file")
    parser.add_argument("--offline", choices=["fail", "wait", "queue"])
    parser.add_argument("--timeout", type=float, default=10, metavar="SECONDS")
    parser.add_argument("--group", action="store_true", help="DEVICE is the name of a group")
    parser.add_argument("device")
    parser.add_argument("command")
    parser.add_argument("params", nargs="?", type=json.loads, default={})
    options = parser.parse_args()
    password = os.environ.get("MQTT_PASSWORD")
    async with Devices(options.host, options.port, options.user, password, options.cafile) as devices:
        if options.group:
            return await devices.call_group(options.device, options.command, options.params, timeout=options.timeout)
        return await devices.call(options.device, options.command, options.params, timeout=options.timeout,
                                  offline=options.offline, progress=lambda said: print("progress", said, file=sys.stderr))


if __name__ == "__main__":
    try:
        print(json.dumps(asyncio.run(main())))
    except (CallError, OSError, asyncio.TimeoutError) as error:
        sys.exit(str(error) or "the broker did not answer")
