"""Devices and applications for tests of the module device, on top of mqtt.py and harness.py.

A FakeDevice does what a test tells it, step by step: it takes a command, carries it out, answers it. It can also
serve on a thread of its own, and then be mute, late, doubled, out of order, or fail. It speaks MQTT 3.1, 3.1.1 and 5
over TCP, TLS and WebSockets, at any QoS, remembers one id or none, and counts what it has carried out.

An Application calls devices without waiting, and finds the reply to each call. A Watcher keeps events and retained
states.
"""
import collections
import json
import threading
import time

from harness import PLUGIN, SLOW, TIMEOUT, BrokerTest, Closed, encode, eventually, new_identity, payload_of
from mqtt import (CORRELATION_DATA, MESSAGE_EXPIRY, RESPONSE_TOPIC, USER_PROPERTY, Silence, property_of,
                  user_property_of)

GRACE = 300 * SLOW  # ms, what tests set device_grace to
SHORT = 500 * SLOW  # ms, a deadline that is meant to pass
QUIET = ("error", "warning", "notice", "information")  # kinds of log lines, for those who make many
FINAL = {"succeeded", "failed", "rejected", "expired", "timeout", "cancelled", "unknown"}


def lamp(command):
    """What a device of the kind lamp answers."""
    if command.cmd == "light":
        return {"on": command.params["on"], "brightness": command.params["brightness"]}
    return {"times": command.params["times"]} if command.cmd == "blink" else {"on": True, "brightness": 7}


def transport_of(broker, name):
    """The arguments of Client for one of "tcp", "tls", "websockets"."""
    return {"tcp": {}, "tls": {"port": broker.tls_port, "tls": True},
            "websockets": {"port": broker.websockets_port, "websocket": True}}[name]


# ---- Devices -----------------------------------------------------------------------------------

class Command:
    """A command as its device received it."""

    def __init__(self, message):
        body = json.loads(message.payload)
        self.message, self.body, self.topic, self.qos = message, body, message.topic, message.qos
        self.id, self.cmd, self.params = body.get("id"), body.get("cmd"), body.get("params")
        self.seq = user_property_of(message, "seq")
        self.expiry = property_of(message, MESSAGE_EXPIRY)

    def __repr__(self):
        return f"Command({self.body})"


class FakeDevice:
    """One device. come() connects it; after that it knows nothing but what the test does with it."""

    def __init__(self, test, broker, name="lamp1", version=4, transport="tcp", qos=1, root="cmd", client_id=None,
                 work=lambda command: {"did": command.cmd}, remembers=True, **how):
        self.test, self.broker, self.name, self.version, self.transport = test, broker, name, version, transport
        self.qos, self.base, self.client_id, self.how = qos, f"{root}/{name}", client_id or name, how
        self.work, self.remembers = work, remembers
        self.client, self.last, self.taken, self.done = None, None, [], []
        self.mute, self.late, self.doubled, self.reorder, self.fails = False, 0, False, 0, None
        self.thread, self.stopping, self.error = None, threading.Event(), None

    # -- there and away

    def connect(self):
        self.client = self.test.client(self.broker, self.version, client_id=self.client_id,
                                       **transport_of(self.broker, self.transport), **self.how)
        return self

    def listen(self):
        self.client.subscribe(f"{self.base}/req", qos=self.qos)
        return self

    def hello(self, **members):
        """Says hello, and waits until the broker has taken it."""
        self.publish("hello", json.dumps(members) if members else b"")
        return self

    def come(self, **members):
        return self.connect().listen().hello(**members)

    def publish(self, level, payload, properties=(), qos=None):
        """Publishes below its own topic. Returns the broker's reason code; the message was handled after it."""
        qos = self.qos if qos is None else qos
        code = self.client.publish(f"{self.base}/{level}", payload, qos=qos, properties=properties)
        if not qos:
            self.client.ping()
        return code

    def go(self):
        """Leaves with a DISCONNECT."""
        self.stop()
        self.client.disconnect()

    def vanish(self):
        """Ends the connection without one."""
        self.stop()
        self.client.reset()

    # -- commands, step by step

    def take(self, timeout=None):
        """The next command. Messages on other topics are a fault."""
        message = self.client.receive(timeout)
        assert message.topic == f"{self.base}/req", message
        command = Command(message)
        self.taken.append(command)
        return command

    def carry_out(self, command):
        """Acts, unless the command is the last one again; returns the result."""
        if not self.remembers or self.last is None or self.last[0] != command.id:
            self.done.append(command.id)
            self.last = command.id, self.work(command)
        return self.last[1]

    def answer(self, command, way="id", **members):
        """Answers with result=, error= or progress=. way: "id"; "correlation": a bare result (MQTT 5); "none": nothing
        says which command is answered."""
        members = members or {"result": self.carry_out(command)}
        if way == "correlation":
            return self.publish("resp", json.dumps(members["result"]), [(CORRELATION_DATA, command.id)])
        identity = {"id": command.id} if way == "id" else {}
        return self.publish("resp", json.dumps({**identity, **members}))

    def serve(self, count=1):
        """Takes and answers so many commands, and returns the last one."""
        for _ in range(count):
            command = self.take()
            self.answer(command)
        return command

    def expect_nothing(self, seconds=0.2):
        self.client.expect_nothing(seconds)

    def count(self, identity):
        """How many times a command came, and was carried out."""
        return sum(command.id == identity for command in self.taken), self.done.count(identity)

    # -- commands, on a thread

    def run(self):
        """Serves on a thread until stop(), go(), vanish() or the end of the connection; meanwhile the client is the
        thread's."""
        self.stopping.clear()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        self.test.addCleanup(self.stop)
        return self

    def stop(self):
        if self.thread:
            self.stopping.set()
            self.thread.join()
            self.thread = None
            assert self.error is None, self.error

    def _run(self):
        held = []
        while not self.stopping.is_set():
            try:
                held.append(self.take(0.05))
                if len(held) >= self.reorder:
                    while held:
                        self._respond(held.pop())
            except Silence:
                continue
            except (Closed, OSError):
                return
            except Exception as error:  # pylint: disable=broad-except
                self.error = error
                return

    def _respond(self, command):
        members = {"error": self.fails} if self.fails else {"result": self.carry_out(command)}
        if self.mute:
            return
        self.stopping.wait(self.late)
        for _ in range(2 if self.doubled else 1):
            self.answer(command, **members)


