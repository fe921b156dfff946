"""What the pages show is what happens: the commands of README.md and of those in docs/, and what they answer.

The guide's module is compiled from the page itself.
"""
import json
import os
import re
import shlex
import subprocess

from harness import PLUGIN, ROOT, BrokerTest, main

GUIDE_PLUGIN = os.environ.get("RPC_GUIDE_PLUGIN") or os.path.join(os.path.dirname(PLUGIN), "mosquitto_rpc_guide.so")


def examples(page):
    """The page's commands, each with the lines that are shown below it, "" if none are."""
    return re.findall(r"^ {4,6}\$ (mosquitto_(?:rr|pub) .*)\n((?: {4,6}[^$\n].*\n)*)", (ROOT / page).read_text(), re.MULTILINE)


def without_times(answer):
    """Times differ from run to run; that they are there does not."""
    if not isinstance(answer, dict):
        return answer
    return {name: "a time" if name in ("time", "until") and isinstance(value, float) else value
            for name, value in answer.items()}


class Pages(BrokerTest):
    def run_example(self, broker, command):
        words = shlex.split(command)
        words[1:1] = ["-h", "127.0.0.1", "-p", str(broker.port)] + (["-W", "10"] if words[0] == "mosquitto_rr" else [])
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout

    def check_page(self, page, plugin, count, options=()):
        broker = self.start(options, plugin=plugin)
        self.assertEqual(len(examples(page)), count)
        for command, shown in examples(page):
            with self.subTest(command=command):
                answer = self.run_example(broker, command)
                self.assertEqual(bool(answer), bool(shown))
                if shown:
                    self.assertEqual(without_times(json.loads(answer)), without_times(json.loads(shown)))

    def test_the_guide(self):
        self.check_page("docs/guide.md", GUIDE_PLUGIN, 8)

    def test_the_readme(self):
        self.check_page("README.md", PLUGIN, 3)

    def test_the_page_on_calling(self):
        self.check_page("docs/clients.md", PLUGIN, 4, ["jsonrpc_methods *"])

    def test_the_page_on_discovery(self):
        self.check_page("docs/discovery.md", PLUGIN, 3)

    def test_the_kept_document(self):
        broker = self.start(plugin=PLUGIN)
        document = json.loads(self.run_example(broker, "mosquitto_rr -V 5 -t rpc/call/rpc.discover -e r -n"))
        self.assertEqual(document, json.loads((ROOT / "docs/openrpc.json").read_text()))

    def test_the_list_of_the_guide(self):
        broker = self.start(plugin=GUIDE_PLUGIN)
        self.run_example(broker, """mosquitto_rr -V 5 -t rpc/call/openDoor -e r -m '{"door":"yard","seconds":60}'""")
        doors = json.loads(self.run_example(broker, "mosquitto_rr -V 5 -t rpc/call/listDoors -e r -n"))["doors"]
        self.assertEqual([door["door"] for door in doors if door["until"]], ["yard"])
        self.assertEqual(len(doors), 4)

    def test_the_option_of_the_guide(self):
        broker = self.start(["door_longest 10s"], plugin=GUIDE_PLUGIN)
        answer = self.run_example(broker, """mosquitto_rr -V 5 -t rpc/call/openDoor -e r -m '{"door":"yard","seconds":11}'""")
        self.assertEqual(json.loads(answer)["longest"], 10)


if __name__ == "__main__":
    main()
