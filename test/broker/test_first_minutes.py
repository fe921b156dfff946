"""Runs the commands of the section "A first call in a minute" of docs/first-call.md, and of README.md, as they stand, in a
folder that has all of this tree. The test replaces the port, does not install packages, and takes what is built already."""
import os
import pathlib
import re
import shutil
import subprocess
import unittest
import urllib.request

import harness
from harness import (PLUGIN, ROOT, TIMEOUT, BrokerTest, ask, broker_version, eventually, has_websockets, main, result_of)
from pages import PORT, blocks, here, run, section
from test_pages import fits, read, without_times

HEADING = "## A first call in a minute"
README = section((ROOT / "README.md").read_text(), HEADING)
FIRST = section((ROOT / "docs/first-call.md").read_text(), HEADING)
PACKAGES, START, *CALLS, WATCH, ANNOUNCE = blocks(FIRST)
SHOWN = blocks(FIRST, "json")
CONFIGURE, BUILD, *WRITE, RUN = START.splitlines()
TOOL = os.environ.get("RPC_TOOL") or str(pathlib.Path(PLUGIN).parent / "tool/mosquitto_rpc")


class FirstBroker(harness.Broker):
    """The broker of the page: its configuration is written by the command that stands there."""

    def __init__(self):
        super().__init__(plugin=PLUGIN)
        for name in os.listdir(ROOT):
            if name != "build":
                (self.directory / name).symlink_to(ROOT / name)
        (self.directory / "build").mkdir()

    more = "true"  # a further command

    def config(self):
        run("\n".join(WRITE).replace(PORT, str(self.port)), cwd=self.directory)
        run(self.more.replace("{websockets_port}", str(self.websockets_port)), cwd=self.directory)
        shutil.copy(PLUGIN, self.directory / "build/mosquitto_rpc.so")
        (self.directory / "build/tool").mkdir(exist_ok=True)
        if not (self.directory / "build/tool/mosquitto_rpc").exists():
            (self.directory / "build/tool/mosquitto_rpc").symlink_to(TOOL)
        text = (self.directory / "build/first.conf").read_text()
        assert text.count(str(self.port)) == 1, text
        return text + "log_dest stderr\nlog_type all\n"


class FirstMinutes(BrokerTest):
    def make_first(self):
        broker = FirstBroker()
        self.addCleanup(broker.clean_up)
        self.addCleanup(broker.stop)
        return broker

    def start_first(self):
        return self.make_first().start()

    def test_the_readme(self):
        """It has the beginning of the page."""
        for language in ("sh", "json"):
            shown = blocks(README, language)
            self.assertTrue(shown)
            self.assertEqual(shown, blocks(FIRST, language)[:len(shown)])

    def test_the_packages(self):
        """They are those that scripts/demo installs."""
        named = set(re.search(r"apt-get install -y --no-install-recommends (.*)", PACKAGES).group(1).split())
        wanted = run(f"source '{ROOT}/scripts/common.sh'; echo \"${{build_packages[@]}}\"")
        self.assertEqual(named, set(wanted.split()))

    @unittest.skipUnless(shutil.which("ninja"), "there is no ninja")
    def test_the_build(self):
        """It makes the plugin, where the configuration looks for it, and nothing that only the tests need."""
        broker = self.make_first()
        self.assertEqual((RUN, BUILD), ("/usr/sbin/mosquitto -c build/first.conf", "cmake --build build"))
        subprocess.run(CONFIGURE, shell=True, check=True, cwd=broker.directory, stdout=subprocess.DEVNULL)
        commands = run("ninja -C build -t commands", cwd=broker.directory)  # of the default target
        linked = {name for name in re.findall(r" -o (\S+)", commands) if not name.endswith(".o")}
        self.assertEqual(linked, {"mosquitto_rpc.so", "mosquitto_rpc_worker", "tool/mosquitto_rpc"})

    def test_the_calls(self):
        broker = self.start_first()
        self.assertEqual(len(CALLS), len(SHOWN))
        for command, shown in zip(CALLS, SHOWN):
            with self.subTest(command=command):
                answer = read(run(here(command, broker), cwd=broker.directory))
                self.assertTrue(fits(read(shown), without_times(answer)), f"the page shows {shown}, not {answer}")

    def test_the_broker_leaves_no_files(self):
        """Its user, mosquitto if root starts it, need not be able to write anywhere."""
        broker = self.start_first()
        for command in CALLS:
            run(here(command, broker))
        self.assertEqual([*broker.directory.glob("*.db*"), *broker.directory.glob("build/*.db*")], [])

    def test_two_terminals(self):
        """They show nothing, as the page says, and what it offers instead shows something."""
        broker = self.start_first()
        subscribe, publish = re.findall(r"`(mosquitto_(?:sub|pub) [^`]*)`", FIRST.replace("\n> ", " "))
        self.assertEqual(self.watched(broker, subscribe, publish), "")
        self.assertIn('rpc/event/sensorUpdated {"sensor_id":"temp1","value":26.5,"ok":true}\n',
                      self.watched(broker, WATCH, ANNOUNCE))

    @unittest.skipUnless(has_websockets() and broker_version() < (2, 1, 0), "this broker serves no pages on such a listener")
    def test_the_console(self):
        """With the two lines of the page; what npm does first is the test console_build."""
        broker = self.make_first()
        page = section((ROOT / "docs/first-call.md").read_text(), "## The same in a browser")
        build, write = blocks(page)[0].splitlines()
        self.assertEqual(build, "cmake --build build --target console")
        address = re.search(r"<(http://\S+)>", page).group(1)
        (broker.directory / "build/console").mkdir()
        (broker.directory / "build/console/console.html").write_text("the page")
        broker.more = write.replace("9001", "{websockets_port}")
        broker.start()
        with urllib.request.urlopen(address.replace("9001", str(broker.websockets_port)), timeout=TIMEOUT) as answer:
            self.assertEqual(answer.read(), b"the page")
        client = self.client(broker, 5, port=broker.websockets_port, websocket="/")
        self.assertEqual(result_of(ask(client, "ping"))["ok"], True)

    def watched(self, broker, subscribe, publish):
        """What the one command prints while the other one runs."""
        seen = len(broker.log())
        with open(broker.directory / "printed", "w+", encoding="utf-8") as printed, subprocess.Popen(
                ["bash", "-c", "exec " + here(subscribe, broker)], stdout=printed, stderr=subprocess.STDOUT) as process:
            eventually(lambda: "Sending SUBACK" in broker.log()[seen:])
            code = subprocess.run(here(publish, broker), shell=True, check=False, timeout=60).returncode
            self.assertEqual(code, 0)
            self.client(broker).ping()
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                process.terminate()
            process.wait()
            printed.seek(0)
            return printed.read()


if __name__ == "__main__":
    main()
