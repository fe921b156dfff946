# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""JSON values out of schemas: some that fit, some that lie on an edge, some that are wrong."""
import math

CHARACTERS = "aZ0 _\"\\/\n\t\x01\x7fé€\u2028漢😀\U0010ffff"
LONGEST = 20000  # characters of any string: max_payload of the engine is far above


class Cases:
    """`wild` is how often a value is not chosen to fit."""

    def __init__(self, random):
        self.random = random
        self.wild = 0

    def anything(self, depth=0):
        kind = self.random.randrange(6 if depth > 2 else 8)
        if kind < 2:
            return self.random.choice([None, True, False])
        if kind < 4:
            return self.number()
        if kind < 6:
            return self.text(0, 12)
        if kind == 6:
            return [self.anything(depth + 1) for _ in range(self.random.randrange(4))]
        return {self.text(0, 6): self.anything(depth + 1) for _ in range(self.random.randrange(4))}

    def number(self):
        return self.random.choice([
            0, -0.0, 1, -1, 0.5, 1.0, 1e3, -7, 1000, 2**31 - 1, 2**31, -2**31, -2**31 - 1, 2**53 + 1, 2**63 - 1, 2**63,
            -2**63, -2**63 - 1, 9.3e18, 10**25, 1e-320, 1.7976931348623157e308, -1e308, math.inf, -math.inf,
            self.random.uniform(-1e6, 1e6), self.random.randrange(-10**6, 10**6)])

    def text(self, least, most):
        length = self.random.choice([least, most, self.random.randint(least, most)])
        characters = self.random.choices(CHARACTERS, k=length)
        if length and self.random.random() < self.wild / 4:
            characters[self.random.randrange(length)] = "\0"
        return "".join(characters)

    def make(self, schema):
        if self.random.random() < self.wild:
            return self.edge(schema)
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
        low, high = schema["minimum"], schema["maximum"]
        value = self.random.choice([low, high, self.random.randint(low, high), self.random.randint(max(low, -9), max(low, min(high, 9)))])
        return float(value) if abs(value) < 2**50 and self.random.random() < 0.2 else value

    def make_number(self, schema):
        low, high = schema["minimum"], schema["maximum"]
        middle = self.random.uniform(max(low, -1e6), min(high, 1e6)) if low < 1e6 and high > -1e6 else low
        return self.random.choice([low, high, middle])

    def make_string(self, schema):
        return self.text(schema.get("minLength", 0), min(schema["maxLength"], LONGEST))

    def make_array(self, schema):
        least, most = schema.get("minItems", 0), min(schema["maxItems"], 40)
        count = self.random.choice([least, max(least, most), self.random.randint(least, max(least, most))])
        return [self.make(schema["items"]) for _ in range(count)]

    def make_object(self, schema):
        required = schema.get("required", [])
        made = {name: self.make(inner) for name, inner in schema.get("properties", {}).items()
                if name in required or self.random.random() < 0.6}
        if self.random.random() < 0.3:
            made["undeclared " + self.text(0, 3)] = self.anything()
        return made

    def edge(self, schema):
        """Just inside, just outside, or something else altogether."""
        choices = [self.anything]
        if "minimum" in schema:
            choices += [lambda: self.beside(schema["minimum"]), lambda: self.beside(schema["maximum"])]
        if schema.get("maxLength", LONGEST) < LONGEST:
            choices += [lambda: self.text(schema["maxLength"] + 1, schema["maxLength"] + 1),
                        lambda: self.text(0, max(0, schema.get("minLength", 0) - 1))]
        if "enum" in schema:
            choices += [lambda: str(self.random.choice(schema["enum"])) + self.random.choice(["", "x"])]
        if schema.get("maxItems", LONGEST) < LONGEST:
            choices += [lambda: [self.make(schema["items"])] * (schema["maxItems"] + self.random.randrange(2)),
                        lambda: [self.make(schema["items"])] * max(0, schema.get("minItems", 0) - 1)]
        if "properties" in schema:
            choices += [lambda: self.without_one(self.make_object(schema))] * 4
        return self.random.choice(choices)()

    def beside(self, bound):
        if isinstance(bound, int):
            return bound + self.random.choice([-1, 0, 1, 0.5 if abs(bound) < 2**50 else 0])
        return self.random.choice([bound, math.nextafter(bound, math.inf), math.nextafter(bound, -math.inf)])

    def without_one(self, made):
        if made:
            del made[self.random.choice(sorted(made))]
        return made
