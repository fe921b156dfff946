# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""mosquitto_rpc stats: what rpc.stats tells, for programs and for people, once or again and again."""
import json
import re

from harness import PLUGIN, ROOT, TEST_PLUGIN, ask, error_of, eventually, main, result_of
from tooltest import DISCONNECTED, ERROR, OK, ToolTest

OPTIONS = ["sensor_db :memory:", "device_db :memory:"]


class Stats(ToolTest):
    def setUp(self):
        super().setUp()
        self.broker = self.start(OPTIONS, plugin=PLUGIN)

    def row(self, output, method):
        """The words of a method's row in a table."""
        return next(line.split() for line in output.splitlines() if line.startswith(f"{method} "))

    def test_as_json(self):
        client = self.client(self.broker, 5)
        for _ in range(3):
            ask(client, "ping")
        document = self.call(self.broker, "stats")
        self.assertEqual({row["method"]: row["calls"] for row in document["methods"]}, {"ping": 3})
        self.assertEqual(self.call(self.broker, "stats", "ping")["methods"][0]["calls"], 3)

    def test_an_unknown_method(self):
        run = self.run_tool(self.broker, "stats", "nothing")
        self.assertEqual(run.status, ERROR)
        self.assertIn("unknown_method", run.errors)

    def test_on_a_terminal(self):
        client = self.client(self.broker, 5)
        for params in ('{"sensor_id":"a","value":1}', '{"sensor_id":"a","value":2}', '{"sensor_id":"a"}'):
            ask(client, "updateSensor", params)
        run = self.on_terminal(self.broker, "stats")
        self.assertEqual(run.status, OK, run)
        self.assertIn("prefix rpc", run.output)
        words = self.row(run.output, "updateSensor")
        self.assertEqual(words[:3], ["updateSensor", "3", "1"])
        self.assertIn("invalid_params", words)
        self.assertEqual(self.row(run.output, "sensor.sensors")[1], "1")

    def test_one_method_on_a_terminal(self):
        ask(self.client(self.broker, 5), "ping")
        run = self.on_terminal(self.broker, "stats", "ping")
        self.assertEqual([line.split()[0] for line in run.output.splitlines()], ["METHOD", "ping"])

    def test_percentiles(self):
        """Of what was counted: the bounds of buckets, and never more than the longest call."""
        document = {"uptime_s": 1, "methods": [{"method": "m", "calls": 100, "sum_s": 1, "max_s": 0.7, "errors": {},
                                                "buckets": [50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 49, 1] + [0] * 4}]}
        broker = self.start(plugins=[])
        self.serve(broker, {"rpc.stats": document})
        run = self.run_tool(broker, "--plain", "stats", "m")
        self.assertEqual(self.row(run.output, "m"),
                         ["m", "100", "0", "0", "0", "10.0", "ms", "100", "us", "500", "ms", "700", "ms"])

    def test_the_bounds_of_the_buckets(self):
        """They are those that the service describes, in docs/openrpc.json, which is made of its tables."""
        described = re.search("how many took up to ([0-9., ]+) s and longer", (ROOT / "docs/openrpc.json").read_text()).group(1)
        bounds = [float(bound) for bound in described.split(", ")]
        self.assertEqual(len(bounds), 16)
        methods = [{"method": f"m{number}", "calls": 1, "sum_s": 1, "max_s": 50, "errors": {},
                    "buckets": [int(at == number) for at in range(len(bounds) + 1)]} for number in range(len(bounds) + 1)]
        broker = self.start(plugins=[])
        self.serve(broker, {"rpc.stats": {"uptime_s": 1, "methods": methods}})
        output = self.run_tool(broker, "--plain", "stats").output
        for number, bound in enumerate([*bounds, 50]):
            value, unit = self.row(output, f"m{number}")[7:9]
            self.assertAlmostEqual(float(value) * {"us": 1e-6, "ms": 1e-3, "s": 1}[unit], bound)

    def test_any_document(self):
        """Whatever the service answers, the tool ends in order."""
        broker = self.start(plugins=[])
        answers = {}
        self.serve(broker, answers)
        for document in ({}, [], 5, "x", None, {"methods": 5, "tables": {}, "counters": [1], "pool": "x"},
                         {"methods": [5, None, {"method": 3, "buckets": "x", "calls": 1e300, "errors": [1], "last_error": 5},
                                      {"method": "a", "calls": -5, "buckets": [1] * 100, "max_s": 1e308}]}):
            answers["rpc.stats"] = document
            for words in (["stats"], ["--plain", "stats"], ["--plain", "stats", "--watch", "--duration", "0.1"]):
                self.assertEqual(self.run_tool(broker, *words).status, OK, (document, words))

    def test_watching(self):
        """One line of JSON each time, also across a restart of the broker."""
        with self.running(self.broker, "-W", "1", "stats", "--watch", "--interval", "0.2") as process:
            first = json.loads(process.stdout.readline())
            second = json.loads(process.stdout.readline())
            self.assertGreater(second["uptime_s"], first["uptime_s"])
            self.broker.stop()
            self.broker.start()
            self.assertGreater(json.loads(eventually(process.stdout.readline))["since"], 0)
            eventually(lambda: json.loads(process.stdout.readline())["since"] > first["since"])

    def test_watching_on_a_terminal(self):
        """Drawn again each time, with calls a second from the second time on, and no more methods than fit."""
        run = self.on_terminal(self.broker, "stats", "--watch", "--interval", "0.2", "--duration", "1.5")
        screens = run.output.split("\x1b[H\x1b[J")[1:]
        self.assertGreaterEqual(len(screens), 2)
        self.assertNotIn("A SECOND", screens[0])
        self.assertIn("A SECOND", screens[-1])
        self.assertEqual(self.row(screens[-1], "rpc.stats")[0], "rpc.stats")

    def test_without_a_broker(self):
        self.broker.stop()
        self.assertEqual(self.run_tool(self.broker, "-W", "2", "stats", "--watch").status, DISCONNECTED)


class ManyMethods(ToolTest):
    def test_more_than_a_reply_holds(self):
        """The statistics of all methods come one by one then."""
        broker = self.start(OPTIONS, plugin=TEST_PLUGIN)
        size = len(ask(self.client(broker, 5), "rpc.list").payload)
        broker = self.start([*OPTIONS, f"max_reply {size}"], plugin=TEST_PLUGIN)
        client = self.client(broker, 5)
        names = [row["name"] for row in result_of(ask(client, "rpc.list"))["methods"]]
        called = [name for name in names if "{" not in name]
        for name in called:
            for number in range(2):
                client.publish(f"rpc/call/{name}", "[", qos=1)
        eventually(lambda: len(self.call(broker, "stats")["methods"]) >= len(called))
        self.assertEqual(error_of(ask(client, "rpc.stats"))["err"], "reply_too_large")
        document = self.call(broker, "stats")
        self.assertLessEqual(set(called), {row["method"] for row in document["methods"]})
        self.assertEqual(len(document["methods"]), len({row["method"] for row in document["methods"]}))


if __name__ == "__main__":
    main()
