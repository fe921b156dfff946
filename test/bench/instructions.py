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
import contextlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from common import (BARE, BATCH, BATCH_PARAMS, COMMAND, COMMAND_TOPIC, CONFIRMATION, DEVICE, PARAMS, PATIENCE, PLUGIN,
                    REQUEST_TOPIC, ROOT, Failure, Places, broker, client, jsonrpc_payload, print_table,
                    processor_time, responder)
from many_devices import CROWD, crowd, raise_file_limit
from harness import broker_version

BUDGET_PATH = os.path.join(ROOT, "test", "bench", "budget")
BUDGET_HEAD = """\
# The broker's instructions for a plain call of ping, for a command's way to a device and back, and what they were
# counted with. The tests bench_instructions and bench_devices fail when one takes 3 % more. scripts/bench
# --update-budget writes this file.
"""
TOLERANCE = 0.03  # what may cost more than its budget
LEVELS = (0, 1, 2)  # of QoS
LENGTHS = {1: (200, 1200), BATCH: (10, 60)}  # messages of a short and of a long run, by the calls in each
PROFILE_ROWS = 80
SKIPPED = 77  # the exit code of a test that ctest is to call skipped

# topic None: the client's own message comes back to it. lines: of the plugin's configuration. calls: in each
# message. device: a device answers.
Case = collections.namedtuple("Case", "plugin topic payload lines calls device", defaults=(PARAMS, (), 1, False))

WATCH = ("report_watch true",)
NO_DUPLICATE_CHECK = ("duplicate_window 0", "redelivery_guard 0")
FLOOR = Case(None, None)
BARE_PING = Case(BARE, "rpc/call/ping")
PING = Case(PLUGIN, "rpc/call/ping")
# A command's way from the application to the device and back: the application publishes to the device's topic
# itself, without a plugin, or calls.
DEVICE_LINES = ("device_db :memory:",)
BY_HAND = Case(None, REQUEST_TOPIC, COMMAND, device=True)
BY_CALL = Case(PLUGIN, COMMAND_TOPIC, lines=DEVICE_LINES, device=True)
DEVICE_QOS = 1  # which commands have
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
    "the same on a worker thread": Case(PLUGIN, "rpc/call/by.worker", "{}"),
    "a device's command, by hand": BY_HAND,
    "a device's command, by a call": BY_CALL,
}
# What has a budget, by its name there: case and QoS.
PLAIN_CALLS = {f"QoS {qos}": (PING, qos) for qos in LEVELS}
DEVICE_CALLS = {f"device, QoS {DEVICE_QOS}": (BY_CALL, DEVICE_QOS)}

# Calls among many devices: who calls, by the number of its client. That the device
# goes after each run makes no work within the grace. A worker has been started before in both cases, as it is when a device is written to the database: some
# functions of the C library take more instructions in any process that has ever had two threads.
STRANGER = "another client"
CALLERS = {STRANGER: 1, "a device": 0}
CROWD_LINES = ("sys_interval 0", "device_grace 600s", *DEVICE_LINES)
REPEATS = 3  # the broker looks through all clients every five seconds: the least of alike runs leaves that out
MARKER = 2  # the number of the client that divides what is counted
QUIET_MICROSECONDS = 100000  # of processor time in a second
CROWD_TOLERANCE = 0.02  # what a plain call may cost more among many devices
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
    with contextlib.ExitStack() as stack:
        port, _ = stack.enter_context(broker(places, case.plugin, qos, lines, around))
        if case.device:
            level = DEVICE_QOS if case.plugin else qos
            stack.enter_context(responder(places, port, REQUEST_TOPIC, level, DEVICE))
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


def callgrind(places, path, *options, preloaded=("bench_clock.so",)):
    return ["env", "LD_PRELOAD=" + ":".join(map(places.file, preloaded)), "valgrind", "--tool=callgrind", "--quiet",
            f"--callgrind-out-file={path}", *options]


def run_callgrind(places, case, qos, messages, path):
    run(places, case, qos, messages, callgrind(places, path))


