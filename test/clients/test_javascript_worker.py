"""Runs the worker of examples/workers/javascript at a broker with the plugin.

    RPC_NODE   node
    NODE_PATH  a folder of packages with MQTT.js
"""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "workers"))
from example_worker import ExampleWorker  # noqa: E402
from harness import ROOT, BrokerTest, main  # noqa: E402


class JavascriptWorker(ExampleWorker, BrokerTest):
    command = (os.environ.get("RPC_NODE"), ROOT / "examples/workers/javascript/worker.js")


if __name__ == "__main__":
    main()
