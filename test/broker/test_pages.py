"""Runs the commands that the pages in docs/ show, and compares the answers with those shown. test_first_minutes.py and
test_examples.py run those of docs/first-call.md.

In a shown array a line that begins with … stands for any number of elements, so that a page need not list what a
new module adds. The guide's module is compiled from the page itself.
"""
import json
import os
import re
import shlex
import signal
import subprocess

from harness import PLUGIN, ROOT, TEST_PLUGIN, BrokerTest, main
from pages import PORT

GUIDE_PLUGIN = os.environ.get("RPC_GUIDE_PLUGIN") or os.path.join(os.path.dirname(PLUGIN), "mosquitto_rpc_guide.so")
REST = "…"


def examples(text):
    """The commands in the text of a page, each with the lines that it shows below it, "" if there are none."""
    return re.findall(r"^ {4,6}\$ (mosquitto_(?:rr|pub) .*)\n((?: {4,6}[^$\n].*\n)*)", text, re.MULTILINE)


def run_example(broker, command):
    """What a command prints at this broker."""
    words = shlex.split(command.replace(f" -p {PORT}", ""))
    words[1:1] = ["-h", "127.0.0.1", "-p", str(broker.port)] + (["-W", "10"] if words[0] != "mosquitto_pub" else [])
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout


def read(shown):
    """An answer as a page shows it, with REST as an element where a line begins with …"""
    return without_times(json.loads(re.sub(rf"^ *{REST}(?=[],])", f'"{REST}"', shown, flags=re.MULTILINE)))


def fits(shown, answer):
    """Whether the answer is the shown one, where REST in an array stands for any number of elements."""
    if isinstance(shown, dict) and isinstance(answer, dict):
        return shown.keys() == answer.keys() and all(fits(value, answer[name]) for name, value in shown.items())
    if not isinstance(shown, list) or not isinstance(answer, list):
        return shown == answer
    if not shown or not answer:
        return answer == [] and all(element == REST for element in shown)
    if shown[0] == REST:
        return fits(shown[1:], answer) or fits(shown, answer[1:])
    return fits(shown[0], answer[0]) and fits(shown[1:], answer[1:])


def without_times(answer):
    """The answer without the values of its times, which differ from run to run, and without the version."""
    if not isinstance(answer, dict):
        return answer
    return {name: "any" if name in ("time", "until") and isinstance(value, float) or name == "version" else value
            for name, value in answer.items()}


