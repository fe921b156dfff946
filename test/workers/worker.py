# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Workers for tests. AttachedClient is one that is written with the tests' own MQTT client: it knows of the attachment
what docs/worker-protocol.md says, and nothing of the engine."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "broker"))
from harness import error_of, new_identity, payload_of, result_of  # noqa: E402
from mqtt import (CORRELATION_DATA, MESSAGE_EXPIRY, RESPONSE_TOPIC, USER_PROPERTY, Client, property_of,  # noqa: E402
                  user_property_of)

USER, PASSWORD = "crew", "of workers"  # of a broker that is started with allowed()


def allowed(**more):
    """What a broker needs so that AttachedClient may attach: arguments of BrokerTest.start(). `options` are added."""
    return {"options": ["workers_users crew", *more.pop("options", ())],
            "users": {USER: PASSWORD, **more.pop("users", {})}, **more}


class Job:
    """A call that a worker has got."""

    def __init__(self, worker, message):
        self.worker, self.message = worker, message
        self.id = property_of(message, CORRELATION_DATA)
        self.method = user_property_of(message, "method")
        self.caller = user_property_of(message, "caller")
        self.user = user_property_of(message, "caller-user")
        self.version = user_property_of(message, "caller-version")
        self.deadline_ms = int(user_property_of(message, "deadline-ms"))
        self.traceparent = user_property_of(message, "traceparent")
        self.wants_progress = user_property_of(message, "progress") == "1"
        self.expiry = property_of(message, MESSAGE_EXPIRY)
        self.payload = message.payload
        assert property_of(message, RESPONSE_TOPIC) == f"{worker.work}/done", message
        assert message.topic == worker.work and message.qos == 1 and not message.retain, message

    @property
    def params(self):
        return json.loads(self.payload or b"{}")

    def answer(self, status, content, **how):
        payload = content if isinstance(content, (bytes, str)) else json.dumps(content)
        return self.worker.answer(self.id, status, payload, **how)

    def done(self, result):
        return self.answer("ok", result)

    def fail(self, code, msg="it failed", **members):
        return self.answer(code, {"method": self.method, "err": code, "msg": msg, **members})

    def progress(self, data):
        return self.answer("progress", data)

    def refuse(self):
        return self.answer("refused", b"")


class AttachedClient(Client):
    """A worker. Its replies to management calls come to reply/{name}, jobs and cancels to its work topic."""

    def __init__(self, port, name, methods=(), *, username=USER, password=PASSWORD, attach=True, prefix="rpc", window=8,
                 version="1", more=None, **how):
        super().__init__(port, version=5, username=username, password=password, **how)
        self.name, self.prefix, self.work = name, prefix, f"{prefix}/work/{name}"
        self.attached = self.attach(methods, window=window, version=version, **(more or {})) if attach else None

    def call(self, method, params):
        """A call of a method of the service; returns the reply. Jobs that come meanwhile stay in the inbox."""
        identity, topic = new_identity().encode(), f"reply/{self.name}"
        self.publish(f"{self.prefix}/call/{method}", json.dumps(params), qos=1,
                     properties=[(RESPONSE_TOPIC, topic), (CORRELATION_DATA, identity)])
        return self.take(lambda found: found.topic == topic and property_of(found, CORRELATION_DATA) == identity)

    def attach(self, methods, **params):
        """Attaches, or attaches anew; returns the result."""
        return result_of(self.call("rpc.attach", {"worker": self.name, "methods": list(methods), **params}))

    def attach_error(self, methods=(), **params):
        return error_of(self.call("rpc.attach", {"worker": self.name, "methods": list(methods), **params}))

    def detach(self, worker=None):
        return result_of(self.call("rpc.detach", {"worker": worker or self.name}))

    def take(self, matches, timeout=None):
        """The next message for which matches() holds; the others stay in the inbox."""
        passed = []
        try:
            while True:
                found = self.receive(timeout)
                if matches(found):
                    return found
                passed.append(found)
        finally:
            self.inbox.extendleft(reversed(passed))

    def job(self, timeout=None):
        """The next call."""
        return Job(self, self.take(lambda found: found.topic == self.work, timeout))

    def cancelled(self, timeout=None):
        """The id of the next call that nobody waits for any more."""
        return property_of(self.take(lambda found: found.topic == f"{self.work}/cancel", timeout), CORRELATION_DATA)

    def answer(self, identity, status, payload, qos=1, work=None, wait=True, entries=()):
        """What a worker publishes when it has carried out a call; returns the broker's reason code."""
        entries = [*entries] if status is None else [*entries, (USER_PROPERTY, ("status", status))]
        entries += [] if identity is None else [(CORRELATION_DATA, identity)]
        return self.publish(f"{work or self.work}/done", payload, qos=qos, properties=entries, wait=wait)

    def announce(self, event, data, qos=1, entries=()):
        """Publishes the data of an event; returns the broker's reason code."""
        return self.publish(f"{self.work}/event/{event}", data if isinstance(data, bytes) else json.dumps(data), qos=qos,
                            properties=entries)


def workers_of(client, **params):
    """rpc.workers, by its name."""
    identity = new_identity().encode()
    client.publish("rpc/call/rpc.workers", json.dumps(params), qos=1,
                   properties=[(RESPONSE_TOPIC, "reply/workers"), (CORRELATION_DATA, identity)])
    reply = client.receive()
    assert user_property_of(reply, "status") == "ok", reply
    return {worker["id"]: worker for worker in payload_of(reply)["workers"]}
