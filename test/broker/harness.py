"""Starts real brokers with the plugin for tests, and checks how they end.

Every test starts a broker of its own: a fresh directory, free ports of 127.0.0.1, one process that is
ended by its id. A broker that exits with anything but 0, or whose log holds a sanitizer's or valgrind's
report about the plugin, fails its test.

The environment says what is tested; without it, a build in ./build and the broker on the PATH:

    RPC_ROOT           the source directory
    RPC_PLUGIN         the plugin as it is shipped
    RPC_TEST_PLUGIN    the plugin with the modules of test/modules as well
    RPC_SECOND_PLUGIN  another plugin, second_plugin.c
    RPC_WAKE_PROBE     a plugin that has nothing but the waking of the loop, wake_probe.c
    RPC_SLOW_EPOLL     a library to preload into the broker of some tests, slow_epoll.c
    RPC_WRONG_CLOCK    likewise, wrong_clock.c
    RPC_MOSQUITTO      the broker
    RPC_PRELOAD        a library to preload into the broker, such as libasan.so
    RPC_VALGRIND       if set, the broker runs under valgrind
    RPC_SLOW           how much longer everything takes, for a broker that an emulator runs
    RPC_KEEP           if set, the directories of the brokers are kept and named
"""
import contextlib
import functools
import ipaddress
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from mqtt import (CONTENT_TYPE, CORRELATION_DATA, RESPONSE_TOPIC, Client, Closed, property_of,
                  user_property_of)

ROOT = pathlib.Path(os.environ.get("RPC_ROOT") or pathlib.Path(__file__).resolve().parents[2])
PLUGIN = os.environ.get("RPC_PLUGIN") or str(ROOT / "build" / "mosquitto_rpc.so")
TEST_PLUGIN = os.environ.get("RPC_TEST_PLUGIN") or str(ROOT / "build" / "mosquitto_rpc_test.so")
SECOND_PLUGIN = os.environ.get("RPC_SECOND_PLUGIN") or str(ROOT / "build" / "mosquitto_second.so")
WAKE_PROBE = os.environ.get("RPC_WAKE_PROBE") or str(ROOT / "build" / "mosquitto_wake_probe.so")
WRONG_CLOCK = os.environ.get("RPC_WRONG_CLOCK") or str(ROOT / "build" / "libwrong_clock.so")
SLOW_EPOLL = os.environ.get("RPC_SLOW_EPOLL") or str(ROOT / "build" / "libslow_epoll.so")
MOSQUITTO = os.environ.get("RPC_MOSQUITTO") or shutil.which("mosquitto") or "/usr/sbin/mosquitto"
PRELOAD = os.environ.get("RPC_PRELOAD")
VALGRIND = os.environ.get("RPC_VALGRIND")

INSTRUMENTED = bool(PRELOAD or VALGRIND or os.environ.get("RPC_SLOW"))
SLOW = int(os.environ.get("RPC_SLOW") or (10 if VALGRIND else 3 if PRELOAD else 1))  # how much longer everything takes
TIMEOUT = 60 * SLOW  # seconds that a test waits for what takes milliseconds; only what has failed takes so long

SANITIZER_REPORT = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:")
PORT_TAKEN = re.compile(r"Address already in use|Unable to create websockets listener")
OWN_FRAME = re.compile(r"[(/](?:core|plugin|handlers|test/modules)/[\w/]+\.c:\d+\)|mosquitto_rpc\w*\.so")


# ---- What is tested ----------------------------------------------------------------------------

