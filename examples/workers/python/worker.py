#!/usr/bin/env python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""worker.py [HOST [PORT [NAME]]]: carries out calls of text.count and report.write. For paho-mqtt 1.6 and 2.

MQTT_USER, MQTT_PASSWORD and MQTT_CAFILE in the environment say how it logs in."""
import concurrent.futures
import json
import os
import signal
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.properties import PacketTypes, Properties

HOST, PORT, NAME = (sys.argv[1:] + ["localhost", "1883", "python1"][len(sys.argv) - 1:])[:3]
WORK, WINDOW = f"rpc/work/{NAME}", 4
REPORT = {"type": "object", "required": ["name", "pages"],
          "properties": {"name": {"type": "string"}, "pages": {"type": "integer", "minimum": 1, "maximum": 20}}}
ATTACH = {"worker": NAME, "window": WINDOW, "declares": [
    {"name": "text.count", "doc": "Counts the words of a text.", "read_only": True,
     "params": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
     "result": {"type": "object", "properties": {"words": {"type": "integer"}}, "required": ["words"]}},
    {"name": "report.write", "doc": "Writes a report, page by page.", "lane": "name", "event": "report/written",
     "params": REPORT, "result": REPORT}],
    "events": [{"name": "report/written", "doc": "A report has been written.", "key": "name"}]}


class Failure(Exception):
    """An error of a method: its code, its message, and further members of the error object."""


def count(params, cancelled, progress):
    if not isinstance(params.get("text"), str):  # nobody has checked more than that the parameters are an object
        raise Failure("invalid_params", "text is a string")
    return {"words": len(params["text"].split())}


def write(params, cancelled, progress):
    name, pages = params.get("name"), params.get("pages")
    if not isinstance(name, str) or type(pages) is not int or not 1 <= pages <= 20:
        raise Failure("invalid_params", "name is a string, pages a whole number from 1 to 20")
    for page in range(pages):
        if cancelled.wait(0.1):
            raise Failure("stopped", "nobody waits for the report any more", {"written": page})
        progress({"written": page + 1, "pages": pages})
    return {"name": name, "pages": pages}


METHODS = {"text.count": count, "report.write": write}
threads = [concurrent.futures.ThreadPoolExecutor(1) for _ in range(WINDOW)]
jobs, detached = {}, threading.Event()


def publish(topic, content, **more):
    properties = Properties(PacketTypes.PUBLISH)
    for name, value in more.items():
        setattr(properties, name, value)
    client.publish(topic, json.dumps(content), qos=1, properties=properties)


def call(method, params):
    publish(f"rpc/call/{method}", params, ResponseTopic=f"reply/{NAME}", CorrelationData=os.urandom(16))


def carry_out(id, asked, params):
    """Carries out one call, and answers it, whatever happens."""

    def answer(status, content):
        publish(f"{WORK}/done", content, CorrelationData=id, UserProperty=("status", status))

    try:
        result = METHODS[asked["method"]](params, jobs[id], lambda data: (
            answer("progress", data) if "progress" in asked else None))  # for callers that want interim replies
        answer("ok", result)
    except Failure as failure:
        code, msg, *members = failure.args
        answer(code, {"msg": msg, **(members[0] if members else {})})
    except Exception as error:
        answer("internal_error", {"msg": repr(error)})
    jobs.pop(id, None)


def connected(client, userdata, flags, code, properties=None):
    print("connected" if code == 0 else f"refused: {code}", flush=True)
    if code == 0:
        call("rpc.attach", ATTACH)


def received(client, userdata, message):
    if message.topic == WORK:
        id, asked = message.properties.CorrelationData, dict(message.properties.UserProperty)
        try:
            params = json.loads(message.payload or "{}")
        except (ValueError, RecursionError) as error:  # a number of 5000 digits is JSON, but not for Python
            publish(f"{WORK}/done", {"msg": str(error)}, CorrelationData=id, UserProperty=("status", "invalid_params"))
            return
        jobs[id] = threading.Event()
        # Calls of one lane come in their order: one thread carries them out one after the other. A name may be anything.
        lane = hash(repr(params.get("name"))) if asked["method"] == "report.write" else len(jobs)
        threads[lane % WINDOW].submit(carry_out, id, asked, params)
    elif message.topic == f"{WORK}/cancel":
        jobs.get(message.properties.CorrelationData, threading.Event()).set()
    else:  # the reply to rpc.attach or rpc.detach
        print(message.payload.decode(), flush=True)
        reply = json.loads(message.payload)
        if "outstanding" in reply:
            detached.set()
        elif "err" in reply:  # for example name_in_use, while an earlier connection is not given up
            threading.Timer(2, call, ("rpc.attach", ATTACH)).start()


signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])  # in all threads: sigwait() gets them
# paho 2 asks for the kind of callbacks; those of paho 1.6 with these parameters are the same.
kinds = getattr(mqtt, "CallbackAPIVersion", None)
client = mqtt.Client(*([kinds.VERSION2] if kinds else []), client_id=NAME, protocol=mqtt.MQTTv5)
client.on_connect, client.on_message = connected, received
client.on_disconnect = lambda *_: [cancelled.set() for cancelled in list(jobs.values())]
client.reconnect_delay_set(1, 30)
if "MQTT_USER" in os.environ:
    client.username_pw_set(os.environ["MQTT_USER"], os.environ.get("MQTT_PASSWORD"))
if "MQTT_CAFILE" in os.environ:
    client.tls_set(ca_certs=os.environ["MQTT_CAFILE"])
client.connect_async(HOST, int(PORT), keepalive=5, clean_start=True)
client.loop_start()  # which connects again and again
signal.sigwait([signal.SIGTERM, signal.SIGINT])
if client.is_connected():
    call("rpc.detach", {"worker": NAME})
    detached.wait(5)  # no call comes after that
for thread in threads:
    thread.shutdown()  # waits for its calls
client.disconnect()  # which leaves after their answers
client.loop_stop()
