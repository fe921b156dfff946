"""A broker whose wall clock a test sets while it runs: that of libwrong_clock.so, see wrong_clock.c."""
import os

from harness import WRONG_CLOCK, BrokerTest, broker_version

DAYS_60 = 60 * 86400


class ClockTest(BrokerTest):

    def clock_in(self, folder):
        """What a Broker needs for a clock that is right so far."""
        self.clock = folder / "clock"
        self.set_clock(0)
        os.environ["RPC_CLOCK_FILE"] = str(self.clock)
        self.addCleanup(os.environ.pop, "RPC_CLOCK_FILE", None)
        return {"preload": WRONG_CLOCK}

    def set_clock(self, seconds):
        """How much it is wrong from now on. In one step: the broker reads it at any time."""
        fresh = self.clock.with_name("clock-new")
        fresh.write_text(str(seconds))
        os.replace(fresh, self.clock)

    def client(self, broker, version=4, port=None, **how):
        """Without a keep alive, which 2.0.21 measures by this clock: see docs/operation.md. 2.0.15 wants one."""
        if broker_version() != (2, 0, 15):
            how.setdefault("keepalive", 0)
        return super().client(broker, version, port, **how)