# ---- Applications ------------------------------------------------------------------------------

def user_properties(options):
    """timeout_ms=5 is the user property timeout-ms: 5."""
    return [(USER_PROPERTY, (name.replace("_", "-"), str(value))) for name, value in options.items()]


class Application:
    """An MQTT 5 client that calls; a reply belongs to a call by its Correlation Data."""

    def __init__(self, test, broker, prefix="rpc", **how):
        self.client, self.prefix = test.client(broker, 5, **how), prefix
        self.replies, self.progress = {}, collections.defaultdict(list)

    def send(self, method, params=b"", identity=None, qos=1, **options):
        """Calls, and does not wait for the reply. Returns the call's identity."""
        identity = identity or new_identity()
        self.code = self.client.publish(
            f"{self.prefix}/call/{method}", encode(params), qos=qos,
            properties=[(RESPONSE_TOPIC, "reply/to/me"), (CORRELATION_DATA, identity), *user_properties(options)])
        return identity

    def call(self, device, command, params=b"", **options):
        return self.send(f"device/{device}/{command}", params, **options)

    def group(self, group, command, params=b"", **options):
        return self.send(f"devices/{group}/{command}", params, **options)

    def _take(self, timeout):
        message = self.client.receive(timeout)
        assert message.topic == "reply/to/me", message
        identity = property_of(message, CORRELATION_DATA).decode()
        if user_property_of(message, "status") == "progress":
            self.progress[identity].append(payload_of(message))
        else:
            self.replies.setdefault(identity, []).append(message)

    def reply(self, identity, timeout=None):
        """The reply to a call, as a message."""
        deadline = time.monotonic() + (timeout or TIMEOUT)
        while not self.replies.get(identity):
            self._take(deadline - time.monotonic())
        return self.replies[identity].pop(0)

    def result(self, identity, timeout=None):
        reply = self.reply(identity, timeout)
        assert user_property_of(reply, "status") == "ok", reply
        return payload_of(reply)

    def error(self, identity, timeout=None):
        reply = self.reply(identity, timeout)
        error = payload_of(reply)
        assert user_property_of(reply, "status") == error["err"] != "ok", reply
        return error

    def is_waiting(self, identity):
        """Whether the call has no reply, after everything that was under way has come."""
        self.client.ping()
        while self.client.inbox:
            self._take(0)
        return not self.replies.get(identity)

    def method(self, name, params=b"", **options):
        """The result of a method that answers by itself."""
        return self.result(self.send(name, params, **options))

    def rows(self, name, params=b""):
        """The one list in the result of device.list, device.history or device.group.list."""
        result = self.method(name, params)
        if isinstance(result, list):
            return result
        lists = [value for value in result.values() if isinstance(value, list)]
        assert len(lists) == 1, result
        return lists[0]

    def status(self, device):
        return self.method("device.status", {"device": device})

    def history(self, device, limit=16):
        """The commands of a device by id."""
        return {row["id"]: row for row in self.rows("device.history", {"device": device, "limit": limit})}


