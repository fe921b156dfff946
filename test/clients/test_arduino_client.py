# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""clients/arduino on a PC: with doubles of the libraries and of a board, or with the libraries themselves.

RPC_ARDUINO_DRIVER and RPC_ARDUINO_STATION are the sketches arduino/driver.cpp and examples/station.
"""
import json
import os
import re
import select
import signal
import time

from cutter import OUT, PUBLISH, AFTER, Cutter, Moment, Program, prove_once
from harness import ROOT, TIMEOUT, BrokerTest, ask_by_id, eventually, main, payload_of, running

DRIVER, STATION = os.environ.get("RPC_ARDUINO_DRIVER"), os.environ.get("RPC_ARDUINO_STATION")
BUFFER = 256  # PubSubClient's


class Board(Program):
    """The sketch, which is stopped with SIGTERM as a board is: then it says by how much the heap has grown."""

    def __init__(self, port):
        super().__init__(["env", "BROKER_PORT={port}", DRIVER], port)

    def answer(self):
        word, _, rest = self.process.stdout.readline().strip().partition(" ")
        return word, rest

    def close(self):
        self.process.stdin.close()
        last = self.process.stdout.read()
        code = self.process.wait(TIMEOUT)
        self.process.stdout.close()
        assert (code, last) == (0, "heap 0\n"), (code, last)


class ClientTest(BrokerTest):

    def setUp(self):
        if not DRIVER:
            self.skipTest("there is no C++ compiler")
        self.broker = self.start(["sys_interval 0"])

    def board(self, port=None):
        board = Board(port or self.broker.port)
        self.addCleanup(board.close)
        return board

    def fails(self, answer, err, msg):
        word, rest = answer
        self.assertEqual(word, "error", rest)
        self.assertRegex(rest, f"^{err} .*{msg}")

    def runs(self):
        return ask_by_id(self.client(self.broker), "probe.runs", {})["result"]["runs"]


class Once(ClientTest):

    def test_cuts(self):
        for reset in (True, False):
            moments = prove_once(self.broker, Board, reset=reset)
            self.assertGreaterEqual(len(moments), 15)
            self.tearDown()
            self.setUp()

    def test_a_timeout_that_passed_while_there_was_no_connection(self):
        with Cutter(self.broker.port) as cutter:
            board = self.board(cutter.port)
            self.assertEqual(board.call("probe.count", {}), {"runs": 1})
            cutter.arm(Moment(OUT, PUBLISH, 5))
            cutter.refusing = True
            board.process.stdin.write("wait 200 probe.count {}\n")
            board.process.stdin.flush()
            eventually(lambda: cutter.fired)
            time.sleep(0.4)  # the client still waits for a reply that may be under way
            cutter.refusing = False
            eventually(lambda: cutter.accepted == 2)
            self.fails(board.answer(), "timeout", "in time")
            time.sleep(0.2)
            self.assertEqual(self.runs(), 1)
            self.assertEqual(board.call("probe.count", {}), {"runs": 2})

    def test_a_call_waits_for_the_connection(self):
        with Cutter(self.broker.port) as cutter:
            board = self.board(cutter.port)
            self.assertEqual(board.call("probe.count", {}), {"runs": 1})
            cutter.arm(Moment(OUT, PUBLISH, AFTER))
            cutter.refusing = True
            board.process.stdin.write("call probe.count {}\n")
            board.process.stdin.flush()
            eventually(lambda: cutter.fired)
            time.sleep(0.2)
            cutter.refusing = False
            self.assertEqual(board.answer(), ("result", '{"runs":2}'))

    def test_a_call_before_the_first_connection(self):
        with Cutter(self.broker.port) as cutter:
            cutter.refusing = True
            board = self.board(cutter.port)
            board.process.stdin.write("call probe.count {}\n")
            board.process.stdin.flush()
            time.sleep(0.2)
            cutter.refusing = False
            self.assertEqual(board.answer(), ("result", '{"runs":1}'))


class Calls(ClientTest):

    def test_parameters(self):
        board = self.board()
        for text, result in (("{}", "{}"), (' { } ', "{}"), ('{"a":1}', '{"a":1}'), (' {  "a" : {} } ', '{"a":{}}')):
            self.assertEqual(board.ask(f"call echo {text}"), ("result", result))
        for text in ("[1]", "7", "{", "}", '"{}"', "true"):
            self.fails(board.ask(f"call echo {text}"), "invalid_params", "not an object")
        self.fails(board.ask('call echo {"a":}'), "parse_error", "JSON")

    def test_identities(self):
        """Each call has its own, of 32 hexadecimal digits, and stands at the beginning of the payload."""
        with Cutter(self.broker.port) as cutter:
            board = self.board(cutter.port)
            cutter.arm()
            for _ in range(50):
                board.call("echo", {})
            found = [payload_of(message)["request_id"] for message in cutter.messages(OUT)]
        self.assertEqual(len(set(found)), 50)
        for identity in found:
            self.assertRegex(identity, "^[0-9a-f]{32}$")

    def test_errors(self):
        board = self.board()
        self.fails(board.ask('call getSensor {"sensor_id":"nowhere"}'), "unknown_sensor", "no reading")
        self.fails(board.ask("call getSensor {}"), "invalid_params", "sensor_id is required")
        self.fails(board.ask("call nothing {}"), "method_not_found", "no method")
        self.fails(board.ask('wait 50 slow.sleep {"ms":5000}'), "timeout", "")
        self.assertEqual(board.pending(), 0)

    def test_one_call_at_a_time(self):
        board = self.board()
        self.fails(board.ask("twice probe.count {}"), "overloaded", "pending")
        self.assertEqual(board.answer(), ("result", '{"runs":1}'))
        self.assertEqual(board.call("probe.count", {}), {"runs": 2})

    def test_a_call_that_is_cancelled(self):
        """Its late reply reaches nobody, neither as a reply nor as a message."""
        board = self.board()
        self.assertEqual(board.ask("cancel probe.count {}"), ("cancelled", ""))
        self.assertEqual(board.pending(), 0)
        self.assertEqual(board.call("probe.count", {}), {"runs": 2})

    def test_a_call_from_a_handler(self):
        board = self.board()
        self.assertEqual(board.ask("again probe.count {}"), ("result", '{"runs":1}'))
        self.assertEqual(board.answer(), ("result", '{"name":"from a handler"}'))

    def test_calls_that_are_too_large(self):
        board = self.board()
        self.assertEqual(board.call("probe.count", {"x": "y" * 250}), {"runs": 1})  # larger than PubSubClient's buffer
        self.fails(board.ask("call probe.count " + json.dumps({"x": "y" * 400})), "payload_too_large", "")
        self.fails(board.ask("call " + "m" * 390 + " {}"), "payload_too_large", "")
        self.fails(board.ask("call " + "m" * 199 + " {}"), "payload_too_large", "")
        self.assertEqual(board.call("probe.count", {}), {"runs": 2})


class Replies(ClientTest):

    def test_every_size(self):
        """A reply either comes whole, or the client says at once that it did not fit."""
        board, whole = self.board(), []
        for size in range(60, 190):
            sent = {"x": "y" * size}
            word, rest = board.ask("call echo " + json.dumps(sent))
            if word == "result":
                self.assertEqual(json.loads(rest), sent)
                whole.append(size)
            else:
                self.assertRegex(rest, "^reply_too_large .*setBufferSize")
        self.assertEqual(whole, list(range(60, whole[-1] + 1)))
        topic = len("rpc/call/echo/response/") + 32
        reply = len(json.dumps({"request_id": "i" * 32, "result": {"x": "y" * whole[-1]}}, separators=(",", ":")))
        self.assertEqual(2 + topic + reply + 3, BUFFER)

    def test_large_ones(self):
        board = self.board()
        begin = time.monotonic()
        for size in (1000, 20000, 60000):
            self.fails(board.ask(json.dumps({"size": size}).join(("call probe.big ", ""))), "reply_too_large", "fit")
        self.assertLess(time.monotonic() - begin, 30)  # and not the timeout of 60 seconds
        self.assertEqual(board.call("probe.count", {}), {"runs": 1})

    def test_more_values_than_there_is_memory_for(self):
        board = self.board()
        self.fails(board.ask('call echo {"x":[' + ",".join("1" * 60) + "]}"), "reply_too_large", "memory")
        self.assertEqual(board.call("probe.count", {}), {"runs": 1})


    def test_what_is_no_reply(self):
        self.broker = self.start(plugins=[])
        board, service = self.board(), self.client(self.broker)
        self.assertEqual(board.ask("listen rpc/reply/#"), ("listening", ""))
        service.subscribe("rpc/call/#")
        for payload in (b"", b"{", b"5", b'"result"', b"[]", b"null", b"{}", b'{"error":5}', b'{"error":{"err":5}}',
                        b'{"result":1,"error":{}}', b"[[", b"\xff"):
            board.process.stdin.write("call m {}\n")
            board.process.stdin.flush()
            service.publish(f"rpc/reply/x/{payload_of(service.receive())['request_id']}", payload)
            self.fails(board.answer(), "bad_reply", "JSON")
        self.assertEqual(board.pending(), 0)

    def test_the_longest_time(self):
        """A time that no counter can be added to is not over at once."""
        self.broker = self.start(plugins=[])
        board = self.board()
        board.process.stdin.write("wait 18446744073709551615 m {}\n")
        board.process.stdin.flush()
        self.assertEqual(select.select([board.process.stdout], [], [], 2)[0], [])
        board.process.terminate()


class Messages(ClientTest):

    def test_other_messages(self):
        """Those that fit reach the sketch; those that do not are dropped, as PubSubClient does by itself."""
        board, sender = self.board(), self.client(self.broker)
        self.assertEqual(board.ask("listen news"), ("listening", ""))
        self.assertEqual(board.call("probe.count", {}), {"runs": 1})
        for size in (0, 1, 200, 2000, 3):
            for qos in (0, 1):
                sender.publish("news", "x" * size, qos=qos)
                if size < 2000:
                    self.assertEqual(board.answer(), ("message", f"news {'x' * size}".strip()))
        self.assertEqual(board.call("probe.count", {}), {"runs": 2})

    def test_while_a_call_is_pending(self):
        board, sender = self.board(), self.client(self.broker)
        board.ask("listen news")
        board.process.stdin.write('call slow.wait {"name":"a"}\n')
        board.process.stdin.flush()
        sender.publish("news", "x" * 3000, qos=0)
        sender.publish("news", "hello", qos=0)
        self.assertEqual(board.answer(), ("message", "news hello"))
        eventually(lambda: ask_by_id(sender, "slow.tell", {"name": "a", "text": "b"})["result"] != 0)
        self.assertEqual(board.answer()[0], "result")


class Page(ClientTest):

    page = (ROOT / "clients/arduino/README.md").read_text()

    def test_memory(self):
        """The page says how many bytes and pointers the client has at most."""
        bytes_, pointers = map(int, re.search(r"(\d+) bytes and (\d+) pointers", self.page).groups())
        word, size = self.board().ask("ram")
        pointer = 8 if os.uname().machine in ("x86_64", "aarch64", "ppc64le", "s390x", "riscv64") else 4
        self.assertEqual(word, "ram")
        self.assertLessEqual(int(size), bytes_ + pointers * pointer)
        self.assertGreater(int(size), (bytes_ + pointers * pointer) * 0.9)
        for bits, width in ((32, 4), (8, 2)):
            kilobytes = (bytes_ + pointers * width) / 1000
            self.assertIn(f"{kilobytes:.1f} kB at {bits} bits", self.page)

    def test_the_listing(self):
        sketch = (ROOT / "clients/arduino/examples/station/station.ino").read_text()
        for listing in re.findall("```cpp\n(.*?)```", self.page, re.DOTALL):
            self.assertIn(listing, sketch)


class Station(ClientTest):

    def test_it_reports(self):
        watcher = self.client(self.broker)
        watcher.subscribe("rpc/event/sensor/roof")
        with running([STATION], env={**os.environ, "BROKER_PORT": str(self.broker.port)}) as station:
            event = payload_of(watcher.receive())
            self.assertEqual((event["sensor_id"], event["value"]), ("roof", 21.5))
            self.assertEqual(station.stdout.readline(), "21.50\n")
            station.send_signal(signal.SIGTERM)
            self.assertEqual(station.stdout.read(), "heap 0\n")


if __name__ == "__main__":
    main()
