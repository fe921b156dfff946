"""What the module observe tells of a running broker, and what Prometheus makes of it: rpc.stats, the retained
documents of methods, rpc.metrics, and the exporter and the dashboard of examples/prometheus.

The environment of harness.py, and:

    RPC_PROMTOOL      promtool of Debian's package prometheus
    RPC_PAHO_PYTHON   a Python that has paho-mqtt
"""
import itertools
import json
import os
import pathlib
import re
import subprocess
import tempfile
import urllib.error
import urllib.request

from harness import (PLUGIN, ROOT, TIMEOUT, Broker, BrokerTest, ask, ask_by_id, error_of, eventually, free_port, main,
                     result_of)
from mqtt import RESPONSE_TOPIC
from pages import blocks, here, rows, run, section

PROMTOOL = os.environ.get("RPC_PROMTOOL")
PYTHON = os.environ.get("RPC_PAHO_PYTHON")
EXAMPLE = ROOT / "examples/prometheus"
BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


def metrics_of(client, prefix="rpc"):
    """The whole document, and its number of pages."""
    pages, after = [], 0
    while after is not None:
        page = result_of(ask(client, "rpc.metrics", {"after": after}, prefix=prefix))
        pages.append(page["text"])
        after = page["next"]
    return "".join(pages), len(pages)


def samples_of(text):
    """The samples of a document by their series."""
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines()
            if line and not line.startswith("#")}


def check_metrics(test, text):
    """promtool accepts the document, and has no advice."""
    if not PROMTOOL:
        test.skipTest("there is no promtool (Debian's prometheus)")
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False, timeout=TIMEOUT)
    test.assertEqual((done.returncode, done.stdout), (0, ""))


class Stats(BrokerTest):

    def test_the_service(self):
        broker = self.start(["prefix rpc site/two"], plugin=PLUGIN)
        client = self.client(broker, 5)
        for _ in range(3):
            ask(client, "ping", {})
        self.assert_error(error_of(ask(client, "echo", "{")), "parse_error")
        stats = result_of(ask(client, "rpc.stats"))
        self.assertEqual((stats["prefix"], stats["prefixes"]), ("rpc", ["rpc", "site/two"]))
        self.assertRegex(stats["broker"], r"^mosquitto \d+\.\d+")
        self.assertRegex(stats["version"], r"^\d+\.\d+\.\d+$")
        self.assertEqual(stats["counters"]["calls"], 4)
        self.assertEqual(stats["pool"]["workers"], 2)
        self.assertEqual({table["name"] for table in stats["tables"]} >= {"pending_calls", "cached_replies"}, True)
        methods = {report["method"]: report for report in stats["methods"]}
        self.assertEqual(set(methods), {"ping", "echo"})
        self.assertEqual((methods["ping"]["calls"], methods["ping"]["errors"]), (3, {}))
        self.assertEqual(methods["echo"]["errors"], {"parse_error": 1})
        self.assertEqual(methods["echo"]["last_error"]["err"], "parse_error")
        self.assertEqual(sum(methods["ping"]["buckets"]), 3)
        self.assertEqual(len(methods["ping"]["buckets"]), len(BUCKETS) + 1)
        other = result_of(ask(client, "rpc.stats", prefix="site/two"))
        self.assertEqual((other["prefix"], other["counters"]["calls"], other["methods"]), ("site/two", 0, []))

    def test_tables_of_modules(self):
        broker = self.start(["device_max 10", "sensor_max_sensors 5", "sensor_db :memory:", "device_db :memory:"],
                            plugin=PLUGIN)
        client, device = self.client(broker, 5), self.client(broker, client_id="lamp1")
        for number in range(3):
            ask(client, "updateSensor", {"sensor_id": f"s{number}", "value": number})
        device.publish("cmd/lamp1/hello", "{}", qos=1)
        tables = {table["name"]: table for table in result_of(ask(client, "rpc.stats"))["tables"]}
        self.assertEqual(tables["sensor.sensors"], {"name": "sensor.sensors", "entries": 3, "max": 5})
        self.assertEqual((tables["device.devices"]["entries"], tables["device.devices"]["max"]), (1, 10))
        self.assertEqual(tables["device.commands"]["entries"], 0)
        self.assertIn('mosquitto_rpc_table_entries{prefix="rpc",table="sensor.sensors"} 3', metrics_of(client)[0])

    def test_one_method_of_a_client_without_mqtt_5(self):
        client = self.client(self.start(plugin=PLUGIN))
        client.publish("rpc/call/ping", "{}", qos=1)
        reply = ask_by_id(client, "rpc.stats", {"method": "ping"})
        self.assertEqual([report["calls"] for report in reply["result"]["methods"]], [1])

    def test_running_and_waiting(self):
        broker = self.start(["workers 1"])
        client, other = self.client(broker, 5), self.client(broker, 5)
        for _ in range(3):
            client.publish("rpc/call/slow.sleep", '{"ms":2000}', qos=1, properties=[(RESPONSE_TOPIC, "here")])

        def is_so():
            report = result_of(ask(other, "rpc.stats", {"method": "slow.sleep"}))["methods"][0]
            return (report["running"], report["waiting"]) == (1, 2)
        eventually(is_so)
        for _ in range(3):
            client.receive(TIMEOUT)
        report = result_of(ask(other, "rpc.stats", {"method": "slow.sleep"}))["methods"][0]
        self.assertEqual((report["running"], report["waiting"], report["calls"]), (0, 0, 3))
        self.assertGreaterEqual(report["max_s"], 2)


