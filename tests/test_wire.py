"""The wire contract: topics, packs with every way to be bad, receipts and spool statements."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.errors import FaultCode, RejectCode
from gateway.model import ClockState, Reading, Sample
from gateway.wire import Pack, Span, WireRecord, WireSample

# --- topics ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "topic", "expected"),
    [
        ("live data", "suimon/v1/kagawa/gw-1/data", ("kagawa", "gw-1", "data")),
        ("backlog", "suimon/v1/kagawa/gw-1/backlog", ("kagawa", "gw-1", "backlog")),
        ("dots, digits and underscores in names", "suimon/v1/7a_b/x.y-2/spool", ("7a_b", "x.y-2", "spool")),
        ("a device called as a kind", "suimon/v1/kagawa/data/data", ("kagawa", "data", "data")),
        ("a receipt comes from the bridge alone", "suimon/v1/kagawa/gw-1/receipt", None),
        ("a command too", "suimon/v1/kagawa/gw-1/cmd", None),
        ("the presence of a bridge", "suimon/v1/_bridge/status", None),
        ("no tenant can be _bridge", "suimon/v1/_bridge/gw-1/status", None),
        ("no device can be _alerts", "suimon/v1/kagawa/_alerts/data", None),
        ("another version", "suimon/v2/kagawa/gw-1/data", None),
        ("another root", "minamo/v1/kagawa/gw-1/data", None),
        ("upper case", "suimon/v1/Kagawa/gw-1/data", None),
        ("a space", "suimon/v1/kagawa/gw 1/data", None),
        ("a line break at the end of a name", "suimon/v1/kagawa/gw-1\n/data", None),
        ("a name that begins with a dash", "suimon/v1/kagawa/-gw/data", None),
        ("an empty level", "suimon/v1//gw-1/data", None),
        ("a leading slash", "/suimon/v1/kagawa/gw-1/data", None),
        ("one level more", "suimon/v1/kagawa/gw-1/data/x", None),
        ("letters beyond ASCII", "suimon/v1/香川/gw-1/data", None),
        ("nothing", "", None),
    ],
)
def test_topics(what: str, topic: str, expected: tuple[str, str, str] | None) -> None:
    """A topic is a device's own or none of ours."""
    assert wire.parse_topic(topic) == expected, what


def test_topics_are_made_as_they_are_read() -> None:
    """What the edge publishes on is what the bridge understands; alerts have a place of their own."""
    assert wire.parse_topic(wire.topic("kagawa", "gw-1", "data")) == ("kagawa", "gw-1", "data")
    assert wire.alert_topic("kagawa", "kamogawa") == "suimon/v1/kagawa/_alerts/kamogawa"
    assert wire.BRIDGE_STATUS == "suimon/v1/_bridge/status"


# --- well-formed packs ---------------------------------------------------------------------------------------------

# Literally the example of the contract.
EXAMPLE = b"""[{"bn":"kasuga-bridge/","bt":1764000000.0,"n":"water_level","u":"m","v":1.234,
  "log":"7d1f9c2ab4e0","seq":18231,"clk":"synced"},
 {"n":"battery_voltage","u":"V","v":12.61},
 {"bt":1764000060.0,"n":"water_level","u":"m","v":1.241,"seq":18232,"clk":"synced"},
 {"n":"battery_voltage","u":"V","v":12.60}]"""


def test_the_contracts_example() -> None:
    """Two samples of two records each; base name, log and clock hold until they change."""
    pack = wire.decode_pack(EXAMPLE)
    assert pack.rejects == []
    assert pack.samples == [
        WireSample(
            "7d1f9c2ab4e0",
            18231,
            1_764_000_000_000,
            0,
            ClockState.SYNCED,
            [
                WireRecord(0, "kasuga-bridge", "water_level", "m", 1.234, None),
                WireRecord(1, "kasuga-bridge", "battery_voltage", "V", 12.61, None),
            ],
        ),
        WireSample(
            "7d1f9c2ab4e0",
            18232,
            1_764_000_060_000,
            0,
            ClockState.SYNCED,
            [
                WireRecord(0, "kasuga-bridge", "water_level", "m", 1.241, None),
                WireRecord(1, "kasuga-bridge", "battery_voltage", "V", 12.60, None),
            ],
        ),
    ]


