"""A session with a real mosquitto, and through a tap in the line: connecting, coming again, acknowledging by hand."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest

from gateway import mqtt, settings
from gateway.mqtt import Delivery, Session
from tests import servers
from tests.servers import Server, free_port, wait_for

TOPIC = "suimon/v1/takamatsu/kasuga-01/data"
PUBACK, PINGREQ = 0x40, 0xC0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    with servers.running(servers.mosquitto(tmp_path / "broker")) as server:
        yield server


def at(port: int, keepalive_s: int = 20) -> settings.Broker:
    return settings.Broker("127.0.0.1", port, keepalive_s=keepalive_s)


class Inbox:
    """What a session was given, in order."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[Delivery] = SimpleQueue()

    def take(self, count: int) -> list[Delivery]:
        try:
            return [self.queue.get(timeout=30) for _ in range(count)]
        except Empty:
            pytest.fail(f"waited in vain for {count} messages")


@contextlib.contextmanager
def started(session: Session) -> Iterator[Session]:
    session.start()
    try:
        yield session
    finally:
        session.stop()


def receiver(broker: settings.Broker, inbox: Inbox) -> Session:
    return Session(broker, "bridge", persistent=True, subscribe=[TOPIC], on_message=inbox.queue.put)


@contextlib.contextmanager
def sender(port: int) -> Iterator[Callable[..., None]]:
    """Publishes payloads and waits until the broker has them."""
    with started(Session(at(port), "sender")) as session:
        wait_for("the sender", session.connected.is_set)

        def send(*payloads: str) -> None:
            for payload in payloads:
                assert session.publish_and_wait(TOPIC, payload.encode())

        yield send


def texts(deliveries: list[Delivery]) -> list[str]:
    return [d.payload.decode() for d in deliveries]


class Tap:
    """A line to the broker that passes on and notes what goes to it. It may be cut, and hold what comes back."""

    def __init__(self, to_port: int) -> None:
        self._to = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.sent: list[bytearray] = []  # by connection: what the client sent
        self.open = threading.Event()  # what comes back is passed on
        self.open.set()
        self._lines: list[socket.socket] = []
        self._ended = False
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while not self._ended:
            client, _ = self._listener.accept()
            if self._ended:
                client.close()
                return
            with contextlib.suppress(OSError):
                server = socket.create_connection(("127.0.0.1", self._to))
                self._lines += [client, server]
                self.sent.append(bytearray())
                for args in ((client, server, self.sent[-1]), (server, client, None)):
                    threading.Thread(target=self._pass, args=args, daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, note: bytearray | None) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if note is None:
                    self.open.wait(60)
                else:
                    note += data
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """As when a cable is pulled and the other side notices at once."""
        lines, self._lines = self._lines, []
        for line in lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()

    def packets(self, connection: int) -> list[int]:
        """Types of the packets that the client sent on a connection."""
        data, at, found = bytes(self.sent[connection]), 0, []
        while at < len(data):
            found.append(data[at] & 0xF0)
            length, shift, at = 0, 0, at + 1
            while True:
                length |= (data[at] & 0x7F) << shift
                shift, at = shift + 7, at + 1
                if not data[at - 1] & 0x80:
                    break
            at += length
        return found

    def end(self) -> None:
        self._ended = True
        self.open.set()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join()
        self._listener.close()
        self.cut()


@pytest.fixture
def tap(broker: Server) -> Iterator[Tap]:
    found = Tap(broker.port)
    yield found
    found.end()


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == mqtt.__name__]


# --- connecting ----------------------------------------------------------------------------------------------------