class Documents(BrokerTest):
    """$SYS/broker/rpc/{prefix}/method/{name}"""

    def test_retained_and_only_when_they_change(self):
        broker = self.start(["sys_interval 1s"])
        client, watcher = self.client(broker, 5), self.client(broker)
        ask(client, "ping", {})
        watcher.subscribe("$SYS/broker/rpc/rpc/method/#")
        message = watcher.receive(TIMEOUT)
        self.assertEqual(message.topic, "$SYS/broker/rpc/rpc/method/ping")
        self.assertEqual(json.loads(message.payload)["calls"], 1)
        self.assertEqual(set(json.loads(message.payload)),
                         {"calls", "errors", "running", "waiting", "sum_s", "max_s", "buckets", "last_error", "since"})
        watcher.expect_nothing(2.5)
        ask(client, "box/one/open", {})
        ask(client, "box/two/open", {})
        message = watcher.receive(TIMEOUT)
        self.assertEqual(message.topic, "$SYS/broker/rpc/rpc/method/box/{box}/{action}")
        late = self.client(broker)
        late.subscribe("$SYS/broker/rpc/rpc/method/ping")
        self.assertTrue(late.receive(TIMEOUT).retain)

    def test_calls_that_hang_are_seen(self):
        """A call that has not ended is told of, although no counter changes."""
        broker = self.start(["sys_interval 1s", "workers 1"])
        client, watcher = self.client(broker, 5), self.client(broker)
        watcher.subscribe("$SYS/broker/rpc/rpc/method/slow.sleep")
        client.publish("rpc/call/slow.sleep", '{"ms":4000}', qos=1, properties=[(RESPONSE_TOPIC, "here")])
        eventually(lambda: json.loads(watcher.receive(TIMEOUT).payload)["running"] == 1)
        eventually(lambda: json.loads(watcher.receive(TIMEOUT).payload)["calls"] == 1)


class Metrics(BrokerTest):

    def exercise(self, client, prefix="rpc"):
        for method, params in (("ping", {}), ("echo", {"a": 1}), ("echo", "{"), ("probe.fail", {}), ("box/a/open", {}),
                               ("box/b/shut", {}), ("none", {}), ("slow.sleep", {"ms": 10}),
                               ("probe.raise", {"code": "probe_trouble", "with_data": True})):
            ask(client, method, params, prefix=prefix)

    def test_promtool_accepts_it(self):
        client = self.client(self.start(["prefix a b/c"]), 5)
        self.exercise(client, "b/c")
        text, pages = metrics_of(client, "b/c")
        self.assertEqual(pages, 1)
        samples = samples_of(text)
        self.assertEqual(samples['mosquitto_rpc_calls_total{prefix="b/c",method="ping",status="ok"}'], 1)
        self.assertEqual(samples['mosquitto_rpc_calls_total{prefix="b/c",method="box/{box}/{action}",status="box_shut"}'],
                         1)
        self.assertEqual(samples['mosquitto_rpc_unknown_total{prefix="b/c"}'], 1)
        self.assertNotIn("none", text)
        check_metrics(self, text)

    def test_promtool_accepts_pages_of_a_busy_service(self):
        client = self.client(self.start(["max_reply 4k"]), 5)
        self.exercise(client)
        pages, after = [], 0
        busy = itertools.cycle(("ping", "echo", "getTime", "look", "rpc.list", "probe.count", "probe.value"))
        while after is not None:
            page = result_of(ask(client, "rpc.metrics", {"after": after}))
            pages.append(page["text"])
            after = page["next"]
            ask(client, next(busy), "1")
        self.assertGreater(len(pages), 5)
        check_metrics(self, "".join(pages))

    def test_promtool_accepts_a_strange_prefix(self):
        client = self.client(self.start(["prefix a\\n{b}/ä"]), 5)
        ask(client, "ping", prefix="a\\n{b}/ä")
        text, _ = metrics_of(client, "a\\n{b}/ä")
        self.assertIn('{prefix="a\\\\n{b}/ä",method="ping",status="ok"} 1', text)
        check_metrics(self, text)


