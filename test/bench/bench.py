#!/usr/bin/env python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Runs the benchmark and prints its tables.

Four ways to get an answer are measured with the same client program, one after the other, in every
round, so that whatever else the machine does meets all of them:

  floor      the client's own publication comes back to it; nobody answers
  responder  an ordinary client on libmosquitto answers, which is what people do without a plugin
  bare       a plugin that parses, prints and publishes, and has no features
  plugin     this project's plugin

Every measurement has a broker of its own, on a free port of 127.0.0.1. Figures are medians over the
rounds. A ratio is taken inside each round and the median of those is shown, with the quartiles: where
they lie far apart, the machine was busy, and the ratio means little.

Two processes that the scheduler happens to put on one processor wake each other several times faster
than across processors, which would drown all else. Hence everybody has a fixed place: the broker on
the first processor, client and responder on others (`--cpus apart`); or all on one (`--cpus one`),
which shows the mere work most exactly, because it leaves no waiting between processors; or wherever
the scheduler likes (`--cpus free`). The processor time that the broker spends on a round trip depends
least on all this.
"""
import argparse
import contextlib
import os
import platform
import resource
import signal
import subprocess
import sys
import time
from statistics import median, quantiles

from common import (BARE, BATCH, BATCH_PARAMS, COMMAND, COMMAND_TOPIC, CONFIRMATION, DEVICE, MOSQUITTO, PLUGIN,
                    REQUEST_TOPIC, Failure, Places, broker, client, client_figures, jsonrpc_payload, print_table,
                    processor_time, responder, start_client)
from many_devices import CROWD, crowd, raise_file_limit as raise_crowd_limit

METHOD = "report"
CALL_TOPIC = "rpc/call/" + METHOD
VARIANTS = ("floor", "responder", "bare", "plugin")
PLUGINS = {"bare": BARE, "plugin": PLUGIN}
SHAPES = ((1, 1), (16, 16))
# How many methods are registered, and how many of them called. The same ten cost the same however many
# there are; when all of 10,000 are called in turn, none is in the processor's cache when its turn comes.
MANY = ((10, 10), (1000, 10), (10000, 10), (10000, 10000))

# What the wire contract offers beyond a plain call, each measured beside it in the same round: more lines of the
# plugin's configuration, options of the client, and how many calls one message carries.
FEATURES = {
    "plain": ((), (), 1),
    "without duplicate check": (("duplicate_window 0", "redelivery_guard 0"), (), 1),
    "with rate_limit": (("rate_limit 1000000",), (), 1),
    "JSON-RPC": ((), ("-b", jsonrpc_payload(METHOD)), 1),
    f"batch of {BATCH}": ((), ("-t", "rpc/batch/" + METHOD, "-b", BATCH_PARAMS), BATCH),
}

# What a worker adds to a call, and what many slow calls do to others: the method, what else runs meanwhile as
# options of a second client, and how many places there are for calls that wait.
SLEEPERS = ("-c", 100, "-o", 1, "-t", "rpc/call/by.worker", "-b", '{"ms":20}')
TRAFFIC = ("-c", 1, "-o", 1)
WORK = {
    "at once": ("at.once", ()),
    "by a worker": ("by.worker", ()),
    "at once, traffic of others": ("at.once", TRAFFIC),
    "by a worker, traffic of others": ("by.worker", TRAFFIC),
    "at once, 100 clients with calls of 20 ms": ("at.once", SLEEPERS),
}
WORK_BASE = {"by a worker, traffic of others": "at once, traffic of others"}  # for the others it is the first

# A command's way from an application to a device and back, QoS 1: the application publishes to the device's topic
# itself on a broker without a plugin, or calls. And the calls of another method, without devices and among many.
DEVICE_LINES = ("device_db :memory:",)
DEVICES = {
    "a command, by hand": (None, REQUEST_TOPIC, COMMAND),
    "a command, by a call": (PLUGIN, COMMAND_TOPIC, None),
}
CROWD_PATIENCE = 5  # seconds until all that the hellos of many devices have begun is done
AMONG = ("report, no devices", "report, {:,} devices are there")

# A population of clients, each with one call outstanding.
POPULATION = 10000
POPULATION_PROCESSES = 2
POPULATION_VARIANTS = ("bare", "plugin", "plugin with rate_limit")


class Settings(Places):
    """Where things are, and how much is measured."""

    def __init__(self, arguments):
        super().__init__(arguments.cpus)
        self.variants = arguments.only
        self.rounds = arguments.rounds or (1 if arguments.quick else 15)
        # Calls to warm up with and to measure, for each shape: few, in many rounds, because what disturbs
        # a measurement often lasts for seconds, and is to meet all variants alike.
        full = {(1, 1): (500, 3000), (16, 16): (5000, 20000)}
        quick = {(1, 1): (50, 200), (16, 16): (256, 1024)}
        self.counts = quick if arguments.quick else full
        # Calls that have been made when memory is read.
        self.memory = (1000, 5000) if arguments.quick else (10000, 100000, 1000000)
        if arguments.no_memory:
            self.memory = ()
        self.many = () if arguments.no_many or "plugin" not in arguments.only else MANY
        self.devices = {} if arguments.no_devices or "plugin" not in arguments.only else DEVICES
        self.crowd = 100 if arguments.quick else CROWD
        self.features = {} if arguments.no_features or "plugin" not in arguments.only else FEATURES
        self.work = {} if arguments.no_work or "plugin" not in arguments.only else WORK
        self.population = 0 if arguments.no_population or "plugin" not in arguments.only else POPULATION
        if arguments.quick:
            self.population = min(self.population, 100)


# ---- Measurements -------------------------------------------------------------------------------


def measure_client(settings, port, pid, shape, options):
    """Runs the client and adds what the broker spent on each round trip to its figures."""
    warmup, messages = settings.counts[shape]
    before = processor_time(pid)
    figures = client(settings, port, "-c", shape[0], "-o", shape[1], "-w", warmup, "-n", messages, *options)
    figures["cpu"] = (processor_time(pid) - before) / (warmup + messages)
    return figures


def measure(settings, variant, shape, qos):
    """One way to answer, with a broker of its own."""
    options = ["-q", qos, "-e", "temp1"]
    if variant != "floor":
        options += ["-t", CALL_TOPIC, "-e", CONFIRMATION]
    with contextlib.ExitStack() as stack:
        port, pid = stack.enter_context(broker(settings, PLUGINS.get(variant), qos))
        if variant == "responder":
            stack.enter_context(responder(settings, port, CALL_TOPIC, qos))
        return measure_client(settings, port, pid, shape, options)


def measure_many(settings, many, shape):
    """The plugin with so many methods, so many of which are called."""
    registered, called = many
    options = ["-t", "rpc/call/many.", "-s", called, "-b", "{}", "-e", '"n":']
    with broker(settings, f"mosquitto_rpc_many_{registered}.so") as (port, pid):
        return measure_client(settings, port, pid, shape, options)


def measure_feature(settings, name, shape):
    """A plain call with something more or less, at QoS 0. Counts calls, not messages."""
    lines, options, calls = FEATURES[name]
    with broker(settings, PLUGINS["plugin"], options=lines) as (port, pid):
        figures = measure_client(settings, port, pid, shape, ["-t", CALL_TOPIC, "-e", CONFIRMATION, *options])
    figures["rate"] *= calls
    figures["cpu"] /= calls
    return figures


def measure_device(settings, name):
    """One application with one command outstanding."""
    plugin, topic, payload = DEVICES[name]
    options = ["-q", 1, "-t", topic, "-e", CONFIRMATION, *(["-b", payload] if payload else [])]
    with broker(settings, plugin, 1, DEVICE_LINES if plugin else ()) as (port, pid):
        with responder(settings, port, REQUEST_TOPIC, 1, DEVICE):
            return measure_client(settings, port, pid, (1, 1), options)


def measure_among(settings, count):
    """Plain calls among so many devices, QoS 1, once they have come to rest."""
    with broker(settings, PLUGIN, 1, DEVICE_LINES) as (port, pid), crowd(port, count):
        if count:
            time.sleep(CROWD_PATIENCE)
        return measure_client(settings, port, pid, (1, 1), ["-q", 1, "-t", CALL_TOPIC, "-e", CONFIRMATION])


@contextlib.contextmanager
def others(settings, port, options):
    """A second client that does not stop by itself."""
    process = start_client(settings, port, "-f", 1000, "-w", 0, "-n", 100000000, *options) if options else None
    try:
        time.sleep(0.2 if process else 0)
        yield
        if process and process.poll() is not None:
            raise Failure(f"the other client has ended: {process.stderr.read()}")
    finally:
        if process:
            process.kill()
            process.communicate()


def measure_work(settings, name):
    """One client with one call outstanding, QoS 0."""
    method, options = WORK[name]
    with broker(settings, PLUGINS["plugin"]) as (port, pid), others(settings, port, options):
        return measure_client(settings, port, pid, (1, 1), ["-t", "rpc/call/" + method, "-b", "{}", "-e", CONFIRMATION])


def measure_population(settings, variant):
    """So many clients, each with one call outstanding; libmosquitto takes three files for each of them."""
    lines = ("rate_limit 1000000",) if variant.endswith("rate_limit") else ()
    size = settings.population // POPULATION_PROCESSES
    options = ["-c", size, "-o", 1, "-w", size, "-n", 2 * size, "-t", CALL_TOPIC, "-e", CONFIRMATION]
    with broker(settings, PLUGINS[variant.split()[0]], options=lines) as (port, pid):
        before = processor_time(pid)
        processes = [start_client(settings, port, "-f", i * size, *options) for i in range(POPULATION_PROCESSES)]
        all_figures = [client_figures(process) for process in processes]
        return {"rate": sum(figures["rate"] for figures in all_figures),
                "cpu": (processor_time(pid) - before) / (3 * size * POPULATION_PROCESSES),
                "peak": resident_kb(pid, "VmHWM:")}


def resident_kb(pid, name="VmRSS:"):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith(name):
                return int(line.split()[1])
    raise Failure("the broker is gone")


def measure_memory(settings, variant):
    """The broker's resident memory after so many calls, each time when all clients have left."""
    topic = () if variant == "floor" else ("-t", CALL_TOPIC)
    sizes, before = [], 0
    with broker(settings, PLUGINS.get(variant)) as (port, pid):
        for calls in settings.memory:
            client(settings, port, "-c", 16, "-o", 16, "-w", 0, "-n", calls - before, *topic)
            time.sleep(0.5)
            sizes.append(resident_kb(pid))
            before = calls
    return sizes


