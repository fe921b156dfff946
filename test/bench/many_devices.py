# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A great number of devices that are there: each has a connection, has said hello, and is quiet then.

They take one file each, here and in the broker.
"""
import contextlib
import resource
import select
import socket
import struct

from common import PATIENCE, Failure
from mqtt import KEEPALIVE, data, packet

CROWD = 10000
SPARE_FILES = 500  # for all else, and for what valgrind keeps to itself
AT_ONCE = 50  # connections that are begun before the first one is complete: the broker's listener queues 100

CONNECT, CONNACK, PUBLISH, PINGREQ, PINGRESP = 1, 2, 3, 12, 13


def raise_file_limit(count):
    """Returns whether so many devices can be there at once."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most == resource.RLIM_INFINITY or most >= count + SPARE_FILES


def read_packet(device, kind, size):
    """Reads a packet of this kind, with its header so many bytes."""
    received = device.recv(size, socket.MSG_WAITALL)
    if len(received) < size or received[0] >> 4 != kind:
        raise Failure(f"a device of the crowd got {received!r}")


def say_hello(name):
    """The hello, and a question whose answer shows that it was received."""
    return packet(PUBLISH, 0, data(f"cmd/{name}/hello")) + packet(PINGREQ, 0, b"")


def connect(port, names):
    devices = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in names]
    for device, name in zip(devices, names):
        # MQTT 3.1.1, a clean session
        device.sendall(packet(CONNECT, 0, data("MQTT") + bytes([4, 2]) + struct.pack("!H", KEEPALIVE) + data(name)))
    for device in devices:
        read_packet(device, CONNACK, 4)
    for device, name in zip(devices, names):
        device.sendall(say_hello(name))
    for device in devices:
        read_packet(device, PINGRESP, 2)
    return devices


@contextlib.contextmanager
def crowd(port, count, others=()):
    """So many devices, all of which are there within. Others are known, but have left: they may come back."""
    names = [f"crowd-{number}" for number in range(count)]
    with contextlib.ExitStack() as stack:
        for device in connect(port, others):
            device.close()
        devices = []
        for first in range(0, count, AT_ONCE):
            devices += connect(port, names[first:first + AT_ONCE])
            for device in devices[first:]:
                stack.enter_context(device)
        yield
        poll = select.poll()
        for device in devices:
            poll.register(device, select.POLLIN)
        if poll.poll(0):
            raise Failure("the broker has sent the crowd something, or closed connections")
