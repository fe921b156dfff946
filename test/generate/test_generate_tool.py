# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The command generate: where it reads from, where it writes to, what it refuses."""
import json

from generated import C_FLAGS, COMPILERS, LANGUAGES, OPTIONS, TOOL, document, files_of, generate, new_folder, run
from harness import PLUGIN, BrokerTest, main


class Tool(BrokerTest):

    def setUp(self):
        super().setUp()
        self.folder = new_folder(self)

    def made(self, language, *options, given=None):
        """The files that are made in a folder of their own."""
        folder = new_folder(self)
        generate(language, folder, *options, given=given)
        return files_of(folder)

    def test_the_same_again(self):
        """A service and its description give the same client, however often it is asked."""
        broker = self.start(OPTIONS)
        described = run(TOOL, "-p", broker.port, "call", "rpc.discover")
        for language in LANGUAGES:
            first = self.made(language, "-p", broker.port)
            self.assertEqual(self.made(language, "-p", broker.port), first)
            self.assertEqual(self.made(language, given=described), first)
            self.assertEqual(self.made(language, given=document()), first)

    def test_a_service_that_is_told_in_parts(self):
        """The description of all test modules is larger than a reply may be by default."""
        broker = self.start(["sensor_db :memory:"])
        self.assertIn("reply_too_large", run(TOOL, "-p", broker.port, "call", "rpc.discover", status=1))
        whole, parts = self.made("python", given=document()), self.made("python", "-p", broker.port)
        for word in (b"def ", b"class Lamp:", b"async def light(", b"Type[RpcError]] = {", b"_events(self"):
            self.assertEqual(parts["home.py"].count(word), whole["home.py"].count(word), word)
        compile(parts["home.py"], "home.py", "exec")
        generate("c", self.folder, "-p", broker.port)
        run(COMPILERS[0], *C_FLAGS, "-fsyntax-only", "home.c", folder=self.folder)
        self.assertEqual(files_of(self.folder)["home.h"].count(b"_send("), self.made("c", given=document())["home.h"].count(b"_send("))

    def test_a_large_service_and_a_client_that_takes_little(self):
        broker = self.start(OPTIONS)
        parts = self.made("typescript", "-p", broker.port, "--max-reply", "65536")
        self.assertEqual(parts["home.ts"].count(b"Promise<"), self.made("typescript", given=document())["home.ts"].count(b"Promise<"))

    def test_where_it_writes(self):
        source = self.folder / "openrpc.json"
        source.write_text(document())
        shown = run(TOOL, "generate", "--language", "python", "--from", source)
        self.assertIn("\nclass Service:\n", shown)
        run(TOOL, "generate", "--language", "python", "--from", source, "--output", "here.py", folder=self.folder)
        self.assertEqual((self.folder / "here.py").read_text(), shown)
        for output in ("here.c", "here.h", "here"):
            run(TOOL, "generate", "--language", "c", "--from", source, "--output", output, folder=self.folder)
            self.assertIn('#include "here.h"\n', (self.folder / "here.c").read_text())
            (self.folder / "here.c").unlink()
            (self.folder / "here.h").unlink()
        run(TOOL, "generate", "--language", "c", "--from", source, "--name", "my-home", "--output", ".", folder=self.folder)
        self.assertIn("\nstruct my_home_ping_result {\n", (self.folder / "my-home.h").read_text())
        self.assertIn("\nclass MyHome:\n", run(TOOL, "generate", "--language", "python", "--from", source, "--name", "my-home"))

    def test_what_it_refuses(self):
        source = self.folder / "openrpc.json"
        source.write_text(document())
        for status, words, complaint in (
                (2, [], "--language must be python, typescript or c"),
                (2, ["--language", "cobol"], "--language must be"),
                (2, ["--language", "c", "--from", source], "--output FILE.h, or a folder, is needed"),
                (2, ["--language", "c", "--from", source, "--output", 'a"b.h'], "the name of the header"),
                (2, ["--language", "python", "--name", "1st"], "--name must begin with a letter"),
                (2, ["--language", "python", "--name", "a\nb"], "--name must begin with a letter"),
                (2, ["--language", "python", "--from", "none.json"], "none.json cannot be read: No such file"),
                (2, ["--language", "python", "--from", "."], "cannot be read"),
                (2, ["--language", "python", "--output", "x" * 5000], "--output is too long"),
                (2, ["--language", "python", "surplus"], "usage"),
                (6, ["--language", "python", "--from", source, "--output", "none/here.py"], "none/here.py cannot be written: No such"),
                (6, ["--language", "python", "--from", source, "--output", "/dev/full"], "/dev/full cannot be written: No space"),
                (3, ["--language", "python", "-p", "1"], "refused")):
            said = run(TOOL, "generate", *words, folder=self.folder, status=status)
            self.assertIn(complaint, said)
            self.assertEqual(list(files_of(self.folder)), ["openrpc.json"], words)

    def test_who_may_not_ask(self):
        """The module rpc is switched off, or the access control lets this client call nothing."""
        broker = self.start(["modules ping"], plugin=PLUGIN)
        self.assertIn("method_not_found", run(TOOL, "generate", "--language", "python", "-p", broker.port, status=1))
        broker.stop()
        broker = self.start(plugin=PLUGIN, acl="topic read rpc/event/#\n")
        run(TOOL, "generate", "--language", "python", "-p", broker.port, "-W", "1", status=5)

    def test_another_prefix(self):
        broker = self.start(["prefix site/two", "sensor_db :memory:"], plugin=PLUGIN)
        made = self.made("python", "-p", broker.port, "--prefix", "site/two")
        self.assertEqual(made, self.made("python", given=json.dumps(json.loads(
            run(TOOL, "-p", broker.port, "--prefix", "site/two", "call", "rpc.discover")))))


if __name__ == "__main__":
    main()