class Pages(BrokerTest):
    def check_page(self, page, plugin, count, options=()):
        broker = self.start(options, plugin=plugin)
        found = examples((ROOT / page).read_text())
        self.assertEqual(len(found), count)
        for command, shown in found:
            with self.subTest(command=command):
                answer = run_example(broker, command)
                self.assertEqual(bool(answer), bool(shown))
                if shown:
                    self.assertTrue(fits(read(shown), without_times(json.loads(answer))), f"the page shows {shown}, not {answer}")

    def test_the_guide(self):
        self.check_page("docs/guide.md", GUIDE_PLUGIN, 14)

    def test_the_page_on_calling(self):
        self.check_page("docs/clients.md", PLUGIN, 6, ["jsonrpc_methods *"])

    def test_the_page_on_discovery(self):
        self.check_page("docs/discovery.md", PLUGIN, 3)

    def test_the_page_on_discovery_with_more_modules(self):
        self.check_page("docs/discovery.md", TEST_PLUGIN, 3)

    def test_the_port(self):
        """The pages' commands are for the broker of the first call: on the usual port there may be another one, which
        leaves a call unanswered."""
        for page in (ROOT / "docs").glob("*.md"):
            for line in re.findall(r"^ +(?:\$ |while )?.*mosquitto_(?:rr|pub|sub) -.*", page.read_text(), re.MULTILINE):
                self.assertIn(f" -p {PORT} ", line, page.name)

    def test_what_is_left_out(self):
        shown = read('[{"a":[1,\n  …]},\n …,\n {"b":2}]')
        self.assertEqual(shown, [{"a": [1, REST]}, REST, {"b": 2}])
        for answer in ([{"a": [1]}, {"b": 2}], [{"a": [1, 2, 3]}, {"c": 3}, {"d": 4}, {"b": 2}]):
            self.assertTrue(fits(shown, answer), answer)
        for answer in ([], [{"b": 2}], [{"a": [1]}], [{"a": [2]}, {"b": 2}], [{"a": [1]}, {"b": 2}, {"c": 3}],
                       [{"a": [1], "c": 3}, {"b": 2}], [{"a": []}, {"b": 2}], [{"a": 1}, {"b": 2}]):
            self.assertFalse(fits(shown, answer), answer)
        self.assertTrue(fits([], []))
        self.assertFalse(fits([1], [1, 2]))

    def test_the_kept_document(self):
        broker = self.start(["timeout 10s"], plugin=PLUGIN)  # the default
        document = json.loads(run_example(broker, "mosquitto_rr -V 5 -t rpc/call/rpc.discover -e r -n"))
        self.assertEqual(document, json.loads((ROOT / "docs/openrpc.json").read_text()))

    def test_the_list_of_the_guide(self):
        broker = self.start(plugin=GUIDE_PLUGIN)
        run_example(broker, """mosquitto_rr -V 5 -t rpc/call/openDoor -e r -m '{"door":"yard","seconds":60}'""")
        doors = json.loads(run_example(broker, "mosquitto_rr -V 5 -t rpc/call/listDoors -e r -n"))["doors"]
        self.assertEqual([door["door"] for door in doors if door["until"]], ["yard"])
        self.assertEqual(len(doors), 4)

    def test_the_keyed_event_of_the_guide(self):
        """The state of each door, from the start on and after each change, for clients that subscribe later."""
        broker = self.start(plugin=GUIDE_PLUGIN)
        (command, shown), = re.findall(r"^ {4}\$ (mosquitto_sub .*)\n((?: {4}[^$\n].*\n)*)", (ROOT / "docs/guide.md").read_text(),
                                       re.MULTILINE)
        shown = dict(line.split(None, 1) for line in shown.splitlines())
        self.assertEqual(dict(line.split(None, 1) for line in run_example(broker, command).splitlines()), shown)
        run_example(broker, """mosquitto_rr -V 5 -t rpc/call/openDoor -e r -m '{"door":"yard","seconds":60}'""")
        doors = dict(line.split(None, 1) for line in run_example(broker, command).splitlines())
        self.assertEqual(doors.keys(), shown.keys())
        self.assertGreater(json.loads(doors.pop("rpc/event/door/yard"))["until"], 0)
        self.assertLess(doors.items(), shown.items())

    def test_the_option_of_the_guide(self):
        broker = self.start(["door_max_open 10s"], plugin=GUIDE_PLUGIN)
        answer = run_example(broker, """mosquitto_rr -V 5 -t rpc/call/openDoor -e r -m '{"door":"yard","seconds":11}'""")
        self.assertEqual(json.loads(answer)["longest"], 10)

    def test_the_option_of_the_guide_changes(self):
        broker = self.make(["config_file {directory}/settings"], plugin=GUIDE_PLUGIN)
        settings = broker.directory / "settings"
        settings.write_text("door_max_open 10s\n")
        broker.start()
        settings.write_text("door_max_open 5s\n")
        broker.signal(signal.SIGHUP)
        broker.wait_log("read: 1 settings, 1 changed")
        answer = run_example(broker, """mosquitto_rr -V 5 -t rpc/call/openDoor -e r -m '{"door":"yard","seconds":11}'""")
        self.assertEqual(json.loads(answer)["longest"], 5)

    def test_a_wait_of_the_guide(self):
        """It lasts as long as its door stays open, however short the configured deadline."""
        broker = self.start(["timeout 500ms"], plugin=GUIDE_PLUGIN)
        run_example(broker, """mosquitto_rr -V 5 -t rpc/call/openDoor -e r -m '{"door":"yard","seconds":2}'""")
        answer = run_example(broker, """mosquitto_rr -V 5 -t rpc/call/awaitClosed -e r -m '{"door":"yard"}'""")
        self.assertEqual(json.loads(answer), {"door": "yard"})
        document = json.loads(run_example(broker, "mosquitto_rr -V 5 -t rpc/call/rpc.discover -e r -n"))
        wait = next(method for method in document["methods"] if method["name"] == "awaitClosed")
        self.assertGreater(wait["x-mqtt"]["timeoutMs"], 3600 * 1000)  # the most that max_open can be


if __name__ == "__main__":
    main()