@functools.lru_cache(maxsize=None)
def broker_version():
    """The broker's version as a tuple of numbers."""
    shown = subprocess.run([MOSQUITTO, "-h"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           check=False).stdout
    return tuple(int(part) for part in re.search(r"version (\d+)\.(\d+)\.(\d+)", shown).groups())


@functools.lru_cache(maxsize=None)
def has_websockets():
    """Whether the broker was built with WebSockets, which needs a try."""
    broker = Broker(plugins=[], websockets=True)
    try:
        broker.start()
        Client(broker.port, timeout=TIMEOUT).disconnect()  # SIGTERM is lost on a broker that has only just begun
        broker.stop()
        return True
    except BrokerExited as exited:
        if "Websockets support not available" not in exited.log:
            raise
        return False
    finally:
        broker.clean_up()


@functools.lru_cache(maxsize=None)
def checks_response_topics():
    """Whether the broker itself ends a connection whose Response Topic is empty or has a wildcard."""
    broker = Broker(plugins=[])
    try:
        broker.start()
        for topic in ("a/+", ""):
            Client(broker.port, 5, timeout=TIMEOUT).publish("x", qos=1, properties=[(RESPONSE_TOPIC, topic)])
        return False
    except Closed:
        return True
    finally:
        broker.stop()
        broker.clean_up()


# ---- The broker --------------------------------------------------------------------------------

class BrokerExited(AssertionError):
    """The broker ended by itself. `code` is its exit code, `log` what it wrote."""

    def __init__(self, code, log):
        super().__init__(f"the broker exited with {code}:\n{log}")
        self.code, self.log = code, log


reservations = {}  # of ports, until release_port() or the end of this process


def free_port():
    """A port of 127.0.0.1 that nobody has, and that no other test gets meanwhile.

    The kernel takes the ports of outgoing connections from its own range, so this one lies below it. The name of an
    abstract socket says to other processes that it is taken, also while no broker listens there.
    """
    outgoing = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    lowest, highest = (10000, outgoing) if outgoing > 15000 else (10000, 32768)
    while True:
        port = random.randrange(lowest, highest)
        reservation = socket.socket(socket.AF_UNIX)
        try:
            reservation.bind(f"\0mosquitto-rpc-test-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            reservation.close()
            continue
        reservations[port] = reservation
        return port


def release_port(port):
    if port in reservations:
        reservations.pop(port).close()


def listening():
    """Where sockets of TCP listen, as (address, port); an IPv4 address is mapped to IPv6."""
    found = []
    for name, first in (("tcp", bytes(10) + b"\xff\xff"), ("tcp6", b"")):
        path = pathlib.Path("/proc/net", name)
        for line in path.read_text().splitlines()[1:] if path.exists() else []:
            _, local, _, state = line.split()[:4]
            address, port = local.split(":")
            words = (int(address[at:at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(address), 8))
            if state == "0A":
                found.append((ipaddress.IPv6Address(first + b"".join(words)), int(port, 16)))
    return found


class Broker:
    """One mosquitto process and its directory.

    options      lines after the plugin line, without plugin_opt_: ["prefix a b", "qos 1"]
    plugin       the plugin that they belong to
    plugins      instead of both: a list of (path, options)
    first, lines lines of the configuration: before everything, and after the plugins; they may hold
                 {directory}, and {second_port} for a listener of their own: see .second_port
    websockets, tls, unix, mount_point   adds such a listener: see .websockets_port, .tls_port, .unix_path and
                 .mounted_port
    users, acl   a dictionary of passwords, the text of an ACL file
    preload      a library that the broker is to have before all others, but for RPC_PRELOAD
    """

    def __init__(self, options=(), plugin=TEST_PLUGIN, plugins=None, first=(), lines=(), websockets=False,
                 tls=False, unix=False, mount_point=None, users=None, acl=None, anonymous=True, persistence=False,
                 log=("stderr",), log_types=("all",), arguments=(), preload=None):
        self.plugins = [(plugin, [*options, *self._patience(options)])] if plugins is None else plugins
        self.preload = preload
        self.first, self.lines, self.log_destinations, self.log_types = first, lines, log, log_types
        self.websockets, self.tls, self.unix, self.mount_point = websockets, tls, unix, mount_point
        self.anonymous, self.persistence, self.arguments = anonymous, persistence, list(arguments)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="rpc-broker-"))
        self.directory.chmod(0o755)
        self.log_path = self.directory / "log"
        self.config_path = self.directory / "mosquitto.conf"
        self.unix_path = str(self.directory / "socket")
        self.process, self.port, self.ports = None, None, []
        self.password_path = self._write_passwords(users)
        self.acl_path = self._write("acl", acl)

    # -- files

    @staticmethod
    def _patience(options):
        """The longest deadline of calls, where the test sets none: a busy machine may take longer than the default."""
        given = {option.split()[0] for option in options}
        return [] if given & {"timeout", "timeout_max"} else ["timeout 60s"]

    def _write(self, name, text):
        if text is None:
            return None
        path = self.directory / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def _write_passwords(self, users):
        if not users:
            return None
        path = self._write("passwords", "".join(f"{name}:{word}\n" for name, word in users.items()))
        tool = shutil.which("mosquitto_passwd")
        assert tool, "mosquitto_passwd is needed for tests with users"
        subprocess.run([tool, "-U", str(path)], check=True, stdout=subprocess.DEVNULL)
        return path

    def pick_ports(self):
        """They are this broker's until clean_up()."""
        self._release_ports()
        self.ports = [free_port() for _ in range(5)]
        self.port, self.second_port, self.websockets_port, self.mounted_port, self.tls_port = self.ports

    def _release_ports(self):
        for port in self.ports:
            release_port(port)

    def config(self):
        """The text of the configuration."""
        lines = [*self.first]
        lines += ["user root"] if os.geteuid() == 0 else []
        lines += [f"log_dest {destination}" for destination in self.log_destinations]
        lines += [f"log_type {kind}" for kind in self.log_types]
        lines += [f"listener {self.port} 127.0.0.1"]
        lines += [f"allow_anonymous {str(self.anonymous).lower()}"]
        lines += [f"password_file {self.password_path}"] if self.password_path else []
        lines += [f"acl_file {self.acl_path}"] if self.acl_path else []
        if self.persistence:
            lines += ["persistence true", f"persistence_location {self.directory}/"]
        for path, options in self.plugins:
            lines += [f"plugin {path}", *(f"plugin_opt_{option}" for option in options)]
        lines += self.lines
        if self.mount_point:
            lines += [f"listener {self.mounted_port} 127.0.0.1", f"mount_point {self.mount_point}"]
        if self.websockets:
            # Brokers of 2.0 ignore the address of such a listener unless a kind of socket is given.
            lines += [f"listener {self.websockets_port} 127.0.0.1", "protocol websockets", "socket_domain ipv4"]
        if self.tls:
            certificate = pathlib.Path(__file__).with_name("certificate.pem")
            lines += [f"listener {self.tls_port} 127.0.0.1", f"certfile {certificate}", f"keyfile {certificate}"]
        if self.unix:
            lines += [f"listener 0 {self.unix_path}"]
        text = "\n".join(lines) + "\n"
        return text.replace("{directory}", str(self.directory)).replace("{second_port}", str(self.second_port))

    # -- start and stop

    def command(self):
        command = [MOSQUITTO, "-c", str(self.config_path), *self.arguments]
        if VALGRIND:
            command = ["valgrind", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible",
                       "--keep-debuginfo=yes", "--num-callers=40", "--fullpath-after=",
                       f"--log-file={self.directory}/valgrind.%p", *command]
        return command

    def environment(self):
        environment = dict(os.environ)
        preload = [library for library in (PRELOAD, self.preload) if library]
        if preload:
            environment["LD_PRELOAD"] = ":".join(preload)
        environment.setdefault("ASAN_OPTIONS", "detect_leaks=0")
        environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        return environment

    def launch(self):
        """Writes the configuration and starts the process, without waiting for it."""
        for path, _ in self.plugins:
            assert os.path.exists(path), f"{path} is not built"
            if " " in path and broker_version() == (2, 1, 0):
                raise unittest.SkipTest("2.1.0 cannot load a plugin from a path with spaces")
        self.config_path.write_text(self.config())
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=self.directory, env=self.environment())
        return self

    def start(self):
        """Starts, and waits until clients can connect. A second start uses the ports of the first."""
        fresh = self.port is None
        for _ in range(5):
            if fresh:
                self.pick_ports()
            try:
                return self._start_once()
            except BrokerExited as exited:
                if not fresh or not PORT_TAKEN.search(exited.log):
                    raise
        raise AssertionError("no free port in five attempts")

    def _start_once(self):
        seen = len(self.log())
        self.launch()
        deadline = time.monotonic() + TIMEOUT
        while not re.search(r"mosquitto version \S+ running", self.log()[seen:]):
            if self.process.poll() is not None:
                raise BrokerExited(self._forget_process(), self.log()[seen:])
            assert time.monotonic() < deadline, f"the broker did not start:\n{self.log()}"
            time.sleep(0.01)
        assert not self.exposed(), f"it listens on {self.exposed()}:\n{self.config()}"
        return self

    def exposed(self):
        """Addresses other than those of this machine on which one of its ports is open, as (address, port)."""
        return [(address, port) for address, port in listening()
                if port in self.ports and not (address.ipv4_mapped or address).is_loopback]

    def run_to_exit(self, timeout=None, leaks=True):
        """Starts a broker that is expected to refuse; returns its exit code. leaks: whether they count."""
        self.port or self.pick_ports()
        self.launch()
        try:
            self.process.wait(timeout or TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the broker started all the same:\n{self.log()}") from None
        code = self._forget_process()
        self.check_reports(leaks)
        return code

    def _forget_process(self):
        code, self.process = self.process.returncode, None
        return code

    def signal(self, number):
        self.process.send_signal(number)

    def pause(self):
        """Stops the process until SIGCONT. It is stopped when this returns: a busy machine takes its time, and the
        broker would still take in a part of what is sent meanwhile."""
        self.signal(signal.SIGSTOP)
        stat = pathlib.Path(f"/proc/{self.process.pid}/stat")
        eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", pause=0.001)

    def stop(self):
        """Ends the broker with SIGTERM and checks how it went."""
        if self.process is None:
            return
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the broker did not stop:\n{self.log()[-4000:]}") from None
        code = self._forget_process()
        self.check_reports()
        if code:
            raise BrokerExited(code, self.log()[-4000:])

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def clean_up(self):
        self.kill()
        self._release_ports()
        if os.environ.get("RPC_KEEP"):
            print(f"kept {self.directory}", file=sys.stderr)
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    # -- its log

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_log(self, pattern, timeout=TIMEOUT):
        """Waits for a line in the log; returns the match."""
        deadline = time.monotonic() + timeout
        while True:
            found = re.search(pattern, self.log())
            if found:
                return found
            assert time.monotonic() < deadline, f"no line matches {pattern!r}:\n{self.log()[-4000:]}"
            time.sleep(0.02)

    def check_reports(self, leaks=True):
        """Fails on a sanitizer's report, or one of valgrind's that has a frame of our own code."""
        log = self.log()
        found = SANITIZER_REPORT.search(log)
        assert not found, f"sanitizer report:\n{log[max(found.start() - 500, 0):found.start() + 6000]}"
        for path in self.directory.glob("valgrind.*"):
            records = re.split(r"(?m)^==\d+== *\n", path.read_text(errors="replace"))
            own = [record for record in records if OWN_FRAME.search(record) and "Command: " not in record and
                   (leaks or " in loss record " not in record)]
            assert not own, "valgrind reports:\n" + "\n".join(own)


# ---- Tests -------------------------------------------------------------------------------------

PACES = (1, 4, 16)


def patient(test):
    """For a test in which something must happen in time, which a busy machine may delay: if it fails, it is made again
    with four times as much time, and with sixteen times. A defect fails at every pace. The times of the test are
    multiples of self.pace."""
    @functools.wraps(test)
    def made_in_time(self):
        for self.pace in PACES:
            try:
                return test(self)
            except AssertionError as error:
                if self.pace == PACES[-1]:
                    raise
                print(f"    {self.id()} is made again with more time: {str(error)[-300:]}", file=sys.stderr, flush=True)
            self.doCleanups()
            self.setUp()
    return made_in_time


def late(times, limit):
    """The share of the times that are over the limit."""
    return sum(taken > limit for taken in times) / len(times)


class BrokerTest(unittest.TestCase):
    """A test that starts brokers and clients, and ends them."""

    maxDiff = None
    pace = 1  # see patient()

    def make(self, options=(), **how):
        """A broker that does not run yet."""
        broker = Broker(options, **how)
        self.addCleanup(broker.clean_up)
        self.addCleanup(broker.stop)
        self.addCleanup(self._show_log, broker)
        return broker

    def start(self, options=(), **how):
        return self.make(options, **how).start()

    def client(self, broker, version=4, port=None, **how):
        how.setdefault("timeout", TIMEOUT)
        client = Client(port or broker.port, version=version, **how)
        self.addCleanup(client.close)
        return client

    def stored_messages(self, broker):
        """How many messages the broker keeps, as it publishes it; its sys_interval is 1."""
        watcher = self.client(broker)
        watcher.subscribe("$SYS/broker/uptime", qos=0)
        for _ in range(3):  # the retained one, and two rounds of publications that have begun since
            watcher.receive()
        watcher.subscribe("$SYS/broker/store/messages/count", qos=0)
        count = watcher.receive()
        while not count.topic.endswith("count"):
            count = watcher.receive()
        watcher.disconnect()
        return int(count.payload)

    def assert_prompt(self, taken, control, limit, share):
        """At most so many of the times are over the limit; more, if those of the control are late as well. The control
        are times of the same run that the limit is not about: how busy the machine is."""
        self.assertLessEqual(late(taken, limit), share + 3 * late(control, limit / 2),
                             f"of the control {late(control, limit / 2):.1%} are over {limit / 2}")

    def _show_log(self, broker):
        if not getattr(getattr(self, "_outcome", None), "success", True):
            print(f"--- the end of the broker's log in {self.id()}\n" + broker.log()[-3000:], file=sys.stderr)

    def assert_error(self, message, code, **members):
        """An error object of the protocol, in a message or already decoded."""
        error = payload_of(message) if hasattr(message, "payload") else message
        self.assertIsInstance(error, dict)
        self.assertEqual(error.get("err"), code, error)
        self.assertIsInstance(error.get("msg"), str)
        self.assertTrue(error["msg"], "an empty msg")
        for name, value in members.items():
            self.assertEqual(error.get(name), value, error)


identities = itertools.count(1)


def new_identity():
    """No two calls of a test are duplicates, unless it says so."""
    return f"{next(identities):06d}-{os.urandom(8).hex()}"


def encode(params):
    return params if isinstance(params, (bytes, str)) else json.dumps(params)


def payload_of(message):
    return json.loads(message.payload)


def eventually(condition, timeout=TIMEOUT, pause=0.05):
    """Waits until condition() is true, and returns what it gave."""
    deadline = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(pause)


def ask(client, method, params=b"", qos=1, topic="reply/to/me", correlation=None, prefix="rpc", entries=(),
        retain=False):
    """An MQTT 5 call with a Response Topic; returns the reply after checking that it belongs to the call."""
    correlation = new_identity().encode() if correlation is None else correlation
    properties = [(RESPONSE_TOPIC, topic), (CORRELATION_DATA, correlation), *entries]
    client.publish(f"{prefix}/call/{method}", encode(params), qos=qos, retain=retain, properties=properties)
    reply = client.receive()
    assert reply.topic == topic, reply
    assert property_of(reply, CORRELATION_DATA) == correlation, reply
    assert property_of(reply, CONTENT_TYPE) == "application/json", reply
    return reply


def result_of(reply):
    """The result in the reply to an MQTT 5 call."""
    assert user_property_of(reply, "status") == "ok", reply
    return payload_of(reply)


def error_of(reply):
    """The error object in the reply to an MQTT 5 call."""
    error = payload_of(reply)
    assert user_property_of(reply, "status") == error["err"] != "ok", reply
    return error


def ask_by_id(client, method, params=None, qos=1, request_id=None, prefix="rpc"):
    """A call with a request_id, for clients of any version; returns the decoded reply without the id."""
    request_id = request_id or new_identity()
    client.publish(f"{prefix}/call/{method}", json.dumps({**(params or {}), "request_id": request_id}), qos=qos)
    reply = client.receive()
    assert reply.topic == f"{prefix}/call/{method}/response/{request_id}", reply
    content = payload_of(reply)
    assert content.pop("request_id") == request_id, reply
    return content


@contextlib.contextmanager
def running(command, **how):
    """A program whose output is read, and which is killed at the end, also if the test fails meanwhile."""
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True, **how) as process:
        try:
            yield process
        finally:
            process.kill()


def main():
    """Runs the tests of the program, with a folder of its own for what they make. Tests that pass leave nothing in it;
    what tests that fail have left stays."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="rpc-test-"))
    folder.chmod(0o755)  # the broker may run as another user
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    passed = unittest.main(verbosity=2, exit=False).result.wasSuccessful()
    left = [] if os.environ.get("RPC_KEEP") else sorted(path.name for path in folder.glob("rpc-*"))
    if passed and left:
        print(f"the tests have passed, and left {' '.join(left)} behind", file=sys.stderr)
    if passed and not os.environ.get("RPC_KEEP") or not list(folder.iterdir()):
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(not passed or bool(left))
