"""Runs a script in node, with a port and options as arguments, and shows what it wrote if it fails."""
import os
import pathlib
import subprocess

from harness import TIMEOUT

NODE = os.environ.get("RPC_NODE") or "node"
HERE = pathlib.Path(__file__).resolve().parent


def run(name, *arguments):
    """Returns what the script wrote; raises unless it ended with 0."""
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    ended = subprocess.run([NODE, str(HERE / name), *map(str, arguments)], stdin=subprocess.DEVNULL, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=2 * TIMEOUT, check=False,
                           env=environment)
    assert ended.returncode == 0, f"{name} ended with {ended.returncode}:\n{ended.stdout}"
    return ended.stdout
