"""scripts/demo --stay, which leaves a broker running with the simulated plant of examples/console and with the console.

It takes what is built already, and ports that the test has chosen. Ctrl-C ends it."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest
import urllib.request

from harness import (INSTRUMENTED, MOSQUITTO, PLUGIN, ROOT, TIMEOUT, BrokerTest, ask, eventually, free_port, main,
                     release_port, result_of)
from mqtt import Client

BUILD = pathlib.Path(PLUGIN).parent
BUILT = {"mosquitto_rpc.so": PLUGIN, "lamp": os.environ.get("RPC_EXAMPLE_C", BUILD / "example_lamp"), "tool": BUILD / "tool",
         "reports.so": BUILD / "reports.so", "reports_worker": BUILD / "reports_worker",
         "reports_and_shipped.so": BUILD / "reports_and_shipped.so", "console": BUILD / "console"}


def members(session):
    """The processes of a session, but for zombies."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, owner = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # it has ended meanwhile
            continue
        if int(owner) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found


def fetch(address):
    with urllib.request.urlopen(address, timeout=TIMEOUT) as answer:
        return answer.read().decode()


@unittest.skipIf(INSTRUMENTED, "the demo starts its broker itself")
class Demo(BrokerTest):

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="rpc-demo-"))
        self.addCleanup(shutil.rmtree, self.folder)
        for name, place in BUILT.items():
            (self.folder / name).symlink_to(place)
        self.ports = [free_port() for _ in range(3)]
        for port in self.ports:
            self.addCleanup(release_port, port)

    def start_demo(self, *arguments):
        """Starts it, and waits for its last line."""
        (self.folder / "bin").mkdir()
        (self.folder / "bin/mosquitto").symlink_to(MOSQUITTO)
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        self.output = self.folder / "output"
        with open(self.output, "wb") as output:
            demo = subprocess.Popen([ROOT / "scripts/demo", *arguments, "--stay"], stdin=subprocess.DEVNULL, stdout=output,
                                    stderr=subprocess.STDOUT, start_new_session=True,
                                    env={**os.environ, "PATH": path, "TMPDIR": str(self.folder),
                                         "RPC_DEMO_BUILT": str(self.folder), "RPC_DEMO_PORTS": " ".join(map(str, self.ports))})
        self.addCleanup(demo.wait)
        self.addCleanup(lambda: [os.kill(process, signal.SIGKILL) for process in members(demo.pid)])
        last = re.compile(r"^(http://127\.0\.0\.1:.*|# There is no console.*)\n\Z", re.MULTILINE)
        eventually(lambda: last.search(self.output.read_text()) or demo.poll() is not None)
        self.assertIsNone(demo.poll(), self.output.read_text())
        return demo, last.search(self.output.read_text()).group(1)

    def interrupt(self, demo):
        """Ctrl-C, which reaches all processes of the terminal's foreground."""
        os.killpg(demo.pid, signal.SIGINT)
        self.assertEqual(demo.wait(TIMEOUT), 130)
        eventually(lambda: not members(demo.pid))
        self.assertEqual(list(self.folder.glob("tmp.*")), [])

    def open_page(self, address):
        """A client as the page is one: it finds the socket where the page looks for it."""
        if address.startswith("#"):
            self.assertFalse((BUILD / "console/console.html").exists(), address)
            return self.connect(self.ports[0])
        self.assertIn("<title>", fetch(address))
        self.assertEqual(address, f"http://127.0.0.1:{self.ports[1]}/console.html")
        told = json.loads(fetch(address.replace("console.html", "console.json")))["ws"]
        return self.connect(int(told.lstrip(":")), websocket="/")

    def connect(self, port, **how):
        client = Client(port, 5, timeout=TIMEOUT, **how)
        self.addCleanup(client.close)
        return client

    def check_plant(self, client):
        """Sensors report, devices come and go, and calls fail."""
        client.subscribe("rpc/event/sensorUpdated")
        seen = {}
        while len(seen) < 5 or min(map(len, seen.values())) < 2:
            reading = json.loads(client.receive().payload)
            seen.setdefault(reading["sensor_id"], set()).add(reading["value"])
            if "cellar" in seen:  # it reports every five seconds
                del seen["cellar"]
        caller = self.connect(self.ports[0])
        states = eventually(lambda: self.states(caller))
        self.assertLessEqual({"lamp-hall", "lamp-kitchen", "lamp-garden", "lamp-attic", "lamp-gate"}, set(states))
        eventually(lambda: [call for call in result_of(ask(caller, "rpc.recent"))["calls"]
                            if call["caller"].startswith("plant-") and
                            call["status"] in ("invalid_params", "unknown_sensor", "device_offline", "out_of_range")], pause=0.3)
        return caller

    @staticmethod
    def states(caller):
        """Of the devices, once one of the plant's is away and one is there."""
        states = {row["device"]: row["state"] for row in result_of(ask(caller, "device.list"))["devices"]}
        return states if states.get("lamp-gate") == "offline" and states.get("lamp-hall") == "ready" else None

    def test_calls(self):
        demo, address = self.start_demo()
        self.check_plant(self.open_page(address))
        self.interrupt(demo)

    def test_workers(self):
        demo, address = self.start_demo("workers")
        caller = self.check_plant(self.open_page(address))
        rows = result_of(ask(caller, "rpc.workers"))["workers"]
        self.assertEqual({row["id"] for row in rows}, {"one", "two"})
        eventually(lambda: all(row["calls"] for row in result_of(ask(caller, "rpc.workers"))["workers"]))
        self.interrupt(demo)


@unittest.skipUnless(shutil.which("mosquitto_rr"), "there is no mosquitto_rr")
class Plant(BrokerTest):
    """examples/console/plant at a broker of one's own."""

    def start_plant(self, broker, *arguments):
        plant = subprocess.Popen([ROOT / "examples/console/plant", "-p", str(broker.port), "-u", "plant", "--lamp",
                                  BUILT["lamp"], *arguments], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 start_new_session=True, env={**os.environ, "MQTT_PASSWORD": "secret"})
        self.addCleanup(plant.wait)
        self.addCleanup(lambda: [os.kill(process, signal.SIGKILL) for process in members(plant.pid)])
        return plant

    def test_its_end(self):
        """It ends by itself, when it is told to, or with its broker, and leaves no process behind."""
        broker = self.start(users={"plant": "secret"}, anonymous=False)
        client = self.client(broker, 5, username="plant", password="secret")
        for arguments, end, code in ((["--seconds", "2"], lambda plant: None, 0), ([], lambda plant: plant.terminate(), 143),
                                     ([], lambda plant: broker.stop(), 0)):
            plant = self.start_plant(broker, *arguments)
            eventually(lambda: "ready" in [row["state"] for row in result_of(ask(client, "device.list"))["devices"]])
            self.assertIsNone(plant.poll())
            end(plant)
            self.assertEqual(plant.wait(TIMEOUT), code)
            eventually(lambda: not members(plant.pid))


if __name__ == "__main__":
    main()
