"""Runs the devices and applications of examples/.

`Devices`: each device at a broker without the plugin, which the test plays: it sends the commands and reads the
answers. `Applications`: each application at such a broker, where the test plays the plugin, too. `Together`: the
applications command the devices through the plugin.

    RPC_EXAMPLE_C        the device of examples/devices/c
    RPC_EXAMPLE_ARDUINO  the device of examples/devices/arduino on doubles of its libraries, see arduino/
    RPC_PAHO_PYTHON      a Python that has paho-mqtt
"""
import json
import os
import pathlib
import re
import shlex
import signal
import ssl
import subprocess
import tempfile
import time

from harness import PLUGIN, ROOT, TIMEOUT, BrokerTest, ask, eventually, main, payload_of, result_of
from mqtt import (CORRELATION_DATA, RESPONSE_TOPIC, USER_PROPERTY, Silence, property_of, user_property_of)

C = os.environ.get("RPC_EXAMPLE_C")
ARDUINO = os.environ.get("RPC_EXAMPLE_ARDUINO")
PYTHON = os.environ.get("RPC_PAHO_PYTHON")

NAME, PASSWORD = "lamp1", "secret"
REQ, RESP, HELLO, ALIVE = f"cmd/{NAME}/req", f"cmd/{NAME}/resp", f"cmd/{NAME}/hello", f"alive/{NAME}"
COMMANDS = ["light", "blink", "getStatus"]
USERS = {NAME: PASSWORD, "plugin": "p"}
CERTIFICATE = pathlib.Path(__file__).with_name("certificate.pem")


# ---- What runs ---------------------------------------------------------------------------------

class Device:
    """A device as a process, which says on standard output what its lamp shows."""

    def __init__(self, command, path, **environment):
        self.path = path
        with open(path, "wb") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            env={**os.environ, **environment})

    def output(self):
        return self.path.read_text()

    def shown(self):
        """The percentages that the lamp has shown since the device was started."""
        return [int(line.split()[1]) for line in self.output().splitlines() if line.startswith("lamp ")]

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(TIMEOUT)


def start_python(test, broker, *options, port=None, user=False):
    command = [PYTHON, str(ROOT / "examples/devices/python/lamp.py"), "--host", "127.0.0.1",
               "--port", str(port or broker.port), *options, *(["--user", NAME] if user else [])]
    return Device(command, broker.directory / "device", MQTT_PASSWORD=PASSWORD)


def start_c(test, broker, user=False):
    command = [C, "127.0.0.1", str(broker.port), NAME, *([NAME] if user else [])]
    return Device(command, broker.directory / "device", MQTT_PASSWORD=PASSWORD)


def start_arduino(test, broker, user=False):
    return Device([ARDUINO], broker.directory / "device", BROKER_PORT=str(broker.port))  # it always logs in


KINDS = {"python": (start_python, PYTHON), "c": (start_c, C), "arduino": (start_arduino, ARDUINO)}


class ExampleTest(BrokerTest):
    def device(self, broker, kind, *options, **how):
        start, there = KINDS[kind]
        if not there:
            self.skipTest(f"the device {kind} cannot run here")
        device = start(self, broker, *options, **how)
        self.addCleanup(device.stop)
        return device


# ---- The devices -------------------------------------------------------------------------------

class Player:
    """Plays the plugin for one device."""

    def __init__(self, test, broker, **how):
        self.test, self.client = test, test.client(broker, **how)
        self.client.subscribe(RESP, HELLO, qos=1)

    def send(self, command, params=None, id=None):
        content = {"cmd": command, "params": {} if params is None else params}
        self.send_raw(json.dumps(content if id is None else {"id": id, **content}))

    def send_raw(self, payload):
        self.client.publish(REQ, payload, qos=1)

    def hello(self):
        message = self.client.receive()
        self.test.assertEqual((message.topic, message.retain), (HELLO, False), message)
        return payload_of(message)

    def answer(self, timeout=None):
        message = self.client.receive(timeout)
        self.test.assertEqual((message.topic, message.retain), (RESP, False), message)
        return payload_of(message)

    def ask(self, command, params=None, id="k7f3"):
        self.send(command, params, id)
        answer = self.answer()
        self.test.assertEqual(answer.pop("id"), id)
        return answer


