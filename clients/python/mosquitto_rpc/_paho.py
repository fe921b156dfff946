# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""One connection on paho-mqtt. This file alone knows paho, and how its versions 1.6 and 2 differ.

A Link is made for one connection and thrown away with it: what paho would send again by itself is gone with it, and
what is sent again is the caller's decision. All of its functions are called on one thread, which also drives it.
"""
import socket
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from ._common import Settings

KINDS = getattr(mqtt, "CallbackAPIVersion", None)  # version 2 has it, and wants it
WINDOW = 20  # messages on their way to a broker of MQTT 3.1.1
WINDOW_MAX = 100
FAILURE, NOT_AUTHORIZED, TOO_LARGE = 0x80, 0x87, 0x95  # reason codes
CALLBACKS = ("on_socket_open", "on_connect", "on_disconnect", "on_publish", "on_subscribe", "on_message")


class Message(NamedTuple):
    """A message as it was received; what MQTT 3.1.1 does not have is empty."""

    topic: str
    payload: bytes
    retained: bool
    correlation: Optional[bytes]
    content_type: Optional[str]
    user: Sequence[Tuple[str, str]]
    subscriptions: Sequence[int]


class Handler:
    """What a link tells, on its thread. code: a reason code; text: what it means."""

    def on_link(self, code: int, text: str) -> None:
        """The broker has accepted the connection, or refused it (code is not 0)."""

    def on_message(self, message: Message) -> None:
        """A message has come."""

    def on_acknowledged(self, number: int, code: int, text: str) -> None:
        """The broker has taken what send() gave this number, or refused it (0x80 and above, if paho tells it)."""

    def on_subscribed(self, number: int, code: int, text: str) -> None:
        """The answer to subscribe()."""

    def on_lost(self, text: str) -> None:
        """The connection has ended."""


class Link:
    def __init__(self, settings: Settings, handler: Handler) -> None:
        self.settings, self.handler, self.is_5 = settings, handler, settings.version == 5
        self.window, self.max_packet, self.numbers_subscriptions = WINDOW, 0, self.is_5
        how = {} if self.is_5 else {"clean_session": True}
        self.client: Any = mqtt.Client(
            *([KINDS.VERSION2] if KINDS else []), client_id=settings.client_id,
            protocol=mqtt.MQTTv5 if self.is_5 else mqtt.MQTTv311, transport=settings.transport,
            reconnect_on_failure=False, **how)
        self.client.connect_timeout = settings.connect_timeout
        self.client.max_inflight_messages_set(WINDOW_MAX)  # the caller keeps to the window: nothing waits in paho
        if settings.username is not None:
            self.client.username_pw_set(settings.username, settings.password)
        if settings.tls:
            self.client.tls_set_context(settings.tls)
        if settings.transport == "websockets":
            self.client.ws_set_options(path=settings.websocket_path)
        self.client.on_socket_open = self._opened
        self.client.on_connect, self.client.on_disconnect = self._connected, self._disconnected
        self.client.on_publish, self.client.on_subscribe = self._published, self._subscribed
        self.client.on_message = self._received

    # -- driving it

    def connect(self) -> None:
        """Blocks until TCP is there, and asks the broker. Raises OSError or ValueError."""
        how = {"clean_start": True} if self.is_5 else {}
        self.client.connect(self.settings.host, self.settings.port, self.settings.keepalive, **how)

    @property
    def socket(self) -> Any:
        """What to wait for; None: the connection has ended."""
        return self.client.socket()

    def has_input(self) -> bool:
        """Whether TLS has bytes that a selector does not see."""
        pending = getattr(self.socket, "pending", None)
        return bool(pending and pending())

    def wants_write(self) -> bool:
        return bool(self.client.want_write())

    def read(self) -> None:
        self.client.loop_read()

    def write(self) -> None:
        self.client.loop_write()

    def tick(self) -> None:
        self.client.loop_misc()

    def disconnect(self) -> None:
        self.client.disconnect()

    def drop(self) -> None:
        """Ends the connection without a word, if it has not ended, and the circle of references to paho and back."""
        if self.socket is not None:
            self.socket.close()
        for name in CALLBACKS:
            setattr(self.client, name, None)

    # -- what is sent

    def size_of(self, topic: str, payload: bytes, properties: Sequence[Tuple[str, str]]) -> int:
        """How many bytes the message of a call has at most. 51 are its header, lengths and Correlation Data."""
        return (len(topic.encode()) + len(payload) + len(self.settings.reply_topic.encode()) + 51 +
                sum(len(name.encode()) + len(value.encode()) + 5 for name, value in properties))

    def publish(self, topic: str, payload: bytes, identity: str, user: Sequence[Tuple[str, str]]) -> Optional[int]:
        """Returns the number that on_acknowledged() gets (of QoS 1 and 2); None: the connection has ended."""
        properties = None
        if self.is_5:
            properties = Properties(PacketTypes.PUBLISH)
            properties.ResponseTopic, properties.CorrelationData = self.settings.reply_topic, identity.encode()
            properties.UserProperty = list(user)
        sent = self.client.publish(topic, payload, qos=self.settings.qos, properties=properties)
        return int(sent.mid) if sent.rc == mqtt.MQTT_ERR_SUCCESS else None

    def subscribe(self, filter_: str, number: int = 0) -> Optional[int]:
        """number: what its messages carry with MQTT 5; 0: none. Returns the number that on_subscribed() gets."""
        if not self.is_5:
            code, mid = self.client.subscribe(filter_, qos=1)
        else:
            properties = None
            if number and self.numbers_subscriptions:
                properties = Properties(PacketTypes.SUBSCRIBE)
                properties.SubscriptionIdentifier = number
            code, mid = self.client.subscribe(filter_, options=SubscribeOptions(qos=1), properties=properties)
        return int(mid) if code == mqtt.MQTT_ERR_SUCCESS else None

    def unsubscribe(self, filter_: str) -> None:
        self.client.unsubscribe(filter_)

    # -- what paho says

    def _opened(self, _client: Any, _userdata: Any, sock: Any) -> None:
        """Without this a small packet waits 40 ms for the acknowledgement of the one before."""
        raw = getattr(sock, "_socket", sock)  # of a WebSocket
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (AttributeError, OSError):
            pass

    def _connected(self, _client: Any, _userdata: Any, _flags: Any, reason: Any, properties: Any = None) -> None:
        if self.is_5:
            self.window = min(getattr(properties, "ReceiveMaximum", 65535), WINDOW_MAX)
            self.max_packet = getattr(properties, "MaximumPacketSize", 0)
            self.numbers_subscriptions = bool(getattr(properties, "SubscriptionIdentifierAvailable", 1))
        self.handler.on_link(code_of(reason), text_of(reason, mqtt.connack_string))

    def _disconnected(self, _client: Any, _userdata: Any, *why: Any) -> None:
        reason = why[1] if KINDS else why[0]
        self.handler.on_lost(text_of(reason, mqtt.error_string))

    def _published(self, _client: Any, _userdata: Any, mid: int, reason: Any = 0, _properties: Any = None) -> None:
        self.handler.on_acknowledged(mid, code_of(reason), text_of(reason, str))

    def _subscribed(self, _client: Any, _userdata: Any, mid: int, reasons: Any, _properties: Any = None) -> None:
        for reason in reasons:
            self.handler.on_subscribed(mid, code_of(reason), text_of(reason, lambda code: "refused"))

    def _received(self, _client: Any, _userdata: Any, message: Any) -> None:
        properties = getattr(message, "properties", None)
        numbers: List[int] = getattr(properties, "SubscriptionIdentifier", [])
        self.handler.on_message(Message(
            message.topic, bytes(message.payload), bool(message.retain), getattr(properties, "CorrelationData", None),
            getattr(properties, "ContentType", None), getattr(properties, "UserProperty", ()), numbers))


def code_of(reason: Any) -> int:
    return int(getattr(reason, "value", reason))


def text_of(reason: Any, explain: Any) -> str:
    """What paho says of a reason: those of MQTT 5 are objects that say it themselves."""
    return str(explain(reason)) if isinstance(reason, int) else str(reason)


def matches(filter_: str, topic: str) -> bool:
    return bool(mqtt.topic_matches_sub(filter_, topic))
