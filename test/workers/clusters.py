# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Clusters of brokers for tests of workers without the plugin: two nodes each, on free ports of 127.0.0.1.

    RPC_EJABBERD   a folder in which Debian's ejabberd and what it needs is unpacked
    RPC_REDIS      likewise, redis-server
    RPC_AEDES      the node_modules with aedes
    RPC_NODE       the program node
"""
import glob
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "broker"))
from harness import MOSQUITTO, TIMEOUT, free_port, listening, release_port  # noqa: E402


class Cluster:
    """Processes of one test and their directory. A cluster is a context: it has started in it, and has ended after it.

    ports    where the nodes speak MQTT
    user     clients give this name and any password; None: they need none
    """

    user = None

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="rpc-cluster-"))
        self.processes, self.taken = [], []
        self.ports = [self.take_port() for _ in range(2)]

    def take_port(self):
        self.taken.append(free_port())
        return self.taken[-1]

    def run(self, name, command, **environment):
        """Starts a process, which ends with the cluster."""
        with open(self.directory / f"{name}.log", "ab") as log:
            self.processes.append(subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
                env={**os.environ, **environment, "HOME": str(self.directory)}))

    def wait_for_port(self, port):
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                assert time.monotonic() < deadline and all(process.poll() is None for process in self.processes), self.logs()
                time.sleep(0.05)

    def logs(self):
        return "".join(f"--- {path}\n{path.read_text(errors='replace')[-3000:]}"
                       for path in sorted(self.directory.rglob("*.log")))

    def __enter__(self):
        try:
            self.start()
            exposed = [(address, port) for address, port in listening()
                       if port in self.taken and not (address.ipv4_mapped or address).is_loopback]
            assert not exposed, f"it listens on {exposed}"
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def end_processes(self):
        """The last ones first, since they need the first ones."""
        while self.processes:
            process = self.processes.pop()
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def end(self):
        self.end_processes()
        for port in self.taken:
            release_port(port)
        shutil.rmtree(self.directory, ignore_errors=True)


# ---- ejabberd -------------------------------------------------------------------------------------

class Ejabberd(Cluster):
    """Two nodes of ejabberd, run from where its packages are unpacked. The daemon of Erlang's names, epmd, is one of our
    own, on a port of our own, so that it ends with the cluster."""

    user = "joe"
    root = os.environ.get("RPC_EJABBERD")
    missing = None if root else "ejabberd is not there (RPC_EJABBERD); scripts/test --all unpacks it"

    CONFIG = """
hosts: [localhost]
loglevel: warning
auth_method: [anonymous]
anonymous_protocol: both
allow_multiple_connections: true
listen:
  - {{port: {port}, ip: "127.0.0.1", module: mod_mqtt, max_payload_size: infinity}}
modules:
  mod_mqtt:
    access_publish: {{}}
    access_subscribe: {{}}
    max_queue: infinity
