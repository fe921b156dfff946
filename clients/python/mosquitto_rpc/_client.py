# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The client for asyncio. It may be used from several event loops and threads at the same time."""
import asyncio
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from ._common import (GRACE, NO_PARAMS, Call, Event, Progress, RpcError, address_of, device_properties,
                      group_properties, list_of, make_call, merge)
from ._connection import FAREWELL, filter_of
from ._front import Following, Front


class Client(Front):
    """A connection that calls methods: `async with Client("localhost") as client`. README.md has its parameters.

    Every function that waits may be cancelled, and then leaves nothing behind.
    """

    async def open(self) -> "Client":
        """Connects. Raises ConnectionError if the broker cannot be reached or refuses; a connection that is lost later
        is restored without a word."""
        try:
            await asyncio.wrap_future(self._connection.open())
        except BaseException:
            await self.close()
            raise
        return self

    async def close(self) -> None:
        """All open calls end with the error `closed`, and iterators end."""
        self._connection.close()
        await asyncio.get_running_loop().run_in_executor(None, self._connection.join, 2 * FAREWELL)

    async def __aenter__(self) -> "Client":
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def call(self, method: str, params: Any = NO_PARAMS, /, *, timeout: Optional[float] = None,
                   progress: Optional[Progress] = None, traceparent: Optional[str] = None,
                   tracestate: Optional[str] = None, properties: Optional[Mapping[str, str]] = None,
                   **members: Any) -> Any:
        """Returns the result, or raises RpcError.

        params, members  the parameters: an object, by name, or both; else any JSON value, or bytes. A parameter that
                         has the name of one of the arguments below can be given in params only
        timeout          seconds, the client's own if None
        progress         gets what the method says on the way, in the event loop (MQTT 5)
        properties       further user properties (MQTT 5)
        """
        call = make_call(self._settings, method, merge(params, members), timeout=timeout,
                         progress=in_this_loop(progress), traceparent=traceparent, tracestate=tracestate,
                         properties=properties)
        return await self._outcome_of(call)

    async def call_batch(self, method: str, params: Sequence[Any], /, *, timeout: Optional[float] = None,
                         traceparent: Optional[str] = None,
                         tracestate: Optional[str] = None) -> List[Union[Any, RpcError]]:
        """Calls a method once for each of the parameters, in one message. Returns for each its result or its RpcError,
        which is not raised."""
        call = make_call(self._settings, method, list_of(params), timeout=timeout, is_batch=True,
                         traceparent=traceparent, tracestate=tracestate)
        outcomes: List[Union[Any, RpcError]] = await self._outcome_of(call)
        return outcomes

    def events(self, event: str) -> "Events":
        """An iterator of an event's announcements, of all keys. With wildcards: `sensor/+`, `#`.

        It is subscribed before any call that is made after this. `async with` it to be sure that the broker has
        accepted the subscription, and to end it; it also ends when nothing refers to it any more.
        """
        return Events(self._connection, filter_of(self._settings, event))

    def device(self, name: str) -> "Device":
        """A device, to command it."""
        return Device(self, address_of("device", name))

    def group(self, name: str) -> "Group":
        """A group of devices; `*` are all."""
        return Group(self, address_of("devices", name))

    async def _outcome_of(self, call: Call) -> Any:
        self._connection.begin(call)
        try:
            future = asyncio.wrap_future(call.future)
            await asyncio.wait({future}, timeout=call.timeout + GRACE)
            if not call.future.done():
                raise self._timeout_of(call)
            outcome = call.future.result()
        finally:
            self._connection.forget(call)
        if isinstance(outcome, RpcError):
            raise outcome
        return outcome


def in_this_loop(progress: Optional[Progress]) -> Optional[Progress]:
    if progress is None:
        return None
    function, loop = progress, asyncio.get_running_loop()
    return lambda content: void(loop.call_soon_threadsafe(function, content))


def void(_: object) -> None:
    """For a function that must return nothing."""


class Device:
    """A device: `await client.device("lamp1").call("light", on=True)`."""

    def __init__(self, client: Client, address: str) -> None:
        self._client, self._address = client, address

    async def call(self, command: str, params: Any = NO_PARAMS, /, *, timeout: Optional[float] = None,
                   offline: Optional[str] = None, ttl: Optional[float] = None, stale: Optional[float] = None,
                   progress: Optional[Progress] = None, traceparent: Optional[str] = None, **members: Any) -> Any:
        """Returns the device's result, or raises RpcError.

        offline  what becomes of the command if the device is not there: `fail`, `wait` or `queue`
        ttl      seconds for which a queued command waits
        stale    seconds after which the command is not sent any more
        All three need MQTT 5.
        """
        return await self._client.call(
            f"{self._address}/{command}", params, timeout=timeout, progress=progress, traceparent=traceparent,
            properties=device_properties(offline, ttl, stale), **members)


class Group:
    """A group of devices: `await client.group("hall").call("light", on=True)`."""

    def __init__(self, client: Client, address: str) -> None:
        self._client, self._address = client, address

    async def call(self, command: str, params: Any = NO_PARAMS, /, *, timeout: Optional[float] = None,
                   offline: Optional[str] = None, ttl: Optional[float] = None, stale: Optional[float] = None,
                   want: Union[None, str, int] = None, stall: Optional[float] = None, abort: Optional[int] = None,
                   traceparent: Optional[str] = None, **members: Any) -> Dict[str, Any]:
        """Returns the verdict of each member: `{"total", "ok", "ended", "results"}`.

        want   `present`, `all` or a number of members
        stall  seconds without a verdict after which the call ends
        abort  percent of failures after which no more commands are sent
        """
        verdict: Dict[str, Any] = await self._client.call(
            f"{self._address}/{command}", params, timeout=timeout, traceparent=traceparent,
            properties={**device_properties(offline, ttl, stale), **group_properties(want, stall, abort)}, **members)
        return verdict


class Events(Following):
    """Announcements, in the order in which they came.

    The queue is bounded (max_events): when it is full, the oldest one goes, and `dropped` counts it, as it counts
    those that are no JSON.
    """

    async def __aenter__(self) -> "Events":
        """Waits until the broker has accepted the subscription. Raises RpcError if it does not, or not in the time that
        the client gives a call."""
        try:
            await asyncio.wait({asyncio.wrap_future(self._feed.ready)}, timeout=self._feed.patience)
            self._feed.check()
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> "Events":
        return self

    async def __anext__(self) -> Event:
        """May be cancelled: no event is lost by that."""
        while True:
            try:
                event = self._feed.take()
            except StopIteration:
                raise StopAsyncIteration from None
            if event:
                return event
            await asyncio.wrap_future(self._feed.wait())
