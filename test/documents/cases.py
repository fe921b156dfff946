# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""JSON values out of schemas: first, for every place in the schema, each value on and beside its bounds and one of
each wrong type; then, by chance, values with several such places."""
import math

CHARACTERS = "aZ0 _\"\\/\n\t\x01\x7fé€\u2028漢😀\U0010ffff"
DEPTH_MAX = 32  # of the engine
LONGEST = 20000  # characters or elements, where a schema says nothing
NUMBERS = [0, -0.0, 1, -1, 0.5, 1.0, 1e3, -7, 1000, 2**31 - 1, 2**31, -2**31, -2**31 - 1, 2**53 + 1, 2**63 - 1, 2**63,
           -2**63, -2**63 - 1, 9.3e18, 10**25, 1e-320, 1.7976931348623157e308, -1e308, math.inf, -math.inf]


def nested(depth):
    return [nested(depth - 1)] if depth else 0


ODD = [None, True, "", "x", "\0", [], [0], {}, {"\0": 0}, {"a": {"b": "\0"}}, nested(DEPTH_MAX), *NUMBERS]


class Cases:
    """`wild` is how often a value that chance makes is not chosen to fit."""

    def __init__(self, random):
        self.random = random
        self.wild = 0

    # What every place is tried with.

    def systematic(self, schema):
        """Values with one place that is on or beside a bound, or of another type; the rest of each fits."""
        yield self.make(schema)
        yield from ODD
        yield from self.around(schema)
        if "properties" in schema:
            members = {name: self.make(inner) for name, inner in schema["properties"].items()}
            yield {**members, "undeclared": 0}
            for name, inner in schema["properties"].items():
                yield {other: value for other, value in members.items() if other != name}
                for value in self.systematic(inner):
                    yield {**members, name: value}
        if "items" in schema:
            before = [self.make(schema["items"])] * (schema.get("minItems", 0) - 1)
            for value in self.systematic(schema["items"]):
                yield [*before, value]

    def around(self, schema):
        """Values on and beside the bounds of the schema itself, without what is in it."""
        for bound in ("minimum", "maximum"):
            if bound in schema:
                yield from self.beside(schema[bound])
        for choice in schema.get("enum", []):
            yield from (choice, f"{choice}x", f"{choice}"[:-1], f"{choice}".upper())
        types = schema.get("type", ())
        if "string" in types and "enum" not in schema:
            least, most = schema.get("minLength", 0), schema.get("maxLength", LONGEST)
            for length in {0, max(0, least - 1), least, least + 1, most - 1, most, most + 1}:
                yield from (character * length for character in "xé漢😀")
            yield from ("\0" * least, "x" * (most - 1) + "\0", "\n" * least)
        if "array" in types:
            least, most = schema.get("minItems", 0), schema.get("maxItems", LONGEST)
            for count in {0, max(0, least - 1), least, most, most + 1}:
                yield [self.make(schema["items"])] * count

    def beside(self, bound):
        if isinstance(bound, int):  # larger ones have no float with a text that is exact
            floats = (float(bound), bound - 0.5, bound + 0.5) if abs(bound) < 2**50 else ()
            return (bound - 1, bound, bound + 1, *floats)
        return (bound, math.nextafter(bound, math.inf), math.nextafter(bound, -math.inf))

    # What chance makes.

    def anything(self, depth=0):
        kind = self.random.randrange(6 if depth > 2 else 8)
        if kind < 2:
            return self.random.choice([None, True, False])
        if kind < 4:
            return self.random.choice([*NUMBERS, self.random.uniform(-1e6, 1e6), self.random.randrange(-10**6, 10**6)])
        if kind < 6:
            return self.text(0, 12)
        if kind == 6:
            return [self.anything(depth + 1) for _ in range(self.random.randrange(4))]
        return {self.text(0, 6): self.anything(depth + 1) for _ in range(self.random.randrange(4))}

    def text(self, least, most):
        """A long one is a short one over and over."""
        length = self.random.choice([least, most, self.random.randint(least, most), self.random.randint(least, min(most, least + 16))])
        part = self.random.choices(CHARACTERS, k=min(length, 23))
        text = ("".join(part) * (length // 23 + 1))[:length]
        if length and self.random.random() < self.wild / 4:
            at = self.random.randrange(length)
            text = text[:at] + "\0" + text[at + 1:]
        return text

    def make(self, schema):
        if self.wild and self.random.random() < self.wild:
            return self.random.choice([self.anything(), *self.around(schema)])
        types = schema.get("type", "any")
        if isinstance(types, list):
            types = self.random.choice(types)
        if types == "null":
            return None
        if "enum" in schema:
            return self.random.choice([choice for choice in schema["enum"] if choice is not None])
        return getattr(self, "make_" + types)(schema)

    def make_any(self, schema):
        return self.anything()

    def make_boolean(self, schema):
        return self.random.random() < 0.5

    def make_integer(self, schema):
        low, high = schema.get("minimum", -2**63), schema.get("maximum", 2**63 - 1)
        value = self.random.choice([low, high, self.random.randint(low, high), self.random.randint(max(low, -9), max(low, min(high, 9)))])
        return float(value) if abs(value) < 2**50 and self.random.random() < 0.2 else value

    def make_number(self, schema):
        low, high = schema.get("minimum", -1e308), schema.get("maximum", 1e308)
        middle = self.random.uniform(max(low, -1e6), min(high, 1e6)) if low < 1e6 and high > -1e6 else low
        return self.random.choice([low, high, middle])

    def make_string(self, schema):
        return self.text(schema.get("minLength", 0), schema.get("maxLength", LONGEST))

    def make_array(self, schema):
        least, most = schema.get("minItems", 0), min(schema.get("maxItems", LONGEST), 40)
        count = self.random.choice([least, max(least, most), self.random.randint(least, max(least, most))])
        return [self.make(schema["items"]) for _ in range(count)]

    def make_object(self, schema):
        required = schema.get("required", [])
        made = {name: self.make(inner) for name, inner in schema.get("properties", {}).items()
                if (name in required and self.random.random() >= self.wild / 4) or self.random.random() < 0.6}
        if self.random.random() < (0.3 if schema.get("additionalProperties", True) else self.wild / 4):
            made["undeclared " + self.text(0, 3)] = self.anything()
        return made
