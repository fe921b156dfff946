# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What the clients of both kinds, and their iterators of events, have in common."""
import os
import ssl
import weakref
from typing import Optional, Tuple, Union

from ._common import Call, RpcError, Settings
from ._connection import Connection


class Following:
    """An iterator of announcements, without the functions that wait for them."""

    def __init__(self, connection: Connection, filter_: str) -> None:
        self._connection, self._filter = connection, filter_
        self._feed = connection.follow(filter_)
        weakref.finalize(self, self._feed.abandon)

    @property
    def dropped(self) -> int:
        """How many announcements were lost because the queue was full."""
        return self._feed.dropped

    def close(self) -> None:
        """Ends the iterator, also for a thread or task that waits for an event. The last iterator of an event
        unsubscribes."""
        self._connection.unfollow(self._filter, self._feed)


class Front:
    """What both clients are made with and can tell without waiting."""

    def __init__(self, host: str = "localhost", port: int = 1883, *, prefix: str = "rpc",
                 client_id: Optional[str] = None, username: Optional[str] = None, password: Optional[str] = None,
                 version: int = 5, qos: int = 1, timeout: float = 10.0, max_pending: int = 1000,
                 max_events: int = 1000, tls: Union[bool, ssl.SSLContext] = False, cafile: Optional[str] = None,
                 keepalive: int = 20, connect_timeout: float = 10.0,
                 reconnect_delay: Tuple[float, float] = (0.1, 30.0), transport: str = "tcp",
                 websocket_path: str = "/mqtt") -> None:
        if cafile or tls is True:
            tls = ssl.create_default_context(cafile=cafile)
        self._settings = Settings(
            host, port, prefix, client_id or f"rpc-{os.urandom(8).hex()}", username, password, version, qos, timeout,
            max_pending, max_events, tls or None, keepalive, connect_timeout, reconnect_delay, transport,
            websocket_path)
        self._settings.check()
        self._connection = Connection(self._settings)
        weakref.finalize(self, self._connection.abandon)  # of a client that is not closed

    @property
    def client_id(self) -> str:
        return self._settings.client_id

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the connection, and it has not been found to be lost."""
        return self._connection.is_connected

    @property
    def pending(self) -> int:
        """How many calls have not ended."""
        return self._connection.count_pending()

    def _timeout_of(self, call: Call) -> RpcError:
        """The error of a call to which no reply has come."""
        trouble = self._connection.trouble
        if trouble:
            msg = f"no reply in {call.timeout:g} s: the connection to the broker is broken ({trouble})"
        elif not call.times_sent:
            msg = f"not sent in {call.timeout:g} s: the broker does not acknowledge the messages before it"
        else:
            msg = (f"no reply in {call.timeout:g} s: is the plugin loaded, is the prefix {self._settings.prefix!r}, "
                   "and may this client call the method?")
        return RpcError("timeout", msg, call.method)
