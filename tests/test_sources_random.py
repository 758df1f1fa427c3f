"""Devices of others, at random: whatever they send has one fate, ends, and harms nobody else."""

from __future__ import annotations

import json
import math
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import settings
from gateway.codecs import jsontext
from gateway.errors import RejectCode
from gateway.foreign import END_OF_TIME_MS
from gateway.senml import LOG
from gateway.stations import Registry
from tests.test_sources import T0, UP, House, levels, loaded, uplink

__all__ = ["loaded"]

TOPICS = [UP, "loggers/esp-tank", "senml/esp-tank", "esp-tank/sensor/level/state"]
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["2026-09-21T13:33:20Z", "00"])
)
KEYS = [
    "time", "deviceInfo", "devAddr", "fCnt", "fPort", "data", "object", "at", "level", "value", "n",
    "bn", "bt", "bu", "bv", "t", "u", "v", "vb", "vs",
]  # fmt: skip
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=8),
    max_leaves=20,
)
uplinks = st.fixed_dictionaries(
    {"time": st.just("2026-09-21T13:33:20Z") | st.text(), "deviceInfo": st.just({}), "data": st.just("AQIDBA==")},
    optional={
        "devAddr": st.text(max_size=80) | st.just("00189440"),
        "fCnt": st.integers(-1, 2**33) | st.integers(0, 5),
        "object": documents,
    },
)


def fate(house: House, topic: str, payload: bytes) -> None:
    """One of each message (`House.take` adds them up); a value that is kept is a number of a time that can be kept; and
    a good message afterwards is heard."""
    work = house.take(topic, payload)
    for o in work.observations:
        assert o.value is None or math.isfinite(o.value)
        assert abs(o.observed_ms) < END_OF_TIME_MS
        assert LOG.fullmatch(o.log)
    for letter in work.letters:
        assert letter.code in set(RejectCode)
        json.dumps(letter.detail)


@given(topic=st.sampled_from(TOPICS), payload=st.binary(max_size=400))
def test_bytes(loaded: tuple[settings.Bridge, Registry], topic: str, payload: bytes) -> None:
    fate(House(*loaded), topic, payload)


@given(topic=st.sampled_from(TOPICS), document=documents | st.lists(documents, max_size=3))
def test_documents(loaded: tuple[settings.Bridge, Registry], topic: str, document: Any) -> None:
    """NaN and infinities are in them, too, as Python writes them and some devices do."""
    fate(House(*loaded), topic, json.dumps(document).encode())


@given(
    at=st.floats() | st.integers() | st.text() | st.booleans(),
    level=st.floats() | st.integers() | st.text(),
)
def test_times(loaded: tuple[settings.Bridge, Registry], at: Any, level: Any) -> None:
    fate(House(*loaded), "loggers/esp-tank", json.dumps({"n": 1, "level": {"value": level}, "at": at}).encode())


@given(ups=st.lists(uplinks, min_size=1, max_size=6))
def test_uplinks(loaded: tuple[settings.Bridge, Registry], ups: list[dict[str, Any]]) -> None:
    """Whatever sessions and numbers a device had before, its next good uplink is heard, once."""
    house = House(*loaded)
    for up in ups:
        fate(house, UP, json.dumps(up).encode())
    good = uplink(77, 1234, T0 + 60_000, session="0badcafe")
    assert levels(house.take(UP, good, T0 + 60_000))
    assert not levels(house.take(UP, good, T0 + 61_000))


@given(payload=st.binary(max_size=300) | documents.map(cbor2.dumps))
def test_cbor(payload: bytes) -> None:
    """The decoder raises nothing but its own error."""
    from gateway.codecs import Unreadable, records

    try:
        for told in records.read_cbor(payload):
            assert told.at_ms is None or abs(told.at_ms) < 2**53
    except Unreadable:
        pass


@pytest.mark.parametrize("at", ["NaN", "Infinity", "-Infinity", "1e300", "-1", "1e15"])
def test_a_time_that_is_none(loaded: tuple[settings.Bridge, Registry], at: str) -> None:
    work = House(*loaded).take("loggers/esp-tank", b'{"n":1,"level":{"value":50},"at":%s}' % at.encode())
    assert [x.code for x in work.letters] == [RejectCode.BAD_UPLINK]


@pytest.mark.parametrize("session", ["", "x.1", "..", "12.ab.7", "00189440"])
def test_the_name_of_a_session(loaded: tuple[settings.Bridge, Registry], session: str) -> None:
    """A name with dots, and none at all, counts like any other: the same number again is the same reading."""
    house = House(*loaded)
    work = house.take(UP, uplink(7, 1000, session=session))
    assert levels(work)
    assert LOG.fullmatch(work.observations[0].log)
    assert levels(house.take(UP, uplink(8, 1000, T0 + 60_000, session=session), T0 + 60_000))
    for number in (7, 8):
        work = house.take(UP, uplink(number, 1000, session=session), T0 + 120_000)
        assert (levels(work), work.counts["duplicate"]) == ([], 1)


def test_a_session_that_none_can_have(loaded: tuple[settings.Bridge, Registry]) -> None:
    work = House(*loaded).take(UP, uplink(7, 1000, session="a" * (jsontext.MAX_SESSION + 1)))
    assert [x.code for x in work.letters] == [RejectCode.BAD_UPLINK]
    assert levels(House(*loaded).take(UP, uplink(7, 1000, session="a" * jsontext.MAX_SESSION)))
