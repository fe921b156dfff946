"""Method families over the wire, with the module of test/modules/post.c."""
import json

from harness import BrokerTest, ask, ask_by_id, error_of, main, payload_of, result_of
from mqtt import NOT_AUTHORIZED, RESPONSE_TOPIC


class Families(BrokerTest):
    """The topic names the method and what it is to act on, so that ACLs can tell one from the other."""

    def test_levels_reach_the_handler(self):
        client = self.client(self.start(), 5)
        for box, action in (("a", "open"), ("b 7", "close"), ("b\u00e4r", "$x"), ("x" * 128, "y" * 128)):
            self.assertEqual(result_of(ask(client, f"box/{box}/{action}")),
                             {"method": "box/{box}/{action}", "box": box, "action": action})
        self.assertEqual(result_of(ask(client, "box/main/open")), {"method": "box/main/open"})

    def test_what_is_no_call_of_the_family(self):
        client = self.client(self.start(), 5)
        for method in ("box/a", "box/a/", "box//open", "box/a/open/x", f"box/{'x' * 129}/open"):
            self.assert_error(error_of(ask(client, method)), "method_not_found")

    def test_errors_name_what_was_called(self):
        client = self.client(self.start(), 5)
        self.assert_error(error_of(ask(client, "box/b\u00e4r/shut")), "box_shut", method="box/b\u00e4r/shut")

    def test_replies_by_request_id(self):
        for version in (3, 4, 5):
            client = self.client(self.start(), version)
            self.assertEqual(ask_by_id(client, "box/a/open")["result"]["box"], "a")
            self.assertEqual(ask_by_id(client, "later/a")["result"], {"method": "later/{box}", "box": "a"})

    def test_json_rpc(self):
        client = self.client(self.start(["jsonrpc_methods box/{box}/{action}"]), 5)
        for topic in ("rpc/jsonrpc", "rpc/call/box/a/open/request"):
            client.publish(topic, json.dumps({"jsonrpc": "2.0", "id": "t:1", "method": "box/a/open"}), qos=1)
            reply = client.receive()
            self.assertEqual(reply.topic, topic.removesuffix("/request") + "/response/t")
            self.assertEqual(payload_of(reply)["result"]["action"], "open")

    def test_raw_bytes_and_batches(self):
        client = self.client(self.start(), 5)
        self.assertEqual(result_of(ask(client, "hall/box/a/size", b"\xff\x00")), {"bytes": 2, "box": "a"})
        client.publish("rpc/batch/later/a", "[{},{}]", qos=1, properties=[(RESPONSE_TOPIC, "here")])
        self.assertEqual([item["result"]["box"] for item in payload_of(client.receive())], ["a", "a"])

    def test_acls_tell_boxes_apart(self):
        rules = "user bob\ntopic write rpc/call/box/bob/+\n"
        broker = self.start(users={"bob": "x"}, acl=rules, anonymous=False)
        bob = self.client(broker, 5, username="bob", password="x")
        self.assertEqual(result_of(ask(bob, "box/bob/open"))["box"], "bob")
        self.assertEqual(bob.publish("rpc/call/box/eve/open", "{}", qos=1), NOT_AUTHORIZED)


if __name__ == "__main__":
    main()
