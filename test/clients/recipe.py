"""The recipes of docs/recipes.md: takes the code of a section out of the page and runs it as it stands, but for the
broker's address.

    RPC_RECIPES_PACKAGES   a node_modules with the packages of recipes/
    RPC_NODE_RED_PACKAGES  one with Node-RED
    RPC_MQTT_JSON_RPC      one with version 3 of mqtt-json-rpc, and mqtt
    RPC_MQTT_EXPORTER      Debian's prometheus-mqtt-exporter
    RPC_GO                 the go command, where GOPATH has paho.golang
"""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import textwrap
import threading

from harness import ROOT, TIMEOUT, BrokerTest, eventually

HERE = pathlib.Path(__file__).resolve().parent
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "NODE_PATH")}


def blocks(section, language):
    """The code blocks of a language in a section of the page, which ends where the next one begins."""
    page = (ROOT / "docs/recipes.md").read_text()
    found = re.search(rf"^(#+) {re.escape(section)}\n(.*?)(?=^##* [^#\n]*\n|\Z)", mask_code(page), re.M | re.S)
    text = page[found.start(2):found.end(2)]
    return [textwrap.dedent(code) for code in re.findall(rf"^ *```{language}\n(.*?)^ *```$", text, re.M | re.S)]


def mask_code(page):
    """The page with its code blanked, so that a comment of code is no heading."""
    return re.sub(r"^ *```.*?^ *```$", lambda code: re.sub(r"[^\n]", " ", code[0]), page, flags=re.M | re.S)


class Wire:
    """Takes connections on a port of its own and passes their bytes to a broker, until it is cut."""

    def __init__(self, to):
        self.to, self.sockets = to, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.to))
            self.sockets += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """Ends all connections. New ones are taken."""
        while self.sockets:
            with self.sockets.pop() as end:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.listener.close()
        self.cut()


class Running:
    """A program and what it has written so far."""

    def __init__(self, command, folder, **environment):
        self.path = folder / "output"
        with open(self.path, "wb") as output:
            self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=subprocess.STDOUT, cwd=folder, env={**ENVIRONMENT, **environment})

    def output(self):
        return self.path.read_text(errors="replace")

    def wait_for(self, text, timeout=6 * TIMEOUT):
        """Waits until the program has written this."""
        def seen():
            assert text in self.output() or self.process.poll() is None, f"no {text!r}:\n{self.output()}"
            return text in self.output()
        try:
            eventually(seen, timeout=timeout)
        except AssertionError:
            raise AssertionError(f"no {text!r}:\n{self.output()[-4000:]}") from None

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


class RecipeTest(BrokerTest):
    """Runs programs in a folder of their own, at a broker whose options come from `options`."""
    options = ()

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="rpc-recipe-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.broker = self.start(self.options, first=("set_tcp_nodelay true",), users={"user": "password"})
        self.wire = Wire(self.broker.port)
        self.addCleanup(self.wire.close)

    def write(self, name, text, through=None):
        """Writes a program, with the broker's address in place of the page's, or the wire's that leads there."""
        (self.folder / name).write_text(text.replace("localhost:1883", f"127.0.0.1:{through or self.broker.port}")
                                        .replace('"localhost", port: 1883',
                                                 f'"127.0.0.1", port: {through or self.broker.port}'))

    def begin(self, *command, **environment):
        running = Running(command, self.folder, **environment)
        self.addCleanup(running.stop)
        return running

    def complete(self, *command, **environment):
        """Runs a program to its end; returns what it wrote on standard output."""
        ended = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, text=True, capture_output=True,
                               timeout=24 * TIMEOUT, check=False, cwd=self.folder, env={**ENVIRONMENT, **environment})
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        return ended.stdout


class NodeTest(RecipeTest):
    """Recipes in JavaScript: the first block of the section connects, the second one calls."""
    section = packages = None
    exported = "call"

    def setUp(self):
        super().setUp()
        (self.folder / "node_modules").symlink_to(os.environ[self.packages])
        self.node = os.environ.get("RPC_NODE") or "node"

    def check_page(self):
        connect, use = blocks(self.section, "js")[:2]
        self.write("page.mjs", connect + use)
        lines = self.complete(self.node, "page.mjs", NO_COLOR="1").splitlines(keepends=True)
        self.assertEqual(blocks(self.section, "text"), ["".join(line for line in lines if "[Nest]" not in line)])

    def check_script(self, name, more=""):
        """Runs a script of recipes/ that imports the recipe and is connected through the wire. It writes `cut` where
        its connection is to be cut. more: code of the page that the recipe exports, too."""
        connect = blocks(self.section, "js")[0]
        self.write("recipe.mjs", f"{connect}\n{more}\nexport {{ {self.exported} }}\n", self.wire.port)
        for file in (name, "check.mjs"):
            shutil.copy(HERE / "recipes" / file, self.folder)
        running = self.begin(self.node, name, self.broker.port, NO_COLOR="1")
        running.wait_for("cut\n")
        self.wire.cut()
        running.wait_for("all is well\n")
        self.assertEqual(running.process.wait(TIMEOUT), 0, running.output())
