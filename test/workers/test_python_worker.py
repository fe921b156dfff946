"""Runs the worker of examples/workers/python at a broker with the plugin.

    RPC_PAHO_PYTHON  a Python that has paho-mqtt
"""
import os
import unittest

from example_worker import ExampleWorker  # first: it says where harness.py is
from harness import ROOT, BrokerTest, main

PYTHON = os.environ.get("RPC_PAHO_PYTHON")


@unittest.skipUnless(PYTHON, "there is no Python with paho-mqtt")
class PythonWorker(ExampleWorker, BrokerTest):
    command = (PYTHON, ROOT / "examples/workers/python/worker.py")


if __name__ == "__main__":
    main()
