# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Ends: of the broker by kill -9, of connections in the middle of packets, and of a thousand clients at any moment."""
import json
import random
import socket
import struct
import threading
import time

from soak import (LOG, MEGABYTE, PLUGIN, TEST_PLUGIN, Closed, Soak, Witness, ask_by_id, descriptors, eventually,
                  has_settled, history_of, main, new_identity, outcome_of, resident, size)
from mqtt import (CONNECT, CORRELATION_DATA, PUBACK, PUBLISH, PUBREC, PUBREL, RESPONSE_TOPIC, SUBSCRIBE, Client,
                  Silence, data, packet)

# ---- The broker is killed ------------------------------------------------------------------------

KILLS = size(5, 200)
REPORTERS = 4
AT_ONCE = 20  # readings of one reporter that are not confirmed


class Reporter:
    """Reports readings of one sensor with their times, each again and again until it is confirmed, over all brokers."""

    def __init__(self, name):
        self.name, self.open, self.confirmed, self.sent = name, {}, set(), 0
        self.first = time.time() - 3600
        self.error, self.client = None, None

    def follow(self, client):
        self.client = client
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            for identity, reading in self.open.items():  # those that the last broker did not confirm
                self.send(identity, reading)
            while True:
                while len(self.open) < AT_ONCE:
                    self.sent += 1
                    self.open[new_identity()] = {"sensor_id": self.name, "value": self.sent,
                                                 "time": self.first + self.sent / 1000}
                    self.send(*list(self.open.items())[-1])
                self.take()
        except (Closed, OSError):
            pass  # the broker has been killed
        except Exception as error:  # pylint: disable=broad-except
            self.error = error
        finally:
            self.client.close()

    def send(self, identity, reading):
        self.client.publish("rpc/call/updateSensor", json.dumps({**reading, "request_id": identity}), qos=1, wait=False)

    def take(self):
        identity, outcome = outcome_of(self.client)
        assert outcome == "ok", outcome
        reading = self.open.pop(identity, None)
        if reading:
            self.confirmed.add(reading["value"])


class Killed(Soak):

    def test_kills(self):
        """Nothing that was confirmed is lost, and nothing is there twice."""
        broker = self.make(["sensor_db {directory}/sensors.db", "sensor_keep_age 24h", "sensor_keep_count 10000000",
                            "sensor_interval 0"],
                           plugin=PLUGIN, log_types=LOG, persistence=True)
        reporters = [Reporter(f"s{number}") for number in range(REPORTERS)]
        for _ in range(KILLS):
            broker.start()
            for reporter in reporters:
                reporter.follow(Client(broker.port, client_id=reporter.name, clean=False))
            time.sleep(random.uniform(0.05, 1.0))
            broker.kill()
            for reporter in reporters:
                reporter.thread.join()
                if reporter.error:
                    raise reporter.error
        broker.start()
        client = self.client(broker)
        stored = {reporter.name: history_of(client, reporter.name) for reporter in reporters}
        confirmed = sum(len(reporter.confirmed) for reporter in reporters)
        self.figures(kills=KILLS, confirmed=confirmed, stored=sum(map(len, stored.values())))
        for reporter in reporters:
            values = stored[reporter.name]
            self.assertEqual(len(values) - len(set(values)), 0, "readings are there twice")
            self.assertEqual(len(reporter.confirmed - set(values)), 0, "confirmed readings are lost")
        self.assertGreater(confirmed, KILLS)


# ---- Connections are cut ---------------------------------------------------------------------------

