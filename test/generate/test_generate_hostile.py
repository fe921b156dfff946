# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Clients that are generated from hostile descriptions: they are the same code as others, with other names and texts.

The description is the shipped modules' own. Its texts and names are replaced by harmless ones, and by hostile ones:
then the code must have the same tokens, but for the contents of literals, comments and identifiers.
"""
import io
import json
import keyword
import random
import re
import tokenize
import unittest

from generated import C_FLAGS, COMPILERS, LANGUAGES, TOOL, document, files_of, generate, new_folder, run
from harness import ROOT, main
from words import description_of_words

HARMLESS = "-w"
HOSTILE = (
    '"""\nraise SystemExit(3)\n"""', "'''\nraise SystemExit(3)\n'''", "*/ int evil; /*", "*/ process.exit(3) /*", "\\", '\\"', '"', "'",
    "`${process.exit(3)}`", "\u2028process.exit(3)\u2029", "\u202e\u2066", "\x01\x1b[31m\x7f\x85", "??/", "??/\n", "//\\\nint evil;",
    "# type: ignore", "@ts-ignore", "@ts-nocheck", "{0}%s%n%%", "<!--", "-->", "\r\n#include </etc/passwd>", "é日本😀", "*", "/", "\n",
    "\ufeff", "\u200b", "*??/", "\t", "\\u0022", "\\x22", "\\", "\"\"\"", "\\N{QUOTATION MARK}", "x" * 99)
KEYWORDS = {"python": {*keyword.kwlist}, "c": set("""auto break case char const continue default do double else enum extern
    float for goto if inline int long register restrict return short signed sizeof static struct switch typedef union unsigned
    void volatile while bool true false include define""".split()), "typescript": set("""break case catch class const continue
    debugger default delete do else enum export extends false finally for function if import in instanceof new null return super
    switch this throw true try typeof var void while with interface let static yield any boolean constructor readonly type
    number string unknown is async await from undefined""".split())}
C_TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|/\[(?:\\.|[^/\\\n])*\]/|\w+|[^\s\w]', re.S)


# ---- Descriptions ------------------------------------------------------------------------------

class Disguise:
    """Replaces the names and texts of a description by numbers, each with a word behind it that `word` gives."""

    def __init__(self, word):
        self.word, self.numbers = word, {}

    def text(self, text, is_name=False):
        number = self.numbers.setdefault(text, len(self.numbers) + 1)
        word = self.word(number)
        return f"{number}{re.sub('[{}]', '', word) if is_name else word}"

    def name(self, name):
        """Levels that the caller gives stay such levels, and commands of devices such commands."""
        parts = re.split(r"(\{[^{}]+\})", name.removeprefix("device/{device}/"))
        changed = [part and (f"{{{self.text(part[1:-1], True)}}}" if part[0] == "{" else self.text(part, True)) for part in parts]
        return ("device/{device}/" if name.startswith("device/{device}/") else "") + "".join(changed)

    def value(self, key, value):
        if key in ("properties", "x-devices"):
            return {self.name(name): self.all(item) for name, item in value.items()}
        if key in ("required", "enum") and isinstance(value, list):
            return [self.name(item) if isinstance(item, str) else item for item in value]
        if key in ("name", "err", "const", "key", "title") and isinstance(value, str):
            return self.name(value)
        if key in ("description", "summary", "x-unit", "default", "version") and isinstance(value, str):
            return self.text(value)
        return self.all(value)

    def all(self, value):
        if isinstance(value, dict):
            return {key: self.value(key, item) for key, item in value.items()}
        return [self.all(item) for item in value] if isinstance(value, list) else value


def disguised(word):
    return json.dumps(Disguise(word).all(json.loads((ROOT / "docs/openrpc.json").read_text())))


# ---- Code --------------------------------------------------------------------------------------

def tokens_of_python(source):
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.COMMENT, tokenize.NL):
            continue
        name = token.type == tokenize.NAME and token.string not in KEYWORDS["python"]
        yield "name" if name else "string" if token.type == tokenize.STRING else token.type if token.type in (
            tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT) else token.string


def tokens_of_c(language, source):
    for token in C_TOKEN.findall(source):
        if token.startswith(("/*", "//")):
            continue
        is_name = re.match(r"\w", token) and token not in KEYWORDS[language] and not token.isdigit()
        yield "name" if is_name else "string" if token[0] == '"' else token


def tokens(language, source):
    found = tokens_of_python(source) if language == "python" else tokens_of_c(language, source)
    return list(found)


class Hostile(unittest.TestCase):

    def setUp(self):
        self.folder, self.compiled = new_folder(self), 0

    def make(self, language, given, status=0):
        """The files of a client, as text."""
        for path in self.folder.iterdir():
            path.unlink()
        generate(language, self.folder, given=given, status=status)
        return {name: content.decode() for name, content in files_of(self.folder).items()}

    def compile(self, language, files):
        if language == "python":
            compile(files["home.py"], "home.py", "exec", dont_inherit=True)
        elif language == "c":
            self.compiled += 1
            run(COMPILERS[self.compiled % len(COMPILERS)], *C_FLAGS, "-fsyntax-only", "home.c", folder=self.folder)

    def test_texts_and_names(self):
        words = [lambda number, at=at: HOSTILE[(number + at) % len(HOSTILE)] for at in range(0, len(HOSTILE), 12)]
        words += [lambda number, at=at: "".join(HOSTILE[at:-1:2]) for at in range(2)]
        for language in LANGUAGES:
            plain = {name: tokens(language, text)
                     for name, text in self.make(language, disguised(lambda number: HARMLESS)).items()}
            self.assertTrue(all(len(found) > 1000 for found in plain.values()), plain.keys())
            for word in words:
                with self.subTest(language=language, first=word(0)):
                    files = self.make(language, disguised(word))
                    for name, text in files.items():
                        self.assertEqual(tokens(language, text), plain[name])
                        self.assertNotRegex(text, r"[^\n -~\u00a0-\U0001faff]|[\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
                    self.compile(language, files)

    def test_words_as_names(self):
        """Reserved words, names that the code itself has, and names that look alike, each wherever there are names."""
        given = description_of_words(12)
        for language in LANGUAGES:
            with self.subTest(language=language):
                files = self.make(language, given)
                self.assertEqual(self.make(language, given), files)
                self.compile(language, files)

    def test_what_contains_itself(self):
        """References in circles, and types that would grow without end, cost next to nothing."""
        def doubled(level):
            return {"title": f"T{level}", "type": "object", "properties": {
                name: {"$ref": f"#/components/schemas/T{level + 1}"} for name in "ab"}, "required": ["a", "b"]}
        deep = {"type": "integer"}
        for level in range(400):
            deep = {"type": "array", "items": deep} if level % 2 else {"type": "object", "properties": {"a": deep}}
        schemas = {"A": {"title": "A", "type": "object", "properties": {"b": {"$ref": "#/components/schemas/B"}}, "required": ["b"]},
                   "B": {"title": "B", "type": "object", "properties": {"a": {"$ref": "#/components/schemas/A"}}, "required": ["a"]},
                   "C": {"$ref": "#/components/schemas/C"}, "D": {"allOf": [{"$ref": "#/components/schemas/D"}], "type": "object",
                                                                 "properties": {"d": {}}},
                   **{f"T{level}": doubled(level) for level in range(60)}, "deep": deep}
        methods = [{"name": name, "result": {"schema": {"$ref": f"#/components/schemas/{name}"}}} for name in ("A", "B", "C", "D", "T0")]
        methods.append({"name": "deep", "result": {"schema": deep}})
        given = json.dumps({"openrpc": "1.3.2", "methods": methods, "components": {"schemas": schemas}})
        for language in LANGUAGES:
            files = self.make(language, given)
            self.compile(language, files)
            self.assertLess(sum(map(len, files.values())), 200000)

    def test_changed_at_random(self):
        """Parts of a description in the place of other parts: there is a client that compiles, or a clear refusal."""
        for seed in range(30):
            chance = random.Random(seed)
            given = json.loads((ROOT / "docs/openrpc.json").read_text())
            parts = list(parts_of(given))
            for _ in range(60):
                holder, key = chance.choice(parts)
                holder[key] = chance.choice([None, True, -1, 1e300, "", "a", [], {}, [[]], {"type": "object"}, {"$ref": "#"}, *(
                    other[name] for other, name in [chance.choice(parts)] if not isinstance(other[name], (dict, list)))])
            language = LANGUAGES[seed % 3]
            with self.subTest(seed=seed, language=language):
                status = 0 if given.get("openrpc") and isinstance(given.get("openrpc"), str) and isinstance(
                    given.get("methods"), list) else 6
                self.compile(language, self.make(language, json.dumps(given), status=status)) if not status else None

    def test_no_descriptions(self):
        for given in ("", "[", "{}", "[]", "null", "1", '"x"', '{"openrpc":1,"methods":[]}', '{"openrpc":"1"}',
                      '{"openrpc":"1","methods":{}}', "[" * 100000, '{"openrpc":"1","methods":[]} x'):
            for language in LANGUAGES:
                said = generate(language, self.folder, given=given, status=None)
                self.assertRegex(said, r"^mosquitto_rpc: .*(not JSON|OpenRPC)[^\n]*\n$", given[:40])
                self.assertEqual(files_of(self.folder), {})
        self.make("c", '{"openrpc":"1","methods":[]}')
        for language in LANGUAGES:
            self.compile(language, self.make(language, '{"openrpc":"1","methods":[null,1,[],{},{"name":""},{"name":3}],'
                                                       '"x-devices":{"":{},"a":1},"x-events":[{}]}'))

    def test_orders_to_an_interpreter(self):
        """A comment in the first two lines of a file may name its encoding, and so make code of text."""
        evil = "+AAo-import os;os._exit(9)+AAo-"
        for title in (f"coding: utf-7 {evil}", f"{'x' * 90} coding=utf-7 {evil}"):
            for version in ("1", "vim: set fileencoding=utf-7 :"):
                given = json.dumps({"openrpc": "1", "info": {"title": title, "version": version}, "methods": []})
                with self.subTest(title=title, version=version):
                    code = self.make("python", given)["home.py"].encode()
                    self.assertEqual(tokenize.detect_encoding(io.BytesIO(code).readline)[0], "utf-8")
                    compile(code, "home.py", "exec")

    def test_bytes_that_are_no_text(self):
        """Bytes that are no UTF-8, and U+0000."""
        text = document().encode().replace(b"sensor", b"s\xff\xc0\x80\xed\xa0\x80n").replace(b"lamp", b"l\\u0000p")
        path = self.folder / "document"
        for language in LANGUAGES:
            path.write_bytes(text)
            run(TOOL, "generate", "--language", language, "--name", "home", "--from", path, "--output", self.folder)
            path.unlink()
            self.compile(language, {name: content.decode() for name, content in files_of(self.folder).items()})


def parts_of(value):
    """All places in a tree: the object or array, and the key."""
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(item, (dict, list)):
            yield from parts_of(item)


if __name__ == "__main__":
    main()