BASE = {"bn": "s/", "bt": 1764000000, "log": "a1", "seq": 1, "clk": "synced"}
ONE = BASE | {"n": "c", "u": "m", "v": 1.5}


def read(*records: Any) -> Pack:
    """Decode records as Python's json writes them: NaN as NaN, half a pair as an escape."""
    return wire.decode_pack(json.dumps(list(records)).encode())


def first(**changes: Any) -> WireSample:
    """The one sample of a pack of one good record with these fields."""
    pack = read(ONE | changes)
    assert pack.rejects == []
    assert len(pack.samples) == 1
    return pack.samples[0]


@pytest.mark.parametrize(
    ("bt", "t", "ms"),
    [
        (1764000000.0, 0, 1764000000000),
        (1764000000.001, 0, 1764000000001),
        (1764000000.0015, 0, 1764000000002),  # binary: 1764000000.0015001
        (1764000000, 0.999, 1764000000999),
        (1764000060, -60, 1764000000000),
        (1700000000.29, 0, 1700000000290),  # truncating would give …289
        (1763999999.9, 0.1, 1764000000000),
        (268435456, 0, 268435456000),  # the first time that is absolute
    ],
)
def test_times_are_rounded(bt: float, t: float, ms: int) -> None:
    """Milliseconds are round((bt + t) * 1000), so that a time means the same in every packing."""
    sample = first(bt=bt, t=t)
    assert (sample.observed_ms, sample.age_ms) == (ms, 0)
    assert ms == round((bt + t) * 1000)


@given(st.integers(2**28 * 1000, 4_102_444_800_000))
def test_every_millisecond_survives(ms: int) -> None:
    """A time written as seconds comes back as the same millisecond."""
    sample = Sample("a", 1, ms, ClockState.SYNCED, (Reading("s", "c", "m", 0.0),))
    assert wire.decode_pack(wire.encode_pack([sample])).samples[0].observed_ms == ms


@pytest.mark.parametrize(
    ("what", "fields", "age_ms"),
    [
        ("half a second ago", {"bt": 0, "t": -0.5}, 500),
        ("now", {"bt": 0}, 0),
        ("base and record add up", {"bt": -60, "t": -0.25}, 60250),
        ("a day ago", {"bt": -86400.0}, 86_400_000),
        ("two minutes after 1970: the count of a clock that was never set", {"bt": 120.0}, -120_000),
    ],
)
def test_relative_time(what: str, fields: dict[str, float], age_ms: int) -> None:
    """A time below 2^28 counts from now; it is an age, and has no absolute time until the bridge dates it."""
    sample = first(**fields, clk="unsynced")
    assert (sample.observed_ms, sample.age_ms, sample.clk) == (None, age_ms, ClockState.UNSYNCED), what


@pytest.mark.parametrize(
    ("what", "fields", "expected"),
    [
        ("a whole number is a value", {"v": 2}, 2.0),
        ("the largest integer", {"v": 2**63 - 1}, float(2**63 - 1)),
        ("the smallest", {"v": -(2**63) + 1}, float(-(2**63) + 1)),
        ("a base value is added", {"bv": 10.0, "v": 0.5}, 10.5),
        ("true is one", {"v": None, "vb": True}, 1.0),
        ("false is nought", {"v": None, "vb": False}, 0.0),
        ("negative levels are normal", {"v": -0.42}, -0.42),
    ],
)
def test_values(what: str, fields: dict[str, Any], expected: float) -> None:
    """A number or a truth value becomes a float."""
    assert first(**fields).records[0].value == expected, what


