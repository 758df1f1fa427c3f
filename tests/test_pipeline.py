"""From a message to observations and dead letters: every reject code, and what becomes of what is accepted."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import pipeline
from gateway.errors import FaultCode, RejectCode
from gateway.model import ClockState, Flag, Message, Observation
from gateway.pipeline import Judgement, Processed
from tests.places import MINUTE, REGISTRY, T0, TENANT

TOPIC = "suimon/v1/kagawa/gw-1/data"
NOW = T0 + 2_000


@dataclass
class Known:
    """What the bridge knows already: settled samples, newest times, and the latest time it believes."""

    settled: set[tuple[str, int]] = field(default_factory=set)
    newest: dict[tuple[str, str, str], int] = field(default_factory=dict)
    future_ms: int | None = NOW + 300_000
    max_payload: int = 4096

    def judge(self, payload: bytes, device: str = "gw-1", tenant: str = TENANT, now_ms: int = NOW) -> Processed:
        judgement = Judgement(
            REGISTRY,
            self.future_ms,
            lambda log, seq: (log, seq) in self.settled,
            lambda *series: self.newest.get(series),
            self.max_payload,
        )
        return pipeline.process(Message(TOPIC, payload, now_ms), tenant, device, judgement)


def record(**changes: Any) -> dict[str, Any]:
    """A good record of the level at Kamogawa; None leaves a label out."""
    given = {
        "bn": "kamogawa/", "bt": T0 / 1000, "log": "a1", "seq": 1, "clk": "synced",
        "n": "water_level", "u": "m", "v": 1.25,
    } | changes  # fmt: skip
    return {label: value for label, value in given.items() if value is not None}


def pack(*records: dict[str, Any]) -> bytes:
    return json.dumps(records).encode()


def judge(*records: dict[str, Any], known: Known | None = None, device: str = "gw-1") -> Processed:
    return (known or Known()).judge(pack(*records), device)


def one(*records: dict[str, Any], known: Known | None = None, device: str = "gw-1") -> Observation:
    """The one observation of a pack that is wholly accepted."""
    out = judge(*records, known=known, device=device)
    assert out.letters == []
    assert len(out.observations) == 1
    return out.observations[0]


def test_accepted() -> None:
    """A good record becomes an observation that says whose it is, when, how much and how sure."""
    out = judge(record())
    assert out.observations == [
        Observation(
            tenant="kagawa",
            device="gw-1",
            station="kamogawa",
            channel="water_level",
            log="a1",
            seq=1,
            record=0,
            observed_ms=T0,
            received_ms=NOW,
            raw=1.25,
            value=1.25,
            flag=Flag.GOOD,
            tests=(),
            fault=None,
            clk=ClockState.SYNCED,
        )
    ]
    assert (out.letters, out.stored, out.rejected, out.duplicates) == ([], [("a1", 1)], [], 0)
    assert out.seen == {("a1", 1)}


# One row: why, the record, the code, whether the sample is settled by it.
REJECTED = [
    ("text for a number", record(v="1"), RejectCode.WRONG_TYPE, True),
    ("NaN", record(v=float("nan")), RejectCode.NOT_FINITE, True),
    ("an overflow in the channel's unit", record(n="storage", u="MB", v=1e305), RejectCode.NOT_FINITE, True),
    ("half a pair", record(n="\ud800"), RejectCode.LONE_SURROGATE, True),
    ("2^63", record(v=2**63), RejectCode.INTEGER_RANGE, True),
    ("a label that must be understood", record(x_=1), RejectCode.NOT_SENML, True),
    ("no seq", record(seq=None), RejectCode.BAD_SEQUENCE, False),
    ("no log", record(log=None), RejectCode.BAD_SEQUENCE, False),
    ("no such station", record(bn="takamatsu/"), RejectCode.UNKNOWN_STATION, True),
    ("a station of another device", record(bn="yashima/"), RejectCode.FOREIGN_STATION, True),
    ("another device's own name", record(bn="gw-2/", n="disk_free", u="B"), RejectCode.UNKNOWN_STATION, True),
    ("no such channel", record(n="snow_depth"), RejectCode.UNKNOWN_CHANNEL, True),
    ("a fault of no channel", record(n="snow.fault", u=None, v=None, vs="no_echo"), RejectCode.UNKNOWN_CHANNEL, True),
    ("a device has no water level", record(bn="gw-1/"), RejectCode.UNKNOWN_CHANNEL, True),
    ("a unit of something else", record(u="V"), RejectCode.WRONG_UNIT, True),
    ("an invented unit", record(u="shaku"), RejectCode.WRONG_UNIT, True),
    ("six minutes ahead", record(bt=T0 / 1000 + 360), RejectCode.TIME_FUTURE, True),
    ("1999", record(bt=946_684_799.999), RejectCode.UNDATED, True),
    ("two minutes after 1970", record(bt=120, clk="unsynced"), RejectCode.UNDATED, True),
    ("an age of sixty years", record(bt=-1.9e9, clk="unsynced"), RejectCode.UNDATED, True),
]  # fmt: skip


@pytest.mark.parametrize(("what", "bad", "code", "settled"), REJECTED, ids=[row[0] for row in REJECTED])
def test_rejected(what: str, bad: dict[str, Any], code: RejectCode, settled: bool) -> None:
    """A record that can never be accepted becomes one dead letter with its code, and its sample is settled where its
    number is known."""
    out = judge(bad)
    assert out.observations == []
    assert [x.code for x in out.letters] == [code], what
    letter = out.letters[0]
    assert (letter.tenant, letter.device, letter.topic, letter.received_ms) == ("kagawa", "gw-1", TOPIC, NOW)
    assert letter.detail
    assert (letter.log, letter.seq) == (("a1", 1) if settled else (None, None))
    assert out.rejected == ([("a1", 1, code)] if settled else [])
    assert out.stored == []
    (kept,) = json.loads(letter.payload)
    assert {k: kept[k] for k in ("n", "u") if k in bad} == {k: bad[k] for k in ("n", "u") if k in bad}


@pytest.mark.parametrize(
    ("what", "payload", "code"),
    [
        ("not JSON", b"hello", RejectCode.NOT_JSON),
        ("not SenML", b'{"level":1.25}', RejectCode.NOT_SENML),
        ("nothing", b"", RejectCode.NOT_JSON),
    ],
)
def test_rejected_whole(what: str, payload: bytes, code: RejectCode) -> None:
    """What is no pack is one dead letter with the payload as it came, and settles nothing."""
    out = Known().judge(payload)
    assert [(x.code, x.payload, x.log, x.seq) for x in out.letters] == [(code, payload, None, None)], what
    assert (out.observations, out.stored, out.rejected, out.seen) == ([], [], [], set())


def test_too_long() -> None:
    """A payload beyond the limit is refused unread, and only its head is kept; at the limit it is read."""
    payload = pack(record())
    assert Known(max_payload=len(payload)).judge(payload).stored == [("a1", 1)]
    out = Known(max_payload=len(payload) - 1).judge(payload)
    assert [(x.code, x.payload, x.detail) for x in out.letters] == [
        (RejectCode.TOO_LONG, payload[:-1], f"{len(payload)} bytes")
    ]
    assert (out.observations, out.stored, out.rejected) == ([], [], [])


@pytest.mark.parametrize(
    ("what", "tenant", "device"),
    [("no such device", "kagawa", "gw-9"), ("a device of another tenant", "tokushima", "gw-2")],
)
def test_unknown_device(what: str, tenant: str, device: str) -> None:
    """A device to which no station is assigned is not listened to at all."""
    out = Known().judge(pack(record()), device, tenant)
    assert [(x.code, x.detail) for x in out.letters] == [(RejectCode.UNKNOWN_DEVICE, f"{tenant}/{device}")], what
    assert (out.observations, out.stored, out.rejected) == ([], [], [])


def test_tenants_are_apart() -> None:
    """Stations of the same name belong to different tenants, and each message stays in its own."""
    out = Known().judge(pack(record()), "gw-1", "tokushima")
    assert [o.tenant for o in out.observations] == ["tokushima"]


# --- unit, datum, flags --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "device", "changes", "raw", "value"),
    [
        ("metres", "gw-1", {"v": 1.25}, 1.25, 1.25),
        ("centimetres", "gw-1", {"u": "cm", "v": 125}, 1.25, 1.25),
        ("millimetres, free of binary noise", "gw-1", {"u": "mm", "v": 1234}, 1.234, 1.234),
        ("no unit is the channel's", "gw-1", {"u": None, "v": 0.4}, 0.4, 0.4),
        ("kelvin", "gw-1", {"n": "water_temperature", "u": "K", "v": 283.15}, 10.0, 10.0),
        ("a distance down becomes a level", "gw-2", {"bn": "yashima/", "v": 4.25}, 4.25, 2.25),
        ("a distance in millimetres", "gw-2", {"bn": "yashima/", "u": "mm", "v": 4250}, 4.25, 2.25),
        ("further than the zero is a negative level", "gw-2", {"bn": "yashima/", "v": 6.7}, 6.7, -0.2),
        ("the device's own health", "gw-1", {"bn": "gw-1/", "n": "cpu_temperature", "u": "degF", "v": 122}, 50.0, 50.0),
    ],
)
def test_normalised(what: str, device: str, changes: dict[str, Any], raw: float, value: float) -> None:
    """The observation stands in the canonical unit and the station's datum; the raw value stays beside it."""
    o = one(record(**changes), device=device)
    assert (o.raw, o.value) == (raw, value), what


