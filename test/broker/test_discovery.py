"""The module rpc over the wire: each prefix tells its own topics, its own limits and the modules that run in it."""
import json

from harness import PLUGIN, BrokerTest, ask, ask_by_id, error_of, main, payload_of, result_of
from mqtt import RESPONSE_TOPIC


class Discovery(BrokerTest):

    def discover(self, *options, prefix="rpc"):
        client = self.client(self.start(list(options), plugin=PLUGIN), 5)
        return result_of(ask(client, "rpc.discover", prefix=prefix))

    def test_each_prefix_tells_its_own_topics(self):
        client = self.client(self.start(["prefix plant/7 rpc"], plugin=PLUGIN), 5)
        for prefix in ("plant/7", "rpc"):
            document = result_of(ask(client, "rpc.discover", prefix=prefix))
            for method in document["methods"]:
                self.assertEqual(method["x-mqtt"]["topic"], f"{prefix}/call/{method['name']}")
            for event in document["x-events"]:
                self.assertEqual(event["topic"], f"{prefix}/event/{event['name']}")

    def test_the_topics_it_tells_are_served(self):
        client = self.client(self.start(plugin=PLUGIN), 5)
        for method in result_of(ask(client, "rpc.discover"))["methods"]:
            client.publish(method["x-mqtt"]["topic"], b"[", qos=1, properties=[(RESPONSE_TOPIC, "here")])
            self.assertEqual(payload_of(client.receive())["method"], method["name"])

    def test_topics_are_those_in_force(self):
        topics = self.discover()["x-topics"]
        self.assertIn("response", topics)
        self.assertFalse({"reply", "jsonrpc", "jsonrpcResponse"} & set(topics))
        topics = self.discover("jsonrpc_methods ping")["x-topics"]
        self.assertTrue({"response", "jsonrpc", "jsonrpcResponse"} <= set(topics))

    def test_topics_of_replies_to_subscribers(self):
        client = self.client(self.start(["reply_delivery subscribed"], plugin=PLUGIN), 5, client_id="me")
        client.subscribe("rpc/reply/me/#")
        topics = result_of(ask(client, "rpc.discover", topic="rpc/reply/me/1"))["x-topics"]
        self.assertTrue(topics["reply"].startswith("rpc/reply/"))
        self.assertNotIn("response", topics)

    def test_open_methods_are_called_where_it_says(self):
        client = self.client(self.start(["jsonrpc_methods ping echo"], plugin=PLUGIN), 5)
        told = {method["name"]: method["x-mqtt"].get("jsonrpcTopic")
                for method in result_of(ask(client, "rpc.discover"))["methods"]}
        for name, topic in told.items():
            request = {"jsonrpc": "2.0", "id": name, "method": name, "params": [1]}
            client.publish(topic or "rpc/jsonrpc", json.dumps(request), qos=1, properties=[(RESPONSE_TOPIC, "here")])
            error = payload_of(client.receive()).get("error", {"code": 0})
            self.assertEqual(error["code"] == -32601, topic is None, name)

    def test_limits_are_those_of_the_options(self):
        limits = self.discover("max_payload 1k", "max_reply 256k", "qos 1")["x-limits"]
        self.assertEqual((limits["maxPayload"], limits["maxReply"], limits["maxQos"]), (1024, 262144, 1))

    def test_only_modules_that_run(self):
        document = self.discover("modules ping rpc")
        self.assertEqual({tag["name"] for method in document["methods"] for tag in method["tags"]}, {"rpc", "ping"})
        self.assertEqual([event["name"] for event in document["x-events"]], ["error", "pong"])

    def test_switched_off(self):
        client = self.client(self.start(["modules ping"], plugin=PLUGIN), 5)
        for method in ("rpc.discover", "rpc.list", "rpc.describe"):
            self.assert_error(error_of(ask(client, method)), "method_not_found")

    def test_too_large(self):
        client = self.client(self.start(["max_reply 3000", "modules clock echo ping rpc sensor"], plugin=PLUGIN), 5)
        error = error_of(ask(client, "rpc.discover"))
        self.assert_error(error, "reply_too_large")
        self.assertIn("rpc.describe", error["msg"])
        names = [method["name"] for method in result_of(ask(client, "rpc.list"))["methods"]]
        for name in names:
            if name not in ("updateSensor", "listSensors", "sensorHistory", "rpc.list"):
                described = result_of(ask(client, "rpc.describe", json.dumps({"method": name})))
                self.assertEqual(described["method"]["name"], name)

    def test_from_mqtt_3(self):
        client = self.client(self.start(plugin=PLUGIN), 4)
        listed = ask_by_id(client, "rpc.list")["result"]
        self.assertIn("ping", [method["name"] for method in listed["methods"]])


if __name__ == "__main__":
    main()