@pytest.mark.parametrize(
    ("what", "fields", "expected"),
    [
        ("base unit where the record has none", {"u": None, "bu": "cm"}, ("s", "c", "cm")),
        ("the record's unit before the base unit", {"u": "mm", "bu": "cm"}, ("s", "c", "mm")),
        ("no unit at all", {"u": None}, ("s", "c", "")),
        ("the whole name in n", {"bn": "", "n": "s/c"}, ("s", "c", "m")),
        ("a name over both", {"bn": "s/wat", "n": "er"}, ("s", "water", "m")),
        ("the whole name in bn", {"bn": "s/c", "n": None}, ("s", "c", "m")),
    ],
)
def test_names_and_units(what: str, fields: dict[str, Any], expected: tuple[str, str, str]) -> None:
    """Name and unit are put together from base and record."""
    record = first(**fields).records[0]
    assert (record.station, record.channel, record.unit) == expected, what


@pytest.mark.parametrize("fault", FaultCode)
def test_faults(fault: FaultCode) -> None:
    """A fault stands in the channel it belongs to, and has no value."""
    record = first(n="c.fault", v=None, u=None, vs=fault.value).records[0]
    assert (record.channel, record.value, record.fault) == ("c", None, fault)


def test_unknown_labels_are_ignored() -> None:
    """Labels that we do not know are skipped, as the RFC says, unless they end in an underscore."""
    assert first(foo=[1, {"x": None}], bver=10).records[0].value == 1.5
    assert first(foo="trailing_").records[0].value == 1.5


def test_absent_and_null_are_the_same() -> None:
    """Writers that put null for what they leave out are understood."""
    pack = read(ONE, {"bn": None, "bt": None, "log": None, "seq": None, "clk": None, "n": "d", "v": 2, "vs": None})
    assert [r.channel for r in pack.samples[0].records] == ["c", "d"]


@pytest.mark.parametrize("clk", ClockState)
def test_clock_states(clk: ClockState) -> None:
    """The state of the device's clock travels with the sample."""
    assert first(clk=clk.value).clk is clk


def test_a_log_holds_until_it_changes() -> None:
    """A pack may carry samples of several logs."""
    pack = read(
        ONE, {"n": "c", "v": 2, "seq": 2}, {"n": "c", "v": 3, "log": "b2", "seq": 1}, {"n": "c", "v": 4, "seq": 2}
    )
    assert [(s.log, s.seq) for s in pack.samples] == [("a1", 1), ("a1", 2), ("b2", 1), ("b2", 2)]


def test_span() -> None:
    """The span stands on the first record of a backlog pack and speaks of its log."""
    pack = read(ONE | {"span": {"from": 1, "to": 5, "store": "b61c", "opening": "a9"}})
    assert (pack.span, pack.span_log) == (Span(1, 5, "b61c", "a9"), "a1")
    assert wire.decode_pack(EXAMPLE).span is None


# --- packs that are bad as a whole ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "payload", "code"),
    [
        ("nothing", b"", RejectCode.NOT_JSON),
        ("words", b"hello", RejectCode.NOT_JSON),
        ("cut short", EXAMPLE[:-10], RejectCode.NOT_JSON),
        ("something behind it", EXAMPLE + b"x", RejectCode.NOT_JSON),
        ("binary", bytes(range(256)), RejectCode.NOT_JSON),
        ("not UTF-8", b'["\xff"]', RejectCode.NOT_JSON),
        ("nested too deeply", b"[" * 100_000, RejectCode.NOT_JSON),
        ("a bare number", b"1.5", RejectCode.NOT_SENML),
        ("an object", b'{"n":"s/c","v":1}', RejectCode.NOT_SENML),
        ("null", b"null", RejectCode.NOT_SENML),
        ("an empty list", b"[]", RejectCode.NOT_SENML),
        ("a list of numbers", b"[1,2]", RejectCode.NOT_SENML),
    ],
)
def test_bad_payloads(what: str, payload: bytes, code: RejectCode) -> None:
    """What is not a pack at all is one reject without a number, of the whole payload."""
    pack = wire.decode_pack(payload)
    assert pack.samples == []
    assert [(r.code, r.log, r.seq, r.text) for r in pack.rejects] == [(code, None, None, None)], what


