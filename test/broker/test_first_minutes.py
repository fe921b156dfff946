"""Runs the commands of README.md's section "A first call in a minute" as they stand, in a folder that has all of this
tree. The test replaces the port, does not install packages, and takes the plugin that is built already."""
import os
import re
import shutil
import subprocess
import unittest

import harness
from harness import PLUGIN, ROOT, BrokerTest, eventually, main
from pages import PORT, blocks, here, run, section
from test_pages import fits, read, without_times

README = (ROOT / "README.md").read_text()
FIRST = section(README, "## A first call in a minute")
PACKAGES, START, *CALLS, WATCH, ANNOUNCE = blocks(FIRST)
SHOWN = blocks(FIRST, "json")
CONFIGURE, BUILD, *WRITE, RUN = START.splitlines()


class FirstBroker(harness.Broker):
    """The broker of README.md: its configuration is written by the command that stands there."""

    def __init__(self):
        super().__init__(plugin=PLUGIN)
        for name in os.listdir(ROOT):
            if name != "build":
                (self.directory / name).symlink_to(ROOT / name)
        (self.directory / "build").mkdir()

    def config(self):
        run("\n".join(WRITE).replace(PORT, str(self.port)), cwd=self.directory)
        shutil.copy(PLUGIN, self.directory / "build/mosquitto_rpc.so")
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
        self.assertEqual(linked, {"mosquitto_rpc.so"})

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