class Devices:
    """The tests of one kind of device, at a broker without the plugin."""

    kind = None

    def begin(self, user=False, **how):
        self.broker = self.start(plugins=[], **how)
        self.player = Player(self, self.broker, **({"username": "plugin", "password": "p"} if user else {}))
        self.lamp = self.device(self.broker, self.kind, user=user)
        return self.player.hello()

    def cut(self, **how):
        """Takes the device's connection away. The device comes back."""
        self.client(self.broker, client_id=NAME, **how)

    def test_it_says_hello_when_it_listens(self):
        self.assertEqual(self.begin(), {"kind": "lamp", "once": True, "commands": COMMANDS})
        self.assertEqual(self.player.ask("getStatus"), {"result": {"on": False, "brightness": 100}})

    def test_it_carries_out_commands(self):
        self.begin()
        on = {"on": True, "brightness": 40}
        self.assertEqual(self.player.ask("light", on, "a"), {"result": on})
        self.assertEqual(self.player.ask("getStatus", id="b"), {"result": on})
        self.assertEqual(self.player.ask("light", {"on": True}, "c"), {"result": {"on": True, "brightness": 100}})
        self.assertEqual(self.player.ask("light", {"on": False}, "d"), {"result": {"on": False, "brightness": 100}})
        self.assertEqual(self.lamp.shown(), [40, 100, 0])

    def test_it_blinks_and_says_how_far_it_is(self):
        self.begin()
        self.player.send("blink", {"times": 3, "interval": 100}, "b")
        self.assertEqual([self.player.answer() for _ in range(3)],
                         [{"id": "b", "progress": {"done": 1, "times": 3}},
                          {"id": "b", "progress": {"done": 2, "times": 3}}, {"id": "b", "result": {"times": 3}}])
        self.assertEqual(self.lamp.shown()[:6], [100, 0] * 3)
        self.player.client.expect_nothing()

    def test_a_command_twice_is_carried_out_once(self):
        self.begin()
        first = self.player.ask("light", {"on": True, "brightness": 7}, "once")
        for _ in range(3):
            self.assertEqual(self.player.ask("light", {"on": True, "brightness": 7}, "once"), first)
        self.assertEqual(self.lamp.shown(), [7])
        self.assertEqual(self.player.ask("dance", id="twice"), self.player.ask("dance", id="twice"))

    def test_a_command_twice_while_it_is_carried_out(self):
        self.begin()
        self.player.ask("getStatus", id="a")
        for _ in range(2):
            self.player.send("blink", {"times": 2, "interval": 1000}, "b")
        answer = {}
        while "result" not in answer:
            answer = self.player.answer()
            self.assertEqual(answer["id"], "b")
        self.assertEqual(self.lamp.shown().count(100), 2)
        self.assertEqual(self.player.ask("blink", {"times": 2, "interval": 1000}, "b"), {"result": {"times": 2}})
        self.assertEqual(self.lamp.shown().count(100), 2)

    def test_a_command_twice_on_two_connections(self):
        self.begin()
        self.player.ask("light", {"on": True, "brightness": 8}, "before")
        self.cut()
        self.player.hello()
        self.assertEqual(self.player.ask("light", {"on": True, "brightness": 8}, "before"),
                         {"result": {"on": True, "brightness": 8}})
        self.assertEqual(self.lamp.shown(), [8])
        self.assertEqual(self.player.ask("light", {"on": False}, "after"), {"result": {"on": False, "brightness": 100}})

    def test_a_connection_cut_in_mid_command(self):
        self.begin()
        self.player.send("blink", {"times": 2, "interval": 1500}, "b")
        self.assertIn("progress", self.player.answer())
        self.cut()
        answer, deadline = None, time.monotonic() + TIMEOUT
        while "result" not in (answer or {}) and time.monotonic() < deadline:
            self.player.send("blink", {"times": 2, "interval": 1500}, "b")  # as the plugin does, for it said "once"
            try:
                answer = payload_of(self.player.client.receive(1))
            except Silence:
                pass
        self.assertEqual(answer, {"id": "b", "result": {"times": 2}})
        self.assertEqual(self.lamp.shown().count(100), 2)

    def test_a_broker_that_is_restarted(self):
        self.begin()
        self.player.ask("light", {"on": True, "brightness": 9}, "before")
        self.broker.kill()
        time.sleep(0.5)
        self.broker.start()
        self.player = Player(self, self.broker)
        answer, deadline = None, time.monotonic() + TIMEOUT
        while "result" not in (answer or {}) and time.monotonic() < deadline:
            self.player.send("light", {"on": True, "brightness": 9}, "before")
            try:
                answer = payload_of(self.player.client.receive(1))
            except Silence:
                pass
        self.assertEqual(answer, {"id": "before", "result": {"on": True, "brightness": 9}})
        self.assertEqual(self.lamp.shown(), [9])

    def test_a_newer_command_ends_blinking(self):
        self.begin()
        self.player.send("blink", {"times": 100, "interval": 2000}, "old")
        eventually(self.lamp.shown)
        self.player.send("light", {"on": True, "brightness": 30}, "new")
        old, new = self.player.answer(), self.player.answer()
        self.assertEqual((old["id"], old["error"]["err"]), ("old", "interrupted"))
        self.assertEqual(new, {"id": "new", "result": {"on": True, "brightness": 30}})

    def test_ids_of_every_kind(self):
        self.begin()
        for id in ("a", "0123456789abcdef0123456789abcdef0123", 7, "7", 'say "hi"\\', "ü"):
            self.assertEqual(self.player.ask("getStatus", id=id), {"result": {"on": False, "brightness": 100}}, id)

    def test_a_command_without_an_id(self):
        """It is carried out, as often as it comes, and not answered: nobody could tell what the answer is to."""
        self.begin()
        for _ in range(2):
            self.player.send("light", {"on": True, "brightness": 5})
        eventually(lambda: self.lamp.shown() == [5, 5])
        self.player.client.expect_nothing()
        self.assertEqual(self.player.ask("getStatus"), {"result": {"on": True, "brightness": 5}})

    def test_commands_that_it_refuses(self):
        self.begin()
        for number, (command, params) in enumerate((
                ("dance", {}), ("", {}), ("light", {}), ("light", {"on": 1}), ("light", {"on": "true"}), ("light", []),
                ("light", {"on": True, "brightness": 101}), ("light", {"on": True, "brightness": -1}),
                ("light", {"on": True, "brightness": 50.5}), ("light", {"on": True, "brightness": "50"}),
                ("light", {"on": True, "brightness": 1e30}), ("light", {"on": True, "brightness": True}),
                ("blink", {}), ("blink", {"times": 0}), ("blink", {"times": 101}),
                ("blink", {"times": 1, "interval": 0}), ("blink", {"times": 1, "interval": 1e9}))):
            error = self.player.ask(command, params, f"r{number}")["error"]
            self.assertEqual((error["err"], bool(error["msg"])), ("rejected", True), (command, params))
        self.assertEqual(self.player.ask("getStatus"), {"result": {"on": False, "brightness": 100}})
        self.assertEqual(self.lamp.shown(), [])

    def test_what_is_no_command(self):
        self.begin()
        for payload in ("", "null", "7", '"light"', "[]", "{", '{"id":"x"', "[" * 200, '{"id":' * 40, "\0\xff",
                        '{"cmd":"light"}', '{"cmd":7,"params":{"on":true}}', '{"cmd":"light","params":7}',
                        json.dumps({"id": "x" * 180, "cmd": "light"}), json.dumps({"cmd": "x" * 180}),
                        json.dumps({"id": {"a": [1]}, "cmd": "light", "params": 7})):
            self.player.send_raw(payload)
        self.player.client.ping()
        self.player.client.inbox.clear()
        self.player.send("getStatus", id="still")
        while (answer := self.player.answer())["id"] != "still":
            self.assertNotIn("result", answer)
        self.assertEqual(answer["result"], {"on": False, "brightness": 100})
        self.assertEqual(self.lamp.shown(), [])

    def test_a_command_of_200_bytes(self):
        """As large as the plugin sends by default; what is larger, a small client loses without a word."""
        self.begin()
        command = {"id": "k7f3", "cmd": "light", "params": {"on": True, "x": ""}}
        for size, answered in ((200, True), (5000, None), (200, True)):
            command["id"] = f"{size}-{answered}-{len(self.lamp.shown())}"
            command["params"]["x"] = "x" * (size - len(json.dumps({**command, "params": {"on": True, "x": ""}})))
            self.assertEqual(len(json.dumps(command)), size)
            self.player.send_raw(json.dumps(command))
            if answered or self.kind != "arduino":
                self.assertEqual(self.player.answer()["id"], command["id"])

    def test_its_heartbeat_and_its_last_will(self):
        self.begin()
        watcher = self.client(self.broker)
        watcher.subscribe(ALIVE, qos=1)
        self.player.send("blink", {"times": 100, "interval": 500}, "b")  # no command keeps it from its heartbeat
        self.assertEqual([watcher.receive().payload for _ in range(3)], [b"1"] * 3)
        self.lamp.stop(signal.SIGKILL)
        while (message := watcher.receive()).payload == b"1":
            pass
        self.assertEqual(message.payload, b"0")
        late = self.client(self.broker)
        late.subscribe(ALIVE, qos=1)
        message = late.receive()
        self.assertEqual((message.payload, message.retain), (b"0", True))

    def test_it_logs_in_and_keeps_to_its_own_topics(self):
        """The ACL of a device: it reads its commands, and writes its own answers, hello and heartbeat."""
        acl = ("user plugin\ntopic #\n"
               "pattern read cmd/%c/req\npattern write cmd/%c/resp\npattern write cmd/%c/hello\npattern write alive/%c\n")
        self.begin(user=True, users=USERS, anonymous=False, acl=acl)
        self.assertIn("result", self.player.ask("light", {"on": True}))
        self.cut(username=NAME, password=PASSWORD)
        self.player.hello()
        self.assertIn("result", self.player.ask("getStatus", id="again"))