# --- one bad record ------------------------------------------------------------------------------------------------

BAD_RECORDS = [
    ("text for a number", {"v": "1.5"}, RejectCode.WRONG_TYPE),
    ("truth for a number", {"v": True}, RejectCode.WRONG_TYPE),
    ("a number for a name", {"n": 5}, RejectCode.WRONG_TYPE),
    ("a list for a unit", {"u": ["m"]}, RejectCode.WRONG_TYPE),
    ("text for a time", {"t": "now"}, RejectCode.WRONG_TYPE),
    ("an unknown state of the clock", {"clk": "perhaps"}, RejectCode.WRONG_TYPE),
    ("an unknown fault", {"n": "c.fault", "v": None, "vs": "tired"}, RejectCode.WRONG_TYPE),
    ("a text where no fault is named", {"v": None, "vs": "no_echo"}, RejectCode.WRONG_TYPE),
    ("NaN", {"v": float("nan")}, RejectCode.NOT_FINITE),
    ("infinity", {"v": float("inf")}, RejectCode.NOT_FINITE),
    ("a sum that is infinite", {"bv": 1e308, "v": 1.7e308}, RejectCode.NOT_FINITE),
    ("a time that is NaN", {"t": float("nan")}, RejectCode.NOT_FINITE),
    ("a time of a million years", {"t": 1e14}, RejectCode.NOT_FINITE),
    ("2^63", {"v": 2**63}, RejectCode.INTEGER_RANGE),
    ("-2^63", {"v": -(2**63)}, RejectCode.INTEGER_RANGE),
    ("an integer of five hundred digits", {"v": 10**500}, RejectCode.INTEGER_RANGE),
    ("half of a UTF-16 pair in the name", {"n": "c\ud800"}, RejectCode.LONE_SURROGATE),
    ("half of a pair in a value", {"n": "c.fault", "v": None, "vs": "\udfff"}, RejectCode.LONE_SURROGATE),
    ("half of a pair in the unit", {"u": "\ud83d"}, RejectCode.LONE_SURROGATE),
    ("a label that must be understood", {"offset_": 3}, RejectCode.NOT_SENML),
    ("such a label beside good ones of ours", {"v_": 1.5}, RejectCode.NOT_SENML),
    ("no value", {"v": None}, RejectCode.NOT_SENML),
    ("no station", {"bn": "", "n": "c"}, RejectCode.NOT_SENML),
    ("no channel", {"bn": "s/", "n": ""}, RejectCode.NOT_SENML),
]  # fmt: skip


@pytest.mark.parametrize(("what", "fields", "code"), BAD_RECORDS, ids=[what for what, _, _ in BAD_RECORDS])
def test_one_bad_record(what: str, fields: dict[str, Any], code: RejectCode) -> None:
    """A bad record is refused by its code with its log and number known, and the samples beside it stay whole."""
    before, after = ONE | {"seq": 7}, BASE | {"bv": 0, "seq": 9, "n": "d", "v": 9}
    pack = read(before, ONE | {"seq": 8} | fields, after)
    assert [(s.log, s.seq, [r.value for r in s.records]) for s in pack.samples] == [
        ("a1", 7, [1.5]),
        ("a1", 9, [9.0]),
    ], what
    assert [(r.code, r.log, r.seq, r.record) for r in pack.rejects] == [(code, "a1", 8, 0)]


