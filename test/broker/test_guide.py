"""The guide's module, compiled from the page itself, answers what the page says that it answers."""
import json
import os
import re
import shlex
import subprocess

from harness import PLUGIN, ROOT, BrokerTest, main

GUIDE_PLUGIN = os.environ.get("RPC_GUIDE_PLUGIN") or os.path.join(os.path.dirname(PLUGIN), "mosquitto_rpc_guide.so")


def examples():
    """The page's commands, each with the line that is shown below it."""
    page = (ROOT / "docs" / "guide.md").read_text()
    return re.findall(r"^    \$ (mosquitto_rr .*)\n    (.*)$", page, re.MULTILINE)


class Guide(BrokerTest):
    def run_example(self, broker, command):
        words = shlex.split(command)
        words[1:1] = ["-p", str(broker.port), "-W", "10"]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
        return json.loads(done.stdout)

    def test_examples(self):
        broker = self.start(plugin=GUIDE_PLUGIN)
        self.assertGreaterEqual(len(examples()), 3)
        for command, shown in examples():
            with self.subTest(command=command):
                answer, shown = self.run_example(broker, command), json.loads(shown)
                if "until" in shown:
                    self.assertIsInstance(answer["until"], float)
                    answer["until"] = shown["until"]
                self.assertEqual(answer, shown)

    def test_the_option(self):
        broker = self.start(["door_longest 10s"], plugin=GUIDE_PLUGIN)
        answer = self.run_example(broker, """mosquitto_rr -V 5 -t rpc/call/openDoor -e r -m '{"door":"yard","seconds":11}'""")
        self.assertEqual(answer["longest"], 10)


if __name__ == "__main__":
    main()
