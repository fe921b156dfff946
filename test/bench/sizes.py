#!/usr/bin/env python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Prints how much resident memory a broker takes, with and without the plugin, and what a thousand of something add.

Every line has a broker of its own: its memory is read before the things come and when all of them are there. The C
library takes memory in steps, so that few of them show nothing: --quick shows that the program runs.
"""
import argparse
import contextlib
import json
import sys
import time

from bench import resident_kb
from common import PLUGIN, Failure, Places, broker, print_table
from harness import ask, ask_by_id, eventually, new_identity, result_of
from many_devices import crowd, raise_file_limit
from many_workers import LINES, attached
from mqtt import CORRELATION_DATA, RESPONSE_TOPIC, USER_PROPERTY, Client

AT_ONCE = 50  # items of a batch
OPTIONS = ("sensor_db :memory:", "sensor_max_sensors 10000", "sensor_max_per_client 10000", "device_db :memory:",
           *LINES, "placement_by.worker remote", "max_pending 20000")


def batches(count):
    for first in range(0, count, AT_ONCE):
        yield range(first, min(first + AT_ONCE, count))


@contextlib.contextmanager
def quiet_connections(port, count):
    """Connections of MQTT 3.1.1 clients that do nothing."""
    with contextlib.ExitStack() as stack:
        for number in range(count):
            stack.enter_context(contextlib.closing(Client(port, client_id=f"quiet-{number}", timeout=60).stream))
        yield


@contextlib.contextmanager
def sensors(port, count):
    """Sensors with one reading each."""
    client = Client(port, timeout=60)
    for part in batches(count):
        calls = [{"sensor_id": f"hall/temperature/{number}", "value": 21.5} for number in part]
        client.publish("rpc/batch/updateSensor", json.dumps({"request_id": new_identity(), "calls": calls}), qos=1)
        reply = json.loads(client.receive().payload)
        if any("error" in outcome for outcome in reply["result"]):
            raise Failure(f"a reading was not taken: {reply}")
    client.disconnect()
    yield


@contextlib.contextmanager
def cached_replies(port, count):
    """Calls with long identities of a method that is not read-only."""
    client = Client(port, timeout=60)
    for _ in range(count):
        ask_by_id(client, "report", {"sensor_id": "temp1", "value": 25.5})
    client.disconnect()
    yield


@contextlib.contextmanager
def dead_letters(port, count):
    """Calls of a method that has no error event, which fail with nobody to tell."""
    client = Client(port, 5, timeout=60)
    for part in batches(count):
        for _ in part:
            client.publish("rpc/call/report", '{"sensor_id":"temp1"}')
    eventually(lambda: result_of(ask(client, "rpc.stats"))["counters"]["dead"] >= count)
    client.disconnect()
    yield


@contextlib.contextmanager
def waiting_calls(port, count):
    """Calls that wait until a worker has credit."""
    with attached(port, 1, window=1, answers=False):
        client = Client(port, 5, timeout=60)
        for _ in range(count):
            client.publish("rpc/call/by.worker", "{}", properties=[
                (RESPONSE_TOPIC, "r"), (CORRELATION_DATA, new_identity()), (USER_PROPERTY, ("timeout-ms", "60000"))])
        client.ping()
        yield
        client.disconnect()


KINDS = {
    "connections": (quiet_connections, 10000),
    "devices, with their connections": (crowd, 10000),
    "sensors with a reading in memory": (sensors, 10000),
    "replies kept for calls that are sent again": (cached_replies, 10000),
    "dead letters": (dead_letters, 1000),
    "workers, with their connections": (attached, 1000),
    "calls that wait for a worker": (waiting_calls, 10000),
}


def measure(settings, plugin, things, count):
    """Returns the broker's memory before and with so many things, in kB."""
    with broker(settings, plugin, options=OPTIONS if plugin else ()) as (port, pid):
        Client(port, timeout=60).disconnect()
        time.sleep(0.5)
        before = resident_kb(pid)
        with things(port, count):
            time.sleep(0.5)
            return before, resident_kb(pid)


def measure_all(settings, divisor):
    rows = []
    for name, (things, count) in KINDS.items():
        for plugin in (None, PLUGIN) if things is quiet_connections else (PLUGIN,):
            before, after = measure(settings, plugin, things, count // divisor)
            rows.append((f"{name}, {'with' if plugin else 'without'} the plugin", f"{count // divisor:,}",
                         f"{before:,}", f"{after:,}", f"{(after - before) * 1024 / (count // divisor):,.0f}"))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="a hundredth of everything: does it run?")
    arguments = parser.parse_args()
    try:
        if not raise_file_limit(10000):
            raise Failure("10,000 connections take as many files: ulimit -n")
        rows = measure_all(Places("free"), 100 if arguments.quick else 1)
    except Failure as failure:
        sys.exit(f"sizes.py: {failure}")
    print_table("Resident memory of the broker", ("", "number", "kB before", "kB with them", "bytes for each"), rows)


if __name__ == "__main__":
    main()
