"""Calls and events that travel over a bridge between two brokers.

`near` runs the plugin, `far` is a plain broker. A bridge that near itself opens was checked by no ACL:
its calls are left alone unless bridge_calls says otherwise. A bridge that far opens is an ordinary client.
"""
from bridges import PROTOCOLS, BridgeTest
from harness import main, payload_of
from mqtt import CORRELATION_DATA, RESPONSE_TOPIC, property_of


class Bridges(BridgeTest):

    def test_left_alone_by_default(self):
        for protocol in PROTOCOLS:
            with self.subTest(protocol=protocol):
                near, far = self.pair(["rpc/call/# in 2"], protocol=protocol)
                watcher = self.client(near, 5)
                watcher.subscribe("rpc/#")
                self.client(far, 5).publish("rpc/call/probe.count", "{}", qos=1)
                self.assertEqual(watcher.receive().topic, "rpc/call/probe.count")
                watcher.expect_nothing()

    def test_answered_when_allowed(self):
        for protocol in PROTOCOLS:
            for qos in (0, 1, 2):
                with self.subTest(protocol=protocol, qos=qos):
                    near, far = self.pair(["rpc/call/# in 2"], ["bridge_calls true"], protocol)
                    watcher, connection = self.client(near, 5), self.client(far)
                    watcher.subscribe("rpc/#")
                    connection.subscribe("rpc/call/+/response/#")
                    connection.publish("rpc/call/probe.caller", '{"request_id":"r"}', qos=qos)
                    result = payload_of(connection.receive())["result"]
                    self.assertEqual(result["id"], "link-local")
                    self.assertNotIn("address", result)
                    watcher.expect_nothing()

    def test_response_topic_over_a_bridge(self):
        near, far = self.pair(["rpc/call/# in 2"], ["bridge_calls true", "bridge_response_topics answers/#"], "mqttv50")
        connection = self.client(far, 5)
        connection.subscribe("answers/me")
        connection.publish("rpc/call/echo", "[1]", qos=1,
                       properties=[(RESPONSE_TOPIC, "answers/me"), (CORRELATION_DATA, b"\x00\x01")])
        reply = connection.receive()
        self.assertEqual((reply.payload, property_of(reply, CORRELATION_DATA)), (b"[1]", b"\x00\x01"))

    def expect_no_publication(self, far, near, answered):
        """Who may only call at far has its replies published there at topics of replies, and at no other."""
        watcher, errors = self.client(far, 5), self.client(near)
        watcher.subscribe("cmd/#", "answers/#", "rpc/event/#")
        errors.subscribe("rpc/event/error")
        caller = self.client(far, 5)
        caller.subscribe("rpc/call/echo/response/#")
        for topic in ("cmd/door/open", "rpc/event/probeCounted"):
            caller.publish("rpc/call/echo", '{"open":true}', qos=1, properties=[(RESPONSE_TOPIC, topic)])
            self.assert_error(errors.receive(), "invalid_request")
        watcher.expect_nothing()
        caller.publish("rpc/call/echo", '{"open":true}', qos=1, properties=[(RESPONSE_TOPIC, answered)])
        self.assertEqual(caller.receive().topic, answered)

    def test_no_bridge_publishes_where_it_may_not(self):
        near, far = self.pair(["rpc/call/# in 2"], ["bridge_calls true"], "mqttv50")
        self.expect_no_publication(far, near, "rpc/call/echo/response/mine")

    def test_no_bridge_of_another_broker_publishes_where_it_may_not(self):
        for options, notifications in (([], "true"), (["bridge_clients link-remote"], "false")):
            with self.subTest(notifications=notifications):
                near = self.start(options)
                far = self.start(plugins=[], lines=self.bridge_lines(near, ["rpc/call/# out 2"], "mqttv50",
                                                                     notifications=notifications))
                near.wait_log("CONNACK to link-remote")
                self.expect_no_publication(far, near, "rpc/call/echo/response/mine")

    def test_a_bridge_behind_a_mount_point(self):
        near = self.start(["mount_point site/"], mount_point="site/")
        far = self.start(plugins=[], lines=self.bridge_lines(near, ["rpc/call/# out 2"], "mqttv50",
                                                             near.mounted_port, "true"))
        near.wait_log("CONNACK to link-remote")
        watcher, caller, errors = self.client(far, 5), self.client(far, 5), self.client(near)
        watcher.subscribe("cmd/#")
        errors.subscribe("site/rpc/event/error")
        caller.publish("rpc/call/echo", "{}", qos=1, properties=[(RESPONSE_TOPIC, "cmd/door/open")])
        self.assert_error(errors.receive(), "invalid_request")
        watcher.expect_nothing()

    def test_a_bridge_that_comes_back_with_calls(self):
        """The first that a bridge sends when it connects is its state, before the calls that waited for it."""
        near = self.start()
        far = self.start(plugins=[], lines=[
            line.replace("cleansession true", "cleansession false")
            for line in self.bridge_lines(near, ["rpc/call/# out 2"], "mqttv50", notifications="true")])
        near.wait_log("CONNACK to link-remote")
        near.stop()
        watcher, caller = self.client(far, 5), self.client(far, 5)
        watcher.subscribe("cmd/#")
        caller.subscribe("rpc/call/echo/response/#")
        for topic in ("cmd/door/open", "rpc/call/echo/response/mine"):
            caller.publish("rpc/call/echo", "{}", qos=1, properties=[(RESPONSE_TOPIC, topic)])
        near.start()
        self.assertEqual(caller.receive().topic, "rpc/call/echo/response/mine")
        watcher.expect_nothing()

    def test_what_a_bridge_brings_is_not_guarded(self):
        near, far = self.pair(["rpc/# in 2"])
        watcher = self.client(near)
        watcher.subscribe("rpc/#")
        for topic in ("rpc/event/probeCounted", "rpc/call/echo/response/1", "rpc/dead/echo"):
            self.client(far).publish(topic, "from afar", qos=1)
            self.assertEqual(watcher.receive().topic, topic)

    def test_events_go_out_and_calls_do_not(self):
        near, far = self.pair(["rpc/# out 2"])
        watcher = self.client(far)
        watcher.subscribe("#")
        self.client(near).publish("rpc/call/probe.count", qos=1)
        event = watcher.receive()
        self.assertEqual((event.topic, payload_of(event)), ("rpc/event/probeCounted", {"runs": 1}))
        watcher.expect_nothing()

    def test_a_bridge_that_the_other_side_opens(self):
        near = self.start()
        topics = ["rpc/call/# out 2", "rpc/event/# in 2"]
        far = self.start(plugins=[], lines=self.bridge_lines(near, topics, "mqttv311"))
        near.wait_log("Sending SUBACK to link-remote")
        far.wait_log("SUBACK")
        connection = self.client(far)
        connection.subscribe("rpc/event/#", "rpc/call/+/response/#")
        connection.publish("rpc/call/probe.count", '{"request_id":"r"}', qos=1)
        found = {message.topic: payload_of(message) for message in (connection.receive(), connection.receive())}
        self.assertEqual(found, {"rpc/event/probeCounted": {"runs": 1},
                                 "rpc/call/probe.count/response/r": {"request_id": "r", "result": {"runs": 1}}})

    def test_the_end_of_a_bridge(self):
        near, far = self.pair(["rpc/call/# in 2"], ["bridge_calls true"])
        self.client(far).publish("rpc/call/probe.count", '{"request_id":"r"}', qos=1)
        far.stop()
        client = self.client(near)
        client.publish("rpc/call/echo", '{"request_id":"r"}', qos=1)
        self.assertEqual(payload_of(client.receive())["result"], {})


if __name__ == "__main__":
    main()
