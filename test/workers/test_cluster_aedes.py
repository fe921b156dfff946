# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Workers without the plugin on two clustered nodes of aedes, which has no shared subscriptions."""
import unittest

from clusters import Aedes
from plain import AutoTests, PlainTest, RendezvousTests


class ClusteredAedes(AutoTests, RendezvousTests, PlainTest):
    cluster = Aedes


if __name__ == "__main__":
    unittest.main(verbosity=2)
