# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The wall clock is set back and forth under load, by seconds and by years: no call waits for it to come right."""
import pathlib
import random
import shutil
import tempfile
import threading
import time

from soak import LOG, TEST_PLUGIN, Soak, ask_by_id, main, size

from clocks import DAYS_60, ClockTest

STEPS = size(15, 600)
JUMPS = (0, 1, -1, 3600, -3600, DAYS_60, -DAYS_60, 10 * 365 * 86400)  # seconds
CALLS = (("ping", {}), ("slow.sleep", {"ms": 5}), ("slow.alarm", {"ms": 20}), ("updateSensor", {"sensor_id": "s", "value": 1}))


class Clock(ClockTest, Soak):

    def caller(self, broker):
        """Calls of all kinds, one after the other, each of which has to be answered."""
        client = self.client(broker)
        try:
            while not self.over.is_set():
                method, params = CALLS[self.calls % len(CALLS)]
                began = time.monotonic()
                content = ask_by_id(client, method, params, qos=self.calls % 3)
                assert "result" in content, (method, content)
                self.times.append(time.monotonic() - began)
                self.calls += 1
        except (AssertionError, OSError) as error:
            self.error = error

    def test_steps(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="rpc-clock-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        broker = self.start(["sensor_db :memory:", "sensor_interval 0", "sys_interval 1s"], plugin=TEST_PLUGIN, log_types=LOG,
                            **self.clock_in(folder))
        self.over, self.error, self.times, self.calls = threading.Event(), None, [], 0
        callers = [threading.Thread(target=self.caller, args=(broker,), daemon=True) for _ in range(3)]
        for caller in callers:
            caller.start()
        for _ in range(STEPS):
            self.set_clock(random.choice((*JUMPS, random.randrange(-60, 60))))
            time.sleep(0.4)
        self.over.set()
        for caller in callers:
            caller.join()
        self.figures(steps=STEPS, calls=self.calls, longest=f"{max(self.times):.3f}")
        if self.error:
            raise AssertionError("a call was not answered") from self.error
        self.assertGreater(self.calls, STEPS)


if __name__ == "__main__":
    main()
