"""What the programs of the benchmark share: its places, brokers, clients, payloads and tables.

Environment: RPC_BUILD, the folder with the programs and plugins (build/bench); RPC_MOSQUITTO, the
broker (mosquitto).
"""
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(ROOT, "test", "broker"))
from harness import MOSQUITTO, free_port  # noqa: E402

BARE, PLUGIN = "bench_bare.so", "mosquitto_rpc_bench.so"
CONFIRMATION = '"ok":true'  # in every answer of a plugin

PARAMS = '{"sensor_id":"temp1","value":25.5}'
BATCH = 100
BATCH_PARAMS = "[" + ",".join([PARAMS] * BATCH) + "]"

# A command of a device: what an application publishes to the device itself, and what it calls.
DEVICE = "lamp1"
REQUEST_TOPIC, COMMAND_TOPIC = f"cmd/{DEVICE}/req", f"rpc/call/device/{DEVICE}/report"
COMMAND = '{"id":"k7f3m2pq","cmd":"report","params":' + PARAMS + "}"

# No process waits longer than this for another one to start or to end, in seconds. Only what has failed takes
# so long.
PATIENCE = 600

# - max_inflight_messages: at QoS 2 a plugin answers before the handshake of the call has ended, so that
#   a client with 16 calls outstanding has more than 16 handshakes under way, and the responder has all
#   clients' calls at once. The default of 20 would measure the waiting for a free place.
# - sys_interval 0: no counters are published in the middle of a measurement. Nor is anything saved.
# - max_queued_messages stays at its default: 256 calls at most are ever outstanding, which is below it.
# - user: without it a broker started by root drops its rights and may no longer read the build folder.
BROKER_CONFIGURATION = """\
listener {port} 127.0.0.1
allow_anonymous true
user {user}
persistence false
sys_interval 0
log_dest stderr
log_type error
set_tcp_nodelay true
max_inflight_messages 1000
"""

# Replies and events have the QoS of the row, for everyone. The default QoS of events is 2, which costs
# a responder the handshake of every event, and a plugin nothing: that would flatter the plugin.
PLUGIN_CONFIGURATION = """\
plugin {path}
plugin_opt_qos {qos}
"""


class Failure(Exception):
    """Something that makes the figures worthless; its text says what."""


def jsonrpc_payload(method):
    return '{"jsonrpc":"2.0","method":"' + method + '","params":' + PARAMS + ',"id":1}'


# ---- Places -------------------------------------------------------------------------------------


def placement(name):
    """The processors of each role; of two processors, client and responder share one."""
    cpus = sorted(os.sched_getaffinity(0))
    if name == "free":
        return dict.fromkeys(("broker", "client", "responder"), cpus)
    if name == "one":
        return dict.fromkeys(("broker", "client", "responder"), cpus[:1])
    return {"broker": cpus[:1], "client": cpus[1:2] or cpus, "responder": cpus[2:3] or cpus[1:2] or cpus}


class Places:
    """Where the programs are, and on which processors they run."""

    def __init__(self, cpus):
        if not shutil.which(MOSQUITTO):
            raise Failure("mosquitto is not installed")
        self.build = os.path.abspath(os.environ.get("RPC_BUILD", os.path.join(ROOT, "build", "bench")))
        self.cpus = placement(cpus)

    def file(self, name):
        path = os.path.join(self.build, name)
        if not os.path.exists(path):
            raise Failure(f"{path} is missing; scripts/bench builds it")
        return path


# ---- Processes ----------------------------------------------------------------------------------


def start(places, role, command, **options):
    """Starts a process in its place."""
    cpus = places.cpus[role]
    return subprocess.Popen(command, preexec_fn=lambda: os.sched_setaffinity(0, cpus), **options)


def stop(process):
    """Ends a process that this program started, and returns its exit code."""
    process.terminate()
    try:
        return process.wait(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def wait_for_port(process, port):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise Failure("the broker did not start")


@contextlib.contextmanager
def broker(places, plugin=None, qos=0, options=(), around=()):
    """A broker, with a plugin and its options or without one: yields its port and its process id.

    around: the command that runs the broker, such as a profiler; it leaves the broker the process id.
    """
    with tempfile.TemporaryDirectory(prefix="rpc-bench-") as folder:
        port = free_port()
        log_path = os.path.join(folder, "log")
        configuration = os.path.join(folder, "mosquitto.conf")
        write_configuration(configuration, port, places.file(plugin) if plugin else None, qos, options)
        with open(log_path, "wb") as log:
            process = start(places, "broker", [*around, MOSQUITTO, "-c", configuration], stderr=log, cwd=folder)
        try:
            wait_for_port(process, port)
            yield port, process.pid
        except Failure as failure:
            with open(log_path, encoding="utf-8", errors="replace") as log:
                raise Failure(f"{failure}\n{log.read()}".strip()) from None
        finally:
            code = stop(process)
        if code:
            raise Failure(f"the broker with {plugin or 'no plugin'} ended with {code}")


def write_configuration(path, port, plugin, qos, options):
    user = "root" if os.geteuid() == 0 else "mosquitto"
    with open(path, "w", encoding="utf-8") as file:
        file.write(BROKER_CONFIGURATION.format(port=port, user=user))
        if plugin:
            file.write(PLUGIN_CONFIGURATION.format(path=plugin, qos=qos))
            file.writelines(f"plugin_opt_{option}\n" for option in options)


@contextlib.contextmanager
def responder(places, port, topic, qos, device=None):
    """A responder whose subscription stands, or a device that has said hello."""
    command = [places.file("bench_responder"), str(port), topic, str(qos), *([device] if device else [])]
    process = start(places, "responder", command, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout.readline() != "ready\n":
            raise Failure("the responder did not start")
        yield
    finally:
        stop(process)
        process.stdout.close()


def processor_time(pid):
    """What a process has spent, in microseconds."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as schedstat:
        return int(schedstat.read().split()[0]) / 1000


def start_client(places, port, *options):
    command = [places.file("bench_client"), "-p", str(port), *map(str, options)]
    return start(places, "client", command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def client_figures(process):
    """Waits for a client and returns its figures by name."""
    try:
        output, errors = process.communicate()
    except BaseException:
        stop(process)
        raise
    if process.returncode:
        raise Failure(f"{' '.join(process.args)}\n{errors}")
    return {name: float(value) for name, value in (pair.split("=") for pair in output.split())}


def client(places, port, *options):
    """Runs the client and returns its figures by name."""
    return client_figures(start_client(places, port, *options))


# ---- Tables -------------------------------------------------------------------------------------


def print_table(title, head, rows):
    """A table in Markdown: the first column to the left, all others to the right."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(row):
        cells = [cell.rjust(width) for cell, width in zip(row, widths)]
        cells[0] = row[0].ljust(widths[0])
        return "| " + " | ".join(cells) + " |"

    rule = ["-" * (width - 1) + ":" for width in widths]
    rule[0] = "-" * widths[0]
    print(f"\n{title}\n", line(list(head)), line(rule), *map(line, rows), sep="\n")