@pytest.mark.live
def test_an_absent_broker_is_one_message_and_one_more_when_it_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing listens at the start: one warning however often it is tried, and one line with duration and number of
    attempts when it is connected; nothing is published meanwhile."""
    caplog.set_level(logging.INFO)
    port = free_port()
    session = Session(at(port), "device")
    with started(session):
        wait_for("a second attempt", lambda: session.attempts >= 2)
        failures = said(caplog)
        assert not session.publish_and_wait(TOPIC, b"1")
        assert session.publish(TOPIC, b"1") is None
        with servers.running(servers.mosquitto(tmp_path / "broker", port=port)):
            wait_for("the connection", session.connected.is_set)
            assert session.publish_and_wait(TOPIC, b"1")
    assert len(failures) == 1
    assert failures[0].startswith(f"cannot reach MQTT broker 127.0.0.1:{port} (")
    back = re.fullmatch(rf"connected to MQTT broker 127.0.0.1:{port} after [1-9]\d* s, (\d+) attempts", said(caplog)[1])
    assert back
    assert int(back[1]) >= 3  # two in vain, and this one
    assert "Traceback" not in caplog.text


@pytest.mark.slow
def test_a_port_that_closes_at_once_is_said_as_well(caplog: pytest.LogCaptureFixture) -> None:
    """Something listens but is no broker: that is not silence, and still one message."""
    calls: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                while True:
                    caller, _ = listener.accept()
                    calls.append("called")
                    caller.close()

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        with started(Session(at(listener.getsockname()[1]), "device")):
            wait_for("a second attempt", lambda: len(calls) >= 2)
            wait_for("a word of it", lambda: said(caplog))
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert len(said(caplog)) == 1
    assert said(caplog)[0].startswith("cannot reach MQTT broker 127.0.0.1:")


@pytest.mark.live
def test_a_broker_that_refuses_is_said_once_with_its_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Wrong credentials are told as such, and neither they nor the attempts flood the log."""
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    with servers.running(servers.mosquitto(tmp_path / "b", f"allow_anonymous false\npassword_file {passwords}")) as b:
        session = Session(settings.Broker("127.0.0.1", b.port, "takamatsu/kasuga-01", "a-secret-word"), "device")
        with started(session):
            wait_for("a second refusal", lambda: session.attempts >= 2)
            assert not session.connected.is_set()
    assert len(said(caplog)) == 1
    assert "Not authorized" in said(caplog)[0]
    assert "a-secret-word" not in caplog.text


@pytest.mark.live
def test_a_lost_connection_is_one_message_each_way(tap: Tap, caplog: pytest.LogCaptureFixture) -> None:
    """Lost, and connected again with how long it took and at which attempt."""
    caplog.set_level(logging.INFO)
    ups: list[Session] = []
    downs: list[bool] = []
    session = Session(at(tap.port), "device", on_up=ups.append, on_down=lambda: downs.append(True))
    with started(session):
        wait_for("the connection", session.connected.is_set)
        tap.cut()
        wait_for("the next connection", lambda: len(ups) == 2)
    lost, again = said(caplog)[1:]
    assert lost.startswith(f"connection to MQTT broker 127.0.0.1:{tap.port} lost (")
    assert again.startswith(f"connected to MQTT broker 127.0.0.1:{tap.port} after ")
    assert again.endswith(", 1 attempt")
    assert len(downs) == 2  # cut, and stopped


