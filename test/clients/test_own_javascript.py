"""The npm package of clients/javascript, against real brokers. The scripts that call it are in own_javascript/."""
import concurrent.futures
import http.server
import itertools
import json
import os
import queue
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

from cutter import AFTER, BEFORE, OUT, Cutter, Moment, Program, prove_once
from devices import FakeDevice, lamp
from harness import ROOT, TIMEOUT, BrokerTest, eventually, has_websockets, main
from mqtt import PUBLISH
from own_javascript import ENVIRONMENT, HERE, NODE, PACKAGES, complete, installed, tool
from recipe import RecipeTest, Wire

VERSIONS = (5, 4)
ACL = """topic readwrite #
topic deny rpc/call/probe.fail
topic deny rpc/reply/#
"""


def remove(folder):
    """Removes a folder to which processes of a browser that has ended may write a little longer."""
    eventually(lambda: shutil.rmtree(folder, ignore_errors=True) or not os.path.exists(folder))


def side_by_side(function, all_arguments):
    """Calls a function with each of the arguments. Programs that are started wait most of their time."""
    installed()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(function, *arguments) for arguments in all_arguments]:
            future.result()


class ScriptTest(BrokerTest):

    def check(self, name, url, version=5, **actions):
        self.converse("check.mjs", name, url, version, **actions)

    def converse(self, *words, **actions):
        """Runs a script, and does what it asks for. It must end by itself, with 0."""
        script = subprocess.Popen([NODE, *map(str, words)], cwd=installed().home, env=ENVIRONMENT,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        guard = threading.Timer(TIMEOUT, script.kill)
        guard.start()
        lines = []
        with script:
            for line in script.stdout:
                lines.append(line)
                if line.startswith("ask "):
                    actions[line.split()[1]]()
                    script.stdin.write("done\n")
                    script.stdin.flush()
        guard.cancel()
        self.assertEqual(script.returncode, 0, f"{words}:\n" + "".join(lines))

    def begin(self, options=(), **how):
        how.setdefault("first", ("set_tcp_nodelay true",))
        broker = self.start(options, **how)
        return broker, f"mqtt://127.0.0.1:{broker.port}"

    def check_each(self, *names, options=(), **how):
        """Each of them over each version of MQTT, with a broker of its own."""
        side_by_side(lambda name, version: self.check(name, self.begin(options, **how)[1], version),
                     itertools.product(names, VERSIONS))


class Calls(ScriptTest):

    def test_calls(self):
        self.check_each("values", "errors", "arguments", "batch", "progress")

    def test_many_at_once(self):
        self.check_each("concurrency", "limits")

    def test_cancellation(self):
        self.check_each("cancellation", "closing")

    def test_nothing_is_left(self):
        self.check_each("leftovers")

    def test_trace(self):
        self.check_each("trace")

    def test_a_connection_of_the_program(self):
        self.check_each("shared", options=["prefix rpc site/two"])

    def test_replies_to_subscribers(self):
        self.check_each("values", "errors", "batch", "concurrency", options=["reply_delivery subscribed"])

    def test_other_prefix(self):
        self.check_each("prefix", options=["prefix rpc /site/two"])

    def test_no_plugin(self):
        self.check_each("silence", plugins=[])

    def test_refusals(self):
        """The ACL refuses the subscription to replies, too, which come all the same."""
        for version in VERSIONS:
            broker, url = self.begin(users={"user": "password"}, anonymous=False, acl="user user\n" + ACL,
                                     lines=("max_packet_size 20000",))
            self.check("refusals", url, version)

    def test_what_others_send_and_throw(self):
        self.check_each("hostile", "throwing")

    def test_devices(self):
        for version in VERSIONS:
            broker, url = self.begin()
            device = FakeDevice(self, broker, work=lamp).come(kind="lamp").run()
            self.check("device", url, version)
            device.go()


class Events(ScriptTest):

    def test_events(self):
        self.check_each("events", "bounded", "keyed")

    def test_refusal(self):
        self.check_each("refused_events")


class Cut(ScriptTest):
    """Nothing is lost and nothing doubled, wherever the connection is cut."""

    def prove(self, version, qos, how):
        broker, _ = self.begin()
        command = (NODE, "prove.mjs", "mqtt://127.0.0.1:{port}", str(version), str(qos))
        prove_once(broker, lambda port: Program(command, port, cwd=installed().home, env=ENVIRONMENT), **how)

    def test_every_packet(self):
        side_by_side(self.prove, [(5, 1, {}), (4, 1, {}), (5, 0, {"twice": False}),
                                  (5, 2, {"twice": False, "reset": False})])

    def test_many_calls(self):
        for version in VERSIONS:
            with Cutter(self.begin()[0].port) as cutter:
                self.check("storm", f"mqtt://127.0.0.1:{cutter.port}", version, cut=cutter.cut)

    def test_mute_connection(self):
        with Cutter(self.begin()[0].port) as cutter:
            cutter.silent = True
            self.check("mute", f"mqtt://127.0.0.1:{cutter.port}",
                       mute=lambda: cutter.arm(Moment(OUT, PUBLISH, AFTER)))

    def test_ended_calls_are_not_sent(self):
        for version in VERSIONS:
            with Cutter(self.begin()[0].port) as cutter:
                cutter.silent = True
                self.check("forgotten", f"mqtt://127.0.0.1:{cutter.port}", version, cut=cutter.cut,
                           mute=lambda: cutter.arm(Moment(OUT, PUBLISH, BEFORE)))

    def test_restart(self):
        for version in VERSIONS:
            broker, url = self.begin()
            self.check("restart", url, version, stop=broker.kill, start=broker.start)
            self.check("waiting", self.restarted(broker), version, stop=broker.kill, start=broker.start)

    @staticmethod
    def restarted(broker):
        broker.start()
        return f"mqtt://127.0.0.1:{broker.port}"


class Readme(RecipeTest):
    """The page runs as it stands, but for the broker's address."""

    def test_listings(self):
        FakeDevice(self, self.broker, work=lamp).come(kind="lamp").run()
        page = (ROOT / "clients/javascript/README.md").read_text()
        listings = re.findall(r"^```(js|ts)\n(.*?)^```\n\n^```text\n(.*?)^```", page, re.M | re.S)
        self.assertEqual(len(listings), page.count("```js") + page.count("```ts"))
        for number, (language, program, output) in enumerate(listings):
            with self.subTest(program):
                path = installed().home / f"listing{number}.m{language}"
                path.write_text(program.replace("localhost:1883", f"127.0.0.1:{self.broker.port}"))
                if language == "ts":
                    complete(installed().home, tool("tsc"), "--strict", "--module", "nodenext", "--target", "es2022",
                             "--types", "node", path)
                self.assertEqual(complete(installed().home, NODE, path.with_suffix(".mjs")), output)


class Package(ScriptTest):
    """What npm packs, and what programs make of it."""

    def test_files(self):
        self.assertEqual(sorted(installed().files), sorted(
            ["LICENSE", "LICENSES/BSD-3-Clause.txt", "LICENSES/EPL-2.0.txt", "README.md", "client.js", "error.js",
             "index.cjs", "index.d.cts", "index.d.ts", "index.js", "package.json", "random-node.js", "random-web.js",
             "stream.js", "topics.js"]))

    def test_version(self):
        """There is one version, that of the project."""
        project = re.search(r"project\(mosquitto-rpc VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
        self.assertEqual(json.loads((ROOT / "clients/javascript/package.json").read_text())["version"], project)

    def test_typescript(self):
        """Strict programs compile, as ES modules and CommonJS, and run."""
        _, url = self.begin()
        home = installed().home
        source = (home / "consumer.ts").read_text()
        for suffix in ("mts", "cts"):
            (home / f"strict.{suffix}").write_text(source)
        common = ("--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes", "--target", "es2022",
                  "--types", "node")
        complete(home, tool("tsc"), *common, "--module", "nodenext", "strict.mts", "strict.cts")
        complete(home, tool("tsc"), *common, "--module", "esnext", "--moduleResolution", "bundler", "--noEmit",
                 "consumer.ts")
        for suffix in ("mjs", "cjs"):
            self.assertEqual(complete(home, NODE, f"strict.{suffix}", url).splitlines()[-1], "0 false")

    def test_declarations(self):
        """What index.d.ts declares is there, and nothing else."""
        declared = (ROOT / "clients/javascript/index.d.ts").read_text()
        shown = complete(installed().home, NODE, "--input-type=module", "--eval",
                         "import * as all from 'mosquitto-rpc'; const members = Object.getOwnPropertyNames;"
                         "console.log(JSON.stringify([members(all), members(all.Client.prototype)]))")
        exported, members = json.loads(shown)
        self.assertEqual(set(exported), set(re.findall(r"^export (?:class|function) (\w+)", declared, re.M)))
        body = re.search(r"^export class Client \{\n(.*?)^\}", declared, re.M | re.S)[1]
        found = set(re.findall(r"^    (?:readonly )?(\w+)[<(:]", body, re.M))
        self.assertEqual(set(members), found - {"mqtt", "clientId"})


class PageServer(http.server.SimpleHTTPRequestHandler):
    """Serves page.html and what it imports, tells where the broker is, and takes what the page says."""
    test = ends = None

    def translate_path(self, path):
        for at, folder in (("/mqtt/", PACKAGES / "node_modules"),
                           ("/mosquitto-rpc/", installed().home / "node_modules")):
            if path.startswith(at):
                return str(folder) + path
        return str(HERE) + path

    def do_GET(self):
        if self.path != "/broker":
            return super().do_GET()
        return self.reply(json.dumps({"url": self.test.url}).encode())

    def do_POST(self):
        said = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        if self.path == "/cut":
            self.test.wire.cut()
        else:
            self.ends.put(said)
        self.reply(b"")

    def reply(self, content):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


class Browser(ScriptTest):
    """The package in a page, over WebSockets."""

    def setUp(self):
        if not has_websockets():
            self.skipTest("this broker has no WebSockets")
        broker, _ = self.begin(websockets=True)
        self.wire = Wire(broker.websockets_port)
        self.addCleanup(self.wire.close)
        self.url = f"ws://127.0.0.1:{self.wire.port}"
        self.bundle = installed().home / "bundle.js"
        complete(installed().home, tool("esbuild"), "page.mjs", "--bundle", "--format=iife", "--global-name=page",
                 "--platform=browser", f"--outfile={self.bundle}")

    def test_bundle(self):
        """A bundle for browsers needs nothing of Node.js."""
        self.assertNotIn("node:crypto", self.bundle.read_text())
        self.converse("world.mjs", self.bundle, self.url, cut=self.wire.cut)

    def test_node(self):
        self.check("values", self.url)
        self.check("storm", self.url, cut=self.wire.cut)

    @unittest.skipUnless(os.environ.get("RPC_CHROMIUM"), "there is no chromium")
    def test_page(self):
        """A page without a bundler, in a browser."""
        ends = queue.Queue()
        handler = type("Handler", (PageServer,), {"test": self, "ends": ends})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        profile = tempfile.mkdtemp(prefix="rpc-chromium-")
        self.addCleanup(remove, profile)
        browser = subprocess.Popen([os.environ["RPC_CHROMIUM"], "--headless", "--no-sandbox", "--disable-gpu",
                                    "--disable-dev-shm-usage", "--no-first-run", f"--user-data-dir={profile}",
                                    f"http://127.0.0.1:{server.server_port}/page.html"], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env={**ENVIRONMENT, "TMPDIR": profile})
        try:
            self.assertEqual(ends.get(timeout=TIMEOUT), "all is well")
        finally:
            browser.terminate()
            browser.wait(TIMEOUT)


if __name__ == "__main__":
    main()
