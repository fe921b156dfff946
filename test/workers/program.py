# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The program mosquitto_rpc_worker for tests, with the modules of test/modules: started with options, and ended."""
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "broker"))
from harness import ROOT, SANITIZER_REPORT, TIMEOUT, BrokerTest  # noqa: E402

PROGRAM = os.environ.get("RPC_TEST_WORKER") or str(ROOT / "build" / "mosquitto_rpc_test_worker")
CERTIFICATE = str(ROOT / "test" / "broker" / "certificate.pem")


def run(*arguments, environment=None):
    """Runs the program to its end; returns what subprocess.run() does."""
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=TIMEOUT, check=False,
                          stdin=subprocess.DEVNULL, env={**os.environ, **(environment or {})})


class Worker:
    """One process. options: lines of its configuration; they are given on the command line, or, with in_file, in a
    file, which `rewrite` writes anew. around: a command that the program is an argument of."""

    def __init__(self, directory, *options, in_file=False, environment=None, name="worker", around=()):
        self.directory, self.log_path, self.path = directory, directory / f"{name}.log", directory / f"{name}.conf"
        self.environment, self.around = {**os.environ, **(environment or {})}, list(around)
        self.arguments = [word for option in options for word in self.word_of(option)]
        if in_file:
            self.rewrite(*options)
            self.arguments = ["--config", str(self.path)]
        self.process = None

    @staticmethod
    def word_of(option):
        name, _, value = option.partition(" ")
        return [f"--{name}", value] if value else [f"--{name}"]

    def rewrite(self, *options):
        self.path.write_text("".join(f"{option}\n" for option in options))

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*self.around, PROGRAM, *self.arguments], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=self.directory, env=self.environment)
        return self

    def signal(self, number):
        self.process.send_signal(number)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_log(self, pattern, count=1):
        """Waits for `count` lines that match; returns the last match."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            found = list(re.finditer(pattern, self.log()))
            if len(found) >= count:
                return found[-1]
            assert self.process.poll() is None, f"the worker has ended:\n{self.log()[-4000:]}"
            assert time.monotonic() < deadline, f"no line matches {pattern!r}:\n{self.log()[-4000:]}"
            time.sleep(0.01)

    def wait(self):
        """Waits for its end; returns its exit code."""
        try:
            code = self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the worker did not end:\n{self.log()[-4000:]}") from None
        found = SANITIZER_REPORT.search(self.log())
        assert not found, f"sanitizer report:\n{self.log()[-6000:]}"
        self.process = None
        return code

    def stop(self):
        """Ends it in order, if it runs."""
        if self.process:
            if self.process.poll() is None:
                self.signal(signal.SIGTERM)
            code = self.wait()
            assert code == 0, f"the worker ended with {code}:\n{self.log()[-4000:]}"

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


class WorkerTest(BrokerTest):
    """A test of a plain broker and workers."""

    def plain_broker(self, **how):
        return self.start(plugins=[], **how)

    def make_worker(self, broker, *options, address=None, **how):
        """A worker that does not run yet, and is ended with the test."""
        how.setdefault("name", f"worker{len(getattr(self, 'workers', []))}")
        worker = Worker(broker.directory, f"broker {address or f'127.0.0.1:{broker.port}'}",
                        "modules probe slow ping echo rpc", "timeout 60s", *options, **how)
        self.workers = [*getattr(self, "workers", []), worker]
        self.addCleanup(worker.kill)
        self.addCleanup(self.show_worker, worker)
        return worker

    def service_manager(self, directory):
        """A socket that hears what a worker with this environment tells the service manager."""
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        path = str(directory / "notify")
        manager.bind(path)
        manager.settimeout(TIMEOUT)
        return manager, {"NOTIFY_SOCKET": path}

    def show_worker(self, worker):
        if not getattr(getattr(self, "_outcome", None), "success", True):
            print(f"--- the log of a worker in {self.id()}\n{worker.log()[-3000:]}", file=sys.stderr)

    def worker(self, broker, *options, **how):
        """A worker that is connected."""
        worker = self.make_worker(broker, *options, **how).start()
        worker.wait_log("connected to")
        return worker

    def sharing(self, broker, *options, **how):
        """A worker whose subscriptions have arrived at the broker."""
        worker = self.worker(broker, "share crew", *options, **how)
        broker.wait_log(r"Sending SUBACK to " + worker.wait_log(r"connected to \S+ as (\S+)").group(1))
        return worker
