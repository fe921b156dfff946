"""Workers that are silent for a while, and come back: stopped for longer than their keep alive, never answering, or
answering when the deadline of their calls is over. What they did meanwhile is done once."""
import json
import signal
import threading
import time

from crew import NOTICED, PASSWORD, USER, CrewTest, eventually, size
from harness import TIMEOUT, ask, main, result_of
from judge import GOOD, UNKNOWN
from load import LANE, ONCE, READ, SAME, STEPS, TOLD
from mqtt import CORRELATION_DATA, USER_PROPERTY, Client, Silence, property_of, user_property_of

KINDS = tuple(kind._replace(params={**kind.params, "ms": 20}) for kind in (READ, SAME, ONCE, TOLD, STEPS, LANE))


class Stopped(CrewTest):

    def stop_for(self, name, seconds):
        member = self.lose(name)
        member.signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.gone.append((name, time.monotonic_ns()))
        member.signal(signal.SIGCONT)

    def test_longer_than_the_keep_alive(self):
        """The broker takes it for gone: it attaches again, and what it has done meanwhile is done once."""
        self.crew()
        load = self.load(*KINDS, rate=200, timeout=30000)
        stops = self.names[:size(1, 3)] * size(1, 4)
        for name in stops:
            time.sleep(0.5)
            self.stop_for(name, NOTICED)
            since = self.listed().get(name)
            self.assertIsNone(since, "it was stopped, and the broker did not notice")
            self.wait_for(name)
        time.sleep(0.5)
        verdict = self.judge(load)
        self.assertGreater(verdict.statuses[UNKNOWN] + verdict.again, 0, "it had no calls when it was stopped")
        # What it had not read is not begun; a thread may take one more call before the connection's end is seen.
        self.assertLessEqual(len(verdict.late), 2 * len(stops))

    def test_shorter(self):
        """Nobody notices: its calls take longer, and that is all."""
        self.crew()
        load = self.load(*KINDS, rate=200, timeout=30000)
        for name in self.names * size(1, 10):
            self.stop_for(name, 0.7)
        self.judge(load, GOOD)


class Callers(CrewTest):

    def test_that_vanish(self):
        """They come back and send their calls again: what a worker may have begun is answered from the plugin's memory,
        and is not begun a second time, whatever the worker does with it."""
        self.crew()
        load = self.load(*KINDS, rate=300, vanish=0.05, batches=0)
        time.sleep(size(4, 60))
        self.lose("w1").kill()
        time.sleep(1)
        verdict = self.judge(load, GOOD | {UNKNOWN, "cancelled"})
        self.assertGreater(verdict.statuses["cancelled"], 0, "no caller had a call when it vanished")


class Stub(threading.Thread):
    """A worker that is nothing but a connection: it writes down that it has run a call, and answers after so many seconds;
    None: never."""

    def __init__(self, port, name, methods, after, runs_path):
        super().__init__(daemon=True)
        self.name_, self.after, self.runs_path, self.got = name, after, runs_path, []
        self.over, self.client = threading.Event(), Client(port, 5, username=USER, password=PASSWORD, timeout=TIMEOUT)
        result_of(ask(self.client, "rpc.attach", {"worker": name, "methods": methods, "window": 8}))
        self.start()

    def run(self):
        due = []
        while not self.over.is_set():
            try:
                message = self.client.receive(0.02)
                if message.topic == f"rpc/work/{self.name_}":
                    due.append((time.monotonic() + (self.after or 0), message))
                    self.got.append(json.loads(message.payload)["id"])
            except Silence:
                pass
            while self.after is not None and due and due[0][0] < time.monotonic():
                self.answer(due.pop(0)[1])

    def answer(self, message):
        identity, method = json.loads(message.payload)["id"], user_property_of(message, "method")
        with open(self.runs_path, "a") as file:
            for what in ("begin", "end"):
                file.write(f"{what} {time.monotonic_ns()} {self.name_} {method} {identity} -\n")
        self.client.publish(f"rpc/work/{self.name_}/done", json.dumps({"id": identity, "by": self.name_}), qos=1,
                            properties=[(CORRELATION_DATA, property_of(message, CORRELATION_DATA)),
                                        (USER_PROPERTY, ("status", "ok"))])

    def end(self):
        self.over.set()
        self.join()
        self.client.close()


class Slow(CrewTest):
    names = ("w1", "w2")

    def stub(self, after):
        stub = Stub(self.broker.port, "stub", [kind.method for kind in (READ, SAME, ONCE)], after, self.runs_path)
        self.addCleanup(stub.end)
        return stub

    def test_one_that_never_answers(self):
        """Its window is all that it takes: the calls of which it has none are not held up."""
        self.crew()
        stub = self.stub(None)
        load = self.load(READ, SAME, ONCE, timeout=1500)
        time.sleep(3)
        verdict = self.judge(load, GOOD | {"timeout"})
        self.assertIn(len(stub.got), range(1, 9))
        self.assertEqual(verdict.statuses["timeout"], len(stub.got))
        self.assertEqual(self.listed()["stub"]["outstanding"], len(stub.got))

    def test_one_that_never_answers_and_goes(self):
        """Its calls move on as soon as it goes, and their callers wait for nothing else."""
        self.crew()
        stub = self.stub(None)
        load = self.load(READ, SAME, ONCE, timeout=20000)
        eventually(lambda: len(stub.got) > 2)
        self.gone.append(("stub", time.monotonic_ns()))
        stub.end()
        verdict = self.judge(load)
        once = [identity for identity in stub.got if load.calls[identity].kind == ONCE]
        unknown = {unknown.identity for unknown in verdict.unknown}  # and what it had not read
        self.assertEqual(set(once) - unknown, set())
        self.assertLessEqual({load.calls[identity].kind.method for identity in unknown}, {ONCE.method})

    def test_one_that_answers_late(self):
        """The caller has its timeout, and nothing after it; the worker gets further calls."""
        self.crew()
        stub = self.stub(1.5)
        load = self.load(READ, SAME, ONCE, timeout=1000)
        eventually(lambda: len(stub.got) > 8)
        verdict = self.judge(load, GOOD | {"timeout"})
        self.assertEqual({load.calls[identity].status for identity in stub.got}, {"timeout"})
        self.assertGreater(verdict.by["stub"], 0)
        eventually(lambda: self.listed()["stub"]["outstanding"] == 0)


if __name__ == "__main__":
    main()