def run_rounds(settings):
    """All figures: a list over the rounds for every (variant, shape, QoS) and (many, shape)."""
    figures = {}
    for number in range(1, settings.rounds + 1):
        print(f"round {number} of {settings.rounds}", file=sys.stderr, flush=True)
        for shape in SHAPES:
            for qos in range(3):
                for variant in settings.variants:
                    row = figures.setdefault((variant, shape, qos), [])
                    row.append(measure(settings, variant, shape, qos))
            for many in settings.many:
                figures.setdefault((many, shape), []).append(measure_many(settings, many, shape))
            for name in settings.features:
                figures.setdefault((name, shape), []).append(measure_feature(settings, name, shape))
        for name in settings.devices:
            figures.setdefault(("device", name), []).append(measure_device(settings, name))
        for name, count in zip(AMONG, (0, settings.crowd) if settings.devices else ()):
            figures.setdefault(("device", name), []).append(measure_among(settings, count))
        for name in settings.work:
            figures.setdefault(("work", name), []).append(measure_work(settings, name))
        for variant in POPULATION_VARIANTS if settings.population else ():
            row = figures.setdefault(("population", variant), [])
            row.append(measure_population(settings, variant))
    return figures


# ---- Tables -------------------------------------------------------------------------------------


def typical(rows, name):
    return median(row[name] for row in rows)


