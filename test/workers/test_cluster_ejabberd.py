# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Workers without the plugin on two clustered nodes of ejabberd, which has no shared subscriptions."""
import unittest

from clusters import Ejabberd
from plain import AutoTests, PlainTest, RendezvousTests


class ClusteredEjabberd(AutoTests, RendezvousTests, PlainTest):
    cluster = Ejabberd


if __name__ == "__main__":
    unittest.main(verbosity=2)
