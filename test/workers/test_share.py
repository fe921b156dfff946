# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Workers without the plugin on a plain Mosquitto, which share the calls by a shared subscription: what that promises, and
no more. libmosquitto acknowledges a message when it has arrived, so what a worker had when it was killed is lost."""
import time
import unittest

from clusters import Bridged
from judge import GOOD
from load import ONCE
from plain import PlainTest


class One(Bridged):
    """One node is enough."""


class Share(PlainTest):
    cluster, mode = One, ("share crew",)

    def share(self, *mode):
        self.mode = mode or self.mode
        for name in ("w1", "w2", "w3"):
            self.member(name)
        self.ask_all("rpc.ping", 3)  # they have subscribed

    def test_nobody_goes(self):
        """Each call is run once, and by one worker."""
        self.share()
        load = self.load(doubles=0)
        time.sleep(3)
        verdict = self.judge(load)
        self.check(verdict)
        self.assertEqual(set(verdict.by), {"w1", "w2", "w3"})

    def test_a_worker_is_killed(self):
        """Lost are calls that it had, and no others."""
        self.share()
        load = self.load([ONCE._replace(params={"ms": 100})], doubles=0, timeout=4000, patience=2, rate=60)
        time.sleep(2)
        self.lose("w2").kill()
        killed = time.monotonic_ns()
        time.sleep(2)
        verdict = self.judge(load)
        self.check(verdict, lost=len(load.callers) * load.outstanding)
        self.assertLessEqual(verdict.statuses.keys(), GOOD | {None})
        for call in load.calls.values():
            if not call.outcomes:
                self.assertLess(call.sent, killed, "a call was lost that came after the worker had gone")

    def test_a_worker_drains(self):
        """Nothing is lost: it gets no more calls, and answers those that it has."""
        self.share()
        load = self.load(doubles=0)
        time.sleep(1)
        self.members["w1"].drain()
        time.sleep(1)
        self.check(self.judge(load))

    def test_auto_shares(self):
        """Mosquitto has shared subscriptions."""
        self.share("auto true")
        self.assertIn("the broker has shared subscriptions: mode share", self.members["w1"].log())
        load = self.load(doubles=0)
        time.sleep(1)
        verdict = self.judge(load)
        self.check(verdict)
        self.assertEqual(set(verdict.by), {"w1", "w2", "w3"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
