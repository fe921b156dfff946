"""Workers behind TLS, each with a certificate of its own, that are drained and replaced one by one under load: not one
call notices. And workers that come and go while lanes are in use, and that share the work with the plugin."""
import random
import shutil
import subprocess
import time

from crew import UNKNOWN, CrewTest, eventually, size
from harness import main, unittest
from judge import GOOD
from load import ALL, LANE, ONCE, READ, SAME, TOLD
from test_killed import KINDS

OPENSSL = shutil.which("openssl")


def openssl(*words, directory):
    subprocess.run([OPENSSL, *words], check=True, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make_certificates(directory, *names):
    """An authority, and a certificate of it for each name, which is its common name."""
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=authority", "-days", "2", "-keyout", "ca.key",
            "-out", "ca.pem", directory=directory)
    (directory / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in names:
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out",
                f"{name}.csr", directory=directory)
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days",
                "2", "-extfile", "names", "-out", f"{name}.pem", directory=directory)


@unittest.skipUnless(OPENSSL, "there is no openssl (Debian's openssl)")
class Upgrade(CrewTest):

    def make_broker(self, **how):
        broker = super().make_broker(users={"nobody": "else"}, lines=[
            "listener {second_port} 127.0.0.1", "cafile {directory}/ca.pem", "certfile {directory}/server.pem",
            "keyfile {directory}/server.key", "require_certificate true", "use_identity_as_username true"], **how)
        broker.plugins[0][1].append(f"workers_users {' '.join(self.names)}")
        broker.plugins[0][1].remove("workers_users crew")
        make_certificates(broker.directory, "server", "stranger", *self.names)
        return broker

    def member_options(self, name):
        directory = self.broker.directory
        own = [line for line in super().member_options(name) if line.split()[0] not in ("user", "password_file")]
        return [*own, f"broker 127.0.0.1:{self.broker.second_port}", f"cafile {directory}/ca.pem",
                f"cert {directory}/{name}.pem", f"key {directory}/{name}.key"]

    def test_one_by_one(self):
        self.crew()
        self.assertEqual({name: worker["user"] for name, worker in self.listed().items()},
                         {name: name for name in self.names})
        load = self.load()
        for round_ in range(1, size(2, 20)):
            for name in self.names:
                time.sleep(0.5)
                self.members[name].drain()
                self.wait_for(absent=[name])
                since = self.listed()
                self.members[name].start()
                self.wait_for(*self.names)
                self.assertNotIn(name, since)
        verdict = self.judge(load, GOOD)
        self.assertEqual(set(verdict.by), set(self.names))

    def test_killed(self):
        """kill -9 of one each second is what it is without TLS: see test_killed.py."""
        self.crew()
        load = self.load(*KINDS)
        self.kill_each_second(size(5, 60))
        verdict = self.judge(load)
        self.assertGreater(verdict.again + verdict.statuses[UNKNOWN], 0, "no call was under way when its worker was killed")

    def test_a_stranger(self):
        """A certificate of the same authority, whose name is not among those of workers."""
        self.crew()
        options = [line.replace("w1.", "stranger.") for line in self.member_options("w1")]
        stranger = self.member("stranger", *options, "name stranger")
        eventually(lambda: "not_allowed" in stranger.log())
        self.assertNotIn("stranger", self.listed())


class Lanes(CrewTest):
    names = ("w1", "w2", "w3", "w4")

    def test_come_and_go(self):
        """A lane is at one worker at a time and keeps its order, whoever comes and goes."""
        self.crew()
        load = self.load(LANE._replace(lanes=6, params={"ms": 4}), callers=6, outstanding=20)
        for _ in range(size(10, 200)):
            time.sleep(0.2)
            name = random.choice(self.names[1:])
            if self.members[name].process:
                self.members[name].drain()
            else:
                self.members[name].start()
                self.wait_for(name)
        verdict = self.judge(load, GOOD)
        self.assertGreater(len(verdict.by), 1)


class Spill(CrewTest):
    """The plugin's own threads first, and workers when they are not enough; a lane is in one place at a time."""
    placement = "spill"
    options = ("workers 1", "timeout 2s")

    def test_under_load(self):
        self.crew()
        kinds = [kind._replace(params={"ms": 20}) for kind in (READ, SAME, ONCE, TOLD)]
        kinds.append(LANE._replace(params={"ms": 20}, lanes=20, share=1))  # a lane that is in use stays where it is
        load = self.load(*kinds, callers=10, outstanding=20, timeout=2000)
        time.sleep(size(4, 60))
        verdict = self.judge(load, GOOD | {"timeout"})
        self.assertGreater(verdict.by["here"], 0)
        # How many depends on how fast the machine calls: the plugin's one thread can do fifty a second.
        self.assertGreater(sum(verdict.by[name] for name in self.names), 0)

    def test_not_without_need(self):
        self.crew()
        load = self.load(*[kind for kind in ALL if kind.method != "tally.steps"], rate=50)
        time.sleep(1)
        self.assertEqual(set(self.judge(load, GOOD).by), {"here"})


if __name__ == "__main__":
    main()
