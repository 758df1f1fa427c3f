"""Notifications: who is owed what, and that it is delivered, repeated with the same key, or given up with a reason."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway import calling, settings, storefile
from gateway.bridge import delivery, notify, telling
from gateway.bridge.delivery import GIVE_UP_AFTER_S, Deliverer
from gateway.bridge.media import AlertTopic, Medium
from gateway.bridge.media.console import Console
from gateway.bridge.media.webhook import Webhook
from gateway.bridge.notify import Outcome, Owed
from gateway.bridge.store import Store
from gateway.calling import Moment, Phones, Place
from gateway.channelstate import ChannelState
from gateway.episodes import Course
from gateway.errors import Unavailable
from gateway.model import Change, Transition
from gateway.stations import threshold_version
from tests import world
from tests.servers import free_port, wait_for
from tests.world import HANG, LEVELS, NOT_HTTP, STATION, T0, TENANT, Reply, Request, http_server

BACKOFF_S = (0.01,)
SECRET = "s3cret-token-of-duty"
OK = Reply(200, b"taken")
EPISODE = f"{STATION}.20251124T160000.000Z"


def transition(change: Change = Change.RISE, from_rank: int = 0, to_rank: int = 3, **more: Any) -> Transition:
    return Transition(TENANT, STATION, "water_level", EPISODE, change, from_rank, to_rank, T0, 2.6, **more)


def recipient(name: str = "duty", url: str = "", **more: Any) -> settings.Recipient:
    return settings.Recipient(name, "webhook", url, SECRET, **more)


# --- who is owed what ----------------------------------------------------------------------------------------------


def owed_to(t: Transition, *recipients: settings.Recipient, alert_topic: bool = True, late_ms: int = 5) -> list[Owed]:
    station, bridge = world.station(), world.bridge(Path("unused"), recipients=recipients, alert_topic=alert_topic)
    channel = station.channels["water_level"]
    state = ChannelState(rank=t.to_rank if t.confirmed else t.from_rank, value=2.6)
    at = Moment(telling.directory(bridge), Place(STATION, "river", STATION), T0 + late_ms, t.to_rank)
    _, calls = calling.tell(t, Course(), at, Phones({}))
    return notify.owed(t, station, channel, state, LEVELS, bridge, T0 + late_ms, calls)


@pytest.mark.parametrize(
    ("what", "given", "expected"),
    [
        ("a rise to rank 1 is for the topic alone", transition(to_rank=1), []),
        ("a rise to rank 2 is for who asked for rank 2", transition(to_rank=2), ["duty"]),
        ("a rise to rank 4 is for both", transition(to_rank=4), ["duty", "mayor"]),
        ("a fall from rank 4 is for who heard of the rise", transition(Change.FALL, 4, 0), ["duty", "mayor"]),
        ("a fall from rank 2 is not for who heard nothing", transition(Change.FALL, 2, 0), ["duty"]),
        ("silence is for everyone", transition(Change.SILENT, 0, 0), ["duty", "mayor"]),
        ("a fault is for everyone", transition(Change.FAULTY, 0, 0), ["duty", "mayor"]),
        ("a rank held without data is for everyone", transition(Change.HELD, 2, 2), ["duty", "mayor"]),
        ("data again are for everyone", transition(Change.RESTORED, 0, 0), ["duty", "mayor"]),
    ],
)
def test_who_is_owed_a_transition(what: str, given: Transition, expected: list[str]) -> None:
    """Those whose least rank it touches; what concerns the data themselves reaches everyone; the topic gets all."""
    owed = owed_to(given, recipient("duty", min_rank=2), recipient("mayor", min_rank=4))
    assert [x.recipient for x in owed] == [*expected, "_alerts"], what
    assert [x.key for x in owed] == [f"{given.key}/{name}" for name in [*expected, "_alerts"]]
    assert {x.owed_ms for x in owed} == {T0 + 5}


def test_without_the_topic_nothing_is_owed_to_it() -> None:
    """A bridge that is told not to publish alerts owes the topic none."""
    assert owed_to(transition(to_rank=1), alert_topic=False) == []


def test_what_a_notification_says() -> None:
    """One body for all media: facts for machines, and two languages for people with place, value, unit and time."""
    body = json.loads(owed_to(transition(confirmed=False))[0].body)
    text = body.pop("text"), body.pop("subject")
    assert body == {
        "key": f"{TENANT}/{EPISODE}/water_level/rise-0-3-unconfirmed/{T0}",
        "cap_identifier": f"suimon.{TENANT}.{EPISODE}.water_level.rise-0-3-unconfirmed.{T0}",
        "tenant": TENANT,
        "station": STATION,
        "channel": "water_level",
        "episode": EPISODE,
        "change": "rise",
        "from_rank": 0,
        "rank": 3,
        "confirmed_rank": 0,
        "level": "evacuation",
        "level_table": "jp-2026",
        "name": {"ja": "避難判断水位", "en": "evacuation-judgement level"},
        "threshold": {
            "level": "evacuation",
            "value": 2.5,
            "authority": "県",
            "basis": "基準水位観測所",
            "source": "a test",
            "version": threshold_version(world.station().channels["water_level"], T0),
        },
        "held": False,
        "condition": "unknown",
        "confirmed": False,
        "rings": True,
        "more": 0,
        "drill": False,
        "value": 2.6,
        "unit": "m",
        "observed_ms": T0,
    }
    for part in text:
        assert part["ja"].count("春日橋") == 1
        assert part["en"].count("Kasuga Bridge") == 1
    assert "2.60 m" in text[0]["ja"]
    assert "25 Nov 01:00 JST" in text[0]["en"]


def test_an_observation_that_came_late_says_its_age_first() -> None:
    """A rise that was measured longer ago than the contract allows begins with how long; one in time does not."""
    late = json.loads(owed_to(transition(), late_ms=25 * 60_000)[0].body)["text"]
    assert late["ja"].startswith("【25分前の観測】春日橋")
    assert late["en"].startswith("Measured 25 min ago. Kasuga Bridge")
    in_time = json.loads(owed_to(transition())[0].body)["text"]
    assert in_time["ja"].startswith("春日橋")
    assert in_time["en"].startswith("Kasuga Bridge")


# --- media -------------------------------------------------------------------------------------------------------


def test_the_console_prints_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Both languages on one line of standard output."""
    Console().send("key", owed_to(transition())[0].body)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "春日橋 避難判断水位を超過" in out
    assert "Kasuga Bridge: evacuation-judgement level exceeded" in out


