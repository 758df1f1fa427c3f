"""One bridge at a time: who has the place on a broker, and who yields it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gateway import settings, wire
from gateway.bridge.presence import ANSWER_S, GRACE_S, UNANSWERED_S, Presence, Probe
from gateway.mqtt import Delivery

OWN, TERM = "b61c", 1000


def presence(takeover: bool = False) -> Presence:
    found = Presence(OWN, TERM, takeover)
    found.instance = "m"
    return found


def said(state: str = "online", store: str = "other", instance: str = "x", term: int = TERM) -> wire.BridgeStatus:
    return wire.BridgeStatus(state, store, instance, term)


@pytest.mark.parametrize(
    ("what", "status", "live", "expected"),
    [
        ("its own word is no news", said(store=OWN, instance="m"), True, "nothing"),
        ("its own last will, which came late, must not stand", said("offline", OWN, "m"), True, "repeat"),
        ("the farewell of another must not stand", said("offline"), True, "repeat"),
        ("a later one stays", said(term=TERM + 1), True, "yield"),
        ("and also where this one only reads of it, after an outage", said(term=TERM + 1), False, "yield"),
        ("an earlier one goes, when it hears of this", said(term=TERM - 1), True, "repeat"),
        ("of the same time one goes", said(instance="z"), True, "yield"),
        ("and not both", said(instance="a"), True, "repeat"),
        ("a copied store is another bridge", said(store=OWN, instance="x", term=TERM + 1), True, "yield"),
        ("one of an old version never goes", said(instance="", term=0), True, "yield"),
        ("but may be long gone", said(instance="", term=0), False, "repeat"),
        ("the same store of an old version is what this one was", said(store=OWN, instance="", term=0), True, "repeat"),
    ],
)
def test_what_a_word_means(what: str, status: wire.BridgeStatus, live: bool, expected: str) -> None:
    """Of two that meet, the one of the higher term stays and the other goes: never both."""
    assert presence().judge(status, live) == expected, what


def test_of_two_that_meet_one_stays() -> None:
    """Each hears the other's word: exactly one yields, whatever their terms and names."""
    for terms in ((1, 2), (2, 1), (5, 5)):
        one, two = Presence("s", terms[0], False), Presence("s", terms[1], False)
        heard = [a.judge(wire.decode_bridge_status(b.status("online")), True) for a, b in ((one, two), (two, one))]
        assert sorted(heard) == ["repeat", "yield"]


def test_takeover_is_not_stopped_by_an_old_version() -> None:
    """It would never go by itself, and an operator said who stays."""
    assert presence(takeover=True).judge(said(instance="", term=0), True) == "repeat"


def test_a_term_is_higher_than_any_that_was_seen() -> None:
    """Also where this machine's clock is behind the other's."""
    found = presence()
    found.place_after(said(term=TERM + 500))
    assert found.judge(said(term=TERM + 500), True) == "repeat"


def test_the_word_can_be_read_by_who_knows_less() -> None:
    """State and store stand where they always stood; what is empty is left out."""
    found = presence()
    assert wire.decode_json(found.status("online")) == {"state": "online", "store": OWN, "instance": "m", "term": TERM}
    found.backlog = "paused"
    assert wire.decode_bridge_status(found.status("online")).backlog == "paused"


# --- the question before --------------------------------------------------------------------------------------------


class Asked:
    """A probe whose session is never started: the test stands for the broker."""

    def __init__(self, takeover: bool = False) -> None:
        self.now = 100.0
        self.sent: list[str] = []
        self.presence = presence(takeover)
        self.probe = Probe(settings.Broker(port=1), "b", self.presence, lambda: None, lambda: self.now)

    def up(self) -> None:
        session: Any = SimpleNamespace(publish=lambda topic, _: self.sent.append(topic))
        self.probe._up(session)

    def hear(self, status: wire.BridgeStatus, retained: bool) -> None:
        self.probe._heard(Delivery(wire.BRIDGE_STATUS, wire.encode(status), retained, 0, 0, 1))

    def after(self, seconds: float) -> str | None:
        self.now += seconds
        return self.probe.verdict()


def test_nobody_is_there() -> None:
    """After the broker took the question, and a moment for an answer, the place is free."""
    asked = Asked()
    assert asked.after(60) is None
    asked.up()
    assert asked.sent == [wire.BRIDGE_WHO]
    assert asked.after(1) is None
    asked.probe._asked(1)
    assert asked.after(GRACE_S / 2) is None
    assert asked.after(GRACE_S) == "free"


@pytest.mark.parametrize(
    ("what", "heard", "after_s", "expected"),
    [
        ("a bridge that answers is there", [(said(), True), (said(), False)], 0, "taken"),
        ("a retained word alone is asked for longer", [(said(), True)], ANSWER_S - 1, None),
        ("and then is of a bridge that is gone", [(said(), True)], ANSWER_S, "free"),
        ("a retained good-bye is one", [(said("offline"), True)], GRACE_S, "free"),
        ("a bridge that says good-bye just now leaves", [(said(), True), (said("offline"), False)], GRACE_S, "free"),
        ("another newcomer's question is no answer", [(said(instance="m"), False)], GRACE_S, "free"),
    ],
)
def test_somebody_is_there(
    what: str, heard: list[tuple[wire.BridgeStatus, bool]], after_s: float, expected: str | None
) -> None:
    """Only a word that arrives live proves another bridge; a retained one may be of the dead."""
    asked = Asked()
    asked.up()
    for status, retained in heard:
        asked.hear(status, retained)
    asked.probe._asked(1)
    assert asked.after(after_s + 0.01) == expected, what


def test_takeover_does_not_wait() -> None:
    """It asks only to learn the other's term."""
    asked = Asked(takeover=True)
    asked.up()
    asked.hear(said(term=TERM + 7), True)
    asked.hear(said(term=TERM + 7), False)
    asked.probe._asked(1)
    assert asked.after(0) == "free"
    seen = asked.probe.seen()
    assert seen is not None
    assert seen.term == TERM + 7


def test_a_broker_that_forbids_the_question_does_not_keep_the_bridge_away() -> None:
    """A wrong ACL must not silence the alerts."""
    asked = Asked()
    asked.up()
    assert asked.after(UNANSWERED_S - 1) is None
    assert asked.after(2) == "free"