def ratio(rows, others, name):
    """The median ratio over the rounds, with the quartiles."""
    ratios = [row[name] / other[name] for row, other in zip(rows, others)]
    if len(ratios) < 2:
        return f"{ratios[0]:.2f}"
    low, middle, high = quantiles(ratios, n=4, method="inclusive")
    return f"{middle:.2f} ({low:.2f}–{high:.2f})"


def shape_name(shape):
    return f"{shape[0]} client{'s' if shape[0] > 1 else ''} × {shape[1]} outstanding"


def figure_cells(rows):
    latencies = [f"{typical(rows, name):.1f}" for name in ("p50", "p99", "p999")]
    return [*latencies, f"{typical(rows, 'rate'):,.0f}", f"{typical(rows, 'cpu'):.2f}"]


FIGURE_HEAD = ("p50 µs", "p99 µs", "p99.9 µs", "round trips/s", "broker's CPU µs")


def print_figures(settings, figures, shape):
    rows = []
    for qos in range(3):
        for variant in settings.variants:
            rows.append([f"QoS {qos} {variant}", *figure_cells(figures[variant, shape, qos])])
    print_table(f"Round trips, {shape_name(shape)}", ("", *FIGURE_HEAD), rows)


def print_ratios(settings, figures, shape, name, title):
    """How bare and plugin compare with everything that stands before them in the list."""
    rows = []
    for qos in range(3):
        for variant in [v for v in ("bare", "plugin") if v in settings.variants]:
            cells = [f"QoS {qos} {variant}"]
            for other in VARIANTS[:3]:
                known = other in settings.variants and other != variant
                own = figures[variant, shape, qos]
                cells.append(ratio(own, figures[other, shape, qos], name) if known else "")
            rows.append(cells)
    head = ("", *(f"× {other}" for other in VARIANTS[:3]))
    print_table(f"{title}, {shape_name(shape)}", head, rows)


