"""Who gets in, what is shown when the broker refuses, goes away or comes back, and that nothing from the wire can do harm."""
import json
import re
import time
import unittest
from urllib.parse import quote

from browser import KIND, PAGE, ROOMS, ConsoleTest
from devices import QUIET
from harness import main
from plant import HOSTILE, Plant

SIZE_MAX = 150000

ACL = """user anna
topic readwrite rpc/#
topic read $SYS/broker/rpc/#
user viewer
topic write rpc/call/rpc.discover
topic write rpc/call/rpc.health
topic read rpc/event/#
"""


# The buttons change places with the first three movements of the mouse.
MOVING = """<title>A page that moves</title><style>button { position: absolute; top: 0 } .down { top: 50px }</style>
<button id=other class=down>Other</button><button id=aim>Aim</button><script>
let met = [], moves = 0
for (const one of document.querySelectorAll("button, html"))
    one.addEventListener("click", event => met.push(event.currentTarget.id))
addEventListener("mousemove", () => ++moves <= 3
                 && document.querySelectorAll("button").forEach(one => one.classList.toggle("down")))
</script>"""


class Driver(ConsoleTest):

    def test_a_click_meets_what_it_was_meant_for_also_when_the_page_moves(self):
        self.page.open("data:text/html," + quote(MOVING))
        self.page.click(role="button", name="Aim")
        self.assertEqual(self.page.run("met"), ["aim", ""])
        self.page.click(role="button", name="Other")
        self.assertEqual(self.page.run("met"), ["aim", "", "other", ""])


class Entry(ConsoleTest):

    def setUp(self):
        super().setUp()
        self.broker = self.make([*Plant.OPTIONS], users={"anna": "one", "viewer": "two"}, acl=ACL, anonymous=False).start()

    def test_a_wrong_password_and_the_right_one(self):
        page = self.page
        page.open(self.broker.url)
        page.wait(text="asks for a user name and a password")
        page.fill("anna", role="textbox", name="User name")
        page.fill("wrong", role="textbox", name="Password")
        page.click(role="button", name="Sign in")
        page.wait(role="alert", text="the user name or the password is wrong")
        page.fill("one", role="textbox", name="Password")
        page.press("Enter")
        page.wait(role="heading", name="Methods")
        self.assertTrue(page.sees(text="anna"))
        self.assertEqual(page.run("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie]).includes('one')"), False)

    def test_signing_out_and_in(self):
        self.sign_in(self.broker, "anna", "one")
        self.page.click(role="button", name="Sign out")
        self.page.wait(role="textbox", name="Password")
        self.page.fill("viewer", role="textbox", name="User name")
        self.page.fill("two", role="textbox", name="Password")
        self.page.click(role="button", name="Sign in")
        self.page.wait(text="viewer")

    def test_what_is_denied_is_said_in_each_room(self):
        self.sign_in(self.broker, "viewer", "two")
        for room, words, method in (("devices", "You may not see the list of devices", "device.list"),
                                    ("workers", "You may not see", "rpc.workers"), ("trouble", "You may not see", "rpc.recent")):
            self.page.go(room)
            self.page.wait(text=words, patience=15)
            self.page.wait(text=f"Its ACL would need: topic write rpc/call/{method}")
            self.picture(f"denied-{room}")
        self.page.go("load")
        self.page.wait(text="may not", patience=20)
        self.picture("denied-load")


class Places(ConsoleTest):
    """From where the page comes, and to where it goes."""

    def setUp(self):
        super().setUp()
        self.broker = self.make().start()
        self.socket = f"ws://127.0.0.1:{self.broker.websockets_port}"

    def test_from_the_brokers_own_port(self):
        self.open(self.broker)
        self.page.wait(text="All is well")
        outside = self.page.run("performance.getEntriesByType('resource').map(one => one.name)")
        self.assertEqual([name for name in outside if not name.startswith(self.broker.url.rsplit("/", 1)[0] + "/console.json")], [])

    def test_from_a_file(self):
        for place in ("", f"#ws={self.socket}"):
            self.page.open(PAGE.resolve().as_uri() + place)
            if not place:
                self.page.click(role="button", name="Broker")
                self.page.fill(self.socket, role="textbox", name="Address")
                self.page.click(role="button", name="Continue as a guest")
            self.page.wait(role="navigation", name="Rooms")
            self.page.wait(text="All is well")

    def test_a_hash_says_where(self):
        other = self.make(["prefix prod/rpc", "sensor_db :memory:", "sys_interval 1s"]).start()
        self.page.open(f"{self.broker.url}#ws=:{other.websockets_port}&prefix=prod/rpc")
        self.page.wait(text="prod/rpc")
        self.page.wait(text="All is well")

    def test_a_link_to_a_broker_elsewhere_shows_its_address(self):
        broker = self.make(users={"anna": "one"}, acl=ACL, anonymous=False).start()
        self.page.open(f"{broker.url}#ws=ws://localhost:{broker.websockets_port}")
        self.page.wait(text="asks for a user name and a password")
        self.assertTrue(self.page.sees(role="textbox", name="Address"))
        self.page.open(broker.url)
        self.page.wait(text="asks for a user name and a password")
        self.assertFalse(self.page.sees(role="textbox", name="Address"))

    def test_what_is_no_address_and_nobody_there(self):
        self.page.open(f"{self.broker.url}#ws=javascript:alert(1)")
        self.page.wait(text="is not the address of a WebSocket")
        self.page.open(f"{self.broker.url}#ws=:1")
        self.page.wait(text="protocol websockets")

    def test_the_size_and_the_policy(self):
        text = PAGE.read_text()
        self.assertLessEqual(len(text.encode()), SIZE_MAX)
        policy = re.search(r'http-equiv="?Content-Security-Policy"? content="([^"]*)"', text).group(1)
        self.assertIn("default-src 'none'", policy)
        self.assertNotIn("unsafe", policy)
        self.assertNotRegex(text, r'(?:src|href)="?https?:')