@pytest.mark.live
def test_a_refused_subscription_is_an_error_that_names_the_topic(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A bridge that may not listen says so, rather than waiting for messages that never come."""
    plugins = list(Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"))
    if not plugins:
        servers.missing("mosquitto's plugin dynamic_security is not installed")
    rules = tmp_path / "rules.json"  # (an acl_file grants every subscription and delivers nothing)
    access = {"publishClientSend": True, "publishClientReceive": True, "subscribe": False, "unsubscribe": True}
    rules.write_text(json.dumps({"defaultACLAccess": access}))
    lines = f"plugin {plugins[0]}\nplugin_opt_config_file {rules}"
    with servers.running(servers.mosquitto(tmp_path / "broker", lines)) as broker:
        session = Session(at(broker.port), "bridge", subscribe=[TOPIC])
        with started(session):
            wait_for("a word of it", lambda: any("refuses the subscription" in x for x in said(caplog)))
            assert not session.subscribed.is_set()
    assert TOPIC in said(caplog)[-1]


# --- receiving -----------------------------------------------------------------------------------------------------


@pytest.mark.live
def test_what_was_not_acknowledged_comes_again_and_nothing_else(tap: Tap, broker: Server) -> None:
    """After a reconnect the broker sends again what it was not told to forget, in order, before anything new."""
    inbox = Inbox()
    with started(receiver(at(tap.port), inbox)) as session, sender(broker.port) as send:
        wait_for("the subscription", session.subscribed.is_set)
        send("1", "2", "3", "4")
        got = inbox.take(4)
        assert texts(got) == ["1", "2", "3", "4"]
        for d in got[:2]:
            session.ack(d)
        wait_for("two acknowledgements", lambda: tap.packets(0).count(PUBACK) == 2)
        session.drop()
        again = inbox.take(2)
        send("5")
        assert texts(again + inbox.take(1)) == ["3", "4", "5"]
        assert got[0].connection not in {d.connection for d in again}
        assert inbox.queue.empty()


@pytest.mark.live
def test_what_was_acknowledged_does_not_come_again_to_the_next_process(broker: Server) -> None:
    """The acknowledgement is the broker's to remember, not the process's."""
    inbox = Inbox()
    with sender(broker.port) as send:
        with started(receiver(at(broker.port), inbox)) as session:
            wait_for("the subscription", session.subscribed.is_set)
            send("1", "2")
            session.ack(inbox.take(2)[0])
        send("3")
        with started(receiver(at(broker.port), inbox)) as session:
            wait_for("the subscription", session.subscribed.is_set)
            send("4")
            assert texts(inbox.take(3)) == ["2", "3", "4"]


@pytest.mark.live
def test_an_acknowledgement_of_an_earlier_connection_is_dropped(tap: Tap, broker: Server) -> None:
    """While the connection is being made again, and after it was, an old acknowledgement goes nowhere: it could
    acknowledge another message, and before CONNACK it is against the protocol."""
    inbox = Inbox()
    with started(receiver(at(tap.port), inbox)) as session, sender(broker.port) as send:
        wait_for("the subscription", session.subscribed.is_set)
        send("1")
        (old,) = inbox.take(1)
        tap.open.clear()
        tap.cut()
        wait_for("a new CONNECT", lambda: len(tap.sent) == 2 and tap.sent[1])
        session.ack(old)
        tap.open.set()
        (new,) = inbox.take(1)
        session.ack(old)
        send("2")
        (last,) = inbox.take(1)
        assert PUBACK not in tap.packets(1)
        session.ack(new)
        session.ack(last)
        wait_for("two acknowledgements", lambda: tap.packets(1).count(PUBACK) == 2)
    assert (old.payload, new.payload) == (b"1", b"1")
    assert old.connection != new.connection


@pytest.mark.live
def test_after_a_drop_nothing_more_of_that_connection_is_delivered(broker: Server) -> None:
    """What the socket still held when the connection was let go comes again with the next one, in order."""
    got: list[Delivery] = []
    let_go = threading.Event()

    def take(d: Delivery) -> None:
        got.append(d)
        if not let_go.is_set():
            wait_for("the rest in the socket", sent.is_set)
            let_go.set()
            session.drop()

    sent = threading.Event()
    session = Session(at(broker.port), "bridge", persistent=True, subscribe=[TOPIC], on_message=take)
    with started(session), sender(broker.port) as send:
        wait_for("the subscription", session.subscribed.is_set)
        send("1", "2", "3", "4")
        sent.set()
        wait_for("all of them", lambda: texts(got)[-1:] == ["4"])
    assert texts(got) == ["1", "1", "2", "3", "4"]
    assert [d.connection - got[0].connection > 0 for d in got] == [False, True, True, True, True]


@pytest.mark.live
def test_a_session_that_is_slow_to_take_messages_is_kept_by_its_pings(tap: Tap, broker: Server) -> None:
    """Between messages the keepalive goes on, so that an idle session is not lost."""
    with started(Session(at(tap.port, keepalive_s=1), "device")) as session:
        wait_for("three pings", lambda: tap.packets(0).count(PINGREQ) >= 3 if tap.sent else False)
        assert session.connected.is_set()
    assert len(tap.sent) == 1


# --- publishing ----------------------------------------------------------------------------------------------------


@pytest.mark.live
def test_a_publication_is_told_when_the_broker_has_it(broker: Server) -> None:
    """`on_published` names the message that was acknowledged."""
    done: SimpleQueue[int] = SimpleQueue()
    with started(Session(at(broker.port), "device", on_published=done.put)) as session:
        wait_for("the connection", session.connected.is_set)
        mids = [session.publish(TOPIC, b"%d" % n) for n in range(3)]
        assert [done.get(timeout=30) for _ in mids] == mids


@pytest.mark.live
@pytest.mark.slow
def test_a_publication_that_found_no_room_is_not_taken(tap: Tap) -> None:
    """MQTT has 65,535 message numbers: while all are in flight the next message is refused, and not forgotten."""
    with started(Session(at(tap.port), "device")) as session:
        wait_for("the connection", session.connected.is_set)
        tap.open.clear()
        taken = [session.publish(TOPIC, b"") for _ in range(65_536)]
        assert None not in taken[:-1]
        assert taken[-1] is None


@pytest.mark.live
def test_the_last_word_is_the_farewell_or_the_will(broker: Server) -> None:
    """A session that ends in order leaves its farewell as the retained word; one that is cut off leaves its will."""
    will, farewell = ("suimon/v1/_bridge/status", b"cut off"), ("suimon/v1/_bridge/status", b"stopped")
    inbox = Inbox()
    tap = Tap(broker.port)
    with started(Session(at(broker.port), "watch", subscribe=[will[0]], on_message=inbox.queue.put)) as watch:
        wait_for("the watch", watch.subscribed.is_set)
        session = Session(at(tap.port), "bridge", will=will)
        session.start()
        wait_for("the connection", session.connected.is_set)
        session.stop(farewell=farewell)
        assert inbox.take(1)[0].payload == b"stopped"
        session = Session(at(tap.port), "bridge", will=will)
        session.start()
        wait_for("the connection", session.connected.is_set)
        tap.end()
        assert inbox.take(1)[0].payload == b"cut off"
        session.stop()
        assert inbox.queue.empty()