def print_many(figures):
    rows = []
    for shape in SHAPES:
        base = figures[MANY[0], shape]
        for many in MANY:
            own = figures[many, shape]
            ratios = [ratio(own, base, name) for name in ("p50", "rate", "cpu")]
            name = f"{shape[0]}×{shape[1]}, {many[0]:,} methods, {many[1]:,} called"
            rows.append([name, *figure_cells(own), *ratios])
    head = ("", *FIGURE_HEAD, "p50 ×", "rate ×", "CPU ×")
    print_table("The number of methods, QoS 0; × against the first of each group", head, rows)


def print_features(figures):
    for shape in SHAPES:
        base = figures["plain", shape]
        rows = []
        for name in FEATURES:
            own = figures[name, shape]
            ratios = [ratio(own, base, figure) for figure in ("p50", "rate", "cpu")]
            rows.append([name, *figure_cells(own), *ratios])
        head = ("", "p50 µs", "p99 µs", "p99.9 µs", "calls/s", "broker's CPU µs a call", "p50 ×", "rate ×", "CPU ×")
        print_table(f"Beside a plain call, QoS 0, {shape_name(shape)}; latencies are those of messages", head, rows)


def print_work(figures):
    rows = []
    for name in WORK:
        own, base = figures["work", name], figures["work", WORK_BASE.get(name, next(iter(WORK)))]
        rows.append([name, *figure_cells(own)[:4], *(ratio(own, base, figure) for figure in ("p50", "p99", "p999"))])
    head = ("", *FIGURE_HEAD[:4], "p50 ×", "p99 ×", "p99.9 ×")
    print_table("Work on a worker thread, QoS 0, 1 client × 1 outstanding; × against at once", head, rows)


def print_devices(settings, figures):
    by_hand, rows = next(iter(DEVICES)), []
    for name, base_name in [*((name, by_hand) for name in DEVICES), *((name, AMONG[0]) for name in AMONG)]:
        own, base = figures["device", name], figures["device", base_name]
        rows.append([name.format(settings.crowd), *figure_cells(own),
                     *(ratio(own, base, figure) for figure in ("p50", "rate", "cpu"))])
    head = ("", *FIGURE_HEAD, "p50 ×", "rate ×", "CPU ×")
    print_table("Devices, QoS 1, 1 client × 1 outstanding; × against by hand, and against no devices", head, rows)


def print_population(settings, figures):
    base = figures["population", POPULATION_VARIANTS[0]]
    rows = []
    for variant in POPULATION_VARIANTS:
        own = figures["population", variant]
        ratios = [ratio(own, base, figure) for figure in ("rate", "cpu")]
        rows.append([variant, f"{typical(own, 'rate'):,.0f}", f"{typical(own, 'cpu'):.2f}",
                     f"{typical(own, 'peak'):,.0f} kB", *ratios])
    head = ("", "round trips/s", "broker's CPU µs", "the broker's most memory", "rate ×", "CPU ×")
    print_table(f"{settings.population:,} clients, one call outstanding each, QoS 0; the CPU includes connecting",
                head, rows)


