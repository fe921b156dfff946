# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Runs the command-line tool.

The environment of harness.py, and:

    RPC_TOOL    the tool
"""
import collections
import json
import os
import pty
import select
import subprocess
import time

from harness import TIMEOUT

TOOL = os.environ["RPC_TOOL"]

Done = collections.namedtuple("Done", "code out err")


def environment(**more):
    """What the tool is run with: nothing that the user of this machine has set for it."""
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "XDG_CONFIG_HOME")}
    return {**kept, "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", "TERM": "xterm",
            "ASAN_OPTIONS": "exitcode=99", "UBSAN_OPTIONS": "exitcode=99", **more}


def tool(broker, *words, text=None, env=None):
    """Runs the tool with its output in a pipe. broker: a Broker, a port, or None for no options of it. text: its input."""
    port = getattr(broker, "port", broker)
    done = subprocess.run([TOOL, *(["-h", "127.0.0.1", "-p", str(port)] if port else []), *map(str, words)],
                          input=text, stdin=subprocess.DEVNULL if text is None else None, env=environment(**env or {}),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, timeout=TIMEOUT)
    return Done(done.returncode, done.stdout, done.stderr)


def call(broker, *words, **how):
    """The JSON that the tool prints, which must succeed."""
    done = tool(broker, *words, **how)
    assert done.code == 0, done
    return json.loads(done.out)


def on_terminal(broker, *words, columns=100, env=None):
    """Runs the tool on a terminal, which gets its errors, too. Returns its code and what the terminal got, as bytes."""
    port = getattr(broker, "port", broker)
    master, slave = pty.openpty()
    subprocess.run(["stty", "cols", str(columns), "-opost"], stdin=slave, check=True)
    with subprocess.Popen([TOOL, *(["-h", "127.0.0.1", "-p", str(port)] if port else []), *map(str, words)],
                          stdin=slave, stdout=slave, stderr=slave, env=environment(**env or {})) as process:
        os.close(slave)
        content, deadline = bytearray(), time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    content += os.read(master, 65536)
                except OSError:
                    break  # the other end is closed
        os.close(master)
    return process.returncode, bytes(content)