class Pages(ExampleTest):
    """What the pages of examples/ say."""

    def test_the_ten_lines_of_the_arduino(self):
        page = (ROOT / "examples/devices/arduino/README.md").read_text()
        shown = re.search("```cpp\n(.*?)```", page, re.DOTALL).group(1)
        self.assertIn(shown, (ROOT / "examples/devices/arduino/lamp/lamp.ino").read_text())
        body = shown.strip().splitlines()[1:-1]
        self.assertLessEqual(len(body), 10)

    def test_the_command_that_compiles_the_device_in_c(self):
        page = (ROOT / "examples/devices/c/README.md").read_text()
        words = shlex.split(re.search(r"^ {4}(cc .*)$", page, re.MULTILINE).group(1))
        with tempfile.TemporaryDirectory() as folder:
            words[words.index("-o") + 1] = f"{folder}/lamp"
            done = subprocess.run(words, cwd=ROOT / "examples/devices/c", capture_output=True, text=True, timeout=60,
                                  check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class PythonDevice(Devices, ExampleTest):
    kind = "python"

    def test_over_tls_with_a_password(self):
        """A device with a heartbeat every two seconds and a last will, which connects again over TLS."""
        self.broker = self.start(plugins=[], tls=True, users=USERS, anonymous=False)
        login = {"username": "plugin", "password": "p"}
        self.player = Player(self, self.broker, **login)
        watcher = self.client(self.broker, **login)
        watcher.subscribe(ALIVE, qos=1)
        device = self.device(self.broker, self.kind, "--cafile", str(CERTIFICATE), port=self.broker.tls_port, user=True)
        self.player.hello()
        self.assertIn("result", self.player.ask("light", {"on": True}, "tls"))
        self.cut(username=NAME, password=PASSWORD)
        self.player.hello()
        self.assertIn("result", self.player.ask("light", {"on": True}, "tls"))
        self.assertEqual(device.shown(), [100])
        device.stop(signal.SIGKILL)
        heard = [watcher.receive().payload]
        while heard[-1] != b"0" or len(heard) < 3:
            heard.append(watcher.receive().payload)
        self.assertIn(b"1", heard)

    def test_a_certificate_that_it_does_not_trust(self):
        self.broker = self.start(plugins=[], tls=True)
        trusted = ssl.get_default_verify_paths().openssl_cafile
        trusted = trusted if os.path.exists(trusted) else "/etc/ssl/certs/ca-certificates.crt"
        if not os.path.exists(trusted):
            self.skipTest("there are no certificates to trust")
        device = self.device(self.broker, self.kind, "--cafile", trusted, port=self.broker.tls_port)
        eventually(lambda: device.output().count("CERTIFICATE_VERIFY_FAILED") > 1)  # and it goes on trying


class CDevice(Devices, ExampleTest):
    kind = "c"


class ArduinoDevice(Devices, ExampleTest):
    kind = "arduino"

    def test_it_leaves_the_heap_alone(self):
        self.begin()
        self.player.ask("light", {"on": True})
        self.player.send("blink", {"times": 2, "interval": 100}, "b")
        self.assertIn("progress", self.player.answer())
        self.assertIn("result", self.player.answer())
        self.player.send_raw("{")
        self.cut()
        self.player.hello()
        self.player.ask("dance", id="d")
        self.assertEqual(self.lamp.stop(), 0, self.lamp.output())
        self.assertEqual(self.lamp.output().splitlines()[-1], "heap 0")


# ---- The applications --------------------------------------------------------------------------

def python_application(broker, *words, user=None, cafile=None, port=None):
    return [PYTHON, str(ROOT / "examples/applications/python/devices.py"), "--host", "127.0.0.1",
            "--port", str(port or broker.port), *(["--user", user] if user else []),
            *(["--cafile", cafile] if cafile else []), *words]


def shell_application(broker, *words):
    return [str(ROOT / "examples/applications/shell/command"), *words, "-h", "127.0.0.1", "-p", str(broker.port)]


class ApplicationTest(ExampleTest):
    def launch(self, command):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, env={**os.environ, "MQTT_PASSWORD": "p"})
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def finish(self, process):
        """What it printed, what it complained of, and its exit status."""
        output, complaint = process.communicate(timeout=TIMEOUT)
        return output, complaint, process.returncode

    def run_application(self, command):
        return self.finish(self.launch(command))

    def applications(self, broker, *words):
        """The command lines that do the same with each application."""
        yield "shell", shell_application(broker, *words)
        if PYTHON:
            long = {"-g": "--group", "-o": "--offline", "-w": "--timeout"}
            yield "python", python_application(broker, *(long.get(word, word) for word in words))


