# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""mosquitto_rpc bench: that it counts what it has done, and that its durations are those of the calls."""
import json
import signal
import time

from harness import SLOW, TEST_PLUGIN, ask, main, result_of
from tooltest import ERROR, OK, REFUSED, USAGE, ToolTest

OPTIONS = ["sensor_db :memory:", "device_db :memory:"]
PERCENTILES = ("min", "p50", "p90", "p99", "p999", "max")


class Bench(ToolTest):
    def setUp(self):
        super().setUp()
        self.broker = self.start(OPTIONS, plugin=TEST_PLUGIN, lines=["set_tcp_nodelay true"])

    def counted(self, method):
        """How many calls of the method the service has counted."""
        rows = result_of(ask(self.client(self.broker, 5), "rpc.stats", {"method": method}))["methods"]
        return rows[0]["calls"] if rows else 0

    def bench(self, *words, status=OK):
        run = self.run_tool(self.broker, "bench", *words)
        self.assertEqual(run.status, status, run)
        return run.json

    def test_a_number_of_calls(self):
        """So many, and no more; each of them is run."""
        for concurrency in ("1", "7", "100"):
            before = self.counted("ping")
            result = self.bench("ping", "-C", "50", "--concurrency", concurrency)
            self.assertEqual(self.counted("ping") - before, 50)
            self.assertEqual((result["calls"], result["ok"], result["errors"], result["warmup_s"]), (50, 50, {}, 0))
            self.assertAlmostEqual(result["per_second"] * result["seconds"], 50, delta=0.01)
            latencies = [result["latency_s"][name] for name in PERCENTILES]
            self.assertEqual(latencies, sorted(latencies))
            self.assertGreater(latencies[0], 0)
            self.assertLessEqual(latencies[-1], result["seconds"])

    def test_a_duration(self):
        """The warm-up does not count."""
        before = self.counted("ping")
        result = self.bench("ping", "--duration", "0.5", "--warmup", "0.5")
        self.assertGreater(self.counted("ping") - before, result["calls"])
        self.assertGreater(result["ok"], 0)
        self.assertAlmostEqual(result["seconds"], 0.5, delta=0.01)

    def test_errors(self):
        """They are counted by their names, are in no duration, and are an error."""
        result = self.bench("getSensor", "sensor_id=a", "-C", "5", status=ERROR)
        self.assertEqual((result["calls"], result["ok"], result["errors"]), (5, 0, {"unknown_sensor": 5}))
        self.assertEqual(result["per_second"], 0)
        run = self.run_tool(self.broker, "--plain", "bench", "getSensor", "sensor_id=a", "-C", "5")
        self.assertIn("unknown_sensor: no reading", run.output)

    def test_calls_that_cannot_succeed(self):
        """The first reply ends it, with the cause; what goes on its way at once is all that is called."""
        for words, why in ((["nothing"], "nothing: method_not_found: "), (["updateSensor", "sensor_id=a"], "invalid_params: value is"),
                           (["echo", "--params", "{"], "echo: parse_error")):
            for more, most in (([], 1), (["--concurrency", "20"], 20), (["--rate", "10", "--warmup", "1"], 10)):
                with self.subTest(words=words, more=more):
                    before = self.counted("updateSensor")
                    run = self.run_tool(self.broker, "bench", *words, "--duration", "600", *more)
                    self.assertEqual((run.status, run.output), (ERROR, ""), run)
                    self.assertIn(why, run.errors)
                    self.assertLessEqual(self.counted("updateSensor") - before, most)
        broker = self.start(acl="topic read rpc/#\ntopic write rpc/call/rpc.describe\n")
        run = self.run_tool(broker, "bench", "ping", "--duration", "600")
        self.assertEqual((run.status, run.output), (REFUSED, ""), run)

    def test_no_method(self):
        self.assertEqual(self.run_tool(self.broker, "bench", "a+", "-C", "2").status, USAGE)

    def test_parameters(self):
        """Every call has them."""
        self.bench("updateSensor", "sensor_id=attic", "value=21.5", "-C", "3")
        self.assertEqual(len(self.call(self.broker, "call", "sensorHistory", "sensor_id=attic")["readings"]), 3)
        self.bench("updateSensor", "--params", '{"sensor_id":"hall","value":3}', "-C", "3")
        self.assertEqual(len(self.call(self.broker, "call", "sensorHistory", "sensor_id=hall")["readings"]), 3)

    def test_a_rate(self):
        result = self.bench("ping", "--rate", "50", "--duration", "1", "--warmup", "0")
        self.assertLessEqual(result["calls"], 51)
        self.assertGreaterEqual(result["calls"] + result["unsent"], 49)
        self.assertEqual(result["concurrency"], 1000)

    def test_a_service_that_stands_still(self):
        """With a rate, each call that was due meanwhile has waited; without one, a single call has."""
        def stalled(*words):
            with self.running(self.broker, "bench", "ping", "--duration", "2", "--warmup", "0", *words) as process:
                time.sleep(0.5)
                self.broker.pause()
                time.sleep(1 * SLOW)
                self.broker.signal(signal.SIGCONT)
                return json.loads(process.communicate(timeout=60)[0])["latency_s"]
        self.assertGreater(stalled("--rate", "100")["p90"], 0.3)
        closed = stalled()
        self.assertGreater(closed["max"], 0.5)

    def test_a_signal(self):
        """What was found until then is printed."""
        with self.running(self.broker, "bench", "ping", "--duration", "600", "--warmup", "0") as process:
            time.sleep(1)
            run = self.end(process)
        self.assertEqual(run.status, OK, run)
        self.assertGreater(run.json["ok"], 0)
        self.assertLess(run.json["seconds"], 100)

    def test_a_broker_that_goes(self):
        """Its calls end as errors, and the tool ends."""
        with self.running(self.broker, "-W", "1", "bench", "ping", "--duration", "3", "--warmup", "0") as process:
            time.sleep(1)
            self.broker.kill()
            output, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, ERROR, output + errors)
        self.assertIn("timeout", json.loads(output)["errors"])

    def test_for_people(self):
        run = self.on_terminal(self.broker, "bench", "ping", "-C", "20")
        self.assertEqual(run.status, OK, run)
        for text in ("ping: ", "results  20, ", "errors   0", "latency  mean ", "p99 ", "max "):
            self.assertIn(text, run.output)


if __name__ == "__main__":
    main()