@pytest.mark.parametrize(
    ("what", "value", "flag", "tests"),
    [
        ("inside both spans", 1.0, Flag.GOOD, ()),
        ("above the operator's", 7.0, Flag.SUSPECT, ("gross_range",)),
        ("above the sensor's", 39.33, Flag.FAIL, ("gross_range",)),
        ("below the sensor's", -0.6, Flag.FAIL, ("gross_range",)),
    ],
)
def test_flagged(what: str, value: float, flag: Flag, tests: tuple[str, ...]) -> None:
    """An implausible value is stored with its flag and the test that spoke, never dropped or altered."""
    o = one(record(v=value))
    assert (o.value, o.flag, o.tests) == (value, flag, tests), what


def test_the_span_judges_the_observation() -> None:
    """The sensor's span is of the level, not of the distance that was measured."""
    assert one(record(bn="yashima/", v=0.2), device="gw-2").flag is Flag.FAIL  # level 6.3 m
    assert one(record(bn="yashima/", v=7.4), device="gw-2").flag is Flag.GOOD  # level -0.9 m


def test_no_span_is_not_evaluated() -> None:
    """Where no span is known the flag says so."""
    assert one(record(n="water_temperature", u="Cel", v=11.0)).flag is Flag.NOT_EVALUATED


@pytest.mark.parametrize("fault", FaultCode)
def test_faults_are_stored(fault: FaultCode) -> None:
    """A fault is a row with flag 9 and no value."""
    o = one(record(n="water_level.fault", u=None, v=None, vs=fault.value))
    assert (o.channel, o.raw, o.value, o.flag, o.fault) == ("water_level", None, None, Flag.MISSING, fault)