class Applications(ApplicationTest):
    """The applications at a broker without the plugin, which the test plays."""

    def setUp(self):
        self.broker = self.start(plugins=[])
        self.player = self.client(self.broker, 5)
        self.player.subscribe("rpc/call/#")

    def reply(self, call, content, status):
        self.player.publish(property_of(call, RESPONSE_TOPIC), json.dumps(content), qos=1, properties=[
            (CORRELATION_DATA, property_of(call, CORRELATION_DATA)), (USER_PROPERTY, ("status", status))])

    def test_a_result(self):
        for name, command in self.applications(self.broker, NAME, "light", '{"on":true}'):
            for result in ({"on": True}, "a b", 7, None, [{}]):
                with self.subTest(application=name, result=result):
                    process = self.launch(command)
                    call = self.player.receive()
                    self.assertEqual((call.topic, call.qos, payload_of(call)),
                                     ("rpc/call/device/lamp1/light", 1, {"on": True}))
                    self.assertGreaterEqual(len(property_of(call, CORRELATION_DATA)), 16)
                    self.assertEqual(user_property_of(call, "timeout-ms"), "10000")
                    self.assertIsNone(user_property_of(call, "offline"))
                    self.reply(call, result, "ok")
                    output, complaint, status = self.finish(process)
                    self.assertEqual((json.loads(output), complaint, status), (result, "", 0))

    def test_an_error(self):
        error = {"method": "device/lamp1/light", "err": "device_offline", "msg": "lamp1 is gone", "device": NAME}
        for name, command in self.applications(self.broker, NAME, "light", "{}"):
            with self.subTest(application=name):
                process = self.launch(command)
                self.reply(self.player.receive(), error, "device_offline")
                output, complaint, status = self.finish(process)
                self.assertEqual((output, status), ("", 1))
                self.assertIn("device_offline", complaint)
                self.assertIn("lamp1 is gone", complaint)

    def test_options(self):
        for name, command in self.applications(self.broker, "-o", "queue", "-w", "3", NAME, "light", "{}"):
            with self.subTest(application=name):
                process = self.launch(command)
                call = self.player.receive()
                self.assertEqual((user_property_of(call, "offline"), user_property_of(call, "timeout-ms")),
                                 ("queue", "3000"))
                self.reply(call, {"queued": True, "id": "x"}, "ok")
                self.assertEqual(self.finish(process)[2], 0)

    def test_a_group(self):
        for name, command in self.applications(self.broker, "-g", "hall", "light", "{}"):
            with self.subTest(application=name):
                process = self.launch(command)
                call = self.player.receive()
                self.assertEqual(call.topic, "rpc/call/devices/hall/light")
                self.reply(call, {"total": 0}, "ok")
                self.assertEqual(json.loads(self.finish(process)[0]), {"total": 0})

    def test_no_reply(self):
        for name, command in self.applications(self.broker, "-w", "1", NAME, "light", "{}"):
            with self.subTest(application=name):
                output, complaint, status = self.run_application(command)
                self.assertEqual((output, status), ("", 2 if name == "shell" else 1))
                self.assertIn("no reply came", complaint)

    def test_no_broker(self):
        self.broker.stop()
        for name, command in self.applications(self.broker, "-w", "1", NAME, "light", "{}"):
            with self.subTest(application=name):
                output, complaint, status = self.run_application(command)
                self.assertEqual((output, status), ("", 2 if name == "shell" else 1))
                self.assertTrue(complaint)

    def start_python_application(self, *words):
        if not PYTHON:
            self.skipTest("there is no paho-mqtt")
        process = self.launch(python_application(self.broker, *words))
        call = self.player.receive()
        return process, call

    def test_progress(self):
        process, call = self.start_python_application(NAME, "blink", '{"times":2}')
        self.assertEqual(user_property_of(call, "progress"), "1")
        self.reply(call, {"done": 1, "times": 2}, "progress")
        self.reply(call, {"times": 2}, "ok")
        output, complaint, status = self.finish(process)
        self.assertEqual((json.loads(output), status), ({"times": 2}, 0))
        self.assertIn("'done': 1", complaint)

    def test_a_connection_cut_in_mid_call(self):
        """The reply waits in the application's session, and the call is not made twice."""
        process, call = self.start_python_application(NAME, "light", "{}")
        name = property_of(call, RESPONSE_TOPIC).removeprefix("reply/")
        self.client(self.broker, 5, client_id=name, clean=False).close()
        self.reply(call, {"on": True}, "ok")
        output, complaint, status = self.finish(process)
        self.assertEqual((json.loads(output), status), ({"on": True}, 0), complaint)
        self.player.expect_nothing()

    def test_many_calls_at_once(self):
        """Replies in another order than the calls."""
        if not PYTHON:
            self.skipTest("there is no paho-mqtt")
        script = ("import asyncio, sys\nfrom devices import Devices\n"
                  "async def main():\n"
                  "    async with Devices('127.0.0.1', int(sys.argv[1])) as devices:\n"
                  "        print(await asyncio.gather(*(devices.call(f'lamp{n}', 'light') for n in range(20))))\n"
                  "asyncio.run(main())\n")
        process = subprocess.Popen([PYTHON, "-c", script, str(self.broker.port)], stdout=subprocess.PIPE, text=True,
                                   cwd=ROOT / "examples/applications/python")
        self.addCleanup(process.stdout.close)
        calls = [self.player.receive() for _ in range(20)]
        for call in reversed(calls):
            self.reply(call, call.topic.split("/")[3], "ok")
        output, _ = process.communicate(timeout=TIMEOUT)
        self.assertEqual(json.loads(output.replace("'", '"')), [f"lamp{n}" for n in range(20)])

    def test_over_tls_with_a_password(self):
        if not PYTHON:
            self.skipTest("there is no paho-mqtt")
        broker = self.start(plugins=[], tls=True, users=USERS, anonymous=False)
        self.player = self.client(broker, 5, username=NAME, password=PASSWORD)
        self.player.subscribe("rpc/call/#")
        process = self.launch(python_application(broker, NAME, "light", user="plugin", cafile=str(CERTIFICATE),
                                                 port=broker.tls_port))
        self.reply(self.player.receive(), {"on": True}, "ok")
        self.assertEqual(self.finish(process)[2], 0)
        output, complaint, status = self.run_application(
            python_application(broker, NAME, "light", user="nobody", cafile=str(CERTIFICATE), port=broker.tls_port))
        self.assertEqual((output, status), ("", 1))
        self.assertIn("refused", complaint)


