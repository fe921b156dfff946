"""The recipes of docs/recipes.md in JavaScript: NestJS, the AWS SDK, and mqtt-json-rpc 3 where there is one."""
import os
import unittest

from harness import main
from recipe import NodeTest, blocks


class Nest(NodeTest):
    section, packages, exported = "NestJS", "RPC_RECIPES_PACKAGES", "call, client"

    def test_the_page(self):
        self.check_page()

    def test_more(self):
        self.exported = "call, client, serialize, twice"
        self.check_script("nest.mjs", blocks(self.section, "js")[2])


class Aws(NodeTest):
    section, packages, exported = "AWS SDK", "RPC_RECIPES_PACKAGES", "call, client, connection"

    def test_the_page(self):
        self.check_page()

    def test_more(self):
        self.check_script("aws.mjs")


@unittest.skipUnless(os.environ.get("RPC_MQTT_JSON_RPC"), "there is no version 3 of mqtt-json-rpc")
class MqttJsonRpc(NodeTest):
    section, packages = "mqtt-json-rpc", "RPC_MQTT_JSON_RPC"

    def test_the_page(self):
        self.check_page()


if __name__ == "__main__":
    main()
