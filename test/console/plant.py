"""Something to look at: devices, a worker, readings, calls that failed, were slow, or hang."""
import json

from browser import ConsoleTest
from devices import FakeDevice
from harness import ask, payload_of
from mqtt import CORRELATION_DATA, RESPONSE_TOPIC

HOSTILE = '<img src=x onerror="window.hurt=1">'  # a name or a text that must stay one


def lamp(command):
    """What a lamp answers."""
    params = command.params or {}
    if command.cmd == "blink":
        return {"times": params.get("times", 1)}
    return {"on": params.get("on", True), "brightness": params.get("brightness", 100)}


class Plant:
    """A broker of a test with all of that. Its parts are members."""

    OPTIONS = "sensor_db :memory:", "sys_interval 1s", "workers_users crew", "device_call true", "max_reply 1m"

    def __init__(self, test, broker):
        self.test, self.broker = test, broker
        self.client = test.client(broker, 5, client_id="plant")

    def call(self, method, params=b""):
        return payload_of(ask(self.client, method, params))

    def fill(self):
        self.devices = [self.device(f"lamp{number}") for number in (1, 2, 3)]
        for name, value in (("roof", 21.5), ("cellar", 12.25), ("hall", 19)):
            self.call("updateSensor", {"sensor_id": name, "value": value})
        self.call("device.group.set", {"group": "hall", "devices": ["lamp1", "lamp2", "lamp3"]})
        for _ in range(3):
            self.call("updateSensor", {"sensor_id": "roof", "value": -500})
        self.call("device/lamp2/light", {"on": True})
        self.devices[2].vanish()
        self.call("slow.sleep", {"ms": 120})
        self.worker()
        return self

    def device(self, name):
        """A lamp that is there, and does what it is told."""
        return FakeDevice(self.test, self.broker, name, work=lamp).come(commands=["light", "blink", "getStatus"]).run()

    def worker(self, name="w1", method="text.count", doc="Counts the words of a text.", version="1.0"):
        """A worker that declares a method, and never answers."""
        client = self.test.client(self.broker, 5, client_id=name, username="crew", password="crew")
        declared = {"name": method, "doc": doc, "params": {"type": "object", "properties": {"text": {"type": "string", "description": doc}}}}
        reply = payload_of(ask(client, "rpc.attach", {"worker": name, "version": version, "window": 2, "declares": [declared]}))
        assert "work" in reply, reply
        return client

    def hang(self, seconds=30):
        """A call that is under way for so long."""
        self.client.publish("rpc/call/slow.sleep", json.dumps({"ms": seconds * 1000, "polite": True}), qos=1,
                            properties=[(RESPONSE_TOPIC, "x"), (CORRELATION_DATA, b"hangs")])


class RoomTest(ConsoleTest):
    """A test with a broker that has something to show."""

    def setUp(self):
        super().setUp()
        self.broker = self.make([*Plant.OPTIONS], users={"crew": "crew"}).start()
        self.plant = Plant(self, self.broker).fill()

    def visit(self, room, **how):
        self.open(self.broker, room, **how)
        self.page.wait(role="heading", name=room)
