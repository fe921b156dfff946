#!/usr/bin/env python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Draws a terminal as SVG: the commands of docs/pictures/*.txt with what they print at a real broker. scripts/record runs
it; test_terminal.py finds out whether the picture still tells the truth.

    RPC_TOOL   the command-line tool mosquitto_rpc, in the plugin's build unless it is set
"""
import html
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from harness import MOSQUITTO, PLUGIN, ROOT, Broker

PICTURES = ROOT / "docs" / "pictures"
TOOL = os.environ.get("RPC_TOOL") or str(pathlib.Path(PLUGIN).parent / "tool/mosquitto_rpc")
COLUMNS, LINE, LETTER, MARGIN, HEAD = 104, 19, 8.0, 18, 34
STYLE = """
    .terminal { fill: #16202a }
    .bar { fill: #223140 }
    text { font: 13.3px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace }
    .command { fill: #8fe3b8 }
    .output { fill: #d5dee6 }
    .error { fill: #ffb3a7 }
"""


def run(command, broker, home):
    """What a command prints for people, at this broker: its port is in configuration files, as a user would have it."""
    (home / ".config").mkdir(exist_ok=True)
    (home / ".config" / "mosquitto_rpc").write_text(f"-p {broker.port}\n--plain\n")
    (home / ".config" / "mosquitto_rr").write_text(f"-h 127.0.0.1\n-p {broker.port}\n")
    path = os.pathsep.join([str(home / "bin"), str(pathlib.Path(MOSQUITTO).parent), os.environ["PATH"]])
    (home / "bin").mkdir(exist_ok=True)
    if not (home / "bin" / "mosquitto_rpc").exists():
        (home / "bin" / "mosquitto_rpc").symlink_to(TOOL)
    environment = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "PATH": path,
                   "COLUMNS": str(COLUMNS), "NO_COLOR": "1"}
    done = subprocess.run(["bash", "-c", command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False, timeout=120)
    return done.stdout.rstrip("\n").split("\n"), done.returncode


def record(commands, broker):
    """The lines of the terminal: of each, its class and its text."""
    lines = []
    with tempfile.TemporaryDirectory(prefix="rpc-record-") as home:
        for command in commands:
            printed, code = run(command, broker, pathlib.Path(home))
            lines.append(("command", "$ " + command))
            lines += [("error" if code else "output", line) for line in printed]
            lines.append(("output", ""))
    return lines[:-1]


def draw(lines, title):
    width, height = MARGIN * 2 + COLUMNS * LETTER, HEAD + MARGIN + LINE * len(lines) + 4
    text = "\n".join(f'  <text xml:space="preserve" class="{kind}" x="{MARGIN}" y="{HEAD + MARGIN + LINE * number}">{html.escape(line)}</text>'
                     for number, (kind, line) in enumerate(lines) if line)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}" role="img" aria-label="{title}">
  <style>{STYLE}  </style>
  <rect class="terminal" width="{width:g}" height="{height}" rx="9"/>
  <path class="bar" d="M0 9A9 9 0 0 1 9 0H{width - 9:g}A9 9 0 0 1 {width:g} 9V{HEAD - 8}H0Z"/>
  <circle cx="16" cy="13" r="5" fill="#e5695e"/><circle cx="33" cy="13" r="5" fill="#e0b143"/><circle cx="50" cy="13" r="5" fill="#58b368"/>
{text}
</svg>
"""


def record_file(path, broker):
    return draw(record(path.read_text().splitlines(), broker), "A terminal in which methods are called")


def without_times(picture):
    return re.sub(r"\b1\d{9}(\.\d+)?\b|\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", picture)


def main():
    broker = Broker(["sensor_db :memory:", "device_db :memory:"], plugin=PLUGIN)
    try:
        broker.start()
        for path in sorted(PICTURES.glob("*.txt")):
            path.with_suffix(".svg").write_text(record_file(path, broker))
    finally:
        broker.stop()
        broker.clean_up()


if __name__ == "__main__":
    sys.exit(main())
