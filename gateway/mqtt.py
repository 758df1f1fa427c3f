"""The only file that knows the MQTT library (paho-mqtt, MQTT 3.1.1).

A `Session` connects, reconnects with back-off, and says so once each way. Acknowledgement of received messages is
manual: `ack` is to be called in order of arrival, after the message is safe. Back-off and time-outs are real time,
also where a simulation runs on a clock of its own.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from gateway import settings, units

log = logging.getLogger(__name__)

MAX_BACKOFF_S = 60


@dataclass(frozen=True, slots=True)
class Delivery:
    """A received message. `connection` numbers the connection it came on: an acknowledgement for an earlier one
    would acknowledge another message, and is dropped."""

    topic: str
    payload: bytes
    retained: bool
    mid: int
    qos: int
    connection: int


def tls_context(tls: settings.Tls) -> ssl.SSLContext:
    """Whom we believe, and who we are. Raises OSError for files that cannot be used."""
    context = ssl.create_default_context(cafile=str(tls.ca_file) if tls.ca_file else None)
    if tls.cert_file:
        context.load_cert_chain(str(tls.cert_file), str(tls.key_file) if tls.key_file else None)
    return context


class Session:
    """One MQTT session. `resend` false: what has no PUBACK when a connection is lost is not published again by the
    library; the caller does it, with a payload that is still true then. Callbacks run on the session's network thread
    and must be short:

    `on_up(session)` after CONNACK, `on_message(delivery)`, `on_published(mid)` after PUBACK, `on_down()`.

    `subscribe` is what must arrive (QoS 1), `listen` what is repeated anyway (QoS 0, owes no acknowledgement). `level`:
    the lowest at which news of the connection is told; DEBUG for a process's second session, which has the same news.
    """

    def __init__(
        self,
        broker: settings.Broker,
        client_id: str,
        *,
        persistent: bool = False,
        will: tuple[str, bytes] | None = None,
        subscribe: Sequence[str] = (),
        listen: Sequence[str] = (),
        inflight: int = 20,
        resend: bool = True,
        level: int = logging.INFO,
        on_up: Callable[[Session], None] | None = None,
        on_down: Callable[[], None] | None = None,
        on_message: Callable[[Delivery], None] | None = None,
        on_published: Callable[[int], None] | None = None,
    ) -> None:
        self._broker, self._level, self._resend = broker, level, resend
        self._subscribe = [(topic, 1) for topic in subscribe] + [(topic, 0) for topic in listen]
        self._on_up, self._on_down = on_up, on_down
        self._on_message, self._on_published = on_message, on_published
        self._connection, self._dropped = 0, -1
        self.attempts = 0  # failed ones since the last connection
        self._complained, self._refused, self._down_since = False, False, time.monotonic()
        self._told_refusal = False
        self.connected = threading.Event()
        self.subscribed = threading.Event()  # to every topic
        self.refused: frozenset[str] = frozenset()  # topics that the broker answered and did not grant
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=not persistent, manual_ack=True
        )
        client.reconnect_delay_set(1, MAX_BACKOFF_S)
        client.max_inflight_messages_set(inflight)
        if broker.username is not None:
            client.username_pw_set(broker.username, broker.password)
        if broker.tls is not None:
            client.tls_set_context(tls_context(broker.tls))
        if will is not None:
            self.set_will(will)
        client.on_connect, client.on_connect_fail = self._connected, self._failed
        client.on_disconnect, client.on_message = self._disconnected, self._message
        client.on_publish, client.on_subscribe = self._published, self._subscribe_answered

    def set_will(self, will: tuple[str, bytes]) -> None:
        """Before `start`: what the broker says, retained, when the connection breaks."""
        self._client.will_set(will[0], will[1], qos=1, retain=True)

    def start(self) -> None:
        """Connect in the background and keep connected. Returns at once; an absent broker is retried."""
        self._client.connect_async(self._broker.host, self._broker.port, self._broker.keepalive_s)
        self._client.loop_start()

    def listen_to(self, topic: str) -> None:
        """Subscribe at QoS 0, now and at every connection. All subscriptions are said again, in their order: so each
        answer of the broker belongs to the first of them. What it then repeats is marked as retained."""
        self._subscribe.append((topic, 0))
        self.subscribed.clear()
        self.refused = frozenset()
        if self.connected.is_set():
            self._client.subscribe(list(self._subscribe))

    def stop(self, farewell: tuple[str, bytes] | None = None, timeout_s: float = 3.0) -> None:
        """Publish a last retained word (the will is not sent on a clean end), then disconnect."""
        if farewell is not None and self.connected.is_set():
            self.publish_and_wait(farewell[0], farewell[1], retain=True, timeout_s=timeout_s)
        self._client.disconnect()
        self._client.loop_stop()

    def drop(self) -> None:
        """Close the connection without a DISCONNECT and come again: what was not acknowledged is redelivered. What
        the socket still holds is not delivered any more; that, too, comes again."""
        self._dropped = self._connection
        sock = self._client.socket()
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):  # already down: what was wanted
                sock.shutdown(socket.SHUT_RDWR)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int | None:
        """QoS 1. The message id, or None where it was not taken because there is no connection."""
        if not self.connected.is_set():
            return None
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        return info.mid if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def publish_and_wait(self, topic: str, payload: bytes, *, retain: bool = False, timeout_s: float = 10.0) -> bool:
        """QoS 1, until the broker acknowledged it. Not from a callback."""
        if not self.connected.is_set():
            return False
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        try:
            info.wait_for_publish(timeout_s)
        except (RuntimeError, ValueError):
            return False
        return info.is_published()

    def ack(self, delivery: Delivery) -> None:
        """Acknowledge a received message; one of an earlier connection comes again by itself."""
        if delivery.qos and delivery.connection == self._connection:
            self._client.ack(delivery.mid, delivery.qos)

    # --- callbacks on the network thread ---------------------------------------------------------------------

    def _connected(self, client: paho.Client, _u: Any, _f: Any, reason: ReasonCode, _p: Any) -> None:
        if reason.is_failure:
            self._refused = True
            self._complained &= self._told_refusal  # after a loss it is another failure than the one that was told
            self._told_refusal = True
            self._complain(f"it refuses us: {reason}; check username and password_file")
            return
        if self._complained:
            outage, tried = units.in_words(time.monotonic() - self._down_since), self.attempts + 1
            plural = "s" * (tried > 1)
            self._say(
                max(logging.INFO, self._level),
                "connected to MQTT broker %s after %s, %d attempt%s",
                outage,
                tried,
                plural,
            )
        else:
            self._say(logging.INFO, "connected to MQTT broker %s")
        self.attempts, self._complained, self._told_refusal = 0, False, False
        self._connection += 1
        if not self._resend:
            client.drop_out_messages()  # before anybody may publish, and before the library resends
        self.connected.set()
        if self._subscribe:
            client.subscribe(list(self._subscribe))
        else:
            self.subscribed.set()
        if self._on_up:
            self._on_up(self)

    def _subscribe_answered(self, _c: Any, _u: Any, _mid: int, reasons: list[ReasonCode], _p: Any) -> None:
        refused = [t for (t, _), r in zip(self._subscribe, reasons, strict=False) if r.is_failure]
        self.refused = frozenset(refused)
        if refused:
            log.error("the broker %s refuses the subscription to %s; check its ACL", self._where, ", ".join(refused))
        else:
            self.subscribed.set()

    def _failed(self, _c: Any, _u: Any) -> None:
        self._complain("no answer or connection refused")

    def _complain(self, why: str) -> None:
        if not self._complained:
            text = "cannot reach MQTT broker %s (%s); retrying with up to %d s between"
            self._say(logging.WARNING, text, why, MAX_BACKOFF_S)
        self._complained = True
        self.attempts += 1

    def _disconnected(self, _c: Any, _u: Any, _flags: Any, reason: ReasonCode, _p: Any) -> None:
        was_up, refused = self.connected.is_set(), self._refused
        self._connection += 1  # from here on, no longer at the next CONNACK: until that an old ack must not leave
        self._refused = False
        self.connected.clear()
        self.subscribed.clear()
        self.refused = frozenset()
        if not was_up:
            if reason.is_failure and not refused:
                self._complain(str(reason))
            return
        self._down_since = time.monotonic()
        if reason.is_failure:
            self._say(logging.WARNING, "connection to MQTT broker %s lost (%s); reconnecting", reason)
            self._complained = True
        if self._on_down:
            self._on_down()

    def _message(self, _c: Any, _u: Any, m: paho.MQTTMessage) -> None:
        if self._on_message and self._connection != self._dropped:
            try:
                topic = m.topic
            except UnicodeDecodeError:
                topic = m._topic.decode("utf-8", "replace")
            self._on_message(Delivery(topic, bytes(m.payload), m.retain, m.mid, m.qos, self._connection))

    def _published(self, _c: Any, _u: Any, mid: int, reason: ReasonCode, _p: Any) -> None:
        if self._on_published and not reason.is_failure:
            self._on_published(mid)

    def _say(self, level: int, text: str, *arguments: object) -> None:
        """The news of a connection; a second session of one process says it on a lower level, so that people read it
        once."""
        told = logging.DEBUG < self._level <= level
        log.log(level if told else logging.DEBUG, text, self._where, *arguments)

    @property
    def _where(self) -> str:
        return f"{self._broker.host}:{self._broker.port}"


# --- one look, for the doctor ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Probe:
    """What a login of a few seconds found. `answered`: a broker spoke MQTT with us; `refused`: subscriptions that it
    did not grant; `echoed`: our own word came back."""

    answered: bool = False
    logged_in: bool = False
    reason: str = "no answer"
    refused: list[str] = field(default_factory=list)
    echoed: bool = False


def probe(broker: settings.Broker, client_id: str, topics: Sequence[str], echo: str | None, timeout_s: float) -> Probe:
    """Log in with a clean session, subscribe to `topics` and, where `echo` names a topic, publish there and listen.
    Every step is waited for at most `timeout_s`. Never raises for what the broker or the network does."""
    found = Probe()
    answered, granted, heard = threading.Event(), threading.Event(), threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=True)
    wanted = [*topics, *([echo] if echo else [])]

    def connected(_c: paho.Client, _u: Any, _f: Any, reason: ReasonCode, _p: Any) -> None:
        found.answered, found.logged_in, found.reason = True, not reason.is_failure, str(reason)
        answered.set()

    def subscribed(_c: paho.Client, _u: Any, _mid: int, reasons: list[ReasonCode], _p: Any) -> None:
        found.refused = [t for t, r in zip(wanted, reasons, strict=False) if r.is_failure]
        granted.set()

    def message(_c: paho.Client, _u: Any, m: paho.MQTTMessage) -> None:
        if m.topic == echo:
            heard.set()

    client.on_connect, client.on_subscribe, client.on_message = connected, subscribed, message
    client.on_connect_fail = lambda _c, _u: answered.set()
    if broker.username is not None:
        client.username_pw_set(broker.username, broker.password)
    try:
        if broker.tls is not None:
            client.tls_set_context(tls_context(broker.tls))
        client.connect_timeout = timeout_s
        client.connect(broker.host, broker.port, broker.keepalive_s)
    except (OSError, ValueError) as e:
        found.reason = str(getattr(e, "strerror", None) or e)
        return found
    client.loop_start()
    try:
        if answered.wait(timeout_s) and found.logged_in and wanted:
            client.subscribe([(topic, 1) for topic in wanted])
            if not granted.wait(timeout_s):
                found.refused = wanted
            elif echo:
                client.publish(echo, b"{}", qos=1)
                found.echoed = heard.wait(timeout_s)
    finally:
        client.disconnect()
        client.loop_stop()
    return found
