"""What a worker declares may be meant to hurt: the page stays usable, and sends what it shows."""
import json
import time
import unittest

from browser import KIND, ConsoleTest
from harness import ask, main, payload_of
from mqtt import CORRELATION_DATA, RESPONSE_TOPIC, USER_PROPERTY, property_of
from plant import HOSTILE, Plant


def object_of(properties, **more):
    return {"type": "object", "properties": properties, **more}


SCHEMAS = {
    "tree": object_of({name: {"$ref": "#"} for name in "abc"}, required=list("abc")),
    "lists": object_of({"x": {"type": "array", "minItems": 9, "items": {"$ref": "#/properties/x"}}}, required=["x"]),
    "pattern": object_of({"x": {"type": "string", "pattern": "^(a+)+$"}}, required=["x"]),
    "choices": object_of({"x": {"enum": list(range(2500))}}, required=["x"]),
    "names": object_of({"__proto__": {"type": "string"}, "constructor": {"type": "number"}, HOSTILE: {"type": "string"}}),
    "many": object_of({f"m{number}": {"type": "string"} for number in range(40)}),
}


@unittest.skipUnless(KIND == "chromium", "says nothing more in another browser")
class Hostile(ConsoleTest):

    def setUp(self):
        super().setUp()
        self.broker = self.make([*Plant.OPTIONS], users={"crew": "crew"}).start()
        self.worker = self.client(self.broker, 5, client_id="w1", username="crew", password="crew")
        declares = [{"name": f"evil.{name}", "doc": name, "params": schema, "result": schema} for name, schema in SCHEMAS.items()]
        reply = payload_of(ask(self.worker, "rpc.attach", {"worker": "w1", "version": "1", "window": 2, "declares": declares}))
        self.assertIn("work", reply)

    def test_no_schema_freezes_the_page(self):
        for name in SCHEMAS:
            self.open(self.broker, f"methods/evil.{name}")
            started = time.monotonic()
            self.page.wait(role="button", name="Call, and change things")
            self.page.click(role="button", name="Example")
            self.page.click(role="button", name="Clear")
            self.assertLess(time.monotonic() - started, 8, name)
        self.assertEqual(self.page.run("window.hurt ?? 0"), 0)

    def test_a_pattern_that_never_ends(self):
        self.open(self.broker, "methods/evil.pattern")
        self.page.fill("a" * 40 + "!", role="textbox", name="x")
        self.page.click(role="button", name="Call, and change things")
        self.assertEqual(json.loads(self.worker.receive().payload), {"x": "a" * 40 + "!"})

    def test_what_is_shown_is_sent(self):
        self.open(self.broker, "methods/evil.names")
        self.page.fill("p", role="textbox", name="__proto__")
        self.page.fill("-0", role="textbox", name="constructor")
        self.page.until("[...document.querySelectorAll('textarea')].some(one => one.value.includes('-0'))")
        shown = self.page.wait(role="textbox", name="JSON")["value"]
        self.page.click(role="button", name="Call, and change things")
        message = self.worker.receive()
        self.assertEqual(message.payload.decode(), shown)
        self.assertRegex(shown, r'"__proto__": "p",\s+"constructor": -0\s')
        self.worker.publish(property_of(message, RESPONSE_TOPIC), b'{"zero":-0,"big":123456789012345678901}', qos=1,
                            properties=[(CORRELATION_DATA, property_of(message, CORRELATION_DATA)), (USER_PROPERTY, ("status", "ok"))])
        self.page.wait(text="123456789012345678901")


@unittest.skipUnless(KIND == "chromium", "says nothing more in another browser")
class Words(ConsoleTest):

    def test_it_does_not_say_that_all_is_well_beside_calls_that_failed(self):
        broker = self.make([*Plant.OPTIONS]).start()
        self.open(broker, "trouble")
        self.page.wait(text="All is well")
        Plant(self, broker).call("updateSensor", {"sensor_id": "roof", "value": -500})
        self.page.wait(text="1 method failed lately", patience=20)
        self.page.wait(text="The service itself is well", patience=20)
        self.page.gone(text="All is well")


if __name__ == "__main__":
    main()
