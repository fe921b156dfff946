# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The pictures of terminals in docs/pictures show what their commands print, but for the times in it."""
from harness import PLUGIN, BrokerTest, main
from terminal import PICTURES, record_file, without_times


class Terminal(BrokerTest):

    def test_the_pictures(self):
        self.maxDiff = None
        for path in sorted(PICTURES.glob("*.txt")):
            with self.subTest(picture=path.name):
                broker = self.start(["sensor_db :memory:", "device_db :memory:"], plugin=PLUGIN)
                self.assertEqual(without_times(path.with_suffix(".svg").read_text()), without_times(record_file(path, broker)),
                                 "scripts/record draws it anew")


if __name__ == "__main__":
    main()