class Page(BrokerTest):
    """docs/operation.md"""

    def setUp(self):
        super().setUp()
        self.text = section((ROOT / "docs/operation.md").read_text(), "## Statistics")

    def test_its_command(self):
        broker = self.start(plugin=PLUGIN)
        ask(self.client(broker, 5), "ping")
        (command,) = re.findall(r"^    \$ (.*)$", self.text, re.MULTILINE)
        report, = json.loads(run(here(command, broker)))["methods"]
        self.assertEqual((report.pop("method"), report["calls"]), ("ping", 1))
        document = json.loads(blocks(self.text, "json")[0])
        self.assertEqual(list(document), list(report))
        self.assertEqual(len(document["buckets"]), len(report["buckets"]))

    def test_its_tables_and_their_options(self):
        tables = result_of(ask(self.client(self.start(plugin=PLUGIN), 5), "rpc.stats"))["tables"]
        shown = {row[0].strip("`"): row[2] for row in rows(self.text) if len(row) == 4}
        self.assertEqual(set(shown), {table["name"] for table in tables if "." not in table["name"]})
        for table in tables:
            if "." in table["name"]:
                continue
            if re.fullmatch(r"[\d,]+", shown[table["name"]]):
                self.assertEqual(table["max"], int(shown[table["name"]].replace(",", "")))

    def test_its_buckets(self):
        shown = re.search(r"durations up to ([\d., and\n]+) seconds", self.text).group(1)
        self.assertEqual(tuple(float(number) for number in re.split(r"[,\s]+|and", shown) if number), BUCKETS)


# ---- examples/prometheus -----------------------------------------------------------------------

class Exporter:
    """exporter.py while it runs."""

    def __init__(self, broker, *options, password=None):
        self.port = free_port()
        environment = {**os.environ, **({"MQTT_PASSWORD": password} if password else {})}
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([PYTHON, str(EXAMPLE / "exporter.py"), "--port", str(broker.port),
                                         "--listen-port", str(self.port), *options], stderr=self.errors, env=environment)

    def fetch(self, path="/metrics"):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=TIMEOUT) as answer:
            return answer.headers["Content-Type"], answer.read().decode()

    def fetch_when(self, *parts):
        """What it serves once all of these are in it."""
        found = []

        def is_there():
            try:
                found[:] = self.fetch()
            except OSError:
                return False
            return all(part in found[1] for part in parts)
        try:
            eventually(is_there, pause=0.2)
        except AssertionError:
            raise AssertionError(f"not all of {parts} in {found}\n{self.said()}") from None
        return found

    def said(self):
        self.errors.seek(0)
        return self.errors.read()

    def stop(self):
        self.process.terminate()
        self.process.wait(TIMEOUT)
        self.errors.close()


