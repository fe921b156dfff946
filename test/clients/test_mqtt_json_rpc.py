"""The npm package mqtt-json-rpc: JSON-RPC at {prefix}/call/{method}/request, over MQTT 3.1.1 and 5."""
import itertools

from harness import BrokerTest, main
from script import run


class MqttJsonRpc(BrokerTest):

    def test_all(self):
        for version, prefix in itertools.product((4, 5), ("rpc", "site/two")):
            with self.subTest(version=version, prefix=prefix):
                broker = self.start(["prefix rpc site/two"])
                self.assertIn("all is well", run("mqtt_json_rpc.js", broker.port, prefix, version))
                broker.stop()


if __name__ == "__main__":
    main()