def run_counted(places, case, qos, messages, path):
    run_callgrind(places, case, qos, messages, path)
    return {"total": read_total(path)}


def read_total(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        found = re.search(r"^totals: (\d+)", file.read(), re.MULTILINE)
    if not found:
        raise Failure("callgrind wrote no total")
    return int(found[1])


def count_instructions(places, case, qos):
    return run_both(places, case, qos, run_counted)["total"]


# ---- A crowd of devices ---------------------------------------------------------------------------


def wait_until_quiet(pid):
    """Until all that the hellos have begun is done: timers of some seconds, and writes to the database."""
    deadline = time.monotonic() + PATIENCE
    quiet = 0
    while quiet < 3:
        if time.monotonic() > deadline:
            raise Failure("the broker does not come to rest")
        before = processor_time(pid)
        time.sleep(1)
        quiet = quiet + 1 if processor_time(pid) - before < QUIET_MICROSECONDS else 0


def run_in_crowd(places, count, path):
    """Plain calls of ping among so many devices. Each run is a part of what callgrind writes; returns the numbers of
    the parts of short and long runs, by caller and QoS."""
    parts, number = {}, 1
    around = callgrind(places, path, "--dump-before=report_mark*", preloaded=("bench_clock.so", "bench_memory.so"))
    with broker(places, PLUGIN, 2, CROWD_LINES, around) as (port, pid):
        once = ("-q", 0, "-w", 0, "-n", 1, "-f", MARKER, "-b", "{}", "-e", CONFIRMATION)
        client(places, port, *once, "-t", "rpc/call/by.worker")
        with crowd(port, count, ["bench-" + str(CALLERS["a device"])] if count else ()):
            for caller in CALLERS if count else [STRANGER]:
                call = ("-w", 0, "-f", CALLERS[caller], "-b", PARAMS, "-e", CONFIRMATION, "-t", "rpc/call/ping")
                client(places, port, "-n", 1, *call)  # the first one in a minute has the database note its time
                wait_until_quiet(pid)
                for qos in REPEATS * LEVELS:
                    for messages in LENGTHS[1]:
                        client(places, port, *once, "-t", "rpc/call/mark")
                        client(places, port, "-q", qos, "-n", messages, *call)
                    number += 2
                    parts.setdefault((caller, qos), []).append((number - 1, number))
            client(places, port, *once, "-t", "rpc/call/mark")
    return parts


def count_in_crowd(places, count):
    """What a plain call costs among so many devices, by caller and QoS."""
    short, long = LENGTHS[1]
    with tempfile.TemporaryDirectory(prefix="rpc-count-") as folder:
        path = os.path.join(folder, "parts")
        parts = run_in_crowd(places, count, path)
        least = {key: [min(read_total(f"{path}.{part}") for part in alike) for alike in zip(*pairs)]
                 for key, pairs in parts.items()}
    return {key: (more - less) / (long - short) for key, (less, more) in least.items()}


def count_excesses(places):
    """By caller and QoS: what a plain call costs without devices, among the crowd, and how much more that is."""
    if not raise_file_limit(CROWD):
        raise Missing(f"so many open files as {CROWD:,} devices need are not allowed here")
    alone, among = count_in_crowd(places, 0), count_in_crowd(places, CROWD)
    return {key: (alone[STRANGER, key[1]], figure, figure / alone[STRANGER, key[1]] - 1)
            for key, figure in among.items()}


def print_crowd(places):
    rows = [[f"QoS {qos}, called by {caller}", f"{alone:,.0f}", f"{among:,.0f}", f"{excess:+.2%}"]
            for (caller, qos), (alone, among, excess) in count_excesses(places).items()]
    print_table("Instructions of the broker for a plain call of ping, with plain memory, once a worker was started",
                ("", "no devices", f"{CROWD:,} devices", "more"), rows)


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
    """The conditions, and the instructions by name."""
    with open(BUDGET_PATH, encoding="utf-8") as file:
        lines = [line.strip().split(": ", 1) for line in file if not line.startswith("#")]
    budget = dict(lines)
    return budget.pop("with"), {name: int(figure) for name, figure in budget.items()}


def write_budget(places):
    figures = {name: round(count_instructions(places, *counted))
               for name, counted in {**PLAIN_CALLS, **DEVICE_CALLS}.items()}
    old = read_budget()[1] if os.path.exists(BUDGET_PATH) else {}
    with open(BUDGET_PATH, "w", encoding="utf-8") as file:
        file.write(f"{BUDGET_HEAD}with: {conditions(places)}\n")
        file.writelines(f"{name}: {figure}\n" for name, figure in figures.items())
    for name, figure in figures.items():
        print(f"{name}: {old.get(name, 0):,} -> {figure:,}")


def exceeds_budget(places, counted, budget):
    """Whether one of the cases takes more than its budget. Prints what each takes."""
    excesses = []
    for name, case in counted.items():
        figure = count_instructions(places, *case)
        excesses.append(figure / budget[name] - 1)
        print(f"{name}: {figure:,.0f} instructions, budget {budget[name]:,}, {excesses[-1]:+.2%}", flush=True)
    if max(excesses) > TOLERANCE:
        print(f"a call exceeds its budget by more than {TOLERANCE:.0%}; if it has to: scripts/bench "
              "--update-budget, and both figures into the commit message")
    elif min(excesses) < -TOLERANCE:
        print("calls take less than their budget: scripts/bench --update-budget makes it tight again")
    return max(excesses) > TOLERANCE


def check_budget(places, counted):
    """Fails if one of the cases takes more than its budget; returns the exit code."""
    counted_with, budget = read_budget()
    if counted_with != conditions(places):
        print(f"skipped: the budget is for {counted_with}; this is {conditions(places)}")
        return SKIPPED
    return 1 if exceeds_budget(places, counted, budget) else 0


def check_crowd(places):
    """Fails if a plain call takes more among many devices than it may; returns the exit code. It compares what was
    counted in the same place, so that it needs no budget."""
    fails = False
    for (caller, qos), (alone, among, excess) in count_excesses(places).items():
        fails = fails or excess > CROWD_TOLERANCE
        print(f"QoS {qos}, called by {caller}, {CROWD:,} devices: {among:,.0f} instructions, without them {alone:,.0f}, "
              f"{excess:+.2%} of at most {CROWD_TOLERANCE:.0%}", flush=True)
    return 1 if fails else 0


def check_devices(places):
    """Skipped is only the one of the two that cannot be checked, if the other one is right."""
    crowd_code, budget_code = check_crowd(places), check_budget(places, DEVICE_CALLS)
    return crowd_code or (budget_code if budget_code != SKIPPED else 0)


# ---- The command line ---------------------------------------------------------------------------


def read_arguments():
    parser = argparse.ArgumentParser(description="Counts what a round trip costs the broker's process.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--instructions", action="store_true", help="instructions and system calls, as tables")
    action.add_argument("--profile", type=int, choices=LEVELS, nargs="?", const=0, metavar="QOS",
                        help="the functions in which a plain call spends them")
    action.add_argument("--check-budget", action="store_true", help="fail if a plain call takes too many")
    action.add_argument("--check-devices", action="store_true",
                        help="fail if a device's command takes too many, or a plain call among many devices")
    action.add_argument("--update-budget", action="store_true", help="write the budget, print the old one")
    return parser.parse_args()


def perform(arguments, places):
    """Returns the exit code."""
    require_tool("valgrind", "valgrind")
    if arguments.check_budget:
        return check_budget(places, PLAIN_CALLS)
    if arguments.check_devices:
        return check_devices(places)
    if arguments.update_budget:
        write_budget(places)
    elif arguments.profile is not None:
        print_profile(places, arguments.profile)
    else:
        print_instructions(places)
        print_crowd(places)
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
        sys.exit(SKIPPED if arguments.check_budget or arguments.check_devices else 1)
    except Failure as failure:
        sys.exit(f"instructions.py: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
