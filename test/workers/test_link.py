"""A worker behind a link that goes down and comes back, under load. The test makes a network of its own: it runs in a
network namespace, and the worker in another one at the other end of a pair of virtual Ethernet devices."""
import os
import random
import shutil
import subprocess
import sys
import time
import unittest

HERE, THERE = "10.77.0.1", "10.77.0.2"
INSIDE = "RPC_INSIDE_NAMESPACE"


def namespace_command():
    """What runs a command in a network namespace of its own; None: it is not permitted here, or the tools are missing."""
    for command in (["unshare", "--net"], ["unshare", "--user", "--map-root-user", "--net"]):
        if shutil.which("unshare") and shutil.which("nsenter") and shutil.which("ip") and subprocess.run(
                [*command, "sh", "-c", "ip link add one type veth peer name other"], stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return command
    return None


if __name__ == "__main__" and INSIDE not in os.environ:
    COMMAND = namespace_command()
    if COMMAND:
        sys.exit(subprocess.run([*COMMAND, sys.executable, *sys.argv], env={**os.environ, INSIDE: "1"}, check=False).returncode)

from crew import NOTICED, CrewTest, size  # noqa: E402
from harness import Broker, main  # noqa: E402
from judge import GOOD, UNKNOWN  # noqa: E402
from load import LANE, ONCE, READ, SAME, TOLD  # noqa: E402

KINDS = tuple(kind._replace(params={**kind.params, "ms": 20}) for kind in (READ, SAME, ONCE, TOLD, LANE))


def ip(*words):
    subprocess.run(["ip", *words], check=True)


@unittest.skipUnless(INSIDE in os.environ, "network namespaces are not permitted here, or Debian's iproute2 is missing")
class Link(CrewTest):

    @classmethod
    def setUpClass(cls):
        """The other namespace is that of a process which does nothing else, and both end with this test."""
        ip("link", "set", "lo", "up")
        cls.far = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        cls.inside = ["nsenter", f"--net=/proc/{cls.far.pid}/ns/net"]
        own = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{cls.far.pid}/ns/net") == own:
            time.sleep(0.01)
        ip("link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", str(cls.far.pid))
        ip("addr", "add", f"{HERE}/24", "dev", "cable")
        ip("link", "set", "cable", "up")
        for words in (["addr", "add", f"{THERE}/24", "dev", "cable"], ["link", "set", "cable", "up"],
                      ["link", "set", "lo", "up"]):
            subprocess.run([*cls.inside, "ip", *words], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.far.kill()
        cls.far.wait()

    def make_broker(self, **how):
        """It listens at the end of the link as well, which leads nowhere but to the worker."""
        return super().make_broker(lines=[f"listener {{second_port}} {HERE}"], **how)

    def make(self, options=(), **how):
        broker = super().make(options, **how)
        broker.exposed = lambda: [found for found in Broker.exposed(broker) if str(found[0].ipv4_mapped) != HERE]
        return broker

    def test_down_and_up(self):
        self.names = ("w2", "w3")
        self.crew()
        self.member("w1", f"broker {HERE}:{self.broker.second_port}", around=self.inside)
        self.wait_for("w1")
        load = self.load(*KINDS, rate=200, timeout=40000)
        # The worker and the broker notice at different times, so that either may be the first one.
        for seconds in [NOTICED] + [random.uniform(3, NOTICED + 2) for _ in range(size(0, 12))]:
            time.sleep(0.5)
            self.cut(seconds)
            if seconds >= NOTICED:
                self.assertNotIn("w1", self.listed())
            self.up()
            self.wait_for("w1")
        time.sleep(0.5)
        verdict = self.judge(load)
        self.assertGreater(verdict.statuses[UNKNOWN] + verdict.again, 0, "it had no calls when it was cut off")
        self.assertGreater(verdict.by["w1"], 0)

    def test_a_short_cut(self):
        """TCP sends again what was lost: calls take longer, and that is all."""
        self.names = ("w2",)
        self.crew()
        self.member("w1", f"broker {HERE}:{self.broker.second_port}", around=self.inside)
        self.wait_for("w1")
        load = self.load(*KINDS, rate=100, timeout=40000)
        for _ in range(size(2, 30)):
            time.sleep(0.5)
            self.cut(0.5)
            self.up()
        self.judge(load, GOOD)

    def cut(self, seconds):
        self.lose("w1")
        ip("link", "set", "cable", "down")
        time.sleep(seconds)

    def up(self):
        ip("link", "set", "cable", "up")
        self.lose("w1")


if __name__ == "__main__":
    main()
