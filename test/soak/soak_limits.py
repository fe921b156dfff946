# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Limits: of the broker's memory, of the plugin's, of queues, of a client that does not read, of the disk."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

from soak import (LOG, MEGABYTE, PLUGIN, TEST_PLUGIN, Closed, Soak, Witness, ask, ask_by_id, eventually, has_settled,
                  history_of, main, new_identity, outcome_of, resident, result_of, size)
from mqtt import CORRELATION_DATA, RESPONSE_TOPIC

FAILING_HEAP = os.environ.get("RPC_FAILING_HEAP") or str(pathlib.Path(os.environ.get("RPC_BUILD", "build"),
                                                                        "libfailing_heap.so"))


# ---- The broker's memory ---------------------------------------------------------------------------

class BrokersMemory(Soak):

    LIMIT = 8 * MEGABYTE

    def test_memory_limit(self):
        """While the broker may not allocate, it loses replies; when it may again, all is as before."""
        broker = self.start(plugin=TEST_PLUGIN, log_types=LOG,
                            lines=[f"memory_limit {self.LIMIT}", "max_queued_messages 0", "max_inflight_messages 20"])
        caller, hoarder = self.client(broker), self.client(broker, auto_ack=False)
        hoarder.subscribe("hoard", qos=1)
        lost = answered = 0
        for _ in range(size(2, 50)):
            self.fill(broker)
            answered_now, lost_now = self.call_while_full(caller)
            answered, lost = answered + answered_now, lost + lost_now
            hoarder.disconnect()
            eventually(lambda: self.is_answered(caller))
            hoarder = self.client(broker, auto_ack=False)
            hoarder.subscribe("hoard", qos=1)
        self.figures(limit=self.LIMIT, answered_while_full=answered, lost_while_full=lost)
        self.assertGreater(lost, 0, "the limit was never reached")

    def fill(self, broker):
        """Publishes to the one that does not acknowledge, until the broker has no memory for more."""
        filler = self.client(broker)
        try:
            for _ in range(400):
                filler.publish("hoard", b"x" * 60_000, qos=0)
            filler.ping()
        except (Closed, OSError):
            pass
        filler.close()

    def call_while_full(self, caller):
        """Returns how many calls with large replies were answered, and how many were not."""
        answered, calls = 0, 100
        for _ in range(calls):
            caller.publish("rpc/call/probe.big", json.dumps({"size": 60_000, "request_id": new_identity()}), qos=0)
        caller.ping()
        while caller.inbox:
            caller.receive()
            answered += 1
        return answered, calls - answered

    @staticmethod
    def is_answered(caller):
        return "result" in ask_by_id(caller, "ping", {}, qos=0)


# ---- The plugin's memory ---------------------------------------------------------------------------