def test_the_alert_topic_is_the_stations() -> None:
    """The state goes to the topic of the station; what the broker does not acknowledge is tried again."""
    sent: list[tuple[str, bytes]] = []
    body = owed_to(transition())[0].body

    def publish(topic: str, payload: bytes) -> bool:
        sent.append((topic, payload))
        return True

    AlertTopic(publish).send("key", body)
    assert sent == [(f"suimon/v1/{TENANT}/_alerts/{STATION}", body.encode())]
    with pytest.raises(Unavailable):
        AlertTopic(lambda *_: False).send("key", body)


# --- delivery: a real HTTP receiver ------------------------------------------------------------------------------


class Bridge:
    """The store's one writer: takes outcomes as the bridge does, and writes them when told."""

    def __init__(self, path: Path) -> None:
        self.path, self.outcomes, self.retries = path, list[Outcome](), list[Outcome]()
        self.now_ms, self.days_pass, self._closed = T0, False, False
        self._store = Store(path)
        self._memory = self._store.load()

    def owe(self, *names: str, to: str = "duty", at_ms: int = T0, rings: bool = True) -> None:
        work = world.work(self._memory, world.bridge(self.path))
        body = json.dumps(json.loads(owed_to(transition())[0].body) | {"rings": rings}, ensure_ascii=False)
        work.owed += [Owed(f"{name}/{to}", "webhook", to, body, at_ms) for name in names]
        self._store.commit(work)

    def report(self, outcome: Outcome) -> None:
        (self.retries if outcome.state == "retry" else self.outcomes).append(outcome)

    def record(self) -> None:
        work = world.work(self._memory, world.bridge(self.path))
        work.jobs += self.outcomes
        self._store.commit(work)

    def outbox(self) -> list[tuple[Any, ...]]:
        return storefile.rows(self.path, "SELECT key, state, attempts, reason FROM outbox ORDER BY id")

    def close(self) -> None:
        if not self._closed:
            self._store.close()
        self._closed = True


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    found = Bridge(tmp_path / "store.db")
    yield found
    found.close()


