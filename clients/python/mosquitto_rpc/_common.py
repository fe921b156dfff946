# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What the two clients and the connection share: errors, events, settings, and calls as they are on the wire."""
import contextlib
import json
import math
import os
import re
import ssl
import time
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

__version__ = "0.1.0"

TIMEOUT_MAX = 86400.0  # seconds, as the plugin has it
GRACE = 1.0  # seconds that a reply may take after its call's timeout, at which the plugin itself answers `timeout`
NO_PARAMS: Mapping[str, Any] = MappingProxyType({})
Progress = Callable[[Any], None]


class RpcError(Exception):
    """A call failed.

    err     the error's name: one of the plugin's, of the method's or of the device's, as they are on the wire, or one
            of this client's own: timeout (no reply came), closed (the client was closed), overloaded (max_pending
            calls are open; nothing was sent), payload_too_large (the broker takes no such message; nothing was sent),
            refused (the broker refused the message or the subscription), bad_reply (what came as the reply is none)
    msg     what is wrong, for people
    method  the method that was called; "" if the error is not about a call
    data    the whole error object, with the members that the method adds
    """

    def __init__(self, err: str, msg: str, method: str = "", data: Optional[Dict[str, Any]] = None) -> None:
        super().__init__(f"{method}: {err}: {msg}" if method else f"{err}: {msg}")
        self.err, self.msg, self.method = err, msg, method
        self.data = {"method": method, "err": err, "msg": msg} if data is None else data

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (self.err, self.msg, self.method, self.data)

    @classmethod
    def of(cls, content: Any, method: str) -> "RpcError":
        """The error object of a reply."""
        if not isinstance(content, dict) or not isinstance(content.get("err"), str):
            return cls("bad_reply", f"the reply is neither a result nor an error: {content!r:.200}", method)
        return cls(content["err"], str(content.get("msg", "")), str(content.get("method") or method), content)


@dataclass(frozen=True)
class Event:
    """An announcement.

    event     its name; if it was asked for with a wildcard, all levels behind {prefix}/event/
    key       the last level of a keyed event's topic, else None
    data      what it says; None if `gone`
    retained  it is not news: the broker kept it, and sends it when an iterator begins and after a reconnect
    gone      the thing of this key is no more
    properties  the MQTT 5 user properties, such as traceparent
    """

    topic: str
    event: str
    key: Optional[str]
    data: Any
    retained: bool
    gone: bool
    properties: Mapping[str, str]


@dataclass(frozen=True)
class Settings:
    """What a client is made with; see README.md."""

    host: str
    port: int
    prefix: str
    client_id: str
    username: Optional[str]
    password: Optional[str]
    version: int
    qos: int
    timeout: float
    max_pending: int
    max_events: int
    tls: Optional[ssl.SSLContext]
    keepalive: int
    connect_timeout: float
    reconnect_delay: Tuple[float, float]
    transport: str
    websocket_path: str

    def check(self) -> None:
        if self.version not in (5, 311):
            raise ValueError("version must be 5 or 311")
        if self.qos not in (0, 1, 2):
            raise ValueError("qos must be 0, 1 or 2")
        if not self.host or "/" in self.host or self.host.count(":") == 1:
            raise ValueError(f"host must be a name or an address, not {self.host!r}: the port is a parameter of its own")
        if not isinstance(self.port, int) or not 0 < self.port < 65536:
            raise ValueError(f"port must be a number of 1 to 65535, not {self.port!r}")
        if not 0 <= self.keepalive < 65536:
            raise ValueError("keepalive must be a number of seconds up to 65535; with 0 there is none")
        if not is_level(self.client_id):
            raise ValueError("client_id must be one level of a topic: without /, +, # and control characters")
        if not is_topic(self.prefix):
            raise ValueError("prefix must be a topic without wildcards")
        if self.max_pending < 1 or self.max_events < 1:
            raise ValueError("max_pending and max_events must be at least 1")

    @property
    def reply_filter(self) -> str:
        return f"{self.prefix}/reply/{self.client_id}/#"

    @property
    def reply_topic(self) -> str:
        return f"{self.prefix}/reply/{self.client_id}/rpc"

    @property
    def event_root(self) -> str:
        return f"{self.prefix}/event/"


def is_text(text: str) -> bool:
    """Whether brokers take it as a string: they end the connection for control characters and what is no character."""
    return len(text) < 60000 and not re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef]", text) and not any(
        ord(character) & 0xFFFE == 0xFFFE for character in text) and len(text.encode()) < 60000


def is_level(text: str) -> bool:
    return bool(text) and is_text(text) and not re.search("[/+#]", text)


def address_of(kind: str, name: str) -> str:
    """The first levels of the methods of a device or a group."""
    if not is_level(name):
        raise ValueError(f"{name!r} cannot be the name of one: it must be a level of a topic")
    return f"{kind}/{name}"


def is_topic(text: str) -> bool:
    return bool(text) and is_text(text) and not re.search("[+#]", text)


