"""What the service tells of calls that come over a bridge, or from a listener with a mount_point: statistics, health,
spans, traces, dead letters and their replays, rpc.recent and rpc.running."""
import json

from bridges import PROTOCOLS, BridgeTest
from devices import SHORT, Application, DeviceTest
from harness import TEST_PLUGIN, BrokerTest, ask, broker_version, error_of, eventually, main, payload_of, result_of
from mqtt import NOT_AUTHORIZED, RESPONSE_TOPIC, USER_PROPERTY, property_of, user_property_of

CUTS = broker_version() >= (2, 0, 12)  # takes the mount point off what mounted clients get
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
CONTEXT = [(USER_PROPERTY, ("traceparent", PARENT)), (USER_PROPERTY, ("tracestate", "a=b"))]
OWN = "$SYS/broker/rpc/rpc"


def seen(topic):
    """A topic below the mount point as a mounted client sees it."""
    return topic if CUTS else f"m/{topic}"


def context_of(message):
    parent = user_property_of(message, "traceparent")
    return (parent.split("-")[1] if parent else None), user_property_of(message, "tracestate")


class MountPoint(BrokerTest):

    def begin(self, *options):
        self.broker = self.start(["mount_point m/", "sys_interval 1s", *options], mount_point="m/")
        self.operator = self.client(self.broker, 5, client_id="operator")

    def mounted(self, version=5, **how):
        return self.client(self.broker, version, port=self.broker.mounted_port, **how)

    def watch(self, *filters, mounted=False):
        watcher = self.mounted() if mounted else self.client(self.broker, 5)
        watcher.subscribe(*filters)
        return watcher

    def letters(self):
        return result_of(ask(self.operator, "dead.list"))["letters"]

    def test_a_letter_lies_where_the_events_of_its_call_lie(self):
        """Of callers of all versions, whether nobody was asked or nobody is there."""
        self.begin()
        inside, outside = self.watch("rpc/dead/#", mounted=True), self.watch("rpc/dead/#", "m/rpc/dead/#")
        for version in (3, 4, 5):
            with self.subTest(version=version):
                self.mounted(version, client_id=f"c{version}").publish("rpc/call/probe.value", b"2000", qos=1)
                leaver = self.mounted(version, client_id=f"l{version}")
                leaver.publish("rpc/call/slow.firm", json.dumps({"ms": 200, "fail": True, "request_id": "1"}), qos=1)
                leaver.disconnect()
                for name, caller in (("probe.value", f"c{version}"), ("slow.firm", f"l{version}")):
                    told = inside.receive()
                    self.assertEqual((told.topic, payload_of(told)["method"], payload_of(told)["caller"]),
                                     (seen(f"rpc/dead/{name}"), name, caller))
                    self.assertEqual(outside.receive().topic, f"m/rpc/dead/{name}")
        outside.expect_nothing()

    def test_a_replay_is_its_callers(self):
        """Whoever asks for it: its events lie below the mount point of the letter's caller, and nobody gets a reply."""
        self.begin()
        inside = self.watch("rpc/event/#", mounted=True)
        outside = self.watch("rpc/event/#", "m/rpc/call/#", "rpc/call/#", "rpc/dead/#")
        caller = self.mounted(client_id="caller")
        caller.publish("rpc/call/probe.value", b"2000", qos=1)
        self.assertEqual(inside.receive().topic, seen("rpc/event/error"))
        replayed = result_of(ask(self.operator, "dead.replay", {"id": self.letters()[0]["id"]}))
        self.assertEqual((replayed["status"], replayed["replays"]), ("invalid_params", 1))
        self.assertEqual(inside.receive().topic, seen("rpc/event/error"))
        outside.expect_nothing()
        caller.expect_nothing()

    def test_nobody_else_publishes_letters(self):
        """Below the mount point and beside it, from either listener."""
        self.begin()
        inside, outside = self.watch("rpc/dead/#", mounted=True), self.watch("rpc/dead/#", "m/rpc/dead/#")
        for client, topics in ((self.mounted(), ("rpc/dead/echo", "rpc/dead")),
                               (self.client(self.broker, 5), ("rpc/dead/echo", "m/rpc/dead/echo", "m/rpc/dead"))):
            for topic in topics:
                for retain in (False, True):
                    self.assertEqual(client.publish(topic, b"{}", qos=1, retain=retain), NOT_AUTHORIZED, topic)
        inside.expect_nothing()
        outside.expect_nothing()

    def test_the_service_tells_of_itself_beside_the_mount_point(self):
        """Counters, documents of methods, health and spans have one place, which mounted clients do not see."""
        self.begin()
        outside = self.watch(f"{OWN}/#", f"m/{OWN}/#")
        inside = self.watch(f"{OWN}/#", "#", mounted=True)
        caller = self.mounted(client_id="caller")
        caller.publish("rpc/call/probe.value", b"5", qos=1, properties=CONTEXT)
        found = {}
        while not {f"{OWN}/method/probe.value", f"{OWN}/span", f"{OWN}/health"} <= set(found):
            message = outside.receive()
            self.assertTrue(message.topic.startswith(OWN), message.topic)
            found[message.topic] = message
        self.assertEqual(payload_of(found[f"{OWN}/method/probe.value"])["calls"], 1)
        span = payload_of(found[f"{OWN}/span"])
        self.assertEqual((span["traceId"], span["name"]), (TRACE, "probe.value"))
        attributes = {entry["key"]: entry["value"]["stringValue"] for entry in span["attributes"]}
        self.assertEqual((attributes["messaging.client.id"], attributes["rpc.method"]), ("caller", "probe.value"))
        self.assertNotIn("rpc.method_original", attributes)
        inside.expect_nothing(1)

    def test_a_mounted_client_forges_nothing_of_it(self):
        self.begin()
        eventually(lambda: result_of(ask(self.operator, "ping")) is not None)
        self.mounted().publish(f"{OWN}/health", b"forged", qos=1, retain=True)
        outside = self.watch(f"{OWN}/health")
        self.assertNotEqual(outside.receive().payload, b"forged")

    def test_traces(self):
        self.begin()
        inside = self.watch("rpc/event/#", "rpc/dead/#", mounted=True)
        caller = self.mounted()
        caller.publish("rpc/call/probe.count", b"", qos=1, properties=[*CONTEXT, (RESPONSE_TOPIC, "r")])
        self.assertEqual((context_of(caller.receive()), context_of(inside.receive())), ((TRACE, "a=b"),) * 2)
        caller.publish("rpc/call/probe.value", b"2000", qos=1, properties=CONTEXT)
        found = {message.topic: message for message in (inside.receive(), inside.receive())}
        self.assertEqual(context_of(found[seen("rpc/event/error")]), (TRACE, "a=b"))
        self.assertIn(TRACE, payload_of(found[seen("rpc/dead/probe.value")])["trace"])

    def test_who_does_what(self):
        """rpc.recent and rpc.running name client and method as ever."""
        self.begin()
        caller = self.mounted(client_id="caller")
        caller.publish("rpc/call/slow.sleep", json.dumps({"ms": 60000, "polite": True}), qos=1)
        running = result_of(ask(self.operator, "rpc.running"))["calls"]
        self.assertEqual([(call["method"], call["caller"]) for call in running], [("slow.sleep", "caller")])
        caller.publish("rpc/call/m/rpc/call/nothing", b"", qos=1)
        caller.publish("rpc/call/ping", b"", qos=1)
        recent = result_of(ask(self.operator, "rpc.recent", {"caller": "caller"}))["calls"]
        self.assertEqual([call["method"] for call in recent], ["ping", "m/rpc/call/nothing"])


