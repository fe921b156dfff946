# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Workers without the plugin on two Mosquittos with a bridge between them, by rendezvous."""
import unittest

from clusters import Bridged
from plain import PlainTest, RendezvousTests


class BridgedMosquittos(RendezvousTests, PlainTest):
    cluster = Bridged


if __name__ == "__main__":
    unittest.main(verbosity=2)