# ---- Both, with the plugin ---------------------------------------------------------------------

class Together(ApplicationTest):
    """The applications command the devices through the plugin."""

    DEVICE, GROUP = "device/{device}/{command}", "devices/{group}/{command}"

    def setUp(self):
        self.need(self.DEVICE)
        self.broker = self.start(plugin=PLUGIN)

    def need(self, method):
        if method not in self.methods():
            self.skipTest(f"the plugin has no method {method}")

    @classmethod
    def methods(cls):
        """The names of the plugin's methods. A broker of its own is asked, once."""
        if not hasattr(cls, "found"):
            test = BrokerTest()
            try:
                client = test.client(test.start(plugin=PLUGIN), 5)
                cls.found = [method["name"] for method in result_of(ask(client, "rpc.list"))["methods"]]
            finally:
                test.doCleanups()
        return cls.found

    def every_device(self):
        for kind, (_, there) in KINDS.items():
            if there:
                with self.subTest(device=kind):
                    watcher = self.client(self.broker)
                    watcher.subscribe(ALIVE, qos=1)
                    device = self.device(self.broker, kind)
                    while (message := watcher.receive()).retain or message.payload != b"1":
                        pass  # its first heartbeat comes after hello
                    yield kind, device
                    device.stop(signal.SIGKILL)

    def test_commands(self):
        for kind, device in self.every_device():
            for name, command in self.applications(self.broker, NAME, "light", '{"on":true,"brightness":40}'):
                output, complaint, status = self.run_application(command)
                self.assertEqual((output and json.loads(output), status), ({"on": True, "brightness": 40}, 0), complaint)
            self.assertEqual(device.shown(), [40] * (2 if PYTHON else 1))

    def test_progress(self):
        if not PYTHON:
            self.skipTest("there is no paho-mqtt")
        for kind, device in self.every_device():
            output, complaint, status = self.run_application(
                python_application(self.broker, NAME, "blink", '{"times":3,"interval":200}'))
            self.assertEqual((output and json.loads(output), status), ({"times": 3}, 0), complaint)
            self.assertEqual(complaint.count("progress"), 2)

    def test_errors(self):
        for kind, device in self.every_device():
            for name, command in self.applications(self.broker, NAME, "dance", "{}"):
                output, complaint, status = self.run_application(command)
                self.assertEqual((output, status), ("", 1))
                self.assertIn("device_rejected", complaint)
            self.assertEqual(device.shown(), [])

    def wait_until_offline(self):
        watcher = self.client(self.broker)
        watcher.subscribe(f"cmd/{NAME}/status")
        while payload_of(watcher.receive())["state"] != "offline":
            pass
        watcher.disconnect()

    def test_a_device_that_is_gone(self):
        for kind, device in self.every_device():
            device.stop(signal.SIGKILL)
            self.wait_until_offline()
            for name, command in self.applications(self.broker, NAME, "light", '{"on":true}'):
                output, complaint, status = self.run_application(command)
                self.assertEqual((output, status), ("", 1))
                self.assertIn("device_offline", complaint)

    def test_a_command_that_waits_for_its_device(self):
        for kind, device in self.every_device():
            device.stop(signal.SIGKILL)
            self.wait_until_offline()
            for percent, (name, command) in enumerate(self.applications(
                    self.broker, "-o", "queue", NAME, "light", '{"on":true,"brightness":40}'), start=40):
                output, complaint, status = self.run_application(command)
                self.assertEqual(json.loads(output)["queued"], True, complaint)
            back = self.device(self.broker, kind)
            eventually(lambda: back.shown() == [40] * (2 if PYTHON else 1))
            back.stop()

    def test_a_group_of_which_one_is_missing(self):
        self.need(self.GROUP)
        self.broker = self.start(["device_groups hall=lamp1,lamp2", "timeout 5s"], plugin=PLUGIN)
        for kind, device in self.every_device():
            commands = self.applications(self.broker, "-g", "hall", "light", '{"on":true}')
            for process in [self.launch(command) for _, command in commands]:  # at once: each waits for what is missing
                output, complaint, status = self.finish(process)
                self.assertTrue(output, complaint)
                verdict = json.loads(output)
                self.assertEqual((verdict["total"], verdict["ok"]), (2, 1), complaint)


if __name__ == "__main__":
    main()
