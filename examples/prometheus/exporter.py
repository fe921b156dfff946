#!/usr/bin/env python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Serves the statistics of mosquitto-rpc to Prometheus: http://127.0.0.1:9642/metrics

Each scrape calls rpc.metrics of every prefix, page by page. Runs with paho-mqtt 1.6 and 2.
"""
import argparse
import http.server
import itertools
import json
import os
import re
import sys
import threading
import uuid

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

UP = "mosquitto_rpc_up"
FAMILY = re.compile(r"^# HELP (\S+) ", re.MULTILINE)


class Failed(Exception):
    """A prefix did not tell its statistics."""


class Service:
    """Calls the methods of a service and waits for their replies. Any thread may call."""

    def __init__(self, options):
        # paho 2 asks for the kind of callbacks; those of paho 1.6 with MQTT 5 have the same parameters.
        kinds = getattr(mqtt, "CallbackAPIVersion", None)
        self.name = options.id or "exporter-" + uuid.uuid4().hex[:12]
        self.client = mqtt.Client(*([kinds.VERSION2] if kinds else []), client_id=self.name, protocol=mqtt.MQTTv5)
        self.client.on_connect, self.client.on_message = self.connected, self.received
        self.prefixes, self.timeout = options.prefix, options.timeout
        self.numbers, self.lock, self.waiting = itertools.count(), threading.Lock(), {}
        if options.user:
            self.client.username_pw_set(options.user, os.environ.get("MQTT_PASSWORD"))
        if options.cafile:
            self.client.tls_set(options.cafile)
        self.client.connect_async(options.host, options.port, keepalive=30)
        self.client.loop_start()

    def reply_topic(self, prefix):
        return f"{prefix}/reply/{self.name}/metrics"

    def connected(self, client, userdata, flags, code, properties=None):
        if code != 0:
            print("refused:", code, file=sys.stderr, flush=True)
            return
        for prefix in self.prefixes:  # needed with the plugin's option reply_delivery subscribed alone
            client.subscribe(self.reply_topic(prefix))

    def received(self, client, userdata, message):
        with self.lock:
            call = self.waiting.get(getattr(message.properties, "CorrelationData", None))
        if call:
            call["status"] = dict(getattr(message.properties, "UserProperty", [])).get("status")
            call["payload"] = message.payload
            call["done"].set()

    def call(self, prefix, method, params):
        """The result of a call."""
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic = self.reply_topic(prefix)
        properties.CorrelationData = b"%d" % next(self.numbers)
        call = {"done": threading.Event(), "status": None, "payload": b""}
        with self.lock:
            self.waiting[properties.CorrelationData] = call
        try:
            if not self.client.is_connected():
                raise Failed("there is no connection to the broker")
            self.client.publish(f"{prefix}/call/{method}", json.dumps(params), properties=properties)
            if not call["done"].wait(self.timeout):
                raise Failed(f"{method} was not answered: does the module observe run, and may this client call it?")
        finally:
            with self.lock:
                del self.waiting[properties.CorrelationData]
        if call["status"] != "ok":
            raise Failed(f"{method} failed: {call['payload'].decode(errors='replace')}")
        return json.loads(call["payload"])

    def metrics(self, prefix):
        """The whole document of a prefix."""
        pages, after = [], 0
        while after is not None:
            page = self.call(prefix, "rpc.metrics", {"after": after})
            pages.append(page["text"])
            after = page["next"]
        return "".join(pages)


def merge(documents):
    """One document: each family once, with the samples of all documents."""
    families = {}
    for document in documents:
        starts = [found.start() for found in FAMILY.finditer(document)]
        for start, end in zip(starts, starts[1:] + [len(document)]):
            head_help, head_type, samples = (document[start:end].split("\n", 2) + [""])[:3]
            families.setdefault((head_help, head_type), []).append(samples)
    return "".join(f"{first}\n{second}\n{''.join(samples)}" for (first, second), samples in families.items())


def escape(text):
    return text.replace("\\", r"\\").replace('"', r"\"")


def collect(service):
    """The document of all prefixes; those that do not answer are down in it."""
    documents, up = [], f"# HELP {UP} whether the prefix has told its statistics\n# TYPE {UP} gauge\n"
    for prefix in service.prefixes:
        try:
            documents.append(service.metrics(prefix))
            is_up = 1
        except (Failed, ValueError, KeyError, TypeError) as error:
            print(f"{prefix}: {error}", file=sys.stderr, flush=True)
            is_up = 0
        up += f'{UP}{{prefix="{escape(prefix)}"}} {is_up}\n'
    return merge([*documents, up])


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.split("?")[0] != "/metrics":
            self.send_error(404, "the metrics are at /metrics")
            return
        body = collect(self.server.service).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing of each scrape."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1", help="the broker")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--user", help="the password is in the environment: MQTT_PASSWORD")
    parser.add_argument("--cafile", help="use TLS, with these certificates of authorities")
    parser.add_argument("--id", help="the client id; without it, a new one each time")
    parser.add_argument("--prefix", action="append", help="of the service, for example rpc; may be given several times")
    parser.add_argument("--listen", default="127.0.0.1", help="the address to serve on")
    parser.add_argument("--listen-port", type=int, default=9642)
    parser.add_argument("--timeout", type=float, default=5, help="seconds to wait for a reply")
    options = parser.parse_args()
    options.prefix = options.prefix or ["rpc"]
    server = http.server.ThreadingHTTPServer((options.listen, options.listen_port), Handler)
    server.service = Service(options)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