TRY = "[...document.querySelectorAll('button')].find(({ textContent }) => textContent === 'Try now')?.click()"


class Connection(ConsoleTest):

    def test_the_broker_is_restarted(self):
        broker = self.make().start()
        self.open(broker, "live")
        self.page.wait(text="Connected")
        broker.stop()
        self.page.wait(text="Connection lost")
        self.page.wait(text="The connection is lost")
        self.picture("connection-lost")
        self.page.click(role="button", name="Try now")
        broker.start()  # from now on the page may also come back by itself
        self.page.until(f"({TRY}, document.body.innerText.includes('Connected'))")
        self.client(broker, 5).publish("rpc/call/ping", qos=1)
        self.page.wait(text="pong")

    def test_it_comes_back_by_itself(self):
        broker = self.make().start()
        self.open(broker)
        broker.stop()
        broker.start()
        self.page.wait(text="Connected", patience=20)


@unittest.skipUnless(KIND == "chromium", "says nothing more in another browser")
class Harmless(ConsoleTest):
    """Text from the wire is shown as text, whoever has written it."""

    def test_names_and_payloads(self):
        broker = self.make([*Plant.OPTIONS], users={"crew": "crew"}).start()
        plant = Plant(self, broker)
        self.open(broker, "live")
        plant.device(HOSTILE)
        plant.worker(doc=HOSTILE, version=HOSTILE)
        client = self.client(broker, 5, client_id=HOSTILE)
        client.publish("rpc/call/probe.announce", json.dumps({"text": HOSTILE}), qos=1)
        plant.call("updateSensor", {"sensor_id": HOSTILE, "value": 1})
        client.publish("rpc/call/updateSensor", json.dumps({"sensor_id": HOSTILE, "value": -500}), qos=1)
        for room in ROOMS:
            self.page.go(room)
            self.page.wait(role="heading", name=room)
            if room in ("live", "devices"):
                self.page.wait(text="<img src=x onerror")
            time.sleep(0.3)
            self.assertEqual(self.page.run("[window.hurt ?? 0, document.querySelectorAll('img').length]"), [0, 0], room)


@unittest.skipUnless(KIND == "chromium", "says nothing more in another browser")
class Flood(ConsoleTest):
    """10,000 events a second."""

    SECONDS = 3

    def test_it_stays_responsive(self):
        broker = self.make(log_types=QUIET).start()
        self.open(broker, "live")
        self.page.wait(text="No event has come yet")
        self.page.run("""(() => { window.gaps = []; let last = performance.now()
            window.ticker = setInterval(() => { const now = performance.now(); window.gaps.push(now - last); last = now }, 20) })()""")
        sender = self.client(broker, 4)
        sent, start = 0, time.monotonic()
        while time.monotonic() - start < self.SECONDS:
            due = int((time.monotonic() - start) * 10000) - sent
            for _ in range(max(0, due)):
                sender.publish("rpc/call/probe.count")
            sent += max(0, due)
            time.sleep(0.005)
        started = time.monotonic()
        self.page.click(role="link", name="Methods")
        self.page.wait(role="heading", name="Methods")
        took = time.monotonic() - started
        self.page.go("live")
        shown = self.page.wait(role="status", text="event")["text"]
        gaps = sorted(self.page.run("window.gaps"))
        self.picture("flood")
        print(f"    sent {sent}, {shown!r}, longest pause {gaps[-1]:.0f} ms, 95 of 100 within {gaps[len(gaps) * 95 // 100]:.0f} ms, "
              f"another room after {took:.2f} s", flush=True)
        self.assertGreater(sent, 10000 * self.SECONDS / 2)
        self.assertLess(took, 5)
        self.assertLess(gaps[len(gaps) * 95 // 100], 500)


if __name__ == "__main__":
    main()