class PluginsMemory(Soak):

    METHODS = (("ping", {}), ("echo", {"a": [1, 2, {"b": "c" * 100}]}), ("updateSensor", {"sensor_id": "s", "value": 1}),
               ("slow.sleep", {"ms": 1}), ("rpc.list", {}), ("sensorHistory", {"sensor_id": "s"}), ("listSensors", {}),
               ("probe.count", {}), ("slow.alarm", {"ms": 5}))

    def test_failing_allocations(self):
        """Each call gets its result, an error, or, if there was no memory for that either, nothing; none is carried out
        twice, and nothing is left when memory is there again."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="rpc-heap-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.switch, self.told = folder / "one-in", folder / "live"
        for name, path in (("RPC_HEAP_FILE", self.switch), ("RPC_HEAP_LIVE", self.told)):
            os.environ[name] = str(path)
            self.addCleanup(os.environ.pop, name, None)
        # Tables that are full after the first round, so that what grows afterwards is lost.
        broker = self.start(["sys_interval 1s", "sensor_db :memory:", "sensor_keep_age 10s", "sensor_interval 0",
                             "duplicate_entries 500", "workers 4", "timeout 2s"], plugin=TEST_PLUGIN, log_types=LOG,
                            preload=FAILING_HEAP)
        clients, outcomes, live, calls = [self.client(broker) for _ in range(5)], {}, [], 0
        for one_in in size((7, 50, 7), (3, *(1000, 200, 50, 20, 7, 3) * 20)):
            self.switch.write_bytes(b"x" * one_in)
            calls += self.call(clients, outcomes)
            self.switch.unlink()
            for _ in range(300):  # by then it has looked whether the file is there
                clients[0].publish("rpc/call/echo", b"[1]")
            clients[0].ping()
            self.check_sound(clients[0])
            live.append(self.allocated(clients[0]))
        self.figures(calls=calls, **outcomes, allocated_first=live[0], allocated_last=live[-1], memory=resident(broker))
        self.assertGreater(outcomes.get("internal_error", 0), 0, "no allocation failed")
        self.check_flat(live[0], live[-1], MEGABYTE, "what the broker has allocated")
        eventually(lambda: has_settled(clients[0]))
        runs = ask_by_id(clients[0], "probe.runs", {})["result"]["runs"]
        self.assertLessEqual(runs, calls // len(self.METHODS) + len(live), "a call was carried out twice")

    def call(self, clients, outcomes):
        calls = 0
        for number in range(size(100, 400)):
            for client in clients:
                for method, params in self.METHODS:
                    client.publish(f"rpc/call/{method}", json.dumps({**params, "request_id": new_identity()}), qos=0)
                    calls += 1
            if number % 10 == 0:
                self.collect(clients, outcomes)
        time.sleep(3)  # by then those whose timer could not be started have timed out
        self.collect(clients, outcomes)
        return calls

    @staticmethod
    def collect(clients, outcomes):
        for client in clients:
            client.ping()
            while client.inbox:
                _, outcome = outcome_of(client)
                outcomes[outcome] = outcomes.get(outcome, 0) + 1

    def allocated(self, client):
        """How many bytes the broker has allocated, when what has ended is gone."""
        eventually(lambda: has_settled(client))
        self.told.write_bytes(b"")
        while not self.told.read_bytes():
            client.publish("rpc/call/echo", b"[1]")
            client.ping()
        return int(self.told.read_bytes())

    def check_sound(self, client):
        for method, params in self.METHODS:
            content = ask_by_id(client, method, params)
            self.assertIn("result", content, (method, content))


# ---- Queues ------------------------------------------------------------------------------------------

class FullQueues(Soak):

    CLIENTS, EACH = 5, 400

    def test_full_queues(self):
        """Each call has one outcome: a result, or overloaded."""
        broker = self.start(["sys_interval 1s", "workers 2", "max_pending 100", "duplicate_entries 200"], plugin=TEST_PLUGIN,
                            log_types=LOG, lines=["max_queued_messages 100000", "max_inflight_messages 1000"])
        witness = Witness(self.client(broker))
        outcomes, memory = {}, []
        for _ in range(size(3, 100)):
            clients = [self.client(broker) for _ in range(self.CLIENTS)]
            for number in range(self.EACH):
                for client in clients:
                    client.publish("rpc/call/slow.sleep", json.dumps({"ms": 1, "request_id": new_identity()}),
                                   qos=number % 2, wait=False)
            for client in clients:
                seen = set()
                for _ in range(self.EACH):
                    identity, outcome = outcome_of(client)
                    self.assertNotIn(identity, seen, "an outcome came twice")
                    seen.add(identity)
                    outcomes[outcome] = outcomes.get(outcome, 0) + 1
                client.expect_nothing(0.05)
                client.disconnect()
            memory.append(resident(broker))
        calls, longest = witness.end()
        self.figures(**outcomes, others_calls=calls, longest=f"{longest:.3f}", memory_first=memory[0], memory_last=memory[-1])
        self.assertLessEqual(set(outcomes), {"ok", "overloaded"})
        self.assertGreater(outcomes["overloaded"], 0, "the queue was never full")
        self.check_flat(memory[0], memory[-1], 4 * MEGABYTE)


# ---- A client that never reads -------------------------------------------------------------------------

class NeverReads(Soak):

    def test_never_reads(self):
        """Delivered to subscribers, its replies wait in its queue and nowhere else: see docs/operation.md."""
        broker = self.start(["sys_interval 1s", "reply_delivery subscribed"], plugin=PLUGIN, log_types=LOG,
                            lines=["max_queued_messages 100"])
        reader = self.client(broker, 5, client_id="reader")
        reader.subscribe("rpc/reply/reader/#")
        witness = Witness(reader, lambda client, _: result_of(ask(client, "ping", topic="rpc/reply/reader/here")))
        memory, calls, deaf = [], 0, self.deaf_client(broker)
        for _ in range(size(4, 400)):
            for _ in range(300):
                properties = [(RESPONSE_TOPIC, "rpc/reply/deaf/here"), (CORRELATION_DATA, new_identity())]
                try:
                    deaf.send(deaf.publish_packet("rpc/call/echo", json.dumps("x" * 30_000), entries=properties))
                    calls += 1
                except OSError:  # the broker does not read from it, either
                    deaf.close()
                    deaf = self.deaf_client(broker)
            memory.append(resident(broker))
        others, longest = witness.end()
        self.figures(calls=calls, others_calls=others, longest=f"{longest:.3f}", memory_first=memory[0],
                     memory_last=memory[-1])
        self.check_flat(0, max(memory), 64 * MEGABYTE)

    def deaf_client(self, broker):
        client = self.client(broker, 5, client_id="deaf")
        client.subscribe("rpc/reply/deaf/#", qos=1)
        client.timeout = 0.2
        return client


# ---- The disk ----------------------------------------------------------------------------------------

def mount(*arguments):
    return subprocess.run(["mount", *arguments], stderr=subprocess.DEVNULL, check=False).returncode == 0


class FullDisk(Soak):

    ROOM = "16m"

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="rpc-disk-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        if os.geteuid() != 0 or not mount("-t", "tmpfs", "-o", f"size={self.ROOM}", "none", str(self.folder)):
            raise unittest.SkipTest("only root can mount, and not in every container")
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.folder)], check=False)

    def test_full_disk(self):
        """A reading is confirmed if and only if it is on the disk, which is full from time to time."""
        broker = self.start([f"sensor_db {self.folder}/sensors.db", f"device_db {self.folder}/devices.db", "sensor_interval 0",
                             "sensor_keep_count 100000000"], plugin=PLUGIN, log_types=LOG)
        witness, client = Witness(self.client(broker)), self.client(broker)
        confirmed, failed, others, longest = set(), 0, 0, 0
        for number in range(size(2, 30)):
            confirmed, failed = self.report(client, confirmed, failed, 100)
            self.fill_disk()
            before = failed
            confirmed, failed = self.report(client, confirmed, failed, 20)
            self.assertGreater(failed, before, "the disk was not full")
            os.unlink(self.folder / "hog")
            eventually(lambda: "result" in ask_by_id(client, "updateSensor", self.next()))
            confirmed.add(self.number)
            calls, took = witness.end()
            others, longest = others + calls, max(longest, took)
            if number % 2:
                broker.stop()
                broker.start()
                client = self.client(broker)
            witness = Witness(self.client(broker))
        witness.end()
        stored = history_of(client, "s")
        self.figures(confirmed=len(confirmed), failed=failed, stored=len(stored), others_calls=others,
                     longest=f"{longest:.3f}")
        self.assertEqual(len(confirmed - set(stored)), 0, "confirmed readings are lost")
        self.assertEqual(len(stored) - len(set(stored)), 0, "readings are there twice")

    def fill_disk(self):
        hog = os.open(self.folder / "hog", os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(hog, b"x" * 4096)
        except OSError:
            os.close(hog)

    number = 0

    def next(self):
        self.number += 1
        return {"sensor_id": "s", "value": self.number}

    def report(self, client, confirmed, failed, count):
        for _ in range(count):
            content = ask_by_id(client, "updateSensor", self.next())
            if "result" in content:
                confirmed.add(self.number)
            else:
                self.assertEqual(content["error"]["err"], "storage_failed", content)
                failed += 1
        return confirmed, failed


if __name__ == "__main__":
    main()