@pytest.mark.parametrize(("what", "fields", "code"), BAD_RECORDS, ids=[what for what, _, _ in BAD_RECORDS])
def test_a_bad_record_alone(what: str, fields: dict[str, Any], code: RejectCode) -> None:
    """The same record alone is refused by the same code: fast and careful decoding agree."""
    pack = read(ONE | fields)
    assert pack.samples == [], what
    assert [(r.code, r.log, r.seq) for r in pack.rejects] == [(code, "a1", 1)]


def test_the_rest_of_a_sample_keeps_its_number() -> None:
    """Records behind a bad one belong to its sample still, and keep their places."""
    pack = read(ONE | {"v": "x"}, {"n": "d", "v": 2}, {"n": "e", "v": "y"}, {"n": "f", "v": 3})
    assert [(r.record, r.log, r.seq) for r in pack.rejects] == [(0, "a1", 1), (2, "a1", 1)]
    assert [(s.seq, s.observed_ms) for s in pack.samples] == [(1, 1764000000000)]
    assert [(r.record, r.station, r.channel) for r in pack.samples[0].records] == [(1, "s", "d"), (3, "s", "f")]


def test_an_integer_of_thousands_of_digits_harms_no_other() -> None:
    """Python itself refuses to read such a number; the record is refused, not the pack."""
    payload = json.dumps([ONE, ONE | {"seq": 2, "v": "?"}]).replace('"?"', "9" * 5000).encode()
    pack = wire.decode_pack(payload)
    assert [s.seq for s in pack.samples] == [1]
    assert [(r.code, r.seq) for r in pack.rejects] == [(RejectCode.INTEGER_RANGE, 2)]


def test_a_label_that_must_be_understood_hides_behind_no_escape() -> None:
    r"""`foo\u005f` is the same label as `foo_`."""
    payload = json.dumps([ONE | {"foo_": 1}]).replace("foo_", r"foo\u005F").encode()
    assert [r.code for r in wire.decode_pack(payload).rejects] == [RejectCode.NOT_SENML]


def test_the_dead_record_can_be_sent_again() -> None:
    """The text of a reject is a pack of its own, under the labels that held for it: mended, it is accepted."""
    bad = read(ONE, {"n": "d", "u": "V", "v": "12"}).rejects[0]
    assert bad.text is not None
    pack = wire.decode_pack(bad.text.replace('"12"', "12").encode())
    assert [(s.log, s.seq, s.observed_ms) for s in pack.samples] == [("a1", 1, 1764000000000)]
    assert pack.samples[0].records == [WireRecord(0, "s", "d", "V", 12.0, None)]


@pytest.mark.parametrize(
    ("label", "value", "code"),
    [
        ("bt", "noon", RejectCode.WRONG_TYPE),
        ("bt", float("nan"), RejectCode.NOT_FINITE),
        ("bt", 1e300, RejectCode.NOT_FINITE),
        ("bn", 5, RejectCode.WRONG_TYPE),
        ("bn", "s\ud800/", RejectCode.LONE_SURROGATE),
        ("bu", 5, RejectCode.WRONG_TYPE),
        ("bv", "1", RejectCode.WRONG_TYPE),
        ("clk", 1, RejectCode.WRONG_TYPE),
    ],
)
def test_an_unreadable_base_spoils_what_stands_on_it(label: str, value: Any, code: RejectCode) -> None:
    """No record is given the time, name or unit of an earlier one because its own cannot be read."""
    new = {"seq": 2, "n": "c", "v": 2, label: value}
    pack = read(ONE, new, {"n": "d", "v": 3}, ONE | {"seq": 3, "bu": "m", "bv": 0})
    assert [s.seq for s in pack.samples] == [1, 3]
    assert [(r.code, r.log, r.seq, r.record) for r in pack.rejects] == [(code, "a1", 2, 0), (code, "a1", 2, 1)]


