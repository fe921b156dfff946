# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""mosquitto_rpc devices and mosquitto_rpc command: which devices there are, and what they are made to do."""
import json

from devices import DeviceTest, lamp
from harness import main
from tooltest import ERROR, FAILED, OK, USAGE, ToolTest

MANY = [f"d{number}" for number in range(700)]  # more than one page: a reply has 64 kB


class Devices(DeviceTest, ToolTest):
    def begin_lamps(self, *options):
        self.begin("device_groups hall=lamp1,lamp2", *options)

    def lamp(self, name="lamp1", work=lamp):
        """A device that answers, on a thread of its own."""
        return self.device(name, work=work).come(kind="lamp", once=True).run()

    def test_the_list(self):
        self.begin_lamps()
        self.lamp()
        devices = self.call(self.broker, "devices")["devices"]
        self.assertEqual({row["device"]: row["state"] for row in devices}, {"lamp1": "ready", "lamp2": "unknown"})
        run = self.on_terminal(self.broker, "devices")
        self.assertEqual(run.status, OK)
        self.assertEqual([line.split()[:2] for line in run.output.splitlines()],
                         [["DEVICE", "STATE"], *([row["device"], row["state"]] for row in devices)])

    def test_a_state_and_a_group(self):
        self.begin_lamps("device_managed other")
        self.lamp()
        names = lambda *words: [row["device"] for row in self.call(self.broker, "devices", *words)["devices"]]
        self.assertEqual(names("--state", "ready"), ["lamp1"])
        self.assertEqual(sorted(names("--group", "hall")), ["lamp1", "lamp2"])
        self.assertEqual(names("--group", "hall", "--state", "offline"), [])
        self.assertEqual(names("--group", "none"), [])

    def test_many_devices(self):
        """All pages, each device once."""
        self.begin(f"device_managed {' '.join(MANY)}")
        document = self.call(self.broker, "devices")
        self.assertEqual([row["device"] for row in document["devices"]], MANY)
        self.assertEqual(document["total"], len(MANY))
        self.assertNotIn("next", document)

    def test_a_list_that_does_not_end(self):
        """It is an error, whatever the service answers, and whatever the document is."""
        broker = self.start(plugins=[])
        answers = {"device.list": None}
        self.serve(broker, answers)
        for page in ({"devices": [], "next": "a"}, {"next": "a"}, {"devices": {}, "next": 5}, {"devices": 3, "next": "a"}):
            answers["device.list"] = page
            run = self.run_tool(broker, "devices")
            self.assertEqual(run.status, FAILED, run)
            self.assertIn("without end", run.errors)
        for document in ({}, [], 5, "x", None, {"devices": [5, None, {"device": 3, "seen": "x", "since": -1e300}]}):
            answers["device.list"] = answers["device.status"] = answers["device.history"] = document
            for words in (["devices"], ["--plain", "devices"], ["devices", "a"], ["--plain", "devices", "a"]):
                self.assertIn(self.run_tool(broker, *words).status, (OK, FAILED), (document, words))

    def test_a_service_without_devices(self):
        """The tool says that it is the module that is missing, and says so of nothing else."""
        missing = "the module device is not loaded, see plugin_opt_modules"
        broker = self.start(["modules rpc echo"])
        commands = (["devices"], ["devices", "x"], ["command", "x", "light", "on=true"], ["command", "@x", "light"],
                    ["call", "device/x/light", "on=true"])
        for words in commands:
            run = self.run_tool(broker, *words)
            self.assertEqual(run.status, ERROR, run)
            self.assertIn("method_not_found", run.errors)
            self.assertIn(missing, run.errors)
        run = self.run_tool(broker, "--json", "devices")
        self.assertEqual(json.loads(run.errors)["err"], "method_not_found")
        self.assertNotIn(missing, self.run_tool(broker, "call", "nothing").errors)
        self.assertEqual(self.run_tool(broker, "--quiet", "devices").errors, "")
        self.assertNotIn(missing, self.run_tool(self.start(["modules echo"]), "devices").errors)  # no rpc.list either
        broker = self.start(["methods_off device.list", "device_db :memory:"])
        for words in commands:
            self.assertNotIn(missing, self.run_tool(broker, *words).errors)

    def test_one_device(self):
        self.begin_lamps()
        self.lamp()
        self.assertEqual(self.call(self.broker, "command", "lamp1", "light", "on=true"), {"on": True, "brightness": 100})
        device = self.call(self.broker, "devices", "lamp1")
        self.assertEqual([row["command"] for row in device["history"]], ["light"])
        run = self.on_terminal(self.broker, "devices", "lamp1")
        self.assertTrue(run.output.startswith("lamp1: ready for "), run)
        self.assertIn("succeeded", run.output)
        run = self.run_tool(self.broker, "devices", "lamp7")
        self.assertEqual(run.status, ERROR)
        self.assertIn("device_unknown", run.errors)

    def test_parameters(self):
        """They have the types that the kind of device declares, and are checked before the device hears of them."""
        self.begin_lamps()
        lamp1 = self.lamp()
        self.call(self.broker, "command", "lamp1", "light", "on=false", "brightness=30")
        self.call(self.broker, "command", "lamp1", "light", "--params", '{"on":true}')
        self.assertEqual([command.params for command in lamp1.taken],
                         [{"on": False, "brightness": 30}, {"on": True, "brightness": 100}])
        for words in (["light", "on=maybe"], ["light"], ["light", "brightness=3", "on"]):
            run = self.run_tool(self.broker, "command", "lamp1", *words)
            self.assertIn(run.status, (USAGE, ERROR), run)
        self.assertEqual(len(lamp1.taken), 2)

    def test_a_device_that_is_not_there(self):
        self.begin_lamps()
        run = self.run_tool(self.broker, "command", "lamp9", "light", "on=true")
        self.assertEqual(run.status, ERROR)
        self.assertIn("device_unknown", run.errors)
        queued = self.call(self.broker, "command", "lamp9", "light", "on=true", "--offline", "queue", "--ttl-ms", "60000")
        self.assertTrue(queued["queued"])
        run = self.run_tool(self.broker, "command", "lamp9", "light", "on=true", "--offline", "maybe")
        self.assertEqual(run.status, ERROR)
        self.assertIn("invalid_params", run.errors)
        run = self.run_tool(self.broker, "-V", "311", "command", "lamp9", "light", "on=true", "--offline", "queue")
        self.assertEqual(run.status, USAGE, "MQTT 3.1.1 has no user properties")

    def test_a_name_that_is_no_name_of_a_method(self):
        """The levels of a family may be any text."""
        self.begin_lamps("device_known_only false")
        for name in ("lamp:1", "die Lampe", "späte"):
            self.lamp(name)
            self.call(self.broker, "command", name, "light", "on=true")
        for name in ("a/b", "a+", "#", ""):
            self.assertNotEqual(self.run_tool(self.broker, "command", name, "light", "on=true").status, OK, name)

    def test_a_group(self):
        """Its verdict is the result, and it is an error if a device has not carried the command out."""
        self.begin_lamps()
        self.lamp("lamp1")
        lamp2 = self.lamp("lamp2")
        verdict = self.call(self.broker, "command", "@hall", "light", "on=true")
        self.assertEqual((verdict["ok"], verdict["total"]), (2, 2))
        self.assertEqual(self.call(self.broker, "command", "@*", "light", "on=true")["ok"], 2)
        lamp2.fails = {"err": "bulb_broken"}
        run = self.run_tool(self.broker, "command", "@hall", "light", "on=true")
        self.assertEqual((run.status, run.json["ok"]), (ERROR, 1))

    def test_progress(self):
        self.begin_lamps()
        device = self.device("lamp1").come(kind="lamp")
        with self.running(self.broker, "command", "lamp1", "blink", "times=2", "--progress") as process:
            command = device.take()
            device.answer(command, progress={"done": 1, "times": 2})
            self.assertEqual(json.loads(process.stderr.readline()), {"done": 1, "times": 2})
            device.answer(command, result={"times": 2})
            self.assertEqual(json.loads(process.communicate(timeout=60)[0]), {"times": 2})
        self.assertEqual(process.returncode, OK)


if __name__ == "__main__":
    main()
