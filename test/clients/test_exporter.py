"""prometheus-mqtt-exporter with the configurations of docs/recipes.md."""
import os
import time
import urllib.error
import urllib.request

from harness import ask, eventually, free_port, main, result_of
from recipe import RecipeTest, blocks


class Exporter(RecipeTest):
    options = ("sys_interval 1s",)

    def begin_exporter(self, section):
        """Starts the exporter with the section's configuration; returns what reads its metrics."""
        configuration, = blocks(section, "yaml")[:1]
        self.write("exporter.yaml", configuration)
        port = free_port()
        self.begin(os.environ["RPC_MQTT_EXPORTER"], "-config", "exporter.yaml", "-listen-address", "127.0.0.1",
                   "-listen-port", port)

        def metrics():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                    return answer.read().decode()
            except (urllib.error.URLError, ConnectionError):
                return ""
        eventually(lambda: "mqtt2prometheus_connected 1" in metrics(), timeout=60)
        return metrics

    def wait_for(self, metrics, shown):
        for line in shown.splitlines():
            eventually(lambda line=line: f"\n{line}\n" in metrics(), timeout=30)

    def test_the_counters(self):
        metrics = self.begin_exporter("Prometheus")
        client = self.client(self.broker, version=5)
        ask(client, "ping")
        self.wait_for(metrics, blocks("Prometheus", "text")[0])
        for number in range(10):
            ask(client, "probe.fail" if number % 2 else "ping")
        self.wait_for(metrics, 'rpc_calls_total{sensor="rpc",topic="$SYS/broker/rpc/rpc/calls"} 11\n'
                               'rpc_errors_total{sensor="rpc",topic="$SYS/broker/rpc/rpc/errors"} 5\n'
                               'rpc_timeouts_total{sensor="rpc",topic="$SYS/broker/rpc/rpc/timeouts"} 0')
        for type_line in ("rpc_calls_total counter", "rpc_overloaded_total counter"):
            self.assertIn(f"# TYPE {type_line}", metrics())

    def test_the_counters_of_a_quiet_broker(self):
        """An exporter that comes later finds them, without times, and keeps them."""
        ask(self.client(self.broker, version=5), "ping")
        time.sleep(2)
        metrics = self.begin_exporter("Prometheus")
        self.wait_for(metrics, blocks("Prometheus", "text")[0])
        self.assertNotRegex(metrics(), r"(?m)^rpc_\S+ \S+ \d+$")

    def test_the_readings(self):
        client = self.client(self.broker, version=5)
        ask(client, "updateSensor", {"sensor_id": "temp1", "value": 25.5})
        metrics = self.begin_exporter("Readings")
        self.wait_for(metrics, blocks("Readings", "text")[0])
        self.assertRegex(metrics(), r'(?m)^sensor_time_seconds{sensor="temp1",\S+ \S+$')
        ask(client, "updateSensor", {"sensor_id": "temp1", "value": -3})
        self.wait_for(metrics, 'sensor_value{sensor="temp1",topic="rpc/event/sensor/temp1"} -3')


if __name__ == "__main__":
    main()
