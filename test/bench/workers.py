#!/usr/bin/env python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Measures workers that are attached to a broker: what a call costs the broker that a worker carries out, and what more
workers are good for.

Instructions of the broker's process are exact, and are counted as in instructions.py. Calls a second and latencies
depend on what else the machine does, so that they are given as ratios to the same method on threads of the broker's own
process, taken in the same round; all processes share the machine's processors.
"""
import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from statistics import median

from bench import ratio
from common import (CONFIRMATION, PARAMS, PATIENCE, PLUGIN, Failure, Places, broker, client, print_table, processor_time,
                    start, stop)
from instructions import LENGTHS, LEVELS, REPEATS, callgrind, read_total, require_tool
from many_workers import LINES, USER, attached
from mqtt import Client
from harness import ask, eventually, result_of

PROGRAM = "mosquitto_rpc_bench_worker"
REMOTE = (*LINES, "placement_by.worker remote")
MANY = 100  # workers, most of which are idle

# ---- Instructions ---------------------------------------------------------------------------------

PING = ("-t", "rpc/call/ping", "-b", PARAMS, "-e", CONFIRMATION)
BY_WORKER = ("-t", "rpc/call/by.worker", "-b", "{}", "-e", CONFIRMATION)


@contextlib.contextmanager
def nobody(_places, _port):
    yield


@contextlib.contextmanager
def programs(places, port, count=1, options=()):
    """So many workers that are attached within."""
    with contextlib.ExitStack() as stack:
        for number in range(count):
            command = [places.file(PROGRAM), "--attach", "--broker", f"127.0.0.1:{port}", "--user", USER, "--name",
                       f"w{number}", "--keepalive", "60s", "--sensor_db", ":memory:", *options]
            process = start(places, "responder", command, stderr=subprocess.DEVNULL)
            stack.callback(stop, process)
        wait_for_workers(port, count)
        yield


def wait_for_workers(port, count):
    asking = Client(port, 5, username=USER, timeout=PATIENCE)
    eventually(lambda: len(result_of(ask(asking, "rpc.workers"))["workers"]) == count, PATIENCE)
    asking.disconnect()


def many(_places, port):
    return attached(port, MANY)


# A title: the configuration's lines, who is there, and the call.
COUNTED = {
    "a plain call of `ping`, no worker": (LINES, nobody, PING),
    f"the same, {MANY} workers are attached": (LINES, many, PING),
    "a method that does nothing, on a thread of the broker's process": (LINES, nobody, BY_WORKER),
    "the same, on a worker": (REMOTE, programs, BY_WORKER),
    f"the same, on one of {MANY} workers": (REMOTE, many, BY_WORKER),
}


def count_one(places, lines, others, call):
    """The broker's instructions for one call, by QoS: what callgrind writes is divided by calls of report_mark."""
    short, long = LENGTHS[1]
    with tempfile.TemporaryDirectory(prefix="rpc-count-") as folder:
        path = os.path.join(folder, "parts")
        around = callgrind(places, path, "--dump-before=report_mark*")
        parts, number = {}, 1
        with broker(places, PLUGIN, 2, ("sys_interval 0", *lines), around) as (port, _), others(places, port):
            mark = ("-q", 0, "-w", 0, "-n", 1, "-f", 9, "-b", "{}", "-e", CONFIRMATION, "-t", "rpc/call/mark")
            client(places, port, "-w", 0, "-n", 50, *call)  # what is made once
            for qos in REPEATS * LEVELS:
                for messages in (short, long):
                    client(places, port, *mark)
                    client(places, port, "-w", 0, "-q", qos, "-n", messages, *call)
                number += 2
                parts.setdefault(qos, []).append((number - 1, number))
            client(places, port, *mark)
        return {qos: median(read_total(f"{path}.{more}") - read_total(f"{path}.{less}") for less, more in pairs) /
                (long - short) for qos, pairs in parts.items()}


def print_counted(places):
    rows = []
    for name, counted in COUNTED.items():
        print(name, file=sys.stderr, flush=True)
        figures = count_one(places, *counted)
        rows.append([name, *(f"{figures[qos]:,.0f}" for qos in LEVELS)])
    print_table("Instructions of the broker for a round trip", ("", *(f"QoS {qos}" for qos in LEVELS)), rows)


# ---- Times ------------------------------------------------------------------------------------------

WORK = {"5 ms of waiting": '{"ms":5}', "200 µs of a processor": '{"us":200}'}
WORKERS = (1, 2, 4, 8)
BUSY, QUIET = (16, 8), (1, 1)  # clients, and calls outstanding of each
SECONDS = 4  # that a measurement of the slowest takes


def measure(places, payload, count, shape, calls):
    """Local if count is 0. Adds what the broker spent on a call, microseconds."""
    lines = ("sys_interval 0", "max_pending 4096", *(REMOTE if count else LINES))
    with broker(places, PLUGIN, 1, lines) as (port, pid):
        with programs(places, port, count) if count else contextlib.nullcontext():
            time.sleep(0.2)
            before, warmup = processor_time(pid), calls // 10
            figures = client(places, port, "-q", 1, "-c", shape[0], "-o", shape[1], "-w", warmup, "-n", calls, "-t",
                             "rpc/call/by.worker", "-b", payload, "-e", CONFIRMATION)
            figures["cpu"] = (processor_time(pid) - before) / (calls + warmup)
            return figures


def measure_rounds(places, rounds, divisor):
    figures = {}
    for number in range(1, rounds + 1):
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
        for payload in WORK.values():
            for count in (0, *WORKERS):
                for shape, calls in ((BUSY, 400 * SECONDS * max(count, 1)), (QUIET, 100 * SECONDS)):
                    figures.setdefault((payload, count, shape), []).append(
                        measure(places, payload, count, shape, max(calls // divisor, 150)))
    return figures


def print_times(figures):
    for name, payload in WORK.items():
        rows = []
        for count in (0, *WORKERS):
            busy, quiet = (figures[payload, count, shape] for shape in (BUSY, QUIET))
            base_busy, base_quiet = (figures[payload, 0, shape] for shape in (BUSY, QUIET))
            rows.append([f"{count} worker{'s' * (count > 1)}" if count else "local", ratio(busy, base_busy, "rate"),
                         ratio(busy, base_busy, "p99"), ratio(quiet, base_quiet, "p50"), ratio(quiet, base_quiet, "p99"),
                         ratio(busy, base_busy, "cpu"), f"{median(row['rate'] for row in busy):,.0f}"])
        print_table(f"A method that takes {name}, as ratios to the plugin's own two threads; a worker has two as well",
                    ("", "calls/s, 128 outstanding", "p99 of these", "p50, one outstanding", "p99 of these",
                     "the broker's processor time a call", "calls/s"), rows)


# ---- The command line -------------------------------------------------------------------------------

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5, help="of times (5)")
    parser.add_argument("--no-times", action="store_true", help="count instructions alone")
    parser.add_argument("--no-instructions", action="store_true", help="measure times alone")
    parser.add_argument("--quick", action="store_true", help="does it run? (measures nothing)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ended from outside, it ends what it started
    places = Places("free")
    try:
        if not arguments.no_times:
            print_times(measure_rounds(places, 1 if arguments.quick else arguments.rounds, 40 if arguments.quick else 1))
        if not arguments.no_instructions and not arguments.quick:
            require_tool("valgrind", "valgrind")
            print_counted(places)
    except Failure as failure:
        sys.exit(f"workers.py: {failure}")


if __name__ == "__main__":
    main()