@contextlib.contextmanager
def delivering(
    bridge: Bridge, medium: Medium, name: str = "duty", report: Callable[[Outcome], None] | None = None
) -> Iterator[Deliverer]:
    # Each look at the clock that nobody sets is half a day later.
    looks = itertools.count(step=GIVE_UP_AFTER_S / 2) if bridge.days_pass else itertools.count(step=1.0)
    deliverer = Deliverer(
        name,
        medium,
        bridge.path,
        report or bridge.report,
        lambda: bridge.now_ms,
        BACKOFF_S,
        steady_s=lambda: float(next(looks)),
    )
    deliverer.start()
    deliverer.wake()
    try:
        yield deliverer
    finally:
        deliverer.stop()


def replies(*first: Reply) -> Callable[[Request], Reply]:
    """These, and then every one is taken."""
    left = itertools.chain(first, itertools.repeat(OK))
    return lambda _: next(left)


def keys(requests: Sequence[Request]) -> list[str]:
    return [r.headers["Idempotency-Key"] for r in requests]


def test_a_webhook_gets_the_body_its_key_and_the_token(bridge: Bridge) -> None:
    """POST of the JSON as it stands in the outbox, with the key by which a second delivery is known."""
    bridge.owe("rise")
    with http_server(lambda _: OK) as server:
        with delivering(bridge, Webhook(recipient(url=f"{server.url}/hook?room=1"))):
            wait_for("the outcome", lambda: bridge.outcomes)
        (request,) = server.requests
    assert request.path == "/hook?room=1"
    assert request.body.decode() == owed_to(transition())[0].body
    assert request.headers["Idempotency-Key"] == "rise/duty"
    assert request.headers["Content-Type"] == "application/json; charset=utf-8"
    assert request.headers["Authorization"] == f"Bearer {SECRET}"
    assert bridge.outcomes == [Outcome(1, "sent", 1, key="rise/duty", recipient="duty")]