class MountedCommands(DeviceTest):
    """A mounted client has a device carry out a command."""

    def expire(self, restart=None):
        """A queued command of a mounted client expires, after a restart if there is one. Returns its device and the
        publication of its letter."""
        self.begin("mount_point m/", mount_point="m/", users={"ann": "secret"})
        device = self.offline()
        self.wait_for_disk("lamp1")
        app = self.app(port=self.broker.mounted_port, client_id="shop", username="ann", password="secret")
        call = app.call("lamp1", "go", {"far": 1}, offline="queue", ttl_ms=8 * SHORT if restart else SHORT)
        self.assertTrue(payload_of(app.reply(call))["queued"])
        if restart:
            restart()
        self.watcher = self.client(self.broker, 5)
        self.watcher.subscribe("rpc/dead/#", "m/rpc/dead/#")
        told = self.watcher.receive()
        letter = payload_of(told)
        self.assertEqual((letter["caller"], letter.get("user"), letter["err"]), ("shop", "ann", "expired"))
        return device, told

    def test_letters_and_replays(self):
        """Before and after a restart of the broker the letter lies where those of other calls lie, and is replayed."""
        for restart in (None, self.restart):
            with self.subTest(restart=restart):
                device, told = self.expire(restart)
                self.assertEqual(told.topic, "m/rpc/dead/device/lamp1/go")
                device.come()
                operator = Application(self, self.broker)
                replay = operator.send("dead.replay", {"id": payload_of(told)["id"]})
                device.serve()
                self.assertEqual(operator.result(replay)["status"], "ok")
                self.watcher.expect_nothing()

    def test_the_mount_point_is_no_more(self):
        """The plugin knows no mount point after the restart: then the letter has none."""
        def restart():
            self.broker.stop()
            self.broker.plugins[0][1].remove("mount_point m/")
            self.broker.start()
        _, told = self.expire(restart)
        self.assertEqual(told.topic, "rpc/dead/device/lamp1/go")


