"""The bridge on a real mosquitto: every message has one of three fates, and the devices are told what is settled."""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from gateway import mqtt, qualitylimits, settings, storefile, wire
from gateway.bridge.service import Service
from gateway.clock import SystemClock
from gateway.stations import Registry
from tests import servers, world
from tests.servers import Server, free_port, wait_for
from tests.world import DEVICE, LOG, STATION, TENANT, http_server, pack, sample, statement

pytestmark = pytest.mark.live

NEIGHBOUR = "harbour-01"
RECEIPT = wire.topic(TENANT, DEVICE, "receipt")
ALERT = wire.alert_topic(TENANT, STATION)
now_ms = SystemClock().now_ms


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    """Its own defaults: 1000 messages queued for an absent session, 20 unacknowledged ones at a time."""
    with servers.running(servers.mosquitto(tmp_path / "broker")) as server:
        yield server


@pytest.fixture
def settings_(tmp_path: Path, broker: Server) -> settings.Bridge:
    return world.bridge(tmp_path / "store.db", broker.port, max_payload=4000)


@pytest.fixture
def registry() -> Registry:
    """Two stations of two devices."""
    return world.registry(world.station(), world.station("harbour", NEIGHBOUR))


@contextlib.contextmanager
def bridge_of(given: settings.Bridge, registry: Registry) -> Iterator[Service]:
    """Runs in a thread of its own; an exception that ends it fails the test."""
    found = Service(given, registry, SystemClock())
    thread = threading.Thread(target=found.run, name="bridge")
    thread.start()
    try:
        yield found
    finally:
        found.stop()
        thread.join(60)
        assert not thread.is_alive()


def listening(bridge: Service) -> None:
    for session in (bridge.receiver.live, bridge.receiver.backlog):
        wait_for("the bridge's subscriptions", session.subscribed.is_set)


@pytest.fixture
def bridge(settings_: settings.Bridge, registry: Registry) -> Iterator[Service]:
    with bridge_of(settings_, registry) as found:
        listening(found)
        yield found


