"""The console in a browser, before a real broker that serves it: the base of the tests here.

A test program starts one browser, and page.js speaks to it. Each test has a broker of its own, whose port for WebSockets
serves the page (with 2.1 a port of its own does), and opens pages of its own, of which one is open at a time.

The environment says what is tested, beside that of harness.py:

    RPC_CONSOLE_PAGE      console.html
    RPC_CONSOLE_PACKAGES  a folder with puppeteer-core and axe-core in node_modules
    RPC_BROWSER           the browser's program, and
    RPC_BROWSER_KIND      chromium or firefox
    RPC_SCREENSHOTS       a folder for pictures of the rooms; without it, none are made
"""
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "broker"))

from harness import ROOT, TEST_PLUGIN, TIMEOUT, Broker, BrokerTest, broker_version  # noqa: E402

PAGE = pathlib.Path(os.environ.get("RPC_CONSOLE_PAGE") or ROOT / "build" / "console" / "console.html")
PACKAGES = pathlib.Path(os.environ.get("RPC_CONSOLE_PACKAGES") or pathlib.Path(__file__).parent)
BROWSER = os.environ.get("RPC_BROWSER") or "/usr/bin/chromium"
KIND = os.environ.get("RPC_BROWSER_KIND") or "chromium"
SCREENSHOTS = os.environ.get("RPC_SCREENSHOTS")

ROOMS = "methods", "live", "load", "devices", "workers", "trouble"


class Fault(AssertionError):
    """What the page or the browser has answered."""


class Browser:
    """A process of page.js. Its commands are attributes: browser.click(role="button", name="Call")."""

    # page.js finds its packages beside itself.
    def __init__(self, directory):
        program = pathlib.Path(directory) / "page.js"
        shutil.copy(pathlib.Path(__file__).with_name("page.js"), program)
        (program.parent / "package.json").write_text('{"type": "module"}')
        (program.parent / "node_modules").symlink_to(PACKAGES / "node_modules")
        self.process = subprocess.Popen(["node", str(program), BROWSER, KIND], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.numbers = itertools.count(1)

    def tell(self, command, **how):
        """Sends a command and returns its value."""
        number = next(self.numbers)
        self.process.stdin.write(json.dumps({"id": number, "do": command, **how}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise Fault(f"the browser has ended with {self.process.wait(TIMEOUT)}")
        answer = json.loads(line)
        assert answer["id"] == number, answer
        if "error" in answer:
            raise Fault(answer["error"])
        return answer["value"]

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(TIMEOUT)

    # -- what a person does and sees. A place is role= and name=, or text=, also within= another place.

    def open(self, url, **how):
        self.tell("open", url=url, **how)

    def wait(self, patience=10, **spec):
        return self.tell("wait", spec=spec, patience=patience * 1000)

    def gone(self, patience=10, **spec):
        self.tell("gone", spec=spec, patience=patience * 1000)

    def find(self, **spec):
        return self.tell("find", spec=spec)

    def sees(self, **spec):
        return bool(self.find(**spec))

    def click(self, **spec):
        self.tell("click", spec=spec)

    def fill(self, value, **spec):
        self.tell("fill", spec=spec, value=value)

    def choose(self, value, **spec):
        self.tell("choose", spec=spec, value=value)

    def press(self, *keys):
        self.tell("press", keys=keys)

    def type(self, text):
        self.tell("type", text=text)

    def focused(self):
        return self.tell("focused")

    def text(self):
        return self.tell("text")

    def run(self, source):
        return self.tell("evaluate", source=source)

    def until(self, source, patience=10):
        return self.tell("true", source=source, patience=patience * 1000)

    def go(self, place):
        """To a room, such as methods/echo."""
        self.tell("go", hash=f"#/{place}")


class ServingBroker(Broker):
    """A broker that serves the console: console.json says where its WebSockets are, if that is another port."""

    def __init__(self, *arguments, **how):
        super().__init__(*arguments, **how)
        self.folder = self.directory / "www"
        self.folder.mkdir()
        shutil.copy(PAGE, self.folder / "console.html")
        self.has_own_port = broker_version() >= (2, 1)

    def config(self):
        lines = [f"listener {self.websockets_port} 127.0.0.1", "protocol websockets", "socket_domain ipv4"]
        if self.has_own_port:
            lines += [f"listener {self.mounted_port} 127.0.0.1", "protocol http_api", "listener_allow_anonymous true"]
        lines += [f"http_dir {self.folder}"]
        (self.folder / "console.json").write_text(json.dumps({"ws": f":{self.websockets_port}"}))
        return super().config() + "\n".join(lines) + "\n"

    @property
    def url(self):
        port = self.mounted_port if self.has_own_port else self.websockets_port
        return f"http://127.0.0.1:{port}/console.html"


class ConsoleTest(BrokerTest):
    """A test that looks at the console. Errors in the browser's console fail it, unless it says which it expects."""

    # Where a test ends the broker, the browser says so itself.
    expected_faults = "WebSocket connection to", "establish a connection to the server at ws", "connection to ws"

    @classmethod
    def setUpClass(cls):
        cls.browser = None

    @classmethod
    def tearDownClass(cls):
        if cls.browser:
            cls.browser.end()

    def setUp(self):
        if not type(self).browser:
            directory = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / f"console-{os.getpid()}"
            directory.mkdir()
            self.addClassCleanup(shutil.rmtree, directory, ignore_errors=True)
            type(self).browser = Browser(directory)
        self.page = self.browser
        self.addCleanup(self.check_faults)

    def check_faults(self):
        faults = [fault for fault in self.page.tell("faults") if not any(word in fault for word in self.expected_faults)]
        self.page.tell("close")
        self.assertEqual(faults, [])

    def make(self, options=("sensor_db :memory:", "sys_interval 1s"), acl="", **how):
        """A broker that serves the page, to everybody: 2.1 asks the ACL whether it may."""
        how.setdefault("plugin", TEST_PLUGIN)
        if acl:
            how["acl"] = "topic read /console.html\ntopic read /console.json\n" + acl
        broker = ServingBroker(options, **how)
        self.addCleanup(broker.clean_up)
        self.addCleanup(broker.stop)
        self.addCleanup(self._show_log, broker)
        return broker

    def open(self, broker, place="", **how):
        """Opens the console, and waits until a room is there."""
        self.page.open(broker.url + (f"#/{place}" if place else ""), **how)
        self.page.wait(role="navigation", name="Rooms")

    def sign_in(self, broker, user, password, place="methods"):
        self.page.open(f"{broker.url}#/{place}")
        self.page.fill(user, role="textbox", name="User name")
        self.page.fill(password, role="textbox", name="Password")
        self.page.click(role="button", name="Sign in")
        self.page.wait(role="navigation", name="Rooms")

    def picture(self, name):
        """A screenshot, among the build's artefacts."""
        if SCREENSHOTS:
            pathlib.Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            self.page.tell("shot", path=str(pathlib.Path(SCREENSHOTS) / f"{name}.png"))
