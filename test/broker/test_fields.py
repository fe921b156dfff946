"""Every kind of field over the wire: decoding, checking, encoding. The finer points are unit tests."""
import json

from harness import BrokerTest, ask, error_of, main, result_of

DEFAULTS = {"text": "a", "colour": "green", "count": 7}


class Fields(BrokerTest):

    def setUp(self):
        self.caller = self.client(self.start(), 5)

    def fields(self, **members):
        return ask(self.caller, "probe.fields", json.dumps({"text": "a", **members}))

    def assert_kept(self, **members):
        self.assertEqual(result_of(self.fields(**members)), {**DEFAULTS, **members})

    def assert_refused(self, name, **members):
        with self.subTest(**members):
            error = error_of(self.fields(**members))
            self.assert_error(error, "invalid_params", method="probe.fields")
            self.assertIn(name, error["msg"])

    def test_defaults(self):
        self.assertEqual(result_of(self.fields()), DEFAULTS)

    def test_values_are_kept(self):
        for value in (True, False):
            self.assert_kept(on=value)
        for value in (-100, 0, 100):
            self.assert_kept(small=value)
        for value in (2**63 - 1, -2**63, 2**53 + 1, 0):
            self.assert_kept(large=value)
        for value in (0.1, -1e308, 5e-324, 3, 1 / 3):
            self.assert_kept(ratio=value)
        for value in ("red", "blue"):
            self.assert_kept(colour=value, shade=value)
        for value in (None, [], {"x": [1, {"y": "ü"}]}, "text", 2**63 - 1, False):
            self.assert_kept(any=value)
        self.assert_kept(note="", **{"class": "a\"b\\c\n\u0001ü\U0001f600"})
        self.assert_kept(text="ü" * 8, count=-2**31)

    def test_whole_numbers_however_written(self):
        for text in ("5.0", "50e-1", "0.5e1", "5E0"):
            reply = ask(self.caller, "probe.fields", f'{{"text":"a","small":{text},"large":{text}}}')
            self.assertEqual(result_of(reply), {**DEFAULTS, "small": 5, "large": 5})

    def test_types(self):
        self.assert_refused("text", text=1)
        self.assert_refused("text", text=None)
        self.assert_refused("on", on="true")
        self.assert_refused("on", on=1)
        self.assert_refused("small", small="1")
        self.assert_refused("small", small=1.5)
        self.assert_refused("large", large=True)
        self.assert_refused("ratio", ratio="0.1")
        self.assert_refused("ratio", ratio=[])
        self.assert_refused("colour", colour=1)
        self.assert_refused("note", note={})
        self.assert_refused("class", **{"class": 1})

    def test_bounds(self):
        self.assert_refused("text", text="")
        self.assert_refused("text", text="ü" * 9)
        self.assert_refused("small", small=101)
        self.assert_refused("small", small=-101)
        self.assert_refused("large", large=2**63)
        self.assert_refused("large", large=-2**63 - 1)
        self.assert_refused("count", count=2**31)
        self.assert_refused("count", count=1e300)
        self.assert_refused("colour", colour="purple")
        self.assert_refused("colour", colour="")
        self.assert_refused("shade", shade="Red")
        self.assert_refused("note", note="x" * 65)

    def test_missing(self):
        error = error_of(ask(self.caller, "probe.fields", "{}"))
        self.assert_error(error, "invalid_params")
        self.assertIn("text", error["msg"])

    def test_members_nobody_declared(self):
        self.assertEqual(result_of(self.fields(other=1, type="x", Text="b", **{"": 5})), DEFAULTS)

    def test_a_payload_that_is_one_value(self):
        self.assertEqual(result_of(ask(self.caller, "probe.value", "41")), 42)
        for payload in ("-1", "1001", "1.5", '"1"', "{}", "[1]", "null"):
            with self.subTest(payload=payload):
                self.assert_error(error_of(ask(self.caller, "probe.value", payload)), "invalid_params")


PLACE = {"lat": 47.5, "lon": 19, "label": "a"}
NESTED = {"place": PLACE, "values": [-90, 0.5, 60], "tags": [], "offset": None}


class Nested(BrokerTest):

    def setUp(self):
        self.caller = self.client(self.start(), 5)

    def nested(self, **members):
        return ask(self.caller, "probe.nested", json.dumps({**NESTED, **members}))

    def assert_kept(self, **members):
        self.assertEqual(result_of(self.nested(**members)), {**NESTED, **members})

    def assert_refused(self, message, **members):
        with self.subTest(message=message):
            error = error_of(self.nested(**members))
            self.assert_error(error, "invalid_params", method="probe.nested")
            self.assertEqual(error["msg"], message)

    def test_values_are_kept(self):
        self.assert_kept()
        self.assert_kept(spare=PLACE, offset=0, note="n")
        self.assert_kept(tags=["ü" * 8, "}", "{"], values=[i / 2 for i in range(100)])
        self.assert_kept(shades=["red", "blue", "red"])
        self.assert_kept(readings=[{"name": "a", "value": -273.15, "marks": [0, 9]},
                                   {"name": "b", "value": 1000, "marks": []}])

    def test_what_is_missing_and_what_is_null(self):
        reply = self.nested(place={"lat": 1}, readings=[{"name": "a", "value": 1}], note=None)
        self.assertEqual(result_of(reply), {**NESTED, "place": {"lat": 1, "lon": 0},
                                            "readings": [{"name": "a", "value": 1, "marks": []}]})

    def test_errors_have_a_path(self):
        reading = {"name": "a", "value": 1}
        self.assert_refused("readings[3].value: 1e9 is outside -273.15..1000",
                            readings=[reading, reading, reading, {"name": "a", "value": 1e9}])
        self.assert_refused("readings[1].marks[0] must be a whole number from 0 to 9",
                            readings=[reading, {**reading, "marks": ["1"]}])
        self.assert_refused("readings[0].name is required", readings=[{}])
        self.assert_refused("place.lat is required", place={})
        self.assert_refused("spare must be an object", spare=None)
        self.assert_refused("values must have 1 to 100 elements, not 0", values=[])
        self.assert_refused("values must have 1 to 100 elements, not 101", values=[0] * 101)
        self.assert_refused("values must be an array of 1 to 100 numbers from -90 to 60", values={})
        self.assert_refused("values[2]: 61 is outside -90..60", values=[0, 0, 61])
        self.assert_refused("tags[2] must be a string of 1 to 8 characters", tags=["a", "b", None])
        self.assert_refused("shades[1] must be one of red, green, blue", shades=["red", "pink"])
        self.assert_refused("note must be a string of 0 to 16 characters or null", note=1)


if __name__ == "__main__":
    main()
