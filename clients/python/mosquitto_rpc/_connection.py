# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The connection of a client, over all its reconnects: open calls, subscriptions, and the thread that serves them.

Threads: begin(), forget(), follow() and close() are called on any thread. One thread of the connection's own alone
touches the network and paho, and settles futures. The lock guards the tables, and nothing is called under it.

A call stays in the table from begin() to its outcome. Each new connection sends all calls of the table again, in order,
with the same bytes and identities, so that the plugin carries each of them out once. What is in the table is all there
is: a call that has been forgotten is never sent again.
"""
import collections
import contextlib
import logging
import random
import selectors
import socket
import threading
import time
from concurrent.futures import Future
from typing import Any, Deque, Dict, List, Optional, OrderedDict

from ._common import Call, Event, RpcError, Settings, decode, is_topic
from ._paho import FAILURE, NOT_AUTHORIZED, TOO_LARGE, Handler, Link, Message, matches

log = logging.getLogger("mosquitto_rpc")

STEADY = 10.0  # seconds after which a connection counts as good, even if no reply has come
FAREWELL = 1.0  # seconds that the last packets may take
PAUSE = 5.0  # seconds after which the thread looks around at the latest


class Feed:
    """The events of one iterator: a queue that the connection fills and the iterator empties, on threads of their own.

    take() never waits; wait() gives a future that ends when there is something to take, or nothing will come any more.
    """

    def __init__(self, limit: int, patience: float) -> None:
        self.patience = patience  # seconds that the broker may take for its answer
        self.limit, self.dropped, self.is_abandoned = limit, 0, False
        self.ready: "Future[None]" = Future()  # ends when the broker has answered the subscription
        self._lock = threading.Lock()
        self._events: Deque[Event] = collections.deque()
        self._waiting: List["Future[None]"] = []
        self._has_ended, self._error = False, None  # type: bool, Optional[RpcError]

    def put(self, event: Event) -> None:
        with self._lock:
            if self._has_ended:
                return
            if len(self._events) >= self.limit:
                self._events.popleft()
                self.dropped += 1
            self._events.append(event)
        self._wake()

    def skip(self) -> None:
        """An event that is no JSON is lost."""
        with self._lock:
            self.dropped += 1

    def begin(self) -> None:
        """The subscription is there."""
        settle(self.ready)

    def end(self, error: Optional[RpcError] = None) -> None:
        with self._lock:
            self._has_ended, self._error = True, self._error or error
        settle(self.ready)
        self._wake()

    def take(self) -> Optional[Event]:
        """The next event; None if there is none now. Raises StopIteration when none will come, or the error."""
        with self._lock:
            if self._events:
                return self._events.popleft()
            if self._error:
                raise self._error
            if self._has_ended:
                raise StopIteration
            return None

    def wait(self) -> "Future[None]":
        future: "Future[None]" = Future()
        with self._lock:
            self._waiting = [waiting for waiting in self._waiting if not waiting.done()]
            self._waiting.append(future)
            is_due = bool(self._events) or self._has_ended
        if is_due:
            self._wake()
        return future

    def check(self) -> None:
        """Raises an error unless the broker has accepted the subscription."""
        with self._lock:
            if self._error:
                raise self._error
        if not self.ready.done():
            raise RpcError("timeout", "the broker has not answered the subscription")

    def abandon(self) -> None:
        """Its iterator is gone. Takes no lock, since a garbage collector may call it anywhere."""
        self.is_abandoned = True

    def _wake(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for future in waiting:
            settle(future)


class Subscription:
    """A topic filter and the iterators that share it."""

    def __init__(self, filter_: str, number: int) -> None:
        self.filter, self.number = filter_, number
        self.feeds: List[Feed] = []


class Alarm:
    """Wakes a thread that waits in a selector."""

    def __init__(self) -> None:
        self._near, self.socket = socket.socketpair()
        self._near.setblocking(False)
        self.socket.setblocking(False)

    def ring(self) -> None:
        with contextlib.suppress(OSError):  # full: a byte waits in it already; closed: the thread has ended
            self._near.send(b"\0")

    def hush(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.recv(4096)

    def close(self) -> None:
        self._near.close()
        self.socket.close()


class Connection(Handler):
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.trouble = "it has not been opened"  # why there is no connection; "": there is one
        self._lock = threading.Lock()
        self._calls: OrderedDict[str, Call] = collections.OrderedDict()  # identity: all that have not ended
        self._unsent: OrderedDict[str, Call] = collections.OrderedDict()  # those not sent on this connection
        self._subscriptions: Dict[str, Subscription] = {}  # filter
        self._changed: Dict[str, None] = {}  # filters that the broker is to hear of, in order
        self._numbers = 0
        self._is_closing, self._has_ended = False, False
        self._thread: Optional[threading.Thread] = None
        self._opened: "Future[None]" = Future()
        self._alarm: Optional[Alarm] = None  # the thread's
        # Of the connection that there is, and of its thread alone:
        self._link: Optional[Link] = None
        self._is_up = False
        self._sent: Dict[int, Call] = {}  # message: not acknowledged
        self._asked: Dict[int, str] = {}  # SUBSCRIBE: its filter
        self._refusal = ""  # why the broker has not accepted it
        self._delay = 0.0

    # -- for every thread

    def open(self) -> "Future[None]":
        """The future ends with the first connection, or with the error that kept it from coming."""
        with self._lock:
            if self._thread or self._is_closing:
                raise RuntimeError("a client is opened once: make another one")
            self.trouble = "it has not been accepted yet"
            self._alarm = Alarm()
            self._thread = threading.Thread(target=self._run, args=(self._alarm,), name=self.settings.client_id,
                                            daemon=True)
            self._thread.start()
        return self._opened

    def close(self) -> None:
        """Ends all calls and iterators, and begins to take leave of the broker. May be called again."""
        self._is_closing = True
        self._wake()
        self._end_all()

    def abandon(self) -> None:
        """The same, but for the thread to do: the client is garbage and was not closed. Takes no lock, since a garbage
        collector may call it anywhere."""
        if not self._is_closing:
            self._is_closing = True
            if self._alarm:
                self._alarm.ring()

    def join(self, timeout: float) -> None:
        """Waits for the end of the thread. One that is just connecting ends later, by itself."""
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    @property
    def is_connected(self) -> bool:
        return self._is_up

    def count_pending(self) -> int:
        with self._lock:
            return len(self._calls)

    def begin(self, call: Call) -> None:
        """Takes a call; its future gets the outcome. Raises RpcError for what will not be sent."""
        self.check_thread()
        with self._lock:
            self._check_open(call.method)
            if len(self._calls) >= self.settings.max_pending:
                raise RpcError("overloaded", f"{len(self._calls)} calls are open (max_pending)", call.method)
            self._calls[call.identity] = self._unsent[call.identity] = call
        self._wake()

    def forget(self, call: Call) -> None:
        """Nobody waits for it any more: it is not sent again, and its reply is dropped."""
        self._take(call.identity)

    def follow(self, filter_: str) -> Feed:
        """Subscribes, if no other iterator has, and returns the feed of one iterator."""
        feed = Feed(self.settings.max_events, self.settings.timeout)
        with self._lock:
            self._check_open()
            subscription = self._subscriptions.get(filter_)
            if subscription is None:
                self._numbers += 1
                subscription = self._subscriptions[filter_] = Subscription(filter_, self._numbers)
            subscription.feeds.append(feed)
            self._changed[filter_] = None  # also if it is there: what is retained comes again
        self._wake()
        return feed

    def unfollow(self, filter_: str, feed: Feed) -> None:
        """Ends an iterator. The last one of a filter unsubscribes."""
        with self._lock:
            subscription = self._subscriptions.get(filter_)
            if subscription and feed in subscription.feeds:
                subscription.feeds.remove(feed)
                if not subscription.feeds:
                    del self._subscriptions[filter_]
                    self._changed[filter_] = None
        feed.end()
        self._wake()

    def check_thread(self) -> None:
        if threading.current_thread() is self._thread:
            raise RuntimeError("a function that the client calls on its own thread must not wait for the client")

    def _check_open(self, method: str = "") -> None:
        if self._is_closing or self._has_ended:
            raise RpcError("closed", "the client has been closed", method)
        if self._thread is None:
            raise RuntimeError("the client has not been opened: use it as a context manager, or call its open()")

    def _take(self, identity: str) -> Optional[Call]:
        """Takes a call out of the table: only one caller gets it, and settles it."""
        with self._lock:
            self._unsent.pop(identity, None)
            return self._calls.pop(identity, None)

    def _wake(self) -> None:
        with self._lock:  # which keeps its socket open meanwhile
            if self._alarm and not self._has_ended:
                self._alarm.ring()

    def _end_all(self) -> None:
        with self._lock:
            calls, subscriptions = list(self._calls.values()), list(self._subscriptions.values())
            self._calls.clear()
            self._unsent.clear()
            self._subscriptions.clear()
        for call in calls:
            call.fail(RpcError("closed", "the client was closed before the reply came", call.method))
        for subscription in subscriptions:
            for feed in subscription.feeds:
                feed.end()

    # -- the thread

    def _run(self, alarm: Alarm) -> None:
        try:
            while not self._is_closing:
                self._serve_once(alarm)
                if not self._opened.done():
                    self._is_closing = True
                    self._fail_opening()
                self._rest(alarm)
        finally:
            with self._lock:
                self._has_ended = True
            self._end_all()
            self._fail_opening()
            alarm.close()

    def _fail_opening(self) -> None:
        if not self._opened.done():
            host = f"{self.settings.host}:{self.settings.port}"
            with contextlib.suppress(Exception):  # it was cancelled just now
                self._opened.set_exception(ConnectionError(f"no connection to {host}: {self.trouble}"))

    def _rest(self, alarm: Alarm) -> None:
        """Waits before the next attempt, a random time up to a limit that grows with each one that fails."""
        least, longest = self.settings.reconnect_delay
        self._delay = min(longest, max(least, 2 * self._delay))
        until = time.monotonic() + random.uniform(self._delay / 2, self._delay)
        with selectors.DefaultSelector() as selector:
            selector.register(alarm.socket, selectors.EVENT_READ)
            while not self._is_closing and time.monotonic() < until:
                if selector.select(max(0, until - time.monotonic())):
                    alarm.hush()

    def _serve_once(self, alarm: Alarm) -> None:
        """A connection from its beginning to its end."""
        link = Link(self.settings, self)
        began, self._refusal = time.monotonic(), ""
        try:
            link.connect()
            self._link = link
            self._serve(link, alarm, began)
        except Exception as error:  # pylint: disable=broad-except
            self.on_lost(str(error) or type(error).__name__)
            if not isinstance(error, (OSError, ValueError)):
                log.exception("%s: the connection ends with an error that is not the network's",
                              self.settings.client_id)
        finally:
            link.drop()
            with self._lock:
                self._link, self._is_up = None, False
            self._sent.clear()
            self._asked.clear()
        if time.monotonic() - began > STEADY:
            self._delay = 0.0

    def _serve(self, link: Link, alarm: Alarm, began: float) -> None:
        if link.socket is None:
            raise OSError("the connection ended at once")
        patience = min(PAUSE, self.settings.keepalive / 4 or PAUSE)
        with selectors.DefaultSelector() as selector:
            selector.register(alarm.socket, selectors.EVENT_READ)
            watched = selector.register(link.socket, selectors.EVENT_READ).fileobj
            while link.socket is not None and not self._is_closing:
                if self._is_up:
                    self._send_all(link)
                elif time.monotonic() - began > self.settings.connect_timeout:
                    raise OSError("the broker does not answer")
                if link.socket is None:
                    return
                events = selectors.EVENT_READ | (selectors.EVENT_WRITE if link.wants_write() else 0)
                selector.modify(watched, events)
                ready = {key.fileobj: mask for key, mask in selector.select(0 if link.has_input() else patience)}
                if alarm.socket in ready:
                    alarm.hush()
                if ready.get(watched, 0) & selectors.EVENT_READ or link.has_input():
                    link.read()
                if ready.get(watched, 0) & selectors.EVENT_WRITE:
                    link.write()
                link.tick()
        if self._is_closing:
            self._take_leave(link)

    def _take_leave(self, link: Link) -> None:
        """Disconnects in order, as far as the network lets it in time."""
        until = time.monotonic() + FAREWELL
        if link.socket is not None:
            link.disconnect()
        while link.socket is not None and link.wants_write() and time.monotonic() < until:
            link.write()
            time.sleep(0.005)

    # -- what is sent, on the thread

    def _send_all(self, link: Link) -> None:
        """Subscriptions before calls: what a call brings about is heard by an iterator that was made before it."""
        while self._changed and link.socket is not None:
            with self._lock:
                filter_ = next(iter(self._changed))
                del self._changed[filter_]
                subscription = self._subscriptions.get(filter_)
            if subscription is None:
                link.unsubscribe(filter_)
            else:
                self._note_asked(link.subscribe(filter_, subscription.number), filter_)
        while self._unsent and len(self._sent) < link.window and link.socket is not None:
            with self._lock:
                call = self._unsent.popitem(last=False)[1] if self._unsent else None
            if call and time.monotonic() < call.deadline:
                self._send(link, call)

    def _send(self, link: Link, call: Call) -> None:
        try:
            if 0 < link.max_packet < link.size_of(call.topic, call.payload, call.properties):
                self._fail(call, "payload_too_large", f"the broker takes messages of at most {link.max_packet} bytes")
                return
            number = link.publish(call.topic, call.payload, call.identity, call.properties)
        except (TypeError, ValueError) as error:
            self._fail(call, "invalid_request", str(error))
            return
        call.times_sent += 1
        if number is not None and self.settings.qos:
            self._sent[number] = call

    def _note_asked(self, number: Optional[int], filter_: str) -> None:
        if number is not None:
            self._asked[number] = filter_

    def _fail(self, call: Call, err: str, msg: str) -> None:
        if self._take(call.identity):
            call.fail(RpcError(err, msg, call.method))

    # -- what the link tells, on the thread

    def on_link(self, code: int, text: str) -> None:
        if code:
            log.warning("%s: the broker refuses the connection: %s", self.settings.client_id, text)
            self._refusal = f"the broker refuses it: {text}"
            return
        assert self._link
        self._note_asked(self._link.subscribe(self.settings.reply_filter), "")
        with self._lock:
            self._unsent = self._calls.copy()
            self._changed = dict.fromkeys(self._subscriptions)
            self._is_up = True
        self.trouble = ""
        settle(self._opened)

    def on_lost(self, text: str) -> None:
        if self._is_closing:
            return
        if self._is_up:
            log.info("%s: the connection is lost: %s", self.settings.client_id, text)
        self.trouble, self._is_up = self._refusal or text, False

    def on_acknowledged(self, number: int, code: int, text: str) -> None:
        call = self._sent.pop(number, None)
        if call and code == NOT_AUTHORIZED:
            self._fail(call, "refused", "this client may not call the method")
        elif call and code == TOO_LARGE:
            self._fail(call, "payload_too_large", f"the broker refuses the message: {text}")

    def on_subscribed(self, number: int, code: int, text: str) -> None:
        filter_ = self._asked.pop(number, "")
        if not filter_:
            if code >= FAILURE:  # replies come without it, unless the plugin's reply_delivery is `subscribed`
                log.info("%s: the subscription to replies is refused: %s", self.settings.client_id, text)
            return
        with self._lock:
            subscription = self._subscriptions.get(filter_)
            if subscription and code >= FAILURE:
                del self._subscriptions[filter_]
            feeds = list(subscription.feeds) if subscription else []
        for feed in feeds:
            if code >= FAILURE:
                feed.end(RpcError("refused", f"the broker refuses the subscription to {filter_}: {text}"))
            else:
                feed.begin()

    def on_message(self, message: Message) -> None:
        try:
            if message.topic.startswith(self.settings.event_root):
                self._take_event(message)
            else:
                self._take_reply(message)
        except Exception:  # pylint: disable=broad-except
            log.exception("%s: a message to %s", self.settings.client_id, message.topic)

    # -- replies, on the thread

    def _take_reply(self, message: Message) -> None:
        """Those to calls that have ended are dropped."""
        identity = (message.correlation or b"").decode("ascii", "replace") or message.topic.rpartition("/")[2]
        call = self._calls.get(identity)
        if call is None:
            return
        user = dict(message.user)
        if user.get("status") == "progress":
            self._tell_progress(call, message)
            return
        if self._take(identity) is None:
            return
        self._delay = 0.0  # the connection is of use; what is retained comes on any
        try:
            self._settle(call, message, user.get("status", "ok"))
        except ValueError as error:
            call.fail(RpcError("bad_reply", f"the reply is not what it should be: {error}", call.method))

    def _settle(self, call: Call, message: Message, status: str) -> None:
        if self.settings.version != 5:
            content = decode(message.payload)
            if not isinstance(content, dict) or not ("result" in content or "error" in content):
                raise ValueError("it has neither a result nor an error")
            status = "ok" if "result" in content else "error"
            content = content.get("result" if status == "ok" else "error")
        elif message.content_type not in (None, "application/json"):
            content = message.payload
        else:
            content = decode(message.payload)
        if status == "ok":
            call.take_result(content)
        else:
            call.fail(RpcError.of(content, call.method))

    def _tell_progress(self, call: Call, message: Message) -> None:
        if not call.progress:
            return
        try:
            content = decode(message.payload)
        except ValueError:
            return
        call.progress(content)

    # -- events, on the thread

    def _take_event(self, message: Message) -> None:
        """A broker that knows the numbers of subscriptions sends a copy for each; else the topics tell."""
        with self._lock:
            subscriptions = [subscription for subscription in self._subscriptions.values()
                             if (subscription.number in message.subscriptions if message.subscriptions
                                 else matches(subscription.filter, message.topic))]
            feeds = [(subscription.filter, feed) for subscription in subscriptions for feed in subscription.feeds]
        try:
            data, is_lost = decode(message.payload) if message.payload else None, False
        except ValueError:
            data, is_lost = None, True
        for filter_, feed in feeds:
            if feed.is_abandoned:
                self.unfollow(filter_, feed)
            elif is_lost:
                feed.skip()
            else:
                feed.put(self._event_of(filter_, message, data))

    def _event_of(self, filter_: str, message: Message, data: Any) -> Event:
        event, key = message.topic[len(self.settings.event_root):], None  # type: str, Optional[str]
        base = filter_[len(self.settings.event_root):-len("/#")]
        if filter_.endswith("/#") and "+" not in base and event.startswith(base + "/"):
            event, key = base, event[len(base) + 1:]
        return Event(message.topic, event, key, data, message.retained, not message.payload, dict(message.user))


def settle(future: "Future[None]") -> None:
    """Ends a future, unless it has ended or was cancelled."""
    with contextlib.suppress(Exception):
        future.set_result(None)


def filter_of(settings: Settings, event: str) -> str:
    """The topic filter of events: of one event with all its keys, or what the caller writes with wildcards."""
    levels = event.split("/")
    if not is_topic(event.replace("#", "").replace("+", "") or "x") or not event or any(
            level not in ("+", "#") and ("+" in level or "#" in level) for level in levels) or "#" in levels[:-1]:
        raise ValueError(f"{event!r} is neither the name of an event nor a topic filter")
    return settings.event_root + (event if "+" in event or "#" in event else f"{event}/#")
