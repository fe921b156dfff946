# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The client for programs without asyncio: its functions block, and may be called on any number of threads.

    with mosquitto_rpc.sync.Client("localhost") as client:
        client.call("updateSensor", sensor_id="cellar", value=12.5, timeout=5)
"""
import concurrent.futures
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from ._common import (GRACE, NO_PARAMS, Call, Event, Progress, RpcError, address_of, device_properties,
                      group_properties, list_of, make_call, merge)
from ._connection import FAREWELL, filter_of
from ._front import Following, Front

__all__ = ["Client", "Device", "Events", "Group"]


class Client(Front):
    """mosquitto_rpc.Client with functions that block: see there. `with Client("localhost") as client`."""

    def open(self) -> "Client":
        try:
            self._connection.open().result()
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        self._connection.close()
        self._connection.join(2 * FAREWELL)

    def __enter__(self) -> "Client":
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, method: str, params: Any = NO_PARAMS, /, *, timeout: Optional[float] = None,
             progress: Optional[Progress] = None, traceparent: Optional[str] = None, tracestate: Optional[str] = None,
             properties: Optional[Mapping[str, str]] = None, **members: Any) -> Any:
        """progress is called on a thread of the client's, and must not block."""
        return self._outcome_of(make_call(self._settings, method, merge(params, members), timeout=timeout,
                                          progress=progress, traceparent=traceparent, tracestate=tracestate,
                                          properties=properties))

    def call_batch(self, method: str, params: Sequence[Any], /, *, timeout: Optional[float] = None,
                   traceparent: Optional[str] = None,
                   tracestate: Optional[str] = None) -> List[Union[Any, RpcError]]:
        outcomes: List[Union[Any, RpcError]] = self._outcome_of(make_call(
            self._settings, method, list_of(params), timeout=timeout, is_batch=True, traceparent=traceparent,
            tracestate=tracestate))
        return outcomes

    def events(self, event: str) -> "Events":
        return Events(self._connection, filter_of(self._settings, event))

    def device(self, name: str) -> "Device":
        return Device(self, address_of("device", name))

    def group(self, name: str) -> "Group":
        return Group(self, address_of("devices", name))

    def _outcome_of(self, call: Call) -> Any:
        self._connection.begin(call)
        try:
            outcome = call.future.result(call.timeout + GRACE)
        except concurrent.futures.TimeoutError:
            raise self._timeout_of(call) from None
        finally:
            self._connection.forget(call)
        if isinstance(outcome, RpcError):
            raise outcome
        return outcome


class Device:
    """mosquitto_rpc.Device with a function that blocks."""

    def __init__(self, client: Client, address: str) -> None:
        self._client, self._address = client, address

    def call(self, command: str, params: Any = NO_PARAMS, /, *, timeout: Optional[float] = None,
             offline: Optional[str] = None, ttl: Optional[float] = None, stale: Optional[float] = None,
             progress: Optional[Progress] = None, traceparent: Optional[str] = None, **members: Any) -> Any:
        return self._client.call(
            f"{self._address}/{command}", params, timeout=timeout, progress=progress, traceparent=traceparent,
            properties=device_properties(offline, ttl, stale), **members)


class Group:
    """mosquitto_rpc.Group with a function that blocks."""

    def __init__(self, client: Client, address: str) -> None:
        self._client, self._address = client, address

    def call(self, command: str, params: Any = NO_PARAMS, /, *, timeout: Optional[float] = None,
             offline: Optional[str] = None, ttl: Optional[float] = None, stale: Optional[float] = None,
             want: Union[None, str, int] = None, stall: Optional[float] = None, abort: Optional[int] = None,
             traceparent: Optional[str] = None, **members: Any) -> Dict[str, Any]:
        verdict: Dict[str, Any] = self._client.call(
            f"{self._address}/{command}", params, timeout=timeout, traceparent=traceparent,
            properties={**device_properties(offline, ttl, stale), **group_properties(want, stall, abort)}, **members)
        return verdict


class Events(Following):
    """mosquitto_rpc.Events for `for`; get() waits no longer than it is told."""

    def __enter__(self) -> "Events":
        """Waits until the broker has accepted the subscription. Raises RpcError if it does not, or not in the time that
        the client gives a call."""
        try:
            concurrent.futures.wait([self._feed.ready], self._feed.patience)
            self._feed.check()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> "Events":
        return self

    def __next__(self) -> Event:
        while True:
            event = self.get(None)
            if event:
                return event

    def get(self, timeout: Optional[float] = 0) -> Optional[Event]:
        """The next event; None if none comes in so many seconds (None: without a limit). Raises StopIteration if none
        will come any more."""
        event = self._feed.take()
        if event is None:
            self._connection.check_thread()
            waiting = self._feed.wait()
            try:
                waiting.result(timeout)
            except concurrent.futures.TimeoutError:
                waiting.cancel()
            event = self._feed.take()
        return event
