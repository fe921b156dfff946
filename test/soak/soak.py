# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What the faults share: how long they go on, their figures, and a watch that nothing is lost or leaks.

Each soak_*.py makes one kind of fault in a real broker under load, prints figures and fails if a call was lost or
carried out twice, if memory or descriptors grew, or if the broker ended. scripts/soak runs them.

    RPC_SOAK   long: minutes each; else short, some seconds each
"""
import json
import os
import pathlib
import re
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "broker"))
from harness import (PLUGIN, TEST_PLUGIN, TIMEOUT, BrokerTest, Closed, ask, ask_by_id, eventually, main,  # noqa: E402,F401
                     new_identity, result_of)

LONG = os.environ.get("RPC_SOAK") == "long"
MEGABYTE = 1 << 20
LOG = ("error", "warning", "notice", "information")  # what brokers of this folder log


def size(short, long):
    return long if LONG else short


def resident(broker):
    """The broker's resident memory, bytes."""
    status = pathlib.Path(f"/proc/{broker.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s*(\d+)", status)[1]) * 1024


def descriptors(broker):
    return len(os.listdir(f"/proc/{broker.process.pid}/fd"))


def ping_by_id(client, number):
    reply = ask_by_id(client, "ping", {}, qos=number % 3)
    assert "result" in reply, reply


class Witness(threading.Thread):
    """A client that calls all the time and has nothing to do with the fault: each of its calls is answered. call(client,
    number) makes one call and checks its reply."""

    def __init__(self, client, call=ping_by_id, pause=0.002):
        super().__init__(daemon=True)
        self.client, self.call, self.pause = client, call, pause
        self.over, self.error, self.times = threading.Event(), None, []
        self.start()

    def run(self):
        try:
            while not self.over.is_set():
                began = time.monotonic()
                self.call(self.client, len(self.times))
                self.times.append(time.monotonic() - began)
                time.sleep(self.pause)
        except (AssertionError, OSError) as error:
            self.error = error

    def end(self):
        """Returns how many calls it made and the longest that one took, in seconds."""
        self.over.set()
        self.join(TIMEOUT)
        if self.error:
            raise AssertionError("a client that had nothing to do with it was not answered") from self.error
        assert self.times, "the witness made no call"
        return len(self.times), max(self.times)


class Soak(BrokerTest):

    def setUp(self):
        self.began = time.monotonic()

    def figures(self, **figures):
        """Prints what was measured, as name=value."""
        figures["seconds"] = round(time.monotonic() - self.began, 1)
        print(f"    {type(self).__name__}: " + ", ".join(f"{name} {value}" for name, value in figures.items()),
              flush=True)

    def check_flat(self, before, after, margin, what="the broker's memory"):
        self.assertLessEqual(after - before, margin, f"{what} grew from {before} to {after}")


def has_settled(client):
    """Whether every call of the module `slow` that became pending has ended."""
    stats = ask_by_id(client, "slow.stats", {})["result"]
    return stats["started"] == stats["dones"]


def history_of(client, sensor):
    """The values of all readings of a sensor, of all pages."""
    values, after = [], {}
    while after is not None:
        page = ask_by_id(client, "sensorHistory", {"sensor_id": sensor, "limit": 1000, **after})["result"]
        values += [reading["value"] for reading in page["readings"]]
        after = page["next"] and {"after": page["next"]}
    return values


def outcome_of(client):
    """The next reply to a request_id: (request_id, "ok" or the error's code)."""
    message = client.receive()
    content = json.loads(message.payload)
    return content["request_id"], content["error"]["err"] if "error" in content else "ok"
