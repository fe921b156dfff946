"""Twenty thousand messages of hostile.py, from a fixed seed; scripts/hostile sends a million."""
import hostile
from harness import INSTRUMENTED, BrokerTest, main

MESSAGES = 4000 if INSTRUMENTED else 20000


class Hostile(BrokerTest):
    def test_nothing_is_lost_but_the_hostile(self):
        broker = hostile.make_broker()
        self.addCleanup(broker.clean_up)
        self.addCleanup(broker.stop)
        self.addCleanup(self._show_log, broker)
        broker.start()
        print(hostile.drive(broker, MESSAGES, seed=13))


if __name__ == "__main__":
    main()
