#!/usr/bin/env python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Counts what a round trip costs the broker's process: instructions, under valgrind's callgrind, and system
calls, under strace.

These figures, unlike times, do not depend on what else the machine does. One client has one call
outstanding; it is a process of its own and is not counted. Every figure is the difference between a long
run and a short one, divided by the calls that the long one has more, so that what a broker does at its
start and its end is not in it.

Two things made figures vary by a percent from run to run, and are taken out: the digits of the time in the
result of ping (bench_clock.so is the broker's wall clock), and counters that are published every 10 s
(sys_interval 0). What is left: the broker's loop turns every 100 ms if nothing happens, which costs some
hundred instructions; the hashes of the duplicate check have a random seed, 0.1 %; how the broker's thread
and a worker meet, 2 %.

The budget is a file of the source tree: the instructions of a plain call of ping, and with what compiler,
libraries and broker they were counted, since all of these change the figures. glibc has functions for
processors with AVX2 and for those without; without it a call takes 2 % more.
"""
import argparse
import collections
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from common import (BARE, BATCH, BATCH_PARAMS, CONFIRMATION, PARAMS, PATIENCE, PLUGIN, ROOT, Failure, Places,
                    broker, client, jsonrpc_payload, print_table)
from harness import broker_version

BUDGET_PATH = os.path.join(ROOT, "test", "bench", "budget")
BUDGET_HEAD = """\
# The broker's instructions for a plain call of ping, and what they were counted with. The test bench_instructions
# fails when a call takes 3 % more. scripts/bench --update-budget writes this file.
"""
TOLERANCE = 0.03  # what a plain call may cost more than its budget
LEVELS = (0, 1, 2)  # of QoS
LENGTHS = {1: (200, 1200), BATCH: (10, 60)}  # messages of a short and of a long run, by the calls in each
PROFILE_ROWS = 80
SKIPPED = 77  # the exit code of a test that ctest is to call skipped

# topic None: the client's own message comes back to it. lines: of the plugin's configuration. calls: in each
# message.
Case = collections.namedtuple("Case", "plugin topic payload lines calls", defaults=(PARAMS, (), 1))

WATCH = ("report_watch true",)
NO_DUPLICATE_CHECK = ("duplicate_window 0", "redelivery_guard 0")
FLOOR = Case(None, None)
BARE_PING = Case(BARE, "rpc/call/ping")
PING = Case(PLUGIN, "rpc/call/ping")
CASES = {
    "floor": FLOOR,
    "bare ping": BARE_PING,
    "bare report": Case(BARE, "rpc/call/report"),
    "ping, plain": PING,
    "ping, seen by a module": PING._replace(lines=WATCH),
    "a message that is no call": Case(PLUGIN, None),
    "the same, seen by a module": Case(PLUGIN, None, lines=WATCH),
    "ping, JSON-RPC": PING._replace(payload=jsonrpc_payload("ping")),
    f"ping, batch of {BATCH}, each call": Case(PLUGIN, "rpc/batch/ping", BATCH_PARAMS, calls=BATCH),
    "report, plain": Case(PLUGIN, "rpc/call/report"),
    "report, duplicate check off": Case(PLUGIN, "rpc/call/report", lines=NO_DUPLICATE_CHECK),
    "on the broker's thread": Case(PLUGIN, "rpc/call/at.once", "{}"),
    "the same on a worker": Case(PLUGIN, "rpc/call/by.worker", "{}"),
}
TRACED = {"floor": FLOOR, "bare": BARE_PING, "ours": PING}


class Missing(Failure):
    """A tool that is not installed."""


def require_tool(name, package):
    if not shutil.which(name):
        raise Missing(f"{name} is missing; on Debian: apt-get install {package}")


# ---- Runs ---------------------------------------------------------------------------------------


def run(places, case, qos, messages, around):
    """A broker inside the command `around`, and a client that sends so many messages."""
    options = ["-q", qos, "-w", 0, "-n", messages, "-b", case.payload, "-e", "temp1"]
    if case.topic:
        options += ["-t", case.topic, "-e", CONFIRMATION]
    lines = ("sys_interval 0", *case.lines) if case.plugin == PLUGIN else ()
    with broker(places, case.plugin, qos, lines, around) as (port, _):
        client(places, port, *options)


def run_both(places, case, qos, counted_run):
    """What a call costs, by name; counted_run(places, case, qos, messages, path) returns that of a whole run."""
    short, long = LENGTHS[case.calls]
    with tempfile.TemporaryDirectory(prefix="rpc-count-") as folder:
        less = counted_run(places, case, qos, short, os.path.join(folder, "short"))
        more = counted_run(places, case, qos, long, os.path.join(folder, "long"))
    calls = (long - short) * case.calls
    costs = {name: (more[name] - less.get(name, 0)) / calls for name in more}
    if costs.get("total", 0) <= 0:
        raise Failure("nothing was counted")
    return costs


# ---- Instructions -------------------------------------------------------------------------------


def run_callgrind(places, case, qos, messages, path):
    around = ["env", f"LD_PRELOAD={places.file('bench_clock.so')}", "valgrind", "--tool=callgrind", "--quiet",
              f"--callgrind-out-file={path}"]
    run(places, case, qos, messages, around)


def run_counted(places, case, qos, messages, path):
    run_callgrind(places, case, qos, messages, path)
    with open(path, encoding="utf-8", errors="replace") as file:
        found = re.search(r"^totals: (\d+)", file.read(), re.MULTILINE)
    if not found:
        raise Failure("callgrind wrote no total")
    return {"total": int(found[1])}


def count_instructions(places, case, qos):
    return run_both(places, case, qos, run_counted)["total"]


def print_instructions(places):
    rows = []
    for name, case in CASES.items():
        print(name, file=sys.stderr, flush=True)
        rows.append([name, *(f"{count_instructions(places, case, qos):,.0f}" for qos in LEVELS)])
    print_table("Instructions of the broker for a round trip", ("", *(f"QoS {qos}" for qos in LEVELS)), rows)


# ---- Functions ----------------------------------------------------------------------------------


def function_costs(path, inclusive):
    """What callgrind counted for each function, with the functions that it calls or without them."""
    command = ["callgrind_annotate", "--threshold=100", f"--inclusive={inclusive}", path]
    text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    costs = collections.Counter()
    for cost, name in re.findall(r"^ *([\d,]+) \([ \d.]+%\)  (.+)$", text, re.MULTILINE):
        costs[name] += int(cost.replace(",", ""))
    return costs


def run_annotated(places, case, qos, messages, path):
    """The costs are named (function, own or inclusive)."""
    run_callgrind(places, case, qos, messages, path)
    costs = {(name, "inclusive"): cost for name, cost in function_costs(path, "yes").items()}
    costs.update({(name, "own"): cost for name, cost in function_costs(path, "no").items()})
    return {"total": costs["PROGRAM TOTALS", "own"], **costs}


def function_name(text):
    """`file:function [path of the object]` without the folders."""
    found = re.match(r".*:(.+) \[(?:.*/)?(.+)\]$", text)
    return f"{found[1]} ({found[2]})" if found else text


def print_profile(places, qos):
    """Functions that cost nothing of their own are left out: frames above the loop, and the start."""
    costs = run_both(places, PING, qos, run_annotated)
    names = {key[0] for key in costs if key[1] == "own" and costs[key] >= 0.5} - {"PROGRAM TOTALS"}
    largest = sorted(names, key=lambda name: -costs.get((name, "inclusive"), 0))[:PROFILE_ROWS]
    rows = [[function_name(name), *(f"{costs.get((name, kind), 0):,.0f}" for kind in ("inclusive", "own"))]
            for name in largest]
    head = ("", "with what it calls", "on its own")
    print_table(f"Instructions for a plain call of ping at QoS {qos}", head, rows)


# ---- System calls -------------------------------------------------------------------------------


def run_traced(places, case, qos, messages, path):
    """strace runs as the broker's grandchild (-D): the broker can be ended, and the table follows later."""
    run(places, case, qos, messages, ["strace", "-D", "-f", "-c", "-o", path])
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with open(path, encoding="ascii") as file:
            rows = [line.split() for line in file]
        if rows and rows[-1][-1:] == ["total"]:
            return {row[-1]: int(row[3]) for row in rows if row[0][0].isdigit()}
        time.sleep(0.02)
    raise Failure("strace wrote no table")


def print_system_calls(places):
    heads = [f"{name}, QoS {qos}" for qos in LEVELS for name in TRACED]
    columns = [run_both(places, case, qos, run_traced) for qos in LEVELS for case in TRACED.values()]
    names = [*sorted(set().union(*columns) - {"total"}), "total"]
    rows = [[name, *(f"{round(column.get(name, 0), 2) + 0:.2f}" for column in columns)] for name in names]
    rows = [row for row in rows if set(row[1:]) != {"0.00"}]
    print_table("System calls of the broker for a round trip", ("", *heads), rows)


# ---- The budget ---------------------------------------------------------------------------------


def conditions(places):
    """What the figures depend on, in words."""
    with open(places.file("bench_conditions"), encoding="utf-8") as file:
        build = file.read().strip()
    if not build.endswith("Release"):
        raise Failure(f"what is counted has to be a Release build, and is {build}")
    libc = " ".join(platform.libc_ver())
    version = ".".join(map(str, broker_version()))
    return f"{build}, {libc}, mosquitto {version}, {platform.machine()}"


def read_budget():
    """The conditions, and the instructions by QoS."""
    with open(BUDGET_PATH, encoding="utf-8") as file:
        lines = [line.strip().split(": ", 1) for line in file if not line.startswith("#")]
    budget = dict(lines)
    return budget["with"], {qos: int(budget[f"QoS {qos}"]) for qos in LEVELS}


def write_budget(places):
    figures = {qos: round(count_instructions(places, PING, qos)) for qos in LEVELS}
    old = read_budget()[1] if os.path.exists(BUDGET_PATH) else {}
    with open(BUDGET_PATH, "w", encoding="utf-8") as file:
        file.write(f"{BUDGET_HEAD}with: {conditions(places)}\n")
        file.writelines(f"QoS {qos}: {figure}\n" for qos, figure in figures.items())
    for qos, figure in figures.items():
        print(f"QoS {qos}: {old.get(qos, 0):,} -> {figure:,}")


def check_budget(places):
    """Fails if a plain call takes more than its budget; returns the exit code."""
    counted_with, budget = read_budget()
    if counted_with != conditions(places):
        print(f"skipped: the budget is for {counted_with}; this is {conditions(places)}")
        return SKIPPED
    excesses = []
    for qos in LEVELS:
        figure = count_instructions(places, PING, qos)
        excesses.append(figure / budget[qos] - 1)
        print(f"QoS {qos}: {figure:,.0f} instructions, budget {budget[qos]:,}, {excesses[-1]:+.2%}", flush=True)
    if max(excesses) > TOLERANCE:
        print(f"a call exceeds its budget by more than {TOLERANCE:.0%}; if it has to: scripts/bench "
              "--update-budget, and both figures into the commit message")
    elif min(excesses) < -TOLERANCE:
        print("calls take less than their budget: scripts/bench --update-budget makes it tight again")
    return 1 if max(excesses) > TOLERANCE else 0


# ---- The command line ---------------------------------------------------------------------------


def read_arguments():
    parser = argparse.ArgumentParser(description="Counts what a round trip costs the broker's process.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--instructions", action="store_true", help="instructions and system calls, as tables")
    action.add_argument("--profile", type=int, choices=LEVELS, nargs="?", const=0, metavar="QOS",
                        help="the functions in which a plain call spends them")
    action.add_argument("--check-budget", action="store_true", help="fail if a plain call takes too many")
    action.add_argument("--update-budget", action="store_true", help="write the budget, print the old one")
    return parser.parse_args()


def perform(arguments, places):
    """Returns the exit code."""
    require_tool("valgrind", "valgrind")
    if arguments.check_budget:
        return check_budget(places)
    if arguments.update_budget:
        write_budget(places)
    elif arguments.profile is not None:
        print_profile(places, arguments.profile)
    else:
        print_instructions(places)
        require_tool("strace", "strace")
        print_system_calls(places)
    return 0


def main():
    arguments = read_arguments()
    # Ended from outside, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(perform(arguments, Places("free")))
    except Missing as missing:
        print(missing, file=sys.stderr)
        sys.exit(SKIPPED if arguments.check_budget else 1)
    except Failure as failure:
        sys.exit(f"instructions.py: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