class Cut(Soak):
    """A call whose connection is cut at each byte that its client sends, and after each packet that it gets, and which
    is then sent again with the same identity: its handler runs once, and its caller gets its reply."""

    def test_cuts(self):
        self.broker = self.start(["sys_interval 0"], plugin=TEST_PLUGIN, log_types=LOG)
        self.runs = self.cuts = 0
        for _ in range(size(1, 20)):
            for version in (4, 5):
                for qos in (1, 2):
                    for at in range(0, len(self.packet_of(version, qos, b"x" * 16)) + 1, size(3, 1)):
                        self.cut_while_sending(version, qos, at)
                    for packets in range(1, 4):
                        self.cut_while_receiving(version, qos, packets)
        counter = self.client(self.broker)
        content = ask_by_id(counter, "probe.runs", {})
        self.figures(cuts=self.cuts, calls=self.runs, carried_out=content["result"]["runs"])
        self.assertEqual(content["result"]["runs"], self.runs)

    @staticmethod
    def message_of(version, identity):
        if version == 5:
            return b"{}", [(RESPONSE_TOPIC, "r"), (CORRELATION_DATA, identity)]
        return json.dumps({"request_id": identity.decode()}).encode(), ()

    def packet_of(self, version, qos, identity, dup=False):
        payload, entries = self.message_of(version, identity)
        fake = Client.__new__(Client)
        fake.version = version
        return Client.publish_packet(fake, "rpc/call/probe.count", payload, qos, dup=dup, mid=1, entries=entries)

    def again(self, name, version, qos, identity):
        """The same call on a new connection of the same session, until there is a reply."""
        client = Client(self.broker.port, version, client_id=name, clean=False)
        try:
            client.send(self.packet_of(version, qos, identity, dup=client.session_present))
            if qos == 2:
                client.wait_ack(PUBREC, 1)
                client.release(1)
            else:
                client.wait_ack(PUBACK, 1)
            client.receive()
        finally:
            client.disconnect()
        self.runs += 1
        self.cuts += 1

    def cut_while_sending(self, version, qos, at):
        name, identity = f"cut-{random.randrange(1 << 48):x}", new_identity().encode()
        client = Client(self.broker.port, version, client_id=name, clean=False)
        client.send(self.packet_of(version, qos, identity)[:at])
        client.reset()
        self.again(name, version, qos, identity)

    def cut_while_receiving(self, version, qos, packets):
        name, identity = f"cut-{random.randrange(1 << 48):x}", new_identity().encode()
        client = Client(self.broker.port, version, client_id=name, clean=False)
        client.send(self.packet_of(version, qos, identity))
        try:
            for _ in range(packets):
                found = client.read(timeout=0.3)
                if found.kind == PUBREC:
                    client.acknowledge(PUBREL, 1)
        except Silence:
            pass  # there are not so many
        client.reset()
        self.again(name, version, qos, identity)


# ---- Clients come and vanish -----------------------------------------------------------------------

CLIENTS = size(200, 1000)
SECONDS = size(10, 600)


class Vanisher:
    """A client that connects, calls at once, and is gone at any moment, in any way."""

    calls = (("ping", {}), ("slow.sleep", {"ms": 20}), ("probe.count", {}), ("slow.wait", {"name": "never"}),
             ("updateSensor", {"sensor_id": "gone", "value": 1}))

    def __init__(self, port, number):
        self.port, self.number, self.sock = port, number, None

    def come(self):
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect_ex(("127.0.0.1", self.port))
        clean = random.randrange(2)
        self.out = packet(CONNECT, 0, data("MQTT") + struct.pack("!BBH", 4, 2 * clean, 60) + data(f"v{self.number}"))
        if random.randrange(2):
            self.out += packet(SUBSCRIBE, 2, struct.pack("!H", 9) + data("rpc/event/#") + b"\x01")
        for mid in range(1, random.randrange(2, 6)):
            method, params = random.choice(self.calls)
            qos = random.randrange(3)
            body = data(f"rpc/call/{method}") + (struct.pack("!H", mid) if qos else b"")
            body += json.dumps({**params, "request_id": f"{self.number}-{mid}"}).encode()
            self.out += packet(PUBLISH, qos << 1, body)

    def push(self):
        if self.out:
            try:
                sent = self.sock.send(self.out[:random.randrange(1, len(self.out) + 1)])
                self.out = self.out[sent:]
            except BlockingIOError:
                pass

    def vanish(self):
        how = random.randrange(3)
        if how == 0:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how == 1:
            try:
                self.sock.send(b"\xe0\0")
            except OSError:
                pass
        self.sock.close()
        self.sock = None

    def step(self):
        try:
            if not self.sock:
                self.come()
            elif random.randrange(3):
                self.push()
            else:
                self.vanish()
                return 1
        except OSError:
            self.sock.close()
            self.sock = None
        return 0


class Vanishing(Soak):

    def test_vanishing(self):
        """Their calls hold nothing once they are gone, and nobody else notices."""
        broker = self.start(["sys_interval 1s", "sensor_db :memory:", "sensor_interval 0"], plugin=TEST_PLUGIN,
                            log_types=LOG, lines=["persistent_client_expiration 1h"])
        witness = Witness(self.client(broker))
        crowd = [Vanisher(broker.port, number) for number in range(CLIENTS)]
        gone, figures = 0, []
        for part in range(4):  # memory that is allocated once is there after the first quarter
            until = time.monotonic() + SECONDS / 4
            while time.monotonic() < until:
                gone += sum(random.choice(crowd).step() for _ in range(200))
            for client in crowd:
                if client.sock:
                    client.vanish()
            eventually(lambda: descriptors(broker) < 60, pause=0.2)
            figures.append(resident(broker))
        calls, longest = witness.end()
        self.figures(clients=CLIENTS, vanished=gone, others_calls=calls, longest=f"{longest:.3f}", memory_quarters=figures)
        self.check_flat(figures[1], figures[3], 6 * MEGABYTE)
        self.assertGreater(gone, CLIENTS)
        client = self.client(broker)
        eventually(lambda: has_settled(client))


if __name__ == "__main__":
    main()