def print_memory(settings):
    variants = [v for v in settings.variants if v != "responder"]
    sizes = {variant: measure_memory(settings, variant) for variant in variants}
    rows = []
    for variant in variants:
        first, last = sizes[variant][0], sizes[variant][-1]
        calls = settings.memory[-1] - settings.memory[0]
        growth = f"{last - first:+,} kB ({(last - first) * 1024 / calls:+.2f} B a call)"
        rows.append([variant, *(f"{size:,} kB" for size in sizes[variant]), growth])
    head = ("", *(f"after {calls:,} calls" for calls in settings.memory), "growth")
    print_table("Resident memory of the broker, 16 × 16, QoS 0, when the clients have left", head, rows)


def print_tables(settings, figures):
    for shape in SHAPES:
        print_figures(settings, figures, shape)
        print_ratios(settings, figures, shape, "p50", "Latency (p50), less is better")
        print_ratios(settings, figures, shape, "rate", "Throughput, more is better")
        print_ratios(settings, figures, shape, "cpu", "The broker's processor time, less is better")
    if settings.many:
        print_many(figures)
    if settings.features:
        print_features(figures)
    if settings.devices:
        print_devices(settings, figures)
    if settings.work:
        print_work(figures)
    if settings.population:
        print_population(settings, figures)


def print_machine(settings):
    command = [MOSQUITTO, "-h"]
    text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout
    version = text.splitlines()[0] if text else "unknown broker"
    load = os.getloadavg()[0]
    print(f"{version}; {platform.machine()}, {os.cpu_count()} processors, load {load:.2f} at the start;"
          f" {settings.rounds} rounds; processors {settings.cpus}", flush=True)


# ---- The command line ---------------------------------------------------------------------------


def variant_list(text):
    names = text.split(",")
    unknown = set(names) - set(VARIANTS)
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return [variant for variant in VARIANTS if variant in names]


def raise_file_limit(settings):
    """A population and a crowd of devices need files; without enough of them they are left out."""
    if settings.devices and not raise_crowd_limit(settings.crowd):
        print(f"not enough open files are allowed here for {settings.crowd:,} devices: there are none")
        settings.crowd = 0
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most != resource.RLIM_INFINITY and most < 3 * settings.population // POPULATION_PROCESSES + 1000:
        print(f"no more than {most} open files are allowed here: {settings.population:,} clients are left out")
        settings.population = 0


def read_arguments():
    parser = argparse.ArgumentParser(description="Measures round trips through the plugin and beside it.")
    parser.add_argument("--quick", action="store_true", help="few calls: does it run? (measures nothing)")
    parser.add_argument("--rounds", type=int, help="how often everything is measured (15)")
    parser.add_argument("--no-memory", action="store_true", help="leave out the 1,000,000 calls")
    parser.add_argument("--no-many", action="store_true", help="leave out the 10 to 10,000 methods")
    parser.add_argument("--no-features", action="store_true",
                        help="leave out JSON-RPC, batches and the duplicate check")
    parser.add_argument("--no-devices", action="store_true", help="leave out devices and their commands")
    parser.add_argument("--no-work", action="store_true", help="leave out the calls that take time")
    parser.add_argument("--no-population", action="store_true", help="leave out the 10,000 clients")
    parser.add_argument("--cpus", choices=("apart", "one", "free"), default="apart",
                        help="where the processes run (apart)")
    parser.add_argument("--only", type=variant_list, default=list(VARIANTS), metavar="NAME,NAME",
                        help=f"measure only these of {', '.join(VARIANTS)}")
    return parser.parse_args()


def main():
    arguments = read_arguments()
    # Ended from outside, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        settings = Settings(arguments)
        print_machine(settings)
        raise_file_limit(settings)
        print_tables(settings, run_rounds(settings))
        if settings.memory:
            print_memory(settings)
    except Failure as failure:
        sys.exit(f"bench.py: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