SERIES = ("kagawa", "kamogawa", "water_level")


@pytest.mark.parametrize(
    ("what", "newest", "tests"),
    [
        ("the first ever", None, ()),
        ("ten minutes after the last", T0 - 10 * MINUTE, ()),
        ("on the last moment of grace", T0 - 15 * MINUTE, ()),
        ("later than that", T0 - 15 * MINUTE - 1, ("gap",)),
        ("before the newest", T0 + 60 * MINUTE, ()),
    ],
)
def test_gap(what: str, newest: int | None, tests: tuple[str, ...]) -> None:
    """The observation that ends a gap says so, and keeps the flag of its own value."""
    o = one(record(), known=Known(newest={SERIES: newest} if newest is not None else {}))
    assert (o.flag, o.tests) == (Flag.GOOD, tests), what


def test_gaps_within_a_pack() -> None:
    """In a pack each sample is compared with the one before it, not with what was stored before the pack."""
    times = (0, 10, 20, 60, 70)
    records = [record(seq=i, bt=T0 / 1000 + 60 * m - 4200) for i, m in enumerate(times, 1)]
    out = judge(*records, known=Known(newest={SERIES: T0 - 100 * MINUTE}))
    assert [o.tests for o in out.observations] == [("gap",), (), (), ("gap",), ()]


# --- identity ------------------------------------------------------------------------------------------------------


def test_duplicate() -> None:
    """A sample that was stored or rejected before is counted and dropped, good or bad as this copy may be."""
    known = Known(settled={("a1", 1)})
    for copy in (record(), record(v="x"), record(bn="yashima/")):
        out = judge(copy, record(seq=2), known=known)
        assert (out.duplicates, out.stored, out.rejected, out.letters) == (1, [("a1", 2)], [], [])
        assert out.seen == {("a1", 1), ("a1", 2)}


def test_a_duplicate_of_two_records_is_one() -> None:
    """Duplicates are counted in samples."""
    out = judge(record(), record(seq=None, log=None, n="water_temperature", u="Cel"), record(seq=None, log=None, v="x"),
                known=Known(settled={("a1", 1)}))  # fmt: skip
    assert (out.duplicates, out.observations, out.letters) == (1, [], [])


def test_the_same_number_twice_in_a_pack() -> None:
    """The first copy wins; the number is settled once."""
    out = judge(record(v=1.0), record(v=2.0), record(seq=2, v=3.0))
    assert [(o.seq, o.value) for o in out.observations] == [(1, 1.0), (2, 3.0)]
    assert (out.stored, out.rejected, out.letters) == ([("a1", 1), ("a1", 2)], [], [])


def test_the_same_number_in_two_logs() -> None:
    """A number says nothing without its log."""
    out = judge(record(), record(log="b2", v=2.0), known=Known(settled={("b2", 1)}))
    assert (out.stored, out.duplicates) == ([("a1", 1)], 1)