class Watcher:
    """What is announced: events of commands, and states of devices. Waiting for one takes it off the list `unseen`, and
    leaves all in `seen`."""

    def __init__(self, test, broker, *filters, prefix="rpc", root="cmd", **how):
        self.client = test.client(broker, 5, **how)
        self.event, self.root = f"{prefix}/event/device/command", root
        self.seen, self.unseen = [], []
        # At QoS 0 the broker sends everything at once; else 20 messages at a time, and settle() would miss the rest.
        self.client.subscribe(*(filters or (self.event, f"{root}/+/status")), qos=0)

    def _take(self, timeout):
        message = self.client.receive(timeout)
        self.seen.append(message)
        self.unseen.append(message)

    def settle(self):
        """Takes what has come so far, without waiting for more."""
        self.client.ping()
        while self.client.inbox:
            self._take(0)
        return self

    def forget(self):
        self.settle()
        self.unseen.clear()

    def until(self, matches, timeout=None):
        """The first message that matches and was not waited for before."""
        deadline, looked = time.monotonic() + (timeout or TIMEOUT), 0
        while True:
            for message in self.unseen[looked:]:
                if matches(message):
                    self.unseen.remove(message)
                    return message
            looked = len(self.unseen)
            try:
                self._take(deadline - time.monotonic())
            except Silence:
                told = [(message.topic, message.payload) for message in self.unseen[-20:]]
                raise AssertionError(f"it was not announced; what was: {told}") from None

    def command(self, timeout=None, **members):
        """The event of a command with these members, e.g. state="sent"."""
        return payload_of(self.until(lambda message: message.topic == self.event and
                                     members.items() <= payload_of(message).items(), timeout))

    def status(self, device, state, timeout=None):
        """The retained state of a device once it is this one."""
        return payload_of(self.until(lambda message: message.topic == f"{self.root}/{device}/status" and
                                     message.payload and payload_of(message)["state"] == state, timeout))

    def events(self, **members):
        """All events of commands so far with these members."""
        found = [payload_of(message) for message in self.settle().seen if message.topic == self.event]
        return [event for event in found if members.items() <= event.items()]

    def states(self, identity):
        return [event["state"] for event in self.events(id=identity)]

    def statuses(self, device):
        """The states of a device so far."""
        return [payload_of(message)["state"] for message in self.settle().seen
                if message.topic == f"{self.root}/{device}/status" and message.payload]


# ---- Tests -------------------------------------------------------------------------------------

class DeviceTest(BrokerTest):
    """A test with a broker that has the shipped plugin, a short grace, and no database on the disk of others."""

    def begin(self, *options, **how):
        """Starts the broker; an option given here replaces the test's own."""
        own = [f"device_grace {GRACE}ms", "device_db {directory}/devices.db", "sensor_db :memory:"]
        given = {option.split()[0] for option in options}
        how.setdefault("plugin", PLUGIN)
        how["lines"] = ["set_tcp_nodelay true", *how.get("lines", ())]  # else many a step takes 40 ms
        self.broker = self.start([option for option in own if option.split()[0] not in given] + list(options), **how)
        return self.broker

    def device(self, name="lamp1", **how):
        return FakeDevice(self, self.broker, name, **how)

    def ready(self, name="lamp1", hello=None, **how):
        """A device that has said hello."""
        return self.device(name, **how).come(**(hello or {}))

    def app(self, **how):
        return Application(self, self.broker, **how)

    def watch(self, *filters, **how):
        return Watcher(self, self.broker, *filters, **how)

    def offline(self, name="lamp1", watcher=None, hello=None, **how):
        """A device that has said hello, and left more than the grace ago."""
        device = self.ready(name, hello, **how)
        self.leave(device, watcher)
        return device

    def leave(self, device, watcher=None):
        """Ends the connection of a managed device, and waits until it is offline."""
        watcher = watcher or self.watch()
        watcher.forget()
        device.go()
        watcher.status(device.name, "offline")

    def wait_for_disk(self, name):
        """Waits until a device is in the database: devices are written at most once a second."""
        def is_there():
            """SQLite adds and removes files beside the database at any time, also between the glob and the read."""
            try:
                return any(name.encode() in path.read_bytes() for path in self.broker.directory.glob("devices.db*"))
            except FileNotFoundError:
                return False
        eventually(is_there)

    def restart(self, kill=True):
        """The same broker once more, on the same ports and files."""
        self.broker.kill() if kill else self.broker.stop()
        self.broker.start()
