"""Method families and inboxes over the wire, with the module of test/modules/post.c."""
import itertools
import json

from harness import BrokerTest, ask, ask_by_id, error_of, main, payload_of, result_of
from mqtt import CORRELATION_DATA, NOT_AUTHORIZED, RESPONSE_TOPIC, USER_PROPERTY


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


class Inboxes(BrokerTest):

    def received(self, watcher):
        event = watcher.receive()
        self.assertEqual(event.topic, "rpc/event/post/received")
        return payload_of(event)

    def watch(self, broker):
        watcher = self.client(broker, 5)
        watcher.subscribe("#")
        return watcher

    def test_what_is_consumed_reaches_the_module_alone(self):
        broker = self.start(["post_root prefix"])
        watcher = self.watch(broker)
        for version, qos, retain in itertools.product((3, 4, 5), (0, 1, 2), (False, True)):
            with self.subTest(version=version, qos=qos, retain=retain):
                client = self.client(broker, version, client_id="me")
                client.publish("post/me/in", "hello", qos=qos, retain=retain)
                told = self.received(watcher)
                self.assertEqual((told["first"], told["sender"], told["version"], told["qos"], told["text"]),
                                 ("me", "me", version, qos, "hello"))
                client.close()
        watcher.expect_nothing()
        late = self.watch(broker)
        late.expect_nothing()

    def test_properties(self):
        broker = self.start(["post_root plant/7"], users={"bob": "x"})
        watcher = self.watch(broker)
        bob = self.client(broker, 5, client_id="me", username="bob", password="x")
        bob.publish("plant/7/a/to/b", "", qos=1,
                    properties=[(RESPONSE_TOPIC, "my/replies"), (CORRELATION_DATA, b"17"), (USER_PROPERTY, ("a", "b"))])
        self.assertEqual(self.received(watcher),
                         {"inbox": "+/to/+", "topic": "plant/7/a/to/b", "first": "a", "second": "b", "text": "",
                          "sender": "me", "user": "bob", "response_topic": "my/replies", "correlation": "17",
                          "version": 5, "qos": 1, "bridge": False})

    def test_typed_payloads(self):
        broker = self.start(["post_root prefix", "max_payload 1000"])
        watcher = self.client(broker, 5)
        watcher.subscribe("rpc/event/post/filled")
        for version, qos in itertools.product((3, 4, 5), (0, 1, 2)):
            client = self.client(broker, version)
            for payload, told in (
                    ('{"number":9223372036854775807,"value":{"id":1.0}}',
                     '{"is_there":true,"value":{"id":1.0},"number":9223372036854775807,"word":"none"}'),
                    ("", '{"is_there":false}'),
                    ('{"number":"1"}', '{"is_there":false,"why":"number must be a whole number of at least 0"}'),
                    (b"\xff\x00", '{"is_there":false,"why":"the payload is not JSON: '),
                    ("x" * 1001, '{"is_there":false,"why":"the payload has 1001 bytes, which is over max_payload')):
                client.publish("post/form", payload, qos=qos)
                self.assertTrue(watcher.receive().payload.decode().startswith(told), told)
            client.close()

    def test_forged_senders_are_refused(self):
        broker = self.start(["post_root prefix"])
        watcher = self.watch(broker)
        for version, qos, topic in itertools.product((3, 4, 5), (0, 1, 2), ("post/me/in", "post/closed")):
            with self.subTest(version=version, qos=qos, topic=topic):
                forger = self.client(broker, version, client_id="forger")
                reason = forger.publish(topic, "x", qos=qos, retain=True)
                self.assertEqual(reason, NOT_AUTHORIZED if version == 5 and qos else 0)
                forger.ping()
                forger.close()
        watcher.expect_nothing()
        self.watch(broker).expect_nothing()

    def test_what_passes_is_delivered_and_retained(self):
        broker = self.start(["post_root prefix"])
        watcher = self.watch(broker)
        client = self.client(broker, 5)
        for topic in ("post/a/watch", "post/other", "post/a/in/x", "posts/a/in", "rpc/post/a/in"):
            client.publish(topic, "x", qos=1, retain=True)
            self.assertEqual(watcher.receive().topic, topic)
        self.assertEqual(result_of(ask(client, "post.count")), {"watched": 1})
        late = self.client(broker, 5)
        late.subscribe("post/#")
        self.assertEqual({late.receive().topic for _ in range(3)}, {"post/a/watch", "post/other", "post/a/in/x"})

    def test_no_inboxes(self):
        broker = self.start()
        watcher = self.watch(broker)
        self.client(broker, 5).publish("post/closed", "x", qos=1)
        self.assertEqual(watcher.receive().topic, "post/closed")

    def test_each_prefix_has_its_own(self):
        broker = self.start(["prefix a/rpc b/rpc", "post_root prefix"])
        watcher = self.watch(broker)
        client = self.client(broker, 5, client_id="me")
        for prefix in ("a", "b"):
            client.publish(f"{prefix}/post/me/in", "x", qos=1)
            self.assertEqual(watcher.receive().topic, f"{prefix}/rpc/event/post/received")

    def test_usual_roots_that_overlap_give_way(self):
        for options, served, line in (
                (["prefix one two"], "one",
                 "two: module post: its inbox root post overlaps the inbox root post of module post, prefix one"),
                (["prefix post two"], None,
                 "two: module post: its inbox root post overlaps the topics of the prefix post"),
                (["prefix two post/event"], None,
                 "two: module post: its inbox root post overlaps the topics of the prefix post/event")):
            broker = self.start([*options, "post_root prefix"])
            watcher = self.watch(broker)
            self.client(broker, 5, client_id="me").publish("post/me/in", "x", qos=1)
            self.assertEqual(watcher.receive().topic, f"{served}/event/post/received" if served else "post/me/in")
            self.assertIn(line + ": its inboxes are off here; the option post_root would set another root",
                          broker.log())
            for prefix in options[0].split()[1:]:
                self.assertIn("result", ask_by_id(self.client(broker, 5), "post.count", prefix=prefix))
            broker.stop()

    def test_roots_that_overlap_stop_the_start(self):
        for options, line in (
                (["prefix one two", "post_root plant"], "its inbox root plant overlaps the inbox root plant"),
                (["post_root rpc/event"], "its inbox root rpc/event overlaps the topics of the prefix rpc"),
                (["post_root a/+"], "plugin_opt_post_root: 'a/+' is no topic")):
            broker = self.make(options)
            self.assertNotEqual(broker.run_to_exit(), 0)
            self.assertIn(line, broker.log())

    def test_an_acl_comes_first(self):
        rules = "topic write post/+/watch\n"
        broker = self.start(["post_root prefix"], acl=rules)
        client = self.client(broker, 5, client_id="me")
        self.assertEqual(client.publish("post/me/in", "x", qos=1), NOT_AUTHORIZED)
        client.publish("post/me/watch", "x", qos=1)


if __name__ == "__main__":
    main()