def test_without_a_token_no_header_pretends_one(bridge: Bridge) -> None:
    """A recipient without a token gets no Authorization header."""
    bridge.owe("rise")
    with http_server(lambda _: OK) as server:
        with delivering(bridge, Webhook(replace(recipient(url=server.url), token=None))):
            wait_for("the outcome", lambda: bridge.outcomes)
        assert "Authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("what", "first"),
    [
        ("an error of the server", Reply(500)),
        ("busy", Reply(503)),
        ("too fast", Reply(429)),
        ("too early", Reply(425)),
        ("too slow", Reply(408)),
        ("not HTTP", NOT_HTTP),
        ("a header without end", Reply(200, b"", {"Content-Length": "x" * 70_000})),
    ],
)
def test_what_may_pass_is_tried_again(bridge: Bridge, what: str, first: Reply) -> None:
    """It is sent again with the same key until it is taken, and recorded as sent once."""
    bridge.owe("rise")
    with http_server(replies(first, first)) as server:
        with delivering(bridge, Webhook(recipient(url=server.url))) as deliverer:
            wait_for("the outcome", lambda: bridge.outcomes)
            bridge.record()
            bridge.owe("next")
            deliverer.wake()
            wait_for("the next outcome", lambda: len(bridge.outcomes) == 2)
        assert keys(server.requests) == ["rise/duty"] * 3 + ["next/duty"], what
    bridge.record()
    assert bridge.outbox() == [("rise/duty", "sent", 3, None), ("next/duty", "sent", 1, None)]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(404), "refused_address: answered 404 Not Found"),
        (Reply(400), "refused_content: answered 400 Bad Request"),
        (Reply(401), "authentication: answered 401 Unauthorized"),
        (Reply(410), "refused_address: answered 410 Gone"),
    ],
)
def test_what_never_will_be_taken_is_given_up_with_its_reason(
    bridge: Bridge, reply: Reply, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A refusal is asked once, said once as an error, recorded with its reason, and the next one goes on."""
    bridge.owe("rise", "next")
    with http_server(replies(reply)) as server:
        with delivering(bridge, Webhook(recipient(url=server.url))):
            wait_for("both outcomes", lambda: len(bridge.outcomes) == 2)
        assert keys(server.requests) == ["rise/duty", "next/duty"]
    bridge.record()
    assert bridge.outbox() == [("rise/duty", "given_up", 1, reason), ("next/duty", "sent", 1, None)]
    errors = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert reason in errors[0]
    assert "rise/duty" in errors[0]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(bridge: Bridge, status: int) -> None:
    """The notification would not arrive with it, but the token would, at a host that nobody configured."""
    bridge.owe("rise")
    with http_server(lambda _: OK) as elsewhere:
        away = Reply(status, b"", {"Location": f"{elsewhere.url}/there"})
        with http_server(lambda _: away) as server, delivering(bridge, Webhook(recipient(url=server.url))):
            wait_for("the outcome", lambda: bridge.outcomes)
        assert elsewhere.requests == []
    assert bridge.outcomes[0].state == "given_up"
    assert str(status) in str(bridge.outcomes[0].reason)


def test_an_absent_recipient_is_one_message_and_one_more_when_it_is_back(
    bridge: Bridge, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing listens at first: one warning, however often it is tried; one line when it is delivered."""
    caplog.set_level(logging.INFO)
    port = free_port()
    bridge.owe("rise")
    with delivering(bridge, Webhook(recipient(url=f"http://127.0.0.1:{port}/hook"))):
        wait_for("a warning", lambda: caplog.records)
        with http_server(lambda _: OK, port):
            wait_for("the outcome", lambda: bridge.outcomes)
    warning, again = [r.getMessage() for r in caplog.records if r.name == delivery.__name__]
    assert warning.startswith("cannot notify duty: ")
    assert again == f"notified duty after {bridge.outcomes[0].attempts} attempts"


def test_after_a_day_it_is_given_up(bridge: Bridge) -> None:
    """What could not be delivered for a day is history; younger ones are still tried."""
    bridge.owe("old")
    bridge.owe("young", at_ms=T0 + 1000)
    bridge.now_ms, bridge.days_pass = T0 + round(GIVE_UP_AFTER_S * 1000) + 1, True
    with http_server(lambda _: Reply(503)) as server, delivering(bridge, Webhook(recipient(url=server.url))):
        wait_for("tries of the second", lambda: keys(server.requests).count("young/duty") > 5)
    assert [(x.outbox_id, x.state, x.reason) for x in bridge.outcomes] == [
        (1, "given_up", "failed: answered 503 Service Unavailable")
    ]


def test_a_clock_that_is_set_forward_gives_up_nothing(bridge: Bridge) -> None:
    """Ten years later by the wall, and a few seconds by the clock that nobody sets: it is still tried."""
    bridge.owe("rise")
    bridge.now_ms = T0 + 10 * 365 * 86_400_000
    with http_server(lambda _: Reply(503)) as server, delivering(bridge, Webhook(recipient(url=server.url))):
        wait_for("many tries", lambda: len(server.requests) > 12)
    assert bridge.outcomes == []


def test_one_recipients_part_goes_in_order(bridge: Bridge) -> None:
    """What does not ring waits its turn, also where the first needs several attempts."""
    bridge.owe("1", "2", "3", rings=False)
    with http_server(replies(Reply(500), Reply(500))) as server:
        with delivering(bridge, Webhook(recipient(url=server.url))):
            wait_for("three outcomes", lambda: len(bridge.outcomes) == 3)
        assert keys(server.requests) == ["1/duty"] * 3 + ["2/duty", "3/duty"]


def test_what_rings_now_does_not_wait_for_what_could_not_be_delivered(bridge: Bridge) -> None:
    """The medium was down: the newest ring is tried as soon as it is owed, and goes before older ones and quiet ones;
    then the rest follows in order."""
    bridge.owe("old")
    bridge.owe("quiet", rings=False)
    down = threading.Event()
    down.set()
    with http_server(lambda _: Reply(503) if down.is_set() else OK) as server:
        slow = Deliverer("duty", Webhook(recipient(url=server.url)), bridge.path, bridge.report, lambda: T0, (60.0,))
        slow.start()
        slow.wake()
        wait_for("the first try", lambda: bridge.retries)
        down.clear()
        bridge.owe("news")
        slow.wake()
        wait_for("all", lambda: len(bridge.outcomes) == 3)
        slow.stop()
        assert keys(server.requests) == ["old/duty", "news/duty", "old/duty", "quiet/duty"]
    bridge.outcomes[:0] = bridge.retries
    bridge.record()
    assert bridge.outbox() == [
        ("old/duty", "sent", 2, None),
        ("quiet/duty", "sent", 1, None),
        ("news/duty", "sent", 1, None),
    ]


def test_a_retry_is_seen_in_the_outbox(bridge: Bridge) -> None:
    """Still owed, with what the medium said, how often it was tried, and when it is tried again."""
    bridge.owe("rise")
    busy = Reply(429, headers={"Retry-After": "120"})
    with http_server(lambda _: busy) as server, delivering(bridge, Webhook(recipient(url=server.url))):
        wait_for("a try", lambda: bridge.retries)
    bridge.outcomes += bridge.retries[:1]
    bridge.record()
    assert bridge.outbox() == [("rise/duty", "owed", 1, "busy: answered 429 Too Many Requests")]
    assert storefile.rows(bridge.path, "SELECT next_ms, done_ms FROM outbox") == [(T0 + 120_000, None)]


def test_a_thread_lives_while_something_is_owed(bridge: Bridge) -> None:
    """A hundred recipients are not a hundred idle threads."""
    with http_server(lambda _: OK) as server:
        d = Deliverer("duty", Webhook(recipient(url=server.url)), bridge.path, bridge.report, lambda: T0, idle_s=0.05)
        d.wake()
        assert not d.running  # not started: another bridge may have the place
        d.start()
        bridge.owe("rise")
        d.wake()
        wait_for("its outcome", lambda: bridge.outcomes)
        wait_for("the end of the thread", lambda: not d.running)
        bridge.record()
        bridge.owe("next")
        d.wake()
        wait_for("the next outcome", lambda: len(bridge.outcomes) == 2)
        d.stop()


def test_a_quota_spares_money_but_holds_back_no_danger(bridge: Bridge, tmp_path: Path) -> None:
    """What was sent this month counts, also by another process; a rank of 4 goes out all the same."""
    quota = delivery.Quota("webhook", settings.Quota(2, "month"), bridge.path)
    to = {"a/duty": 3, "b/duty": 3, "c/duty": 3, "d/duty": 4}
    work = world.work(bridge._memory, world.bridge(bridge.path))
    for key, rank in to.items():
        body = json.dumps({"rank": rank, "from_rank": 0, "rings": False})
        work.owed.append(Owed(key, "webhook", "duty", body, T0))
    bridge._store.commit(work)
    with http_server(lambda _: OK) as server:
        medium = Webhook(recipient(url=server.url))
        for n in range(1, 5):  # each outcome is recorded before the next is looked at
            d = Deliverer("duty", medium, bridge.path, bridge.report, lambda: T0, quota=quota)
            row = d._owed()[0]
            d._try(row)
            bridge.record()
            assert len(bridge.outcomes) == n
        assert keys(server.requests) == ["a/duty", "b/duty", "d/duty"]
    assert [x[1:] for x in bridge.outbox()] == [
        ("sent", 1, None), ("sent", 1, None), ("given_up", 1, "over_quota: 2 of 2 a month"), ("sent", 1, None)
    ]  # fmt: skip
    assert quota.spent(T0) == 3
    assert quota.spent(T0 + 40 * 86_400_000) == 0


def test_a_hanging_recipient_delays_no_other(bridge: Bridge) -> None:
    """While one recipient has been asked and does not answer, another gets all of its own."""
    bridge.owe("a")
    bridge.owe("a", "b", "c", to="mayor")
    with http_server(lambda _: HANG) as stuck, http_server(lambda _: OK) as server:
        slow, said = Webhook(recipient(url=stuck.url, timeout_s=1.0)), list[Outcome]()
        with delivering(bridge, slow, report=said.append):
            wait_for("the question", lambda: stuck.requests)
            with delivering(bridge, Webhook(recipient("mayor", server.url)), "mayor"):
                wait_for("three outcomes", lambda: len(bridge.outcomes) == 3)
    assert [x.state for x in bridge.outcomes] == ["sent"] * 3
    assert {x.state for x in said} <= {"retry"}
    assert keys(server.requests) == ["a/mayor", "b/mayor", "c/mayor"]


class Hanging:
    """A medium that takes what it is given and does not come back until it is let go."""

    def __init__(self) -> None:
        self.asked, self.let_go = threading.Event(), threading.Event()

    def send(self, key: str, body: str) -> None:
        self.asked.set()
        self.let_go.wait(60)


def test_a_medium_that_hangs_keeps_no_other_medium_waiting(bridge: Bridge) -> None:
    """Whatever a driver does: while it hangs for ever, others get all of theirs."""
    bridge.owe("a")
    bridge.owe("a", "b", to="mayor")
    hanging = Hanging()
    with http_server(lambda _: OK) as server, delivering(bridge, hanging):
        wait_for("the question", hanging.asked.is_set)
        try:
            with delivering(bridge, Webhook(recipient("mayor", server.url)), "mayor"):
                wait_for("two outcomes", lambda: len(bridge.outcomes) == 2, timeout_s=10)
        finally:
            hanging.let_go.set()
        wait_for("its own", lambda: len(bridge.outcomes) == 3)
        assert keys(server.requests) == ["a/mayor", "b/mayor"]


def test_a_recipient_that_never_answers_is_asked_again(bridge: Bridge) -> None:
    """A time-out may pass: the same key again."""
    bridge.owe("rise")
    with http_server(replies(HANG)) as server:
        with delivering(bridge, Webhook(recipient(url=server.url, timeout_s=0.2))):
            wait_for("the outcome", lambda: bridge.outcomes)
        assert keys(server.requests) == ["rise/duty"] * 2


def test_what_was_sent_but_not_recorded_is_sent_again_with_the_same_key(bridge: Bridge) -> None:
    """A crash between the two repeats a delivery, never loses one; within one process it is not repeated."""
    bridge.owe("rise")
    with http_server(lambda _: OK) as server:

        def got(n: int) -> None:
            wait_for(f"{n} outcomes", lambda: len(bridge.outcomes) == n)

        with delivering(bridge, Webhook(recipient(url=server.url))) as deliverer:
            got(1)
            bridge.owe("next")
            deliverer.wake()
            got(2)
        with delivering(bridge, Webhook(recipient(url=server.url))):  # a new process; nothing was recorded
            got(4)
        assert keys(server.requests) == ["rise/duty", "next/duty", "rise/duty", "next/duty"]
    assert [row[1] for row in bridge.outbox()] == ["owed", "owed"]


def test_what_was_recorded_is_not_sent_again(bridge: Bridge) -> None:
    """After a restart only what is still owed is delivered."""
    bridge.owe("rise")
    with http_server(lambda _: OK) as server:
        with delivering(bridge, Webhook(recipient(url=server.url))):
            wait_for("the outcome", lambda: bridge.outcomes)
        bridge.record()
        bridge.owe("next")
        with delivering(bridge, Webhook(recipient(url=server.url))):
            wait_for("the next", lambda: len(bridge.outcomes) == 2)
        assert keys(server.requests) == ["rise/duty", "next/duty"]


def test_a_store_that_cannot_be_read_for_a_while_is_waited_for(
    bridge: Bridge, caplog: pytest.LogCaptureFixture
) -> None:
    """The deliverer of a recipient does not end with one failed look into the store."""
    bridge.owe("rise")
    bridge.close()
    away = bridge.path.with_name("away.db")
    bridge.path.rename(away)
    with http_server(lambda _: OK) as server, delivering(bridge, Webhook(recipient(url=server.url))) as deliverer:
        wait_for("a word of it", lambda: "notifications to duty wait: cannot open the store" in caplog.text)
        away.rename(bridge.path)
        deliverer.wake()
        wait_for("the outcome", lambda: bridge.outcomes)


# --- secrets -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "token", "reply"),
    [
        ("sent", SECRET, OK),
        ("refused", SECRET, Reply(404)),
        ("with an end of line, as from a file", f"{SECRET}\n", OK),
        ("with a letter that no header can carry", f"{SECRET}春", OK),
    ],
)
def test_a_token_is_in_no_log_and_no_reason(
    bridge: Bridge, what: str, token: str, reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever becomes of the notification, nothing that is printed or stored holds the token."""
    caplog.set_level(logging.DEBUG)
    bridge.owe("rise")
    with http_server(lambda _: reply) as server:
        to = replace(recipient(url=server.url), token=token)
        with delivering(bridge, Webhook(to)):
            wait_for("the outcome", lambda: bridge.outcomes)
    bridge.record()
    assert SECRET not in caplog.text + repr(bridge.outbox()) + repr(to) + repr(bridge.outcomes), what
    assert (bridge.outbox()[0][1] == "sent") == (what == "sent")


def test_an_address_that_cannot_be_used_is_given_up_and_not_shown(
    bridge: Bridge, caplog: pytest.LogCaptureFixture
) -> None:
    """A webhook's URL is a secret as well: what is wrong with it is said without it."""
    bridge.owe("1", "2")
    for n, url in enumerate([f"http://127.0.0.1:9/{SECRET} x", f"{SECRET}"]):
        with delivering(bridge, Webhook(recipient(url=url))):
            wait_for("the outcomes", lambda n=n: len(bridge.outcomes) >= 2 * n + 2)  # type: ignore[misc]
    assert {x.state for x in bridge.outcomes} == {"given_up"}
    assert SECRET not in caplog.text + repr(bridge.outcomes)
