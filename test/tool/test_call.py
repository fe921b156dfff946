# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""mosquitto_rpc: list, describe and call; its options, its exit status, and what it does with hostile text."""
import concurrent.futures
import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time

from harness import TIMEOUT, BrokerTest, eventually, main
from tool import TOOL, call, environment, on_terminal, tool

CERTIFICATE = str(pathlib.Path(__file__).resolve().parents[1] / "broker/certificate.pem")


class ToolTest(BrokerTest):

    def assert_done(self, done, code, out=None, err=None):
        self.assertEqual(done.code, code, done)
        if out is not None:
            self.assertEqual(done.out, out, done)
        if err is not None:
            self.assertRegex(done.err, err)


class Calls(ToolTest):

    def setUp(self):
        super().setUp()
        self.broker = self.start(["sensor_db {directory}/sensors.db"])

    def test_types_from_the_service(self):
        self.assertEqual(call(self.broker, "call", "updateSensor", "sensor_id=12", "value=25.5"),
                         {"sensor_id": "12", "value": 25.5, "ok": True})
        params = ["place.lat=1.50", "place.label=5", "values=[1,2]", "tags=[\"a\"]", "offset=null"]
        result = call(self.broker, "call", "probe.nested", *params)
        self.assertEqual(result["place"], {"lat": 1.5, "lon": 0, "label": "5"})
        self.assertEqual((result["values"], result["tags"], result["offset"]), ([1, 2], ["a"], None))
        self.assertEqual(call(self.broker, "call", "probe.value", "41"), 42)
        self.assertEqual(call(self.broker, "call", "slow.sleep", "ms=1", "polite=true")["wanted"], True)

    def test_calls_that_cannot_be_made(self):
        """The message names the one thing that is wrong."""
        old = ["-V", "311"]
        for words, why in ((["call", "a/+/b", "--params", "{}"], "a/\\+/b cannot be called: the name of a method is levels"),
                           (["call", "", "--params", "{}"], '"" cannot be called: the name of a method is levels'),
                           (["call", "x" * 1200, "--params", "{}"], "the name of"),
                           (["call", "echo", "a=1", "--traceparent", "a b"], "cannot be called: the traceparent must be"),
                           ([*old, "call", "echo", "--params", "[1]"], "cannot be called: with MQTT 3.1.1 the parameters are an object"),
                           ([*old, "call", "device/a/light", "on=true", "--offline", "wait"],
                            "cannot be called: MQTT 3.1.1 has no user properties")):
            with self.subTest(words):
                done = tool(self.broker, *words)
                self.assert_done(done, 2, "", f"mosquitto_rpc: .*{why}[^;]*$")
                self.assertNotIn("the call cannot be made", done.err)

    def test_wrong_types(self):
        for words, why in ((["sensor_id=a", "value=warm"], "value must be a number, not warm"),
                           (["sensor_id=a", "value=1 2"], "value must be a number, not 1 2"),
                           (["sensor_id=a", "value="], "value must be a number"),
                           (["sensor_id=a", "valu=1"], "no parameter valu, did you mean value\\?"),
                           (["sensor_id=a", "zzz=1"], "has no parameter zzz$"),
                           (["sensor_id=a", "value:=x"], "value must be JSON, not x"),
                           (["sensor_id=a", "sensor_id=b"], "sensor_id is given twice"),
                           (["=1"], "is no parameter"), (["sensor_id"], "is no parameter"),
                           (["sensor_id=a", "value=@/nonexistent"], "/nonexistent: No such file")):
            with self.subTest(words):
                self.assert_done(tool(self.broker, "call", "updateSensor", *words), 2, "", f"(?m){why}")
        self.assert_done(tool(self.broker, "call", "probe.nested", "place.lat=1", "place=5"), 2, "", "place")
        self.assert_done(tool(self.broker, "call", "probe.nested", "place={}", "place.lat=5"), 2, "", "twice")

    def test_numbers_stay_as_they_are_written(self):
        for number in ("12345678901234567890", "-9007199254740993"):
            for words in ([f"a={number}"], ["--params", f'{{"a":{number}}}']):
                self.assertEqual(tool(self.broker, "call", "echo", *words).out, f'{{"a":{number}}}\n')

    def test_any_json(self):
        self.assertEqual(call(self.broker, "call", "echo", "5"), 5)
        self.assertEqual(call(self.broker, "call", "echo", "five"), "five")
        self.assertEqual(call(self.broker, "call", "echo", "[1]"), [1])
        self.assertEqual(call(self.broker, "call", "echo", "a=1", "b=x", "c.d=true", "e:=\"5\""),
                         {"a": 1, "b": "x", "c": {"d": True}, "e": "5"})

    def test_json_and_input(self):
        self.assertEqual(call(self.broker, "call", "echo", "--params", '{"a":1}'), {"a": 1})
        self.assertEqual(call(self.broker, "call", "echo", "--params", "-", text='{"a":1}'), {"a": 1})
        self.assertEqual(call(self.broker, "call", "echo", "-", text='{"a":1}'), {"a": 1})
        self.assertEqual(call(self.broker, "call", "echo", text='{"a":1}'), {"a": 1})
        self.assertEqual(call(self.broker, "call", "echo", "b=2", "--params", ' { "a":1.00}'), {"a": 1, "b": 2})
        self.assertEqual(call(self.broker, "call", "echo", "b=2", "--params", "{ }"), {"b": 2})
        self.assertEqual(call(self.broker, "call", "echo", '{"a":1}'), {"a": 1})
        self.assertEqual(call(self.broker, "call", "updateSensor", '{"sensor_id":"a","value":1}')["ok"], True)
        self.assert_done(tool(self.broker, "call", "echo", "a=2", "--params", '{"a":1}'), 2, "", "given twice")
        self.assert_done(tool(self.broker, "call", "echo", "a=2", "--params", "5"), 2, "", "must be an object")
        self.assert_done(tool(self.broker, "call", "echo", "--params", "{"), 1, "", "parse_error")

    def test_input_that_is_not_for_it(self):
        """A method without required parameters reads no input, as in a loop of a shell."""
        with subprocess.Popen([TOOL, "-h", "127.0.0.1", "-p", str(self.broker.port), "call", "getTime"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()) as process:
            self.assertIn(b"unix", process.stdout.read())
            process.stdin.close()

    def test_files(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"25.5")
            file.flush()
            self.assertEqual(call(self.broker, "call", "updateSensor", "sensor_id=@@x", f"value=@{file.name}")["sensor_id"],
                             "@x")
            self.assertEqual(call(self.broker, "call", "probe.bytes", f"@{file.name}"), {"size": 4})
        self.assertEqual(call(self.broker, "call", "probe.bytes", "a=b c"), {"size": 5})
        self.assertEqual(call(self.broker, "call", "probe.bytes", text="\x01\x02"), {"size": 2})

    def test_batches(self):
        expected = [{"result": {"a": 1}}, {"result": {"a": 2}}]
        for text in ('[{"a":1},{"a":2}]', '{"a":1}\n{"a":2}\n', '{"a":1}{"a":2}'):
            self.assertEqual(call(self.broker, "call", "echo", "--batch", text=text), expected)
        self.assertEqual(call(self.broker, "call", "echo", "--batch", text="1 2[3]"),
                         [{"result": 1}, {"result": 2}, {"result": [3]}])
        self.assertEqual(call(self.broker, "call", "echo", "--batch", text=""), [])
        done = tool(self.broker, "call", "updateSensor", "--batch", text='[{"sensor_id":"a","value":1},{}]')
        self.assertEqual((done.code, json.loads(done.out)[1]["error"]["err"]), (1, "invalid_params"))
        self.assert_done(tool(self.broker, "call", "echo", "--batch", text="1 x"), 2, "", "value 2 of the batch")
        self.assert_done(tool(self.broker, "call", "echo", "--batch", "a=1", text=""), 2, "", "--batch takes")

    def test_errors(self):
        done = tool(self.broker, "call", "getSensor", "sensor_id=none")
        self.assert_done(done, 1, "", "getSensor: unknown_sensor: no reading")
        self.assertIn('{"sensor_id":"none"}', done.err)
        done = tool(self.broker, "call", "getSensor", "sensor_id=none", "--json")
        self.assertEqual(json.loads(done.err)["err"], "unknown_sensor")
        self.assert_done(tool(self.broker, "call", "getSensr"), 1, "", "did you mean getSensor")
        self.assert_done(tool(self.broker, "call", "get+"), 2, "", "cannot be called")
        self.assert_done(tool(self.broker, "call", "getSensor", "sensor_id=none", "--quiet"), 1, "", "^$")

    def test_time_limits(self):
        self.assert_done(tool(self.broker, "-W", "2", "call", "slow.wait", "name=n"), 4, "", "timeout")
        self.assert_done(tool(self.broker, "-W", "2", "--prefix", "none", "call", "echo"), 4, "", "prefix none")

    def test_the_whole_time(self):
        """Commands that ask the service first take no longer than others, where nobody answers."""
        broker = self.start(plugins=[])

        def run(*words):
            begun = time.monotonic()
            self.assert_done(tool(broker, "-W", "3", *words), 4, "", "no reply within 3 s")
            return time.monotonic() - begun

        with concurrent.futures.ThreadPoolExecutor() as pool:
            for took in pool.map(run, *zip(("call", "x", "a=1"), ("-V311", "call", "x"), ("command", "lamp1", "light"))):
                self.assertGreater(took, 2.5)
                self.assertLess(took, 7)  # they took 8 s

    def test_3_1_1(self):
        self.assertEqual(call(self.broker, "-V", "311", "call", "updateSensor", "sensor_id=a", "value=1")["ok"], True)
        self.assertEqual(call(self.broker, "-V", "mqttv311", "call", "echo", "--batch", text="1 2"),
                         [{"result": 1}, {"result": 2}])
        self.assert_done(tool(self.broker, "-V", "311", "call", "echo", "5"), 2, "", "3.1.1 the parameters are an object")

    def test_commands_of_devices(self):
        """The kind of the device is told by the parameters."""
        done = tool(self.broker, "call", "device/x/light", "on=true")
        self.assert_done(done, 1, "", "device_unknown")
        self.assert_done(tool(self.broker, "call", "device/x/light", "level=high"), 2, "", "level must be a whole number")


class Descriptions(ToolTest):

    def setUp(self):
        super().setUp()
        self.broker = self.start()

    def test_list(self):
        names = [row["name"] for row in call(self.broker, "list")["methods"]]
        self.assertIn("updateSensor", names)
        found = call(self.broker, "list", "SENSOR")
        self.assertIn("sensorHistory", [row["name"] for row in found["methods"]])
        self.assertNotIn("echo", [row["name"] for row in found["methods"]])
        none = call(self.broker, "list", "no such word")
        self.assertEqual({name: none[name] for name in ("methods", "events", "devices")},
                         {"methods": [], "events": [], "devices": []})
        found = call(self.broker, "list", "getStatus")
        self.assertEqual([row["name"] for row in found["devices"][0]["commands"]], ["getStatus"])

    def test_describe(self):
        found = call(self.broker, "describe", "updateSensor")
        self.assertEqual(found["method"]["name"], "updateSensor")
        self.assert_done(tool(self.broker, "describe", "updateSensr"), 1, "", "did you mean updateSensor\\?")
        self.assert_done(tool(self.broker, "describe", "qqqqqq"), 1, "", "no method qqqqqq; see mosquitto_rpc list")

    def test_on_a_terminal(self):
        code, shown = on_terminal(self.broker, "describe", "updateSensor", env={"NO_COLOR": "1"})
        text = shown.decode()
        self.assertEqual(code, 0)
        self.assertNotIn("\033", text)
        self.assertRegex(text, r"sensor_id +string 1 to 64 characters +required +the id of the sensor")
        self.assertRegex(text, r'unit +string C\|F\|K +default "C" +Celsius, Fahrenheit or Kelvin')
        self.assertLessEqual(max(map(len, text.splitlines())), 100)
        code, shown = on_terminal(self.broker, "list", "sensor")
        self.assertIn(b"\033[1mupdateSensor\033[0m", shown)
        code, shown = on_terminal(self.broker, "call", "echo", '{"a":[1,{}],"b":"x"}', env={"NO_COLOR": "1"})
        self.assertEqual(shown, b'{\n  "a": [\n    1,\n    {}\n  ],\n  "b": "x"\n}\n')

    def test_every_method(self):
        """Each can be described on a terminal of any width."""
        for row in call(self.broker, "list")["methods"]:
            code, shown = on_terminal(self.broker, "describe", row["name"], columns=30)
            self.assertEqual((code, row["name"] in shown.decode()), (0, True), shown)

    def test_without_discovery(self):
        broker = self.start(["modules echo sensor", "sensor_db {directory}/sensors.db"])
        self.assertEqual(call(broker, "call", "updateSensor", "sensor_id=a", "value=1")["value"], 1)
        self.assert_done(tool(broker, "list"), 1, "", "rpc.list: method_not_found")


class Options(ToolTest):

    def test_wrong_ones(self):
        for words, why in ((["--nix"], "no option --nix"), (["-Z"], "no option -Z"), (["-W"], "-W takes a value"),
                           (["--json=1", "list"], "--json takes no value"), (["-W", "x"], "must be a number of"),
                           (["-q", "3"], "must be a whole number of 0 to 2"), (["-p", "0"], "1 to 65535"),
                           (["-V", "4"], "must be 5"), (["-L", "http://x"], "must begin with"), ([], "no command"),
                           (["lst"], "no command lst"), (["call"], "usage: mosquitto_rpc"),
                           (["list", "a", "b"], "usage: "), (["--batch", "list"], "--batch is none of list"),
                           (["--psk", "ab", "list"], "psk_identity"), (["--cert", "x", "list"], "certfile"),
                           (["--cafile", "/nonexistent", "list"], "/nonexistent cannot be read"),
                           (["--cafile", "/etc/hostname", "--tls-version", "x", "list"], "TLS"),
                           (["-i", "a/b", "list"], "client id"), (["--prefix", "a/#", "list"], "prefix must"),
                           (["-h", "mqtt://broker", "list"], "without mqtt://"), (["-h", "", "list"], "a name or an address"),
                           (["-h", "127.0.0.1:1883", "list"], "without the port"), (["-h", "[::1]", "list"], "an address"),
                           (["-P", "x", "list"], "password takes a username")):
            with self.subTest(words):
                done = tool(None, *words)
                self.assert_done(done, 2, "", re.escape(why))
                self.assertEqual(done.err.count("\n"), 1, done)

    def test_help_and_version(self):
        done = tool(None, "--help")
        self.assertEqual((done.code, done.err), (0, ""))
        for word in ("--host", "describe", "--prefix"):
            self.assertIn(word, done.out)
        self.assertIn("--batch", tool(None, "call", "--help").out)
        self.assertRegex(tool(None, "--version").out, r"^mosquitto_rpc \d+\.\d+\.\d+, libmosquitto 2\.")

    def test_no_broker(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        self.assert_done(tool(port, "list"), 3, "", "Connection refused")

    def test_users(self):
        broker = self.start(users={"me": "sec ret"}, anonymous=False)
        with tempfile.TemporaryDirectory() as folder:
            secret = pathlib.Path(folder, "secret")
            secret.write_text("sec ret\n")
            for words in (["-u", "me", "-P", "sec ret"], ["-u", "me", "--password-file", secret]):
                self.assertEqual(call(broker, *words, "call", "echo", "1"), 1)
            self.assertEqual(call(None, "-L", f"mqtt://me:sec%20ret@127.0.0.1:{broker.port}/x", "call", "echo", "1"), 1)
            for content, why in (("", "has no line"), ("x" * 5000, "too long"), (None, "Is a directory")):
                if content is not None:
                    secret.write_text(content)
                words = ["-u", "me", "--password-file", folder if content is None else secret]
                self.assert_done(tool(broker, *words, "list"), 2, "", why)
            self.assert_done(tool(broker, "-u", "me", "-P", "wrong", "list"), 5, "", "(?i)authori")
            config = pathlib.Path(folder, "mosquitto_rpc")
            config.write_text(f"# mine\n\n-u me\n  --pw sec ret\n-h 127.0.0.1\n-p {broker.port}\n")
            env = {"XDG_CONFIG_HOME": folder}
            self.assertEqual(call(None, "call", "echo", "1", env=env), 1)
            self.assert_done(tool(None, "-P", "wrong", "list", env=env), 5)
            for line, why in (("--nix\n", "line 1: this is no option"), ("-u\n", "takes a value"),
                              ("#\n--json yes\n", "line 2: this option takes no value"), ("x" * 5000, "too long")):
                config.write_text(line)
                self.assert_done(tool(None, "list", env=env), 2, "", f"{re.escape(str(config))}.*{why}")

    def test_files_that_the_config_file_names(self):
        """`~/` stands for $HOME in names of files and folders, and nowhere else. An error names the file and the line."""
        broker = self.start(users={"me": "~/secret", "~/me": "x"}, anonymous=False)
        with tempfile.TemporaryDirectory(prefix="rpc-home-") as folder:
            config, secret = pathlib.Path(folder, "mosquitto_rpc"), pathlib.Path(folder, "secret")
            secret.write_text("~/secret\n")
            env = {"XDG_CONFIG_HOME": folder, "HOME": folder}
            for lines in ("-u me\n--password-file ~/secret\n", "-u me\n-P ~/secret\n", "-u ~/me\n-P x\n"):
                config.write_text(lines)
                self.assertEqual(call(broker, "call", "echo", "1", env=env), 1)
            for line, why in (("--password-file ~/x", f"--password-file {folder}/x: No such file or directory"),
                              ("--password-file /nonexistent/x", "--password-file /nonexistent/x: No such file or directory"),
                              ("-q 7", "--qos 7: must be a whole number of 0 to 2"),
                              ("-L http://me:word@x", "--url: must begin with mqtt://")):
                config.write_text(f"-u me\n{line}\n")
                self.assert_done(tool(broker, "list", env=env), 2, "", re.escape(f"{config}, line 2: {why}"))
            for option in ("--cafile", "--unix"):
                config.write_text(f"{option} ~/x\n")
                self.assertIn(f"{folder}/x", tool(None, "list", env=env).err)
            config.write_text("--password-file ~/secret\n")
            self.assert_done(tool(broker, "list", env={**env, "HOME": ""}), 2, "", "line 1: --password-file ~/secret: HOME")

    def test_tls_and_sockets(self):
        broker = self.start(tls=True, unix=True)
        self.assertEqual(call(None, "-h", "localhost", "-p", broker.tls_port, "--cafile", CERTIFICATE, "call", "echo", "1"),
                         1)
        self.assertEqual(call(None, "--unix", broker.unix_path, "call", "echo", "1"), 1)
        self.assert_done(tool(None, "-h", "127.1", "-p", broker.tls_port, "--cafile", CERTIFICATE, "list"), 3, "",
                         "certificate")

    def test_refused(self):
        broker = self.start(acl="topic read rpc/#\ntopic write rpc/call/rpc.list\n")
        self.assert_done(tool(broker, "call", "echo", "1"), 5, "", "echo: refused: Not authorized")

    def test_no_descriptions(self):
        """A client that may not have methods described can call them; without MQTT 5 it is not told so."""
        broker = self.start(acl="topic read rpc/#\ntopic write rpc/call/echo\n")
        for version in ("5", "311"):
            self.assertEqual(call(broker, "-V", version, "call", "echo", "a=1", "b=x"), {"a": 1, "b": "x"})

    def test_streams_that_are_closed(self):
        """Nothing that is printed gets into the connection, which would have the number of a closed stream."""
        broker = self.start()
        for closed, method, code in ((">&-", "echo", 6), ("<&- >&-", "echo", 6), ("2>&-", "missing", 1),
                                     ("<&- >&- 2>&-", "missing", 1), ("<&-", "echo", 0)):
            command = f'exec "$@" {closed}'
            done = subprocess.run(["sh", "-c", command, "sh", TOOL, "-h", "127.0.0.1", "-p", str(broker.port), "-i",
                                   f"closed{len(closed)}", "call", method, "a=1"], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), check=False, text=True)
            with self.subTest(closed):
                self.assertEqual(done.returncode, code, done)
                gone = f"Client closed{len(closed)} disconnected."
                eventually(lambda gone=gone: gone in broker.log())
        self.assertNotRegex(broker.log(), "(?i)malformed|protocol error")

    def test_output_that_cannot_be_written(self):
        broker = self.start()
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([TOOL, "-h", "127.0.0.1", "-p", str(broker.port), "list"], stdout=full,
                                  stderr=subprocess.PIPE, env=environment(), check=False, text=True)
        self.assertEqual(done.returncode, 6)
        self.assertIn("No space left", done.stderr)

    def test_a_reader_that_goes(self):
        """As head does: the tool ends, and says nothing."""
        broker = self.start()
        for words in (["events"], ["stats", "--watch"], ["generate", "--language", "python"], ["call", "ping"]):
            ours, theirs = os.pipe()
            with subprocess.Popen([TOOL, "-h", "127.0.0.1", "-p", str(broker.port), *words], stdout=theirs,
                                  stderr=subprocess.PIPE, env=environment(), text=True) as process:
                os.close(theirs)
                os.close(ours)
                while words == ["events"] and process.poll() is None:
                    call(broker, "call", "updateSensor", "sensor_id=a", "value=1")
                with self.subTest(words):
                    self.assertEqual((process.wait(TIMEOUT), process.stderr.read()), (6, ""))


class Hostile(ToolTest):
    """What comes from the wire commands no terminal."""
    TEXT = "\x1b[31m\x07\x9b1m\u202e\u200b\x7f\r\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")

    def assert_harmless(self, shown):
        text = shown.decode()
        self.assertFalse([ch for ch in text if (ord(ch) < 32 and ch != "\n") or 127 <= ord(ch) < 160
                          or ch in "\u202e\u200b"], shown)
        return text

    def test_results(self):
        broker = self.start()
        code, shown = on_terminal(broker, "call", "echo", "--params", json.dumps({self.TEXT: self.TEXT}, ensure_ascii=False),
                                  env={"NO_COLOR": "1"})
        self.assertEqual(code, 0)
        self.assertEqual(json.loads(self.assert_harmless(shown)), {self.TEXT: self.TEXT})

    def test_errors(self):
        broker = self.start()
        code, shown = on_terminal(broker, "call", "getSensor", f"sensor_id={self.TEXT}", env={"NO_COLOR": "1"})
        self.assertEqual(code, 1)
        self.assert_harmless(shown)
        code, shown = on_terminal(broker, "call", "getSensor", f"{self.TEXT}=1", env={"NO_COLOR": "1"})
        self.assertEqual(code, 2)
        self.assert_harmless(shown)

    def test_large_results(self):
        broker = self.start(["max_reply 1m", "max_payload 1m"])
        text = "[" + ",".join(["1"] * 100000) + "]"
        self.assert_done(tool(broker, "--max-reply", "1000", "call", "echo", "-", text=text), 6, "", "bad_reply")
        self.assertEqual(len(call(broker, "call", "echo", "-", text=text)), 100000)


if __name__ == "__main__":
    main()