class ExporterTest(BrokerTest):

    def setUp(self):
        super().setUp()
        if not PYTHON:
            self.skipTest("there is no paho-mqtt")

    def export(self, broker, *options, **how):
        exporter = Exporter(broker, *options, **how)
        self.addCleanup(exporter.stop)
        return exporter

    def test_several_prefixes(self):
        broker = self.start(["prefix rpc b/c", "max_reply 16k"])
        client = self.client(broker, 5)
        for prefix, calls in (("rpc", 2), ("b/c", 3)):
            for _ in range(calls):
                ask(client, "ping", prefix=prefix)
        exporter = self.export(broker, "--prefix", "rpc", "--prefix", "b/c")
        kind, text = exporter.fetch_when('mosquitto_rpc_up{prefix="rpc"} 1', 'mosquitto_rpc_up{prefix="b/c"} 1')
        self.assertEqual(kind, "text/plain; version=0.0.4; charset=utf-8")
        samples = samples_of(text)
        self.assertEqual(samples['mosquitto_rpc_calls_total{prefix="rpc",method="ping",status="ok"}'], 2)
        self.assertEqual(samples['mosquitto_rpc_calls_total{prefix="b/c",method="ping",status="ok"}'], 3)
        self.assertEqual(text.count("# HELP mosquitto_rpc_calls_total "), 1)
        check_metrics(self, text)

    def test_only_the_metrics_are_served(self):
        exporter = self.export(self.start())
        exporter.fetch_when("mosquitto_rpc_up")
        with self.assertRaises(urllib.error.HTTPError) as raised:
            exporter.fetch("/")
        self.assertEqual(raised.exception.code, 404)
        raised.exception.close()

    def test_a_prefix_that_nobody_serves(self):
        exporter = self.export(self.start(), "--prefix", "rpc", "--prefix", "none", "--timeout", "1")
        _, text = exporter.fetch_when('mosquitto_rpc_up{prefix="rpc"} 1', 'mosquitto_rpc_up{prefix="none"} 0')
        self.assertIn("mosquitto_rpc_info", text)
        self.assertIn("none: rpc.metrics was not answered", exporter.said())
        check_metrics(self, text)

    def test_a_broker_that_comes_and_goes(self):
        broker = self.start()
        exporter = self.export(broker, "--timeout", "1")
        exporter.fetch_when('mosquitto_rpc_up{prefix="rpc"} 1')
        broker.stop()
        exporter.fetch_when('mosquitto_rpc_up{prefix="rpc"} 0')
        broker.start()
        exporter.fetch_when('mosquitto_rpc_up{prefix="rpc"} 1')

    def test_with_a_password_and_an_acl(self):
        """What README.md says that its user needs."""
        for options, acl in (([], "user stats\ntopic write rpc/call/rpc.metrics\n"),
                             (["reply_delivery subscribed"],
                              "user stats\ntopic write rpc/call/rpc.metrics\ntopic read rpc/reply/#\n")):
            with self.subTest(options=options):
                broker = self.start(options, users={"stats": "secret"}, anonymous=False, acl=acl)
                exporter = self.export(broker, "--user", "stats", "--id", "exporter", password="secret")
                exporter.fetch_when('mosquitto_rpc_up{prefix="rpc"} 1', "mosquitto_rpc_info")


class Dashboard(BrokerTest):

    def expressions(self):
        """All queries, with values for Grafana's variables."""
        dashboard = json.loads((EXAMPLE / "dashboard.json").read_text())
        found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
        found += [re.sub(r"label_values\((.*), \w+\)", r"\1", variable["query"]["query"])
                  for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
        for name, value in (("$__rate_interval", "5m"), ("$prefix", ".*"), ("$method", ".*")):
            found = [expression.replace(name, value) for expression in found]
        self.assertGreater(len(found), 15)
        return found

    def test_its_queries_parse(self):
        if not PROMTOOL:
            self.skipTest("there is no promtool (Debian's prometheus)")
        rules = [{"record": f"rule:{number}", "expr": expression} for number, expression in
                 enumerate(self.expressions())]
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "rules.yml"
            file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))  # JSON is YAML
            done = subprocess.run([PROMTOOL, "check", "rules", str(file)], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, check=False, timeout=TIMEOUT)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn(f"{len(rules)} rules found", done.stdout)

    def test_its_metrics_exist(self):
        client = self.client(self.start(plugin=PLUGIN), 5)
        ask(client, "ping")
        names = {series.partition("{")[0] for series in samples_of(metrics_of(client)[0])} | {"mosquitto_rpc_up"}
        used = {name for expression in self.expressions() for name in re.findall(r"mosquitto_rpc_\w+", expression)}
        self.assertGreater(len(used), 10)
        self.assertEqual(used - names, set())

    def test_its_labels_exist(self):
        client = self.client(self.start(plugin=PLUGIN), 5)
        ask(client, "ping")
        labels = {label for series in samples_of(metrics_of(client)[0]) for label in re.findall(r"(\w+)=\"", series)}
        used = {label for expression in self.expressions()
                for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(", ")}
        used |= {label for expression in self.expressions() for label in re.findall(r"(\w+)(?:=~|!=)\"", expression)}
        self.assertEqual(used - labels, set())

    def test_prometheus_accepts_the_configuration(self):
        if not PROMTOOL:
            self.skipTest("there is no promtool (Debian's prometheus)")
        done = subprocess.run([PROMTOOL, "check", "config", str(EXAMPLE / "prometheus.yml")], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False, timeout=TIMEOUT)
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    main()