class Call:
    """A call that has not ended: what is sent for it, as often as it is sent, and where its outcome goes.

    Its future gets the result, or the RpcError as a result: so asyncio does not warn of an error that is not fetched.
    """

    __slots__ = ("identity", "method", "topic", "payload", "properties", "timeout", "deadline", "progress", "is_batch",
                 "future", "times_sent")

    def __init__(self, method: str, topic: str, payload: bytes, identity: str, timeout: float,
                 properties: List[Tuple[str, str]], progress: Optional[Progress], is_batch: bool) -> None:
        self.identity, self.method, self.topic, self.payload = identity, method, topic, payload
        self.properties, self.progress, self.is_batch = properties, progress, is_batch
        self.timeout, self.deadline = timeout, time.monotonic() + timeout
        self.future: "Future[Any]" = Future()
        self.times_sent = 0

    def take_result(self, content: Any) -> None:
        """Ends it with a result; that of a batch is a list of results and errors."""
        if self.is_batch:
            if not isinstance(content, list):
                self.fail(RpcError("bad_reply", "the reply to a batch is no array", self.method))
                return
            content = [item["result"] if isinstance(item, dict) and "result" in item
                       else RpcError.of(item.get("error") if isinstance(item, dict) else item, self.method)
                       for item in content]
        self._end(content)

    def fail(self, error: RpcError) -> None:
        self._end(error)

    def _end(self, outcome: Any) -> None:
        with contextlib.suppress(InvalidStateError):  # it was cancelled just now
            self.future.set_result(outcome)


def make_call(settings: Settings, method: str, params: Any, *, timeout: Optional[float], is_batch: bool = False,
              progress: Optional[Progress] = None, traceparent: Optional[str] = None, tracestate: Optional[str] = None,
              properties: Optional[Mapping[str, str]] = None) -> Call:
    """Raises ValueError or TypeError for what cannot be sent."""
    timeout = settings.timeout if timeout is None else timeout
    if not 0 < timeout <= TIMEOUT_MAX:
        raise ValueError(f"timeout must be a number of seconds greater than 0, and at most {TIMEOUT_MAX:g}")
    if not is_topic(method):
        raise ValueError(f"{method!r} cannot be the name of a method")
    identity, milliseconds = os.urandom(16).hex(), max(1, math.ceil(timeout * 1000))
    topic = f"{settings.prefix}/{'batch' if is_batch else 'call'}/{method}"
    trace = {name: value for name, value in (("traceparent", traceparent), ("tracestate", tracestate)) if value}
    for name, value in {**trace, **(properties or {})}.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"name and value of a user property must be strings, not {name!r} and {value!r:.100}")
        if not is_text(name) or not is_text(value):
            raise ValueError(f"{name!r}: {value!r:.100} cannot be a user property")
    pairs: List[Tuple[str, str]] = []
    if settings.version == 5:
        pairs = [("timeout-ms", str(milliseconds)), *trace.items(), *((properties or {}).items())]
        pairs += [("progress", "1")] if progress else []
        payload = bytes(params) if isinstance(params, (bytes, bytearray, memoryview)) else encode(params)
    else:
        payload = encode(with_members(params, identity, milliseconds, trace, is_batch))
        if properties:
            raise ValueError(f"{', '.join(properties)}: only MQTT 5 has properties")
    return Call(method, topic, payload, identity, timeout, pairs, progress, is_batch)


def with_members(params: Any, identity: str, milliseconds: int, trace: Dict[str, str],
                 is_batch: bool) -> Dict[str, Any]:
    """The parameters with the members that a call without MQTT 5 has beside them."""
    if is_batch:
        params = {"calls": params}
    if not isinstance(params, dict):
        raise ValueError("with MQTT 3.1.1 the parameters of a call must be an object")
    if "request_id" in params:
        raise ValueError("with MQTT 3.1.1 request_id cannot be a parameter")
    return {"request_id": identity, "timeout_ms": milliseconds, **{name: trace[name] for name in trace
            if name == "traceparent"}, **params}


def merge(params: Any, members: Mapping[str, Any]) -> Any:
    """What is called with: a value, or an object whose members may be given by name."""
    if isinstance(params, Mapping):
        return {**params, **members}
    if members:
        raise TypeError("parameters by name go with an object")
    return params


def decode(payload: bytes) -> Any:
    """The value of JSON from the wire. Raises ValueError for everything else, whatever it is."""
    try:
        return json.loads(payload.decode(), parse_constant=refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def encode(params: Any) -> bytes:
    return json.dumps(params, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def in_milliseconds(**seconds: Optional[float]) -> Dict[str, str]:
    """User properties with durations: stale=1.5 becomes stale-ms: 1500."""
    return {f"{name}-ms": str(max(1, math.ceil(value * 1000))) for name, value in seconds.items() if value is not None}


def device_properties(offline: Optional[str], ttl: Optional[float], stale: Optional[float]) -> Dict[str, str]:
    return {**({"offline": offline} if offline else {}), **in_milliseconds(ttl=ttl, stale=stale)}


def group_properties(want: Union[None, str, int], stall: Optional[float], abort: Optional[int]) -> Dict[str, str]:
    return {**({"want": str(want)} if want is not None else {}), **in_milliseconds(stall=stall),
            **({"abort": str(abort)} if abort is not None else {})}


def list_of(params: Sequence[Any]) -> List[Any]:
    return [dict(item) if isinstance(item, Mapping) else item for item in params]