# --- log and seq ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "fields"),
    [
        ("no log", {"log": None}),
        ("no seq", {"seq": None}),
        ("neither", {"log": None, "seq": None}),
        ("seq 0", {"seq": 0}),
        ("a negative seq", {"seq": -1}),
        ("seq 2^63", {"seq": 2**63}),
        ("a fraction", {"seq": 1.5}),
        ("a whole fraction", {"seq": 1.0}),
        ("text", {"seq": "1"}),
        ("truth", {"seq": True}),
        ("seq NaN", {"seq": float("nan")}),
        ("an empty log", {"log": ""}),
        ("a log of 65 letters", {"log": "a" * 65}),
        ("a log with a slash", {"log": "a/b"}),
        ("a log with a line break", {"log": "a\n"}),
        ("half of a pair in the log", {"log": "\ud800"}),
        ("a number for a log", {"log": 7}),
    ],
)
def test_no_identity(what: str, fields: dict[str, Any]) -> None:
    """Without log and seq a sample has no identity; nothing else is settled in its place, before it or behind it."""
    fields = ONE | fields
    pack = read({k: v for k, v in fields.items() if v is not None}, {"n": "d", "v": 2}, ONE | {"log": "b2", "seq": 5})
    assert [(s.log, s.seq) for s in pack.samples] == [("b2", 5)], what
    assert [r.code for r in pack.rejects] == [RejectCode.BAD_SEQUENCE] * 2
    assert all(r.log is None or r.seq is None for r in pack.rejects)


@pytest.mark.parametrize(
    ("what", "record"),
    [
        ("an unreadable number", {"seq": "8", "n": "c", "v": 2}),
        ("an unreadable log", {"log": 5, "seq": 8, "n": "c", "v": 2}),
        ("another log and no number", {"log": "b2", "n": "c", "v": 2}),
        ("another log, bad, and no number", {"log": "b2", "n": "c", "v": "x"}),
        ("no object", 5),
    ],
)
def test_no_number_is_guessed(what: str, record: Any) -> None:
    """A record whose sample cannot be told is not given the log or number of an earlier one, nor are those that
    follow it."""
    pack = read(ONE | {"seq": 7}, record, {"n": "d", "v": 3})
    assert [(s.log, s.seq, len(s.records)) for s in pack.samples] == [("a1", 7, 1)], what
    assert len(pack.rejects) == 2
    assert all(r.log is None or r.seq is None for r in pack.rejects)


# --- encode and decode ---------------------------------------------------------------------------------------------

NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,8}", fullmatch=True)
LOGS = st.from_regex(r"[0-9a-f]{1,12}", fullmatch=True)
VALUES = st.floats(allow_nan=False, allow_infinity=False)
READINGS = st.one_of(
    st.builds(Reading, NAMES, st.sampled_from(["water_level", "c"]), st.sampled_from(["m", "V", "%RH"]), VALUES),
    st.builds(Reading, NAMES, st.just("c"), st.just("m"), st.none(), st.sampled_from(FaultCode)),
)
SAMPLES = st.builds(
    Sample,
    LOGS,
    st.integers(1, 2**63 - 1),
    st.integers(2**28 * 1000, 4_102_444_800_000),
    st.sampled_from(ClockState),
    st.lists(READINGS, min_size=1, max_size=4).map(tuple),
)
SPANS = st.builds(Span, st.integers(1, 2**40), st.integers(1, 2**40), LOGS, LOGS)


@given(st.lists(SAMPLES, min_size=1, max_size=5), st.none() | SPANS)
def test_round_trip(samples: list[Sample], span: Span | None) -> None:
    """Whatever the edge encodes, the bridge decodes to the same samples, readings, faults and span."""
    pack = wire.decode_pack(wire.encode_pack(samples, span))
    assert pack.rejects == []
    assert pack.span == span
    assert pack.span_log == (samples[0].log if span else None)
    assert [(s.log, s.seq, s.observed_ms, s.clk) for s in pack.samples] == [
        (s.log, s.seq, s.observed_ms, s.clk) for s in samples
    ]
    for got, sent in zip(pack.samples, samples, strict=True):
        assert [(r.record, r.station, r.channel, r.value, r.fault) for r in got.records] == [
            (i, r.station, r.channel, r.value, r.fault) for i, r in enumerate(sent.readings)
        ]
        assert all(r.unit == x.unit for r, x in zip(got.records, sent.readings, strict=True) if x.fault is None)


