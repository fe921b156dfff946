"""Keyed events: the broker retains the last one of each value, for clients that subscribe later, until it is retracted."""
import itertools
import json

from harness import BrokerTest, ask, broker_version, error_of, main, payload_of, result_of
from mqtt import NOT_AUTHORIZED

VERSIONS = (3, 4, 5)
CUTS = broker_version() >= (2, 0, 12)  # the mount point off topics, see test_mount_point.py


class Keyed(BrokerTest):
    def watcher(self, broker, version, *filters, **how):
        watcher = self.client(broker, version, **how)
        watcher.subscribe(*(filters or ("rpc/event/#",)))
        return watcher

    def set(self, client, gate, is_open=True, method="setGate"):
        state = {"gate": gate, "open": is_open}
        result_of(ask(client, method, state))
        return state

    def assert_kept(self, broker, states, prefix="rpc", **how):
        """What a client gets that subscribes now."""
        for version in VERSIONS:
            late = self.watcher(broker, version, f"{prefix}/event/#", **how)
            messages = [late.receive() for _ in states]
            self.assertEqual({message.topic: payload_of(message) for message in messages},
                             {f"{prefix}/event/gate/{state['gate']}": state for state in states})
            self.assertTrue(all(message.retain for message in messages))
            late.expect_nothing()
            late.close()

    def test_later_subscribers(self):
        broker = self.start()
        client = self.client(broker, 5)
        watchers = [self.watcher(broker, version) for version in VERSIONS]
        first = self.set(client, "front", False)
        states = [self.set(client, "front"), self.set(client, "ü b", False), self.set(client, "yard", method="moveGate"),
                  self.set(client, "shown", method="showGate")]
        for watcher, state in itertools.product(watchers, [first, *states]):
            with self.subTest(watcher=watchers.index(watcher), state=state):
                message = watcher.receive()
                self.assertEqual((message.topic, message.retain, payload_of(message)),
                                 (f"rpc/event/gate/{state['gate']}", False, state))
        self.assert_kept(broker, states)

    def test_what_is_retracted(self):
        broker = self.start()
        client = self.client(broker, 5)
        states = [self.set(client, gate) for gate in ("front", "back", "yard")]
        watchers = [self.watcher(broker, version, "rpc/event/gate/back") for version in VERSIONS]
        for watcher in watchers:
            watcher.receive()
        self.assertEqual(result_of(ask(client, "removeGate", {"gate": "back"})), {})
        for watcher in watchers:
            message = watcher.receive()
            self.assertEqual((message.topic, bytes(message.payload)), ("rpc/event/gate/back", b""))
        self.assert_kept(broker, [states[0], states[2]])
        for gate in ("back", "never", "a/b", "+", ""):
            self.assertEqual(result_of(ask(client, "removeGate", {"gate": gate})), {})
        self.assert_kept(broker, [states[0], states[2]])
        self.assert_kept(broker, [states[0], states[2], self.set(client, "back", False)])

    def test_values_that_are_no_level(self):
        broker = self.start()
        client = self.client(broker, 5)
        kept = self.set(client, "x" * 128)
        watchers = [self.watcher(broker, version, "rpc/event/gate/#") for version in VERSIONS]
        for watcher in watchers:
            watcher.receive()
        for gate in ("", "a/b", "/", "+", "#", "a+", "\x01", "\x7f", "x" * 129, "é" * 65):
            state = self.set(client, gate)
            for watcher in watchers:
                message = watcher.receive()
                self.assertEqual((message.topic, message.retain, payload_of(message)), ("rpc/event/gate", False, state))
        self.assert_kept(broker, [kept])

    def test_batches(self):
        broker = self.start()
        client = self.client(broker, 4)
        watcher = self.watcher(broker, 4)
        states = [{"gate": gate, "open": True} for gate in ("a", "b", "c/d", "e")]
        for method in ("setGate", "moveGate"):
            client.publish(f"rpc/batch/{method}", json.dumps(states), qos=1)
            for state in states:
                message = watcher.receive()
                self.assertEqual(message.topic, "rpc/event/gate" if state["gate"] == "c/d" else f"rpc/event/gate/{state['gate']}")
                self.assertEqual(payload_of(message), state)
        self.assert_kept(broker, [state for state in states if state["gate"] != "c/d"])

    def test_errors(self):
        broker = self.start()
        client = self.client(broker, 5)
        watcher = self.watcher(broker, 5)
        for method in ("setGate", "moveGate"):
            state = {"gate": f"stuck {method}", "open": True}
            client.publish(f"rpc/call/{method}", json.dumps(state), qos=1)
            message = watcher.receive()
            self.assertEqual((message.topic, message.retain), (f"rpc/event/gateFailed/stuck {method}", False))
            self.assert_error(message, "gate_stuck", gate=f"stuck {method}")
            self.assert_error(error_of(ask(client, method, state)), "gate_stuck", gate=f"stuck {method}")
        watcher.expect_nothing()
        self.assert_kept(broker, [])

    def test_guards(self):
        broker = self.start(["event_publishers gatekeeper"], users={"gatekeeper": "secret", "other": "secret"})
        kept = self.set(self.client(broker, 5, username="other", password="secret"), "front")
        how = {"username": "other", "password": "secret"}
        for version, topic, payload in itertools.product(VERSIONS, ("rpc/event/gate/front", "rpc/event/gate/new"), ("", "{}")):
            client = self.client(broker, version, **how)
            reason = client.publish(topic, payload, qos=1, retain=True)
            self.assertEqual(reason, NOT_AUTHORIZED if version == 5 else 0)
        self.assert_kept(broker, [kept], **how)
        keeper = self.client(broker, 5, username="gatekeeper", password="secret")
        keeper.publish("rpc/event/gate/front", "", qos=1, retain=True)
        self.assert_kept(broker, [], **how)

    def test_prefixes(self):
        broker = self.start(["prefix /plant/rpc dev/rpc"])
        client = self.client(broker, 5)
        state = {"gate": "a", "open": True}
        self.assertEqual(result_of(ask(client, "setGate", state, prefix="/plant/rpc")), state)
        self.assert_kept(broker, [state], prefix="/plant/rpc")
        self.assert_kept(broker, [], prefix="dev/rpc")

    def test_mount_points(self):
        """As other events, they are below the mount point of the client whose call they came of."""
        broker = self.start(["mount_point m/"], mount_point="m/")
        mounted, plain = self.client(broker, 5, port=broker.mounted_port), self.client(broker, 5)
        inside, outside = self.set(mounted, "inside"), self.set(plain, "outside")
        self.assert_kept(broker, [outside])
        self.assertEqual(result_of(ask(plain, "removeGate", {"gate": "inside"})), {})
        if CUTS:
            self.assert_kept(broker, [inside], port=broker.mounted_port)
        self.assertEqual(result_of(ask(mounted, "removeGate", {"gate": "outside"})), {})
        self.assert_kept(broker, [outside])
        watcher = self.watcher(broker, 5, "m/rpc/event/#")
        self.assertEqual(watcher.receive().topic, "m/rpc/event/gate/inside")
        self.assertEqual(result_of(ask(mounted, "removeGate", {"gate": "inside"})), {})
        self.assertEqual(bytes(watcher.receive().payload), b"")
        self.watcher(broker, 5, "m/rpc/event/#").expect_nothing()


if __name__ == "__main__":
    main()
