"""The broker's wall clock is set while it runs, as on a gateway without a battery for its clock that finds the network."""
import pathlib
import shutil
import tempfile
import time

from clocks import DAYS_60, ClockTest
from harness import ask, eventually, main, payload_of, result_of
from slow_calls import SlowTest, with_id

STEPS = (DAYS_60, 0, -DAYS_60, 0, -1, -3600)  # seconds that the clock is wrong by, one after the other


class WrongClock(ClockTest, SlowTest):

    def setUp(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="rpc-clock-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.broker = self.start(**self.clock_in(folder))

    def step(self, client, seconds):
        self.set_clock(seconds)
        shown = result_of(ask(client, "getTime"))["unix"]
        self.assertAlmostEqual(shown, time.time() + seconds, delta=600, msg="the clock is right")

    def test_calls(self):
        """Replies of each kind come: at once, of work, of a timer, at a deadline, and of another call's answer."""
        broker = self.broker
        client, other = self.client(broker, 5), self.client(broker, 5)
        for seconds in STEPS:
            self.step(client, seconds)
            for qos in (0, 1, 2):
                self.assertEqual(self.outcome(client, "echo", 1, qos=qos), ("ok", 1))
                self.assertEqual(self.outcome(client, "slow.sleep", {"ms": 20}, qos=qos)[0], "ok")
                self.assertEqual(self.outcome(client, "slow.alarm", {"ms": 20}, qos=qos)[0], "ok")
                self.assertEqual(self.outcome(client, "slow.wait", {"name": "unused"}, qos=qos, timeout=100)[0],
                                 "timeout")
            waiting = self.call(client, "slow.wait", {"name": "a"})
            self.outcome(other, "slow.tell", {"name": "a", "text": "hello"})
            self.assertEqual(self.reply(client), (waiting, "ok", {"text": "hello"}))

    def test_calls_under_way(self):
        """The clock is set between the call and its reply."""
        broker = self.broker
        client, other = self.client(broker, 5), self.client(broker, 4)
        for seconds in STEPS:
            with self.subTest(wrong_by=seconds):
                identities = {self.call(client, "slow.sleep", {"ms": 300}, qos=qos) for qos in (0, 1, 2)}
                identities |= {self.call(client, "slow.alarm", {"ms": 300}, qos=qos) for qos in (0, 1, 2)}
                late = self.call(client, "slow.wait", {"name": "unused"}, timeout=400)
                other.publish("rpc/call/slow.sleep", with_id({"ms": 300}), qos=1)
                self.set_clock(seconds)
                found = self.replies(client, 7)
                self.assertEqual(found.pop(late)[0], "timeout")
                self.assertEqual({name: status for name, (status, _) in found.items()}, dict.fromkeys(identities, "ok"))
                self.assertIn("result", payload_of(other.receive()))

    def test_a_session_that_waits(self):
        """The reply at QoS 1 is still there when the clock was set back meanwhile."""
        broker = self.broker
        client = self.client(broker, 5)
        for number, seconds in enumerate(STEPS):
            self.step(client, seconds)
            traveller = self.client(broker, 4, client_id="traveller", clean=False, auto_ack=False)
            traveller.publish("rpc/call/echo", f'{{"request_id":"r{number}","a":1}}', qos=1)
            traveller.close()
            self.step(client, seconds - 7200)
            traveller = self.client(broker, 4, client_id="traveller", clean=False)
            self.assertEqual(payload_of(traveller.receive()), {"request_id": f"r{number}", "result": {"a": 1}})
            traveller.disconnect()

    def test_a_timer_of_a_module(self):
        broker = self.broker
        client = self.client(broker, 5)
        self.outcome(client, "slow.tick", {"ms": 20})
        for seconds in STEPS:
            self.step(client, seconds)
            ticks = self.stats(broker)["ticks"]
            eventually(lambda: self.stats(broker)["ticks"] > ticks + 10)  # pylint: disable=cell-var-from-loop


if __name__ == "__main__":
    main()