@given(SAMPLES)
def test_a_record_alone_says_the_same(sample: Sample) -> None:
    """What the pipeline refused is written as a pack that still says which sample, time and value it was."""
    decoded = wire.decode_pack(wire.encode_pack([sample])).samples[0]
    for record in decoded.records:
        alone = wire.decode_pack(wire.encode_alone(decoded, record))
        assert alone.rejects == []
        again = alone.samples[0]
        assert (again.log, again.seq, again.observed_ms, again.clk) == (
            decoded.log, decoded.seq, decoded.observed_ms, decoded.clk,
        )  # fmt: skip
        assert [(r.station, r.channel, r.value, r.fault) for r in again.records] == [
            (record.station, record.channel, record.value, record.fault)
        ]


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda s: s.encode("utf-8", "surrogatepass")))
def test_arbitrary_bytes(payload: bytes) -> None:
    """No payload raises, and none is without a fate."""
    pack = wire.decode_pack(payload)
    assert pack.samples or pack.rejects


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
LABELS = st.sampled_from(["bn", "bt", "bu", "bv", "n", "u", "v", "vs", "vb", "t", "log", "seq", "clk", "span", "x_"])
SENSIBLE = st.sampled_from(["s/", "c", "c.fault", "no_echo", "synced", "a1", 1764000000, 1, 7, -5, 0.5, 2**63, None])


@given(st.lists(st.dictionaries(LABELS, SENSIBLE | JSON, max_size=9) | JSON, max_size=5))
def test_arbitrary_json(document: Any) -> None:
    """No JSON raises; what is accepted is finite, named and numbered, and every reject can be stored as UTF-8."""
    pack = wire.decode_pack(json.dumps(document).encode())
    objects = sum(isinstance(x, dict) for x in document)
    if objects:
        assert sum(len(s.records) for s in pack.samples) + len(pack.rejects) == len(document)
    else:
        assert len(pack.rejects) == 1
    for sample in pack.samples:
        assert wire.LOG.fullmatch(sample.log)
        assert 1 <= sample.seq < 2**63
        assert sample.records
        for r in sample.records:
            assert r.station
            assert (r.value is None) != (r.fault is None)
            assert r.value is None or abs(r.value) < float("inf")
    for reject in pack.rejects:
        assert (reject.text or "").encode() is not None
        assert reject.detail.encode() is not None


# --- receipts and statements ---------------------------------------------------------------------------------------

RANGES = st.tuples(st.integers(1, 2**62), st.integers(0, 1000)).map(lambda x: (x[0], x[0] + x[1]))


@given(
    st.builds(
        wire.Receipt,
        LOGS,
        LOGS,
        st.lists(st.builds(wire.ReceiptLog, LOGS, st.integers(0, 2**62), st.lists(RANGES, max_size=3)), max_size=3),
    )
)
def test_receipts_round_trip(receipt: wire.Receipt) -> None:
    """A receipt is read as it was written."""
    assert wire.decode_receipt(wire.encode(receipt)) == receipt


def test_the_contracts_receipt() -> None:
    """The receipt of the contract's text."""
    receipt = wire.decode_receipt(
        b'{"store":"b61c","opening":"7d1f9c2ab4e0","logs":[{"log":"7d1f9c2ab4e0","through":18300,'
        b'"settled":[[18305,18340]],"rejected":[[18231,18231,"time_future"]]}]}'
    )
    entry = wire.ReceiptLog("7d1f9c2ab4e0", 18300, [(18305, 18340)], [(18231, 18231, "time_future")])
    assert receipt == wire.Receipt("b61c", "7d1f9c2ab4e0", [entry])