"""

    def erlang(self, **more):
        erlang, = glob.glob(f"{self.root}/usr/lib/erlang")
        binaries, = glob.glob(f"{erlang}/erts-*/bin")
        libraries, = glob.glob(f"{self.root}/usr/lib/*-linux-gnu")
        return {"ROOTDIR": erlang, "BINDIR": binaries, "EMU": "beam", "PROGNAME": "erl", "ERL_LIBS": libraries,
                "LD_LIBRARY_PATH": libraries, "ERL_EPMD_ADDRESS": "127.0.0.1", "ERL_EPMD_PORT": str(self.names_port), **more}

    def erl(self, name):
        return [f"{self.erlang()['BINDIR']}/erlexec", "-noinput", "-name", f"{name}@127.0.0.1", "-setcookie", "rpc-test",
                "-start_epmd", "false", "-kernel", "inet_dist_use_interface", "{127,0,0,1}"]

    def start(self):
        """Now and then a node fails to join, because its database has not started again."""
        for attempt in range(4):
            try:
                self.start_once()
                return
            except AssertionError:
                if attempt == 3:
                    raise
                self.end_processes()
                shutil.rmtree(self.directory)
                self.directory.mkdir()

    def start_once(self):
        self.names_port = self.take_port()
        self.run("epmd", [f"{self.erlang()['BINDIR']}/epmd", "-address", "127.0.0.1", "-port", self.names_port], **self.erlang())
        self.wait_for_port(self.names_port)
        for number, port in enumerate(self.ports):
            folder = self.directory / f"node{number}"
            folder.mkdir()
            (folder / "ejabberd.yml").write_text(self.CONFIG.format(port=port))
            self.run(f"node{number}", [*self.erl(f"node{number}"), "-mnesia", "dir", f'"{folder}/mnesia"', "-s", "ejabberd"],
                     **self.erlang(EJABBERD_CONFIG_PATH=str(folder / "ejabberd.yml"),
                                   EJABBERD_LOG_PATH=str(folder / "ejabberd.log")))
        for number, port in enumerate(self.ports):
            self.wait_for_port(port)
            self.control(f"node{number}", "status")
        self.control("node1", "join_cluster", "node0@127.0.0.1")
        deadline = time.monotonic() + TIMEOUT
        while len(self.control("node0", "list_cluster").split()) < 2:
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.2)
        self.wait_for_port(self.ports[1])  # which it closes while it joins
        self.control("node1", "status")

    def control(self, node, *command):
        """What ejabberdctl does: a node of its own that asks the other one."""
        done = subprocess.run([*self.erl("control"), "-hidden", "-dist_listen", "false", "-s", "ejabberd_ctl", "-extra",
                               f"{node}@127.0.0.1", *command], env={**os.environ, **self.erlang()}, cwd=self.directory,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{self.logs()}"
        return done.stdout


# ---- aedes ----------------------------------------------------------------------------------------

class Aedes(Cluster):
    """Two nodes of aedes on one Redis."""

    redis = os.environ.get("RPC_REDIS")
    packages, node = os.environ.get("RPC_AEDES"), os.environ.get("RPC_NODE") or "node"
    missing = ("redis-server is not there (RPC_REDIS); scripts/test --all unpacks it" if not redis else
               None if packages else "aedes is not there (RPC_AEDES); npm installs it: scripts/test --npm")

    def start(self):
        port = self.take_port()
        libraries, = glob.glob(f"{self.redis}/usr/lib/*-linux-gnu")
        self.run("redis", [f"{self.redis}/usr/bin/redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "",
                           "--appendonly", "no"], LD_LIBRARY_PATH=libraries)
        self.wait_for_port(port)
        program = pathlib.Path(__file__).with_name("aedes") / "node.mjs"
        for number, own in enumerate(self.ports):
            self.run(f"node{number}", [self.node, program, self.packages, own, port])
        for own in self.ports:
            self.wait_for_port(own)


# ---- Mosquitto ------------------------------------------------------------------------------------

class Bridged(Cluster):
    """Two Mosquittos without the plugin, of which the second has a bridge to the first."""

    missing = None
    TOPICS = ("rpc/#", "r/#")

    def start(self):
        bridge = ["connection to-first", f"address 127.0.0.1:{self.ports[0]}", "bridge_protocol_version mqttv50",
                  "cleansession true", "notifications false", "restart_timeout 1",
                  *(f"topic {topic} both 1" for topic in self.TOPICS)]
        for number, lines in enumerate(([], bridge)):
            path = self.directory / f"node{number}.conf"
            user = ["user root"] if os.geteuid() == 0 else []
            path.write_text("\n".join([*user, f"listener {self.ports[number]} 127.0.0.1", "allow_anonymous true",
                                       "set_tcp_nodelay true", "max_inflight_messages 1000", *lines]) + "\n")
            self.run(f"node{number}", [MOSQUITTO, "-c", path])
            self.wait_for_port(self.ports[number])