class Peer:
    """A plain paho client: publishes, and notes what comes."""

    def __init__(self, port: int, *topics: str, client_id: str = "", clean: bool = True) -> None:
        self.inbox: SimpleQueue[paho.MQTTMessage] = SimpleQueue()
        self._ready = threading.Event()
        self._client = client = paho.Client(CallbackAPIVersion.VERSION2, client_id, clean_session=clean)
        client.on_message = lambda _c, _u, m: self.inbox.put(m)
        client.on_connect = lambda c, *_: c.subscribe([(t, 1) for t in topics]) if topics else self._ready.set()
        client.on_subscribe = lambda *_: self._ready.set()
        client.connect("127.0.0.1", port)
        client.loop_start()
        assert self._ready.wait(30)

    def send(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Until the broker has it."""
        self._client.publish(topic, payload, qos, retain).wait_for_publish(30)

    def next(self) -> paho.MQTTMessage:
        try:
            return self.inbox.get(timeout=30)
        except Empty:
            pytest.fail("waited in vain for a message")

    def end(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Device(Peer):
    """A device without an agent: says what the test tells it to say, and reads its receipts."""

    def __init__(self, port: int, name: str = DEVICE) -> None:
        super().__init__(port, wire.topic(TENANT, name, "receipt"))
        self.name = name

    def say(self, kind: str, payload: bytes) -> None:
        self.send(wire.topic(TENANT, self.name, kind), payload, retain=kind in ("spool", "birth", "status"))

    def receipt(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.next().payload)
        return found

    def settled(self, until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first receipt of which this holds, for the first log."""
        while True:
            receipt = self.receipt()
            if receipt["logs"] and until(receipt["logs"][0]):
                return receipt


@pytest.fixture
def device(broker: Server) -> Iterator[Device]:
    found = Device(broker.port)
    yield found
    found.end()


def sql(given: settings.Bridge, query: str) -> list[tuple[Any, ...]]:
    return storefile.rows(given.store, query)


def stored(given: settings.Bridge) -> list[int]:
    return [seq for (seq,) in sql(given, "SELECT seq FROM observations ORDER BY id")]


def retained(port: int, topic: str) -> bytes | None:
    """What a newcomer is given."""
    marker = "test/marker"
    peer = Peer(port, topic, marker)
    peer.send(marker, b"")
    first = peer.next()
    peer.end()
    return None if first.topic == marker else bytes(first.payload)


def unacknowledged(given: settings.Bridge) -> list[bytes]:
    """What the broker still owes the bridge's sessions, after the bridge ended."""
    found: list[bytes] = []
    for session, kind in (("live", "status"), ("backlog", "backlog")):
        peer = Peer(given.broker.port, client_id=f"{given.client_id}-{session}", clean=False)
        peer.send(wire.topic("test", "marker", kind), b"marker")  # the session's own subscription brings it
        while (message := peer.next()).payload != b"marker":
            found.append(bytes(message.payload))
        peer.end()
    return found


# --- bad input -----------------------------------------------------------------------------------------------------


def one(**changes: Any) -> bytes:
    """A pack of one sample, number 1 of the log, with something wrong. Python writes NaN and half pairs as they are."""
    record = {"bn": f"{STATION}/", "bt": now_ms() / 1000, "n": "water_level", "u": "m", "v": 1.0, "log": LOG, "seq": 1}
    return json.dumps([{k: v for k, v in (record | changes).items() if v is not None}]).encode()


DATA = wire.topic(TENANT, DEVICE, "data")
# what is wrong, its code, topic, payload, whether log and number could be read, what the letter's payload holds
BAD: list[tuple[str, str, str, Callable[[], bytes], bool, bytes]] = [
    ("no JSON", "not_json", DATA, lambda: b'{"water', False, b'{"water'),
    ("bytes that are no text", "not_json", DATA, lambda: b"\xff\xfe\x00", False, b"\xff\xfe\x00"),
    ("nothing at all", "not_json", DATA, lambda: b"", False, b""),
    ("JSON, but no SenML", "not_senml", DATA, lambda: b'{"level": 1}', False, b'{"level": 1}'),
    ("an empty pack", "not_senml", DATA, lambda: b"[]", False, b"[]"),
    ("a record without a value", "not_senml", DATA, lambda: one(v=None), True, b"water_level"),
    ("a text where a number belongs", "wrong_type", DATA, lambda: one(v="high"), True, b'"high"'),
    ("a text as time", "wrong_type", DATA, lambda: one(bt="noon"), True, b'"noon"'),
    ("NaN", "not_finite", DATA, lambda: one(v=float("nan")), True, b"NaN"),
    ("infinity", "not_finite", DATA, lambda: one(v=float("-inf")), True, b"-Infinity"),
    ("half of a UTF-16 pair", "lone_surrogate", DATA, lambda: one(u="\ud83d"), True, b"\\ud83d"),
    ("an integer of 2^63", "integer_range", DATA, lambda: one(v=2**63), True, b"9223372036854775808"),
    ("a sequence number of 2^63", "bad_sequence", DATA, lambda: one(seq=2**63), False, b"9223372036854775808"),
    ("no number", "bad_sequence", DATA, lambda: one(seq=None), False, b"water_level"),
    ("too long", "too_long", DATA, lambda: one(u="m" * 4000), False, b"water_level"),
    ("an unknown station", "unknown_station", DATA, lambda: one(bn="nowhere/"), True, b"nowhere/"),
    ("another device's station", "foreign_station", DATA, lambda: one(bn="harbour/"), True, b"harbour/"),
    ("an unknown channel", "unknown_channel", DATA, lambda: one(n="salinity"), True, b"salinity"),
    ("a unit that is none of the quantity's", "wrong_unit", DATA, lambda: one(u="V"), True, b'"V"'),
    ("a time in the future", "time_future", DATA, lambda: one(bt=now_ms() / 1000 + 3600), True, b"water_level"),
    ("a clock that was never set", "undated", DATA, lambda: one(bt=300_000_000.0), True, b"water_level"),
    ("an unknown device", "unknown_device", wire.topic(TENANT, "stranger", "data"), one, False, b"water_level"),
    ("another tenant's device", "unknown_device", wire.topic("sanuki", DEVICE, "data"), one, False, b"water_level"),
    ("a topic that is none of ours", "foreign_topic", f"suimon/v1/Takamatsu/{DEVICE}/data", one, False, b"water_level"),
    ("backlog that is no JSON", "not_json", wire.topic(TENANT, DEVICE, "backlog"), lambda: b"?", False, b"?"),
    ("a statement that is none", "bad_statement", wire.topic(TENANT, DEVICE, "spool"), lambda: b"{}", False, b"{}"),
    ("a birth that is no JSON", "bad_statement", wire.topic(TENANT, DEVICE, "birth"), lambda: b"born", False, b"born"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "code", "topic", "payload", "readable", "kept"), BAD, ids=[row[0] for row in BAD])
def test_bad_input_is_a_dead_letter_and_the_next_message_is_processed(
    settings_: settings.Bridge,
    registry: Registry,
    device: Device,
    what: str,
    code: str,
    topic: str,
    payload: Callable[[], bytes],
    readable: bool,
    kept: bytes,
) -> None:
    """It is kept with its code and payload and counted, its number is settled as rejected where it could be read, it
    is acknowledged, and the sample after it is stored."""
    with bridge_of(settings_, registry) as bridge:
        listening(bridge)
        device.say("spool", statement())
        device.send(topic, payload())
        device.say("data", pack(sample(2, 1.5, now_ms())))
        receipt = device.settled(lambda log: 2 in (log["through"], *(b for _, b in log["settled"])))
        wait_for("the letter", lambda: sql(settings_, "SELECT 1 FROM dead_letters"))
        ((found, body, of, count),) = sql(settings_, "SELECT code, payload, topic, count FROM dead_letters")
        assert (found, of, count) == (code, topic, 1), what
        assert kept in body
        assert len(body) <= settings_.max_payload
        assert stored(settings_) == [2]
        counter = "refused" if code == "bad_statement" else "rejected"
        assert bridge.counts == {"received": 1 + (counter != "refused"), "accepted": 1, counter: 1}
        wait_for("receipts", lambda: device.inbox.empty())
    (log,) = receipt["logs"]
    if readable:
        assert log == {"log": LOG, "through": 2, "settled": [], "rejected": [[1, 1, code]]}
    else:
        assert log == {"log": LOG, "through": 0, "settled": [[2, 2]], "rejected": []}
    assert unacknowledged(settings_) == []


def test_a_bad_record_harms_no_other_of_its_pack(bridge: Service, settings_: settings.Bridge, device: Device) -> None:
    """A pack of three samples with one bad record: two are stored, one is rejected, all three are settled."""
    records = json.loads(pack(*(sample(n, n / 10, now_ms() + n) for n in (1, 2, 3))))
    records[1]["v"] = "high"
    device.say("spool", statement())
    device.say("data", json.dumps(records).encode())
    receipt = device.settled(lambda log: log["through"] == 3)
    assert receipt["logs"][0]["rejected"] == [[2, 2, "wrong_type"]]
    assert stored(settings_) == [1, 3]
    (letter,) = sql(settings_, "SELECT log, seq, payload FROM dead_letters")
    assert letter[:2] == (LOG, 2)
    assert json.loads(letter[2])[0]["v"] == "high"


def test_the_same_bad_message_again_is_counted_not_kept_twice(
    bridge: Service, settings_: settings.Bridge, device: Device
) -> None:
    """A device that repeats its mistake fills no disk."""
    for _ in range(3):
        device.say("data", b"not JSON")
    device.say("spool", statement())
    device.receipt()
    assert sql(settings_, "SELECT code, count FROM dead_letters") == [("not_json", 3)]


def test_a_message_that_the_database_refuses_alone_is_set_aside(
    settings_: settings.Bridge, registry: Registry, device: Device
) -> None:
    """Among the messages of a batch the one is found: a letter `unstorable`, settled; all others are stored and none
    is owed by the broker any more."""
    with bridge_of(settings_, registry) as bridge:
        listening(bridge)
        device.say("spool", statement())
        device.receipt()
    with contextlib.closing(sqlite3.connect(settings_.store)) as db:  # a real refusal, by the database itself
        db.execute(
            "CREATE TRIGGER refuses BEFORE INSERT ON observations WHEN NEW.value = 6.66"
            " BEGIN SELECT zeroblob(2000000000); END"  # larger than a value may be
        )
    start = now_ms()
    for n in range(1, 16):
        device.say("data", pack(sample(n, 6.66 if n == 7 else n / 10, start + n)))
    with bridge_of(settings_, registry):
        receipt = device.settled(lambda log: log["through"] == 15)
    assert receipt["logs"][0]["rejected"] == [[7, 7, "unstorable"]]
    assert stored(settings_) == [n for n in range(1, 16) if n != 7]
    ((code, payload),) = sql(settings_, "SELECT code, payload FROM dead_letters")
    assert code == "unstorable"
    assert b"6.66" in payload
    assert unacknowledged(settings_) == []


# --- receipts --------------------------------------------------------------------------------------------------------


def test_a_receipt_is_retained_and_has_the_form_of_the_contract(
    bridge: Service, settings_: settings.Bridge, broker: Server, device: Device
) -> None:
    """Store, opening, and per log what is settled: all up to `through`, then ranges, the rejected ones by name; the
    store is the one that the bridge's own status announces; a newcomer is given the latest."""
    device.say("spool", statement())
    device.say("data", pack(*(sample(n, n / 10, now_ms() + n) for n in (1, 2, 3, 5, 6))))
    device.settled(lambda log: log["through"] == 3)
    device.say("data", one(seq=8, v="high"))
    device.settled(lambda log: [8, 8] in log["settled"])
    latest = retained(broker.port, RECEIPT)
    assert latest is not None
    assert json.loads(latest) == {
        "store": bridge.store_id,
        "opening": LOG,
        "logs": [{"log": LOG, "through": 3, "settled": [[5, 6], [8, 8]], "rejected": [[8, 8, "wrong_type"]]}],
    }
    status = retained(broker.port, wire.BRIDGE_STATUS)
    assert status is not None
    about = json.loads(status)
    assert (about.pop("state"), about.pop("store")) == ("online", bridge.store_id)
    assert about.keys() == {"instance", "term"}


def test_a_receipt_is_due_for_a_duplicate_and_for_a_statement(
    bridge: Service, settings_: settings.Bridge, device: Device
) -> None:
    """A receipt that was lost once is not lost for ever: whatever names the log brings it again, and what came twice
    is stored once and counted apart."""
    device.say("spool", statement())
    assert device.receipt()["logs"][0]["through"] == 0
    said = pack(sample(1, 1.5, now_ms()))
    device.say("data", said)
    assert device.receipt()["logs"][0]["through"] == 1
    device.say("data", said)
    assert device.receipt()["logs"][0]["through"] == 1
    device.say("backlog", said)
    assert device.receipt()["logs"][0]["through"] == 1
    device.say("spool", statement(1, 2))
    assert device.receipt()["logs"][0]["through"] == 1
    assert stored(settings_) == [1]
    assert (bridge.counts["accepted"], bridge.counts["duplicate"]) == (1, 2)


def test_without_a_statement_there_is_no_receipt(
    bridge: Service, settings_: settings.Bridge, broker: Server, device: Device
) -> None:
    """A device that was never heard to open its spool gets none: there is no opening to name. Its next statement
    brings what was settled meanwhile."""
    device.say("data", pack(sample(1, 1.5, now_ms())))
    wait_for("the sample", lambda: stored(settings_) == [1])
    assert retained(broker.port, RECEIPT) is None
    device.say("spool", statement(1, 2))
    assert device.receipt()["logs"] == [{"log": LOG, "through": 1, "settled": [], "rejected": []}]


def test_what_a_statement_no_longer_holds_is_gone_and_settled(
    bridge: Service, settings_: settings.Bridge, device: Device
) -> None:
    """Numbers below the oldest held will never come: they are settled, with the reason in the ledger."""
    device.say("spool", statement(1, 1))
    device.say("data", pack(sample(5, 1.5, now_ms())))
    device.settled(lambda log: [5, 5] in log["settled"])
    device.say("spool", statement(5, 6))
    assert device.settled(lambda log: log["through"] == 5)["logs"][0]["rejected"] == []
    assert sql(settings_, "SELECT kind, a, b FROM ranges ORDER BY a") == [("lost_at_kill", 1, 4), ("stored", 5, 5)]


def test_each_device_has_a_receipt_of_its_own(bridge: Service, broker: Server, device: Device) -> None:
    """The same log and number of two devices are two samples."""
    neighbour = Device(broker.port, NEIGHBOUR)
    for which, station in ((device, STATION), (neighbour, "harbour")):
        which.say("spool", statement())
        which.say("data", pack(sample(1, 1.5, now_ms(), station=station)))
    for which in (device, neighbour):
        assert which.settled(lambda log: log["through"] == 1)["opening"] == LOG
    neighbour.end()
    assert bridge.counts["accepted"] == 2


def test_a_message_of_qos_0_is_stored_as_well(bridge: Service, settings_: settings.Bridge, device: Device) -> None:
    """What needs no acknowledgement is processed like the rest."""
    device.say("spool", statement())
    device.send(DATA, pack(sample(1, 1.5, now_ms())), qos=0)
    device.settled(lambda log: log["through"] == 1)
    assert stored(settings_) == [1]


# --- coming and going -------------------------------------------------------------------------------------------------


def test_a_bridge_that_comes_back_takes_what_waited(
    settings_: settings.Bridge, registry: Registry, device: Device
) -> None:
    """Live and backlog messages that the broker kept meanwhile are stored once each and acknowledged, the receipt
    names them all, and the ledger goes on from the store."""
    start = now_ms()
    with bridge_of(settings_, registry) as bridge:
        listening(bridge)
        device.say("spool", statement())
        device.say("data", pack(*(sample(n, 0.5, start + n) for n in range(1, 11))))
        device.settled(lambda log: log["through"] == 10)
    for n in range(11, 311):
        device.say("data", pack(sample(n, n / 100, start + n)))
    for first in range(311, 711, 20):
        device.say("backlog", pack(*(sample(n, n / 100, start + n) for n in range(first, first + 20))))
    with bridge_of(settings_, registry) as bridge:
        receipt = device.settled(lambda log: log["through"] == 710)
        assert receipt["store"] == bridge.store_id
    assert sorted(stored(settings_)) == list(range(1, 711))
    values = sql(settings_, "SELECT seq, value FROM observations WHERE seq > 10")
    assert all(value == seq / 100 for seq, value in values)
    assert bridge.counts == {"received": 700, "accepted": 700}
    assert unacknowledged(settings_) == []


def test_the_bridges_status_follows_it(settings_: settings.Bridge, registry: Registry, broker: Server) -> None:
    """Online with the store's name while it runs, offline after it ended, and the same name when it is back."""

    def status() -> Any:
        found = retained(broker.port, wire.BRIDGE_STATUS)
        about = json.loads(found) if found else {}
        return {key: about.get(key) for key in ("state", "store")}

    with bridge_of(settings_, registry) as bridge:
        wait_for("online", lambda: status() == {"state": "online", "store": bridge.store_id})
    assert status() == {"state": "offline", "store": bridge.store_id}
    with bridge_of(settings_, registry) as again:
        wait_for("online", lambda: status() == {"state": "online", "store": bridge.store_id})
        assert again.store_id == bridge.store_id


def test_a_broker_that_is_absent_at_the_start_is_waited_for(
    tmp_path: Path, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once for both sessions, nothing ends, and when the broker is there all goes its way."""
    caplog.set_level(logging.INFO)
    port = free_port()
    given = world.bridge(tmp_path / "store.db", port)
    with bridge_of(given, registry) as bridge:
        wait_for(
            "two attempts", lambda: bridge._place._probe is not None and bridge._place._probe.session.attempts >= 2
        )
        with servers.running(servers.mosquitto(tmp_path / "broker", port=port)):
            listening(bridge)
            device = Device(port)
            device.say("spool", statement())
            device.say("data", pack(sample(1, 1.5, now_ms())))
            device.settled(lambda log: log["through"] == 1)
            device.end()
    said = [r.getMessage() for r in caplog.records if r.name == mqtt.__name__ and r.levelno >= logging.INFO]
    assert sum("cannot reach MQTT broker" in x for x in said) == 1
    assert sum("connected to MQTT broker" in x and " after " in x for x in said) == 1
    assert "Traceback" not in caplog.text


def test_a_broker_that_lost_everything_is_subscribed_anew(
    bridge: Service, settings_: settings.Bridge, broker: Server
) -> None:
    """A broker killed without persistence forgets sessions and retained words: the bridge subscribes and announces
    itself again, and what devices send afterwards is stored."""
    broker.stop(kill=True)
    wait_for("the loss", lambda: not bridge.receiver.live.connected.is_set())
    broker.start()
    listening(bridge)
    device = Device(broker.port)
    device.say("spool", statement())
    device.say("data", pack(sample(1, 1.5, now_ms())))
    assert device.settled(lambda log: log["through"] == 1)["store"] == bridge.store_id
    device.end()
    status = wire.decode_bridge_status(retained(broker.port, wire.BRIDGE_STATUS) or b"{}")
    assert (status.state, status.store) == ("online", bridge.store_id)


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "lets_go"), [(20_000, True), (10_000_000, False)], ids=["beyond", "within"])
def test_a_store_that_cannot_be_written_bounds_memory_and_loses_nothing(
    settings_: settings.Bridge,
    registry: Registry,
    device: Device,
    caplog: pytest.LogCaptureFixture,
    limit: int,
    lets_go: bool,
) -> None:
    """Messages are held up to the limit; beyond it the connection is let go, so that the broker keeps them. When the
    store can be written again every one of them is stored once, settled and acknowledged, and where the limit was not
    reached, without a new connection."""
    caplog.set_level(logging.DEBUG)  # the backlog session says its connections there
    given = world.bridge(settings_.store, settings_.broker.port, max_held_bytes=limit, keepalive_s=4)
    start = now_ms()

    def said(text: str) -> int:
        return sum(text in r.getMessage() for r in caplog.records)

    with bridge_of(given, registry) as bridge:
        listening(bridge)
        device.say("spool", statement())
        device.receipt()
        with contextlib.closing(sqlite3.connect(given.store, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            for first in range(1, 401, 10):  # 40 messages of about 1 kB each way
                samples = [sample(n, n / 100, start + n) for n in range(first, first + 10)]
                device.say("data", pack(*samples))
                older = [replace(s, log="old", observed_ms=s.observed_ms - 60_000) for s in samples]
                device.say("backlog", pack(*older))
            wait_for("a session let go", lambda: said("letting it go") or not lets_go)
            wait_for("a failed commit", lambda: said("cannot be written"), 60)
            assert stored(given) == []
            other.execute("ROLLBACK")
        receipt = device.settled(lambda log: log["through"] == 400)
        assert receipt["opening"] == LOG
        wait_for("the backlog", lambda: len(stored(given)) == 800)
        assert bridge.counts["accepted"] == 800
        wait_for("all is settled", lambda: sql(given, "SELECT a, b FROM ranges") == [(1, 400), (1, 400)])
    assert said("the store can be written again after") == 1
    assert said("cannot be written") == 1
    again = [int(r.args[1]) for r in caplog.records if "flows again" in r.msg and isinstance(r.args, tuple)]
    assert said("letting it go") == len(again) <= 2  # the first time of each session, and at the end how often
    assert sum(again) == said("lost (")
    assert (said("letting it go") > 0) == lets_go
    assert unacknowledged(given) == []


# --- alerts --------------------------------------------------------------------------------------------------------


def test_the_alert_topic_holds_the_state_of_the_station(
    settings_: settings.Bridge, registry: Registry, broker: Server, device: Device
) -> None:
    """A rise is published retained, in order, once each; a newcomer is given the present rank; a restart repeats
    nothing."""
    watch = Peer(broker.port, ALERT)
    start = now_ms()
    with bridge_of(settings_, registry) as bridge:
        listening(bridge)
        for n, level in enumerate((1.0, 2.6, 2.7, 3.1), 1):
            device.say("data", pack(sample(n, level, start + n)))
        ranks = []
        for _ in range(2):
            body = json.loads(watch.next().payload)
            ranks.append((body["change"], body["from_rank"], body["rank"], body["level"], body["value"]))
        assert ranks == [("rise", 0, 3, "evacuation", 2.6), ("rise", 3, 4, "danger", 3.1)]
        wait_for("the record", lambda: sql(settings_, "SELECT 1 FROM outbox WHERE state = 'owed'") == [])
    with bridge_of(settings_, registry) as bridge:
        listening(bridge)
        device.say("data", pack(sample(5, 3.2, start + 5)))
        wait_for("the sample", lambda: 5 in stored(settings_))
    latest = retained(broker.port, ALERT)
    assert latest is not None
    assert json.loads(latest)["rank"] == 4
    assert watch.inbox.empty()
    watch.end()
    assert sql(settings_, "SELECT state, count(*) FROM outbox GROUP BY state") == [("sent", 2)]


def test_a_recipient_hears_of_an_alert_though_another_hangs(
    settings_: settings.Bridge, registry: Registry, device: Device
) -> None:
    """From the level to the webhook, with its key; a recipient that never answers delays neither it nor the topic."""
    with http_server(lambda _: world.HANG) as stuck, http_server(lambda _: world.Reply(200)) as works:
        recipients = (
            settings.Recipient("stuck", "webhook", stuck.url, timeout_s=2.0),
            settings.Recipient("duty", "webhook", works.url, "a-token"),
        )
        with bridge_of(replace(settings_, recipients=recipients), registry) as bridge:
            listening(bridge)
            device.say("data", pack(sample(1, 2.6, now_ms())))
            wait_for("both are asked", lambda: stuck.requests and works.requests)
            wait_for(
                "the record",
                lambda: (
                    sql(settings_, "SELECT recipient, state FROM outbox ORDER BY id")
                    == [("stuck", "owed"), ("duty", "sent"), ("_alerts", "sent")]
                ),
            )
    (request,) = works.requests
    (key,) = (key for (key,) in sql(settings_, "SELECT key FROM transitions"))
    assert request.headers["Idempotency-Key"] == f"{key}/duty"
    assert json.loads(request.body)["key"] == key


def test_points_follow_the_store_without_a_hand(
    settings_: settings.Bridge, registry: Registry, device: Device, tmp_path: Path
) -> None:
    """With InfluxDB in the configuration every observation stands there soon after, and the cursor is stored, so that
    a restart sends nothing a second time."""
    with servers.running(servers.influxdb(tmp_path / "influx")) as influxd:
        url = f"http://127.0.0.1:{influxd.port}"
        world.post(f"{url}/query?q=CREATE+DATABASE+floods")
        given = world.bridge(settings_.store, settings_.broker.port)
        given = replace(given, influx=settings.Influx("v1", url, "floods"))
        start = now_ms()
        for part in (range(1, 51), range(51, 101)):
            with bridge_of(given, registry) as bridge:
                listening(bridge)
                device.say("data", pack(*(sample(n, n / 10, start + n) for n in part)))
                wait_for("the cursor", lambda: sql(given, "SELECT position FROM cursors") == [(part[-1],)])  # noqa: B023
        answer = json.loads(world.post(f"{url}/query?db=floods&epoch=ms&q=SELECT+value+FROM+water_level"))
    values = answer["results"][0]["series"][0]["values"]
    assert values == [list(row) for row in sql(given, "SELECT observed_ms, value FROM observations ORDER BY id")]
    assert len(values) == 100


def test_a_later_flag_follows_without_a_hand(settings_: settings.Bridge, device: Device, tmp_path: Path) -> None:
    """A spike that is known by the next value has its flag in InfluxDB soon after, across a restart of the bridge;
    the store keeps the real-time flag, and the second cursor stands."""
    level = replace(world.channel(), tests=qualitylimits.defaults("water_level"))
    registry = world.registry(world.station(channels=[level]))
    with servers.running(servers.influxdb(tmp_path / "influx")) as influxd:
        url = f"http://127.0.0.1:{influxd.port}"
        world.post(f"{url}/query?q=CREATE+DATABASE+floods")
        given = world.bridge(settings_.store, settings_.broker.port)
        given = replace(given, influx=settings.Influx("v1", url, "floods"))
        start = now_ms() - 240_000
        values = [1.0, 1.0, 1.7, 1.0]
        samples = [sample(n, v, start + n * 60_000) for n, v in enumerate(values, 1)]
        for part, cursors in (
            (samples[:3], [("influx", 3)]),
            (samples[3:], [("influx", 4), ("influx_assessments", 1)]),
        ):
            with bridge_of(given, registry) as bridge:
                listening(bridge)
                device.say("data", pack(*part))
                found = "SELECT name, position FROM cursors ORDER BY name"
                wait_for("the cursors", lambda: sql(given, found) == cursors)  # noqa: B023
        answer = json.loads(world.post(f"{url}/query?db=floods&epoch=ms&q=SELECT+value,flag+FROM+water_level"))
    assert [row[1:] for row in answer["results"][0]["series"][0]["values"]] == [[1.0, 1], [1.0, 1], [1.7, 3], [1.0, 1]]
    assert sql(given, "SELECT flag FROM observations ORDER BY id") == [(1,)] * 4