def test_a_sample_of_good_and_bad_records() -> None:
    """Each record of a sample has one fate of its own; one good record makes the sample stored."""
    out = judge(
        record(v="x"),
        record(seq=None, log=None, n="water_temperature", u="Cel", v=9.5),
        record(seq=None, log=None, n="snow_depth", v=0.1),
    )
    assert [(o.record, o.channel) for o in out.observations] == [(1, "water_temperature")]
    assert sorted((x.record, x.code.value) for x in out.letters) == [(0, "wrong_type"), (2, "unknown_channel")]
    assert {(x.log, x.seq) for x in out.letters} == {("a1", 1)}
    assert (out.stored, out.rejected) == ([("a1", 1)], [])


def test_a_sample_of_bad_records_is_rejected_once() -> None:
    """A sample of which no record is good is settled as rejected, with the code of its first."""
    out = judge(record(n="snow_depth"), record(seq=None, log=None, u="V"))
    assert out.rejected == [("a1", 1, RejectCode.UNKNOWN_CHANNEL)]
    assert len(out.letters) == 2


def test_span_is_handed_on() -> None:
    """What a backlog pack says of missing numbers reaches the ledger with all numbers the pack carried."""
    span = {"from": 1, "to": 3, "store": "s1", "opening": "a1"}
    out = judge(record(span=span), record(seq=3, v="x"), record(seq=2, bn="yashima/"))
    assert out.span is not None
    assert (out.span.first, out.span.last, out.span.store, out.span.opening, out.span_log) == (1, 3, "s1", "a1", "a1")
    assert out.seen == {("a1", 1), ("a1", 2), ("a1", 3)}


# --- clocks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "future_ms", "at_ms", "accepted"),
    [
        ("as far ahead as is believed", NOW + 300_000, NOW + 300_000, True),
        ("a millisecond further", NOW + 300_000, NOW + 300_001, False),
        ("a year ahead, while our own clock is not trusted", None, NOW + 365 * 86_400_000, True),
        ("years back, with whatever clock", NOW + 300_000, 946_684_800_000, True),
        ("before the year 2000, while our own clock is not trusted", None, 946_684_799_999, False),
    ],
)
def test_clock(what: str, future_ms: int | None, at_ms: int, accepted: bool) -> None:
    """The future is judged only where the latest believed time is given; the far past always."""
    out = judge(record(bt=at_ms / 1000), known=Known(future_ms=future_ms))
    assert (len(out.observations), len(out.rejected)) == ((1, 0) if accepted else (0, 1)), what


def test_relative_time_is_dated_here() -> None:
    """An age counts back from the arrival of the message."""
    o = one(record(bt=0, t=-12.5, clk="unsynced"))
    assert (o.observed_ms, o.clk) == (NOW - 12_500, ClockState.UNSYNCED)


# --- what always holds ---------------------------------------------------------------------------------------------

RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "bn": st.sampled_from(["kamogawa/", "yashima/", "gw-1/", "nowhere/", 5]),
        "bt": st.sampled_from([T0 / 1000, T0 / 1000 + 3600, 0, -5, 120, 9e8, "x"]),
        "log": st.sampled_from(["a1", "b2", "", 5]),
        "seq": st.sampled_from([1, 2, 3, 0, "x", 2**63]),
        "n": st.sampled_from(["water_level", "water_temperature", "water_level.fault", "snow"]),
        "u": st.sampled_from(["m", "mm", "Cel", "V"]),
        "v": st.sampled_from([1, 2.5, 39.0, "x", float("nan"), 2**70]),
        "vs": st.sampled_from(["no_echo", "x"]),
    },
)


@given(st.lists(RECORDS, min_size=1, max_size=8), st.sets(st.tuples(st.sampled_from(["a1", "b2"]), st.integers(1, 3))))
def test_every_sample_has_one_fate(records: list[dict[str, Any]], settled: set[tuple[str, int]]) -> None:
    """Stored, rejected and settled before are disjoint and together all that was seen; every observation belongs to a
    stored sample, every rejected sample has its dead letter, and a settled one has neither."""
    out = judge(*records, known=Known(settled=settled))
    stored, rejected = out.stored, [(log, seq) for log, seq, _ in out.rejected]
    assert len({*stored, *rejected}) == len(stored) + len(rejected)
    assert {*stored, *rejected} == out.seen - settled
    unread = sum(x.seq is None for x in out.letters)
    assert out.received == len(stored) + len(rejected) + unread + out.duplicates
    assert out.duplicates >= len(out.seen & settled)  # besides, the same number again in one pack
    assert {(o.log, o.seq) for o in out.observations} == set(stored)
    lettered = {(x.log, x.seq) for x in out.letters if x.seq is not None}
    assert set(rejected) <= lettered <= {*stored, *rejected}
    assert len(out.observations) + len(out.letters) <= len(records)