def receipt(**changes: Any) -> bytes:
    return json.dumps(
        {"store": "s", "opening": "a", "logs": [{"log": "a", "through": 3, "settled": []} | changes]}
    ).encode()


@pytest.mark.parametrize(
    ("what", "payload"),
    [
        ("nothing", b""),
        ("another document", b"[]"),
        ("no store", b'{"opening":"a","logs":[]}'),
        ("nested too deeply", b'{"store":"s","opening":"a","logs":[],"x":' + b"[" * 100_000),
        ("not UTF-8", b'{"store":"\xff"}'),
        ("through below 0", receipt(through=-1)),
        ("through of 2^63", receipt(through=2**63)),
        ("through of text", receipt(through="3")),
        ("a range that begins at 0", receipt(settled=[[0, 4]])),
        ("a range the wrong way round", receipt(settled=[[9, 4]])),
        ("a range beyond 2^63", receipt(settled=[[5, 2**63]])),
        ("a range of one number", receipt(settled=[[5]])),
    ],
)
def test_impossible_receipts(what: str, payload: bytes) -> None:
    """A receipt that cannot be is a ValueError, before it could settle anything."""
    with pytest.raises(ValueError):
        wire.decode_receipt(payload)


def statement(**changes: Any) -> bytes:
    entry = {"log": "a", "oldest": 3, "next": 9, "gone": [[4, 5, "no_space"]]}
    return json.dumps({"opening": "a", "logs": [entry | changes]}).encode()


def test_statement() -> None:
    """What the device holds, per log, and what it gave up and why; its opening may be empty."""
    said = wire.decode_statement(statement())
    assert said == wire.Statement("a", [wire.StatementLog("a", 3, 9, [(4, 5, "no_space")])])
    empty = wire.Statement("a", [wire.StatementLog("a", 1, 1)])
    assert wire.decode_statement(wire.encode(empty)) == empty


@pytest.mark.parametrize(
    ("what", "payload"),
    [
        ("nothing", b""),
        ("another document", b'{"opening":"a"}'),
        ("nested too deeply", b"[" * 100_000),
        ("the opening is not listed", b'{"opening":"a","logs":[]}'),
        ("only another log is listed", statement(log="b")),
        ("an opening that is no name", b'{"opening":"","logs":[{"log":"","oldest":1,"next":1}]}'),
        ("oldest 0", statement(oldest=0)),
        ("next before oldest", statement(next=2)),
        ("next of 2^63", statement(next=2**63)),
        ("a fraction", statement(next=9.5)),
        ("gone from 0", statement(gone=[[0, 1, "no_space"]])),
        ("gone the wrong way round", statement(gone=[[5, 4, "no_space"]])),
        ("gone beyond 2^63", statement(gone=[[4, 2**63, "no_space"]])),
        ("gone without a reason", statement(gone=[[4, 5]])),
    ],
)
def test_impossible_statements(what: str, payload: bytes) -> None:
    """A statement that cannot be is a ValueError that says why."""
    with pytest.raises(ValueError, match=r"\w"):
        wire.decode_statement(payload)


@given(st.binary(max_size=100) | JSON.map(lambda x: json.dumps(x).encode()))
def test_arbitrary_documents_raise_nothing_else(payload: bytes) -> None:
    """Receipts, statements, presence and other documents are read or refused with ValueError."""
    for decode in (wire.decode_receipt, wire.decode_statement, wire.decode_bridge_status, wire.decode_json):
        try:
            decode(payload)
        except ValueError:
            continue


def test_presence() -> None:
    """The bridge says whether it is there, and which store it has."""
    status = wire.BridgeStatus("online", "b61c")
    assert wire.decode_bridge_status(wire.encode(status)) == status