class Bridges(BridgeTest):

    def begin(self, protocol, *topics, far_plugins=(), options=()):
        self.near, self.far = self.pair(["rpc/call/# in 2", *topics], ["bridge_calls true", "sys_interval 1s", *options],
                                        protocol, far_plugins)
        self.operator = self.client(self.near, 5, client_id="operator")

    def test_a_letter_crosses_once(self):
        """Both brokers have the plugin, and the bridge goes both ways: no letter is refused, doubled or answered."""
        for protocol in PROTOCOLS:
            with self.subTest(protocol=protocol):
                self.begin(protocol, "rpc/dead/# both 2", far_plugins=[(TEST_PLUGIN, ["event_publishers nobody"])])
                watchers = [self.client(broker, 5) for broker in (self.near, self.far)]
                for watcher in watchers:
                    watcher.subscribe("rpc/dead/#")
                self.client(self.near, 5, client_id="n").publish("rpc/call/probe.value", b"2000", qos=1)
                self.assertEqual(payload_of(watchers[0].receive())["caller"], "n")
                for watcher in watchers:
                    watcher.expect_nothing(0.5)  # far refuses what its clients publish there, and a bridge is one
                self.client(self.far, 5, client_id="f").publish("rpc/call/probe.value", b"2000", qos=1)
                for watcher in reversed(watchers):
                    self.assertEqual(payload_of(watcher.receive())["caller"], "f")
                    watcher.expect_nothing(0.5)
                self.assertEqual(result_of(ask(self.operator, "dead.list"))["total"], 1)

    def test_calls_over_a_bridge(self):
        """Named after the bridge; a replay of one is the bridge's, sends it nothing, and does not depend on
        bridge_calls; the letter and the documents stay here."""
        for protocol in PROTOCOLS:
            with self.subTest(protocol=protocol):
                self.begin(protocol)
                told = self.client(self.near, 5)
                told.subscribe("rpc/dead/#", "rpc/event/#", f"{OWN}/method/probe.value")
                beyond = self.client(self.far, 5)
                beyond.subscribe("rpc/event/#", "rpc/dead/#", "rpc/call/+/response/#", "$SYS/broker/rpc/#")
                self.client(self.far, 5).publish("rpc/call/probe.value", b"2000", qos=1, properties=CONTEXT)
                found = {}
                while len(found) < 3:
                    message = told.receive()
                    found[message.topic] = payload_of(message)
                letter, trace = found["rpc/dead/probe.value"], TRACE if protocol == "mqttv50" else None
                self.assertEqual((letter["caller"], "user" in letter), ("link-local", False))
                self.assertEqual(letter["trace"].split("-")[1] if trace else letter.get("trace"), trace)
                self.assertEqual(found[f"{OWN}/method/probe.value"]["errors"], {"invalid_params": 1})
                recent = result_of(ask(self.operator, "rpc.recent", {"method": "probe.value"}))["calls"]
                self.assertEqual([(call["caller"], call.get("trace")) for call in recent], [("link-local", trace)])
                replayed = result_of(ask(self.operator, "dead.replay", {"id": letter["id"]}))
                self.assertEqual((replayed["status"], replayed["replays"]), ("invalid_params", 1))
                self.assertEqual(payload_of(told.receive())["client"], "link-local")
                beyond.expect_nothing()

    def test_traces_cross(self):
        """There and back over a bridge of MQTT 5; a bridge of 3.1.1 has the member beside request_id."""
        for protocol in PROTOCOLS:
            with self.subTest(protocol=protocol):
                self.begin(protocol, "rpc/event/# out 2")
                is_v5 = protocol == "mqttv50"
                spans, caller = self.client(self.near, 5), self.client(self.far, 5)
                spans.subscribe(f"{OWN}/span")
                caller.subscribe("rpc/event/#", "rpc/call/+/response/#")
                if is_v5:
                    caller.publish("rpc/call/probe.count", b"", qos=1,
                                   properties=[*CONTEXT, (RESPONSE_TOPIC, "rpc/call/probe.count/response/1")])
                else:
                    caller.publish("rpc/call/probe.count", json.dumps({"request_id": "1", "traceparent": PARENT}), qos=1)
                found = {message.topic: message for message in (caller.receive(), caller.receive())}
                self.assertEqual(set(found), {"rpc/call/probe.count/response/1", "rpc/event/probeCounted"})
                for message in found.values():
                    self.assertEqual(context_of(message), (TRACE, "a=b") if is_v5 else (None, None))
                span = payload_of(spans.receive())
                self.assertEqual(span["traceId"], TRACE)
                attributes = {entry["key"]: entry["value"]["stringValue"] for entry in span["attributes"]}
                self.assertEqual((attributes["messaging.client.id"], attributes["network.protocol.version"]),
                                 ("link-local", "5.0" if is_v5 else "3.1.1"))

    def test_what_is_running(self):
        self.begin("mqttv50")
        self.client(self.far, 5).publish("rpc/call/slow.sleep", json.dumps({"ms": 60000, "polite": True}), qos=1)
        eventually(lambda: result_of(ask(self.operator, "rpc.running", {"caller": "link-local"}))["count"] == 1)

    def test_the_other_end_may_look_unless_methods_are_off(self):
        for protocol in PROTOCOLS:
            for options in ([], ["methods_off dead.list dead.replay rpc.recent"]):
                with self.subTest(protocol=protocol, options=options):
                    self.begin(protocol, options=options)
                    self.client(self.near, 5).publish("rpc/call/probe.value", b"2000", qos=1)
                    beyond = self.client(self.far)
                    beyond.subscribe("rpc/call/+/response/#")
                    for method in ("dead.list", "rpc.recent"):
                        beyond.publish(f"rpc/call/{method}", '{"request_id":"1"}', qos=1)
                        reply = payload_of(beyond.receive())
                        if options:
                            self.assert_error(reply["error"], "method_not_found")
                        else:
                            self.assertIn("result", reply)

    def test_statistics_go_out_where_they_are_asked_for(self):
        """An operator may bring $SYS of a site to the centre, whose own plugin it does not disturb."""
        for protocol in PROTOCOLS:
            with self.subTest(protocol=protocol):
                self.begin(protocol, '$SYS/broker/rpc/# out 1 "" site/', far_plugins=[(TEST_PLUGIN, [])])
                watcher = self.client(self.far, 5)
                watcher.subscribe(f"site/{OWN}/#", f"{OWN}/health", f"{OWN}/method/#")
                ask(self.operator, "probe.count")
                found = {}
                while not {f"site/{OWN}/method/probe.count", f"site/{OWN}/health", f"{OWN}/health"} <= set(found):
                    message = watcher.receive()
                    found[message.topic] = message
                self.assertNotIn(f"{OWN}/method/probe.count", found)
                self.assertEqual(result_of(ask(self.client(self.far, 5), "rpc.health"))["ok"], True)


class Forgeries(BrokerTest):

    def test_topics_where_the_service_tells_of_itself(self):
        """The broker lets no client publish there."""
        broker = self.start(["sys_interval 1s"])
        watcher = self.client(broker, 5)
        watcher.subscribe(f"{OWN}/health")
        self.assertTrue(payload_of(watcher.receive())["ok"])
        for topic in ("health", "span", "method/ping", "calls"):
            self.assertEqual(self.client(broker, 5).publish(f"{OWN}/{topic}", b"forged", qos=1, retain=True),
                             NOT_AUTHORIZED)
        watcher.expect_nothing(0.5)


if __name__ == "__main__":
    main()
