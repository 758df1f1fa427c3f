"""Sensor profiles: every example executed, decode and encode as inverses, and what is said of a wrong profile."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import config, profilefile, profiles, yamlfile
from gateway.encodings import jsonpath, registers
from gateway.errors import FaultCode
from gateway.profiles import Example, Profile, Raw, Value

FOLDER = Path(__file__).parent.parent / "device_profiles"
PROBLEMS: list[object] = []
ALL = config.load_profiles(FOLDER.parent, PROBLEMS)  # type: ignore[arg-type]
EXAMPLES = [pytest.param(p, e, id=f"{p.id}: {e.name}") for p in ALL.values() for e in p.examples]


def test_every_profile_is_in_order() -> None:
    """Each file in device_profiles/ loads without a problem, under its own name."""
    assert PROBLEMS == []
    assert sorted(ALL) == sorted(file.stem for file in FOLDER.glob("*.yaml"))


@pytest.mark.parametrize(("profile", "example"), EXAMPLES)
def test_example(profile: Profile, example: Example) -> None:
    """What the bus gave decodes to what the example expects."""
    decoded = profiles.decode(profile, example.raw)
    expected = {name: wanted for name, wanted in example.expect.items() if wanted is not None}
    assert {name: decoded[name] for name in example.expect if name in decoded} == pytest.approx(expected)


@pytest.mark.parametrize("profile", ALL.values(), ids=lambda profile: profile.id)
def test_mandatory_examples(profile: Profile) -> None:
    """Each profile shows a normal, lowest and highest reading, a fault where it knows one, and a malformed answer."""
    known = profile.status or any(value.faults for value in profile.values)
    wanted = {"normal", "lowest", "highest", "malformed"} | ({"fault"} if known else set())
    assert wanted <= {example.name for example in profile.examples}


@pytest.mark.parametrize(("profile", "example"), EXAMPLES)
def test_examples_encode(profile: Profile, example: Example) -> None:
    """Encoding what an example expects gives readings that decode to the same again."""
    wanted = {name: value for name, value in example.expect.items() if value not in (FaultCode.MALFORMED, None)}
    decoded = profiles.decode(profile, profiles.encode(profile, wanted))
    assert {name: decoded[name] for name in wanted} == pytest.approx(wanted)


# --- what holds for all of them

SIMULATED = {"sim_river_gauge", "json_level"}
REAL = [profile for profile in ALL.values() if profile.id not in SIMULATED]
README = (FOLDER / "README.md").read_text()
TABLE = {row[1].strip(" `"): row for row in (line.split("|") for line in README.splitlines()) if len(row) == 7}


@pytest.mark.parametrize("profile", REAL, ids=lambda profile: profile.id)
def test_every_value_has_a_span(profile: Profile) -> None:
    """Whoever measures says between which ends; the lowest and the highest example lie within them."""
    assert [value.name for value in profile.values if value.span is None] == []
    for example in profile.examples:
        for name, wanted in example.expect.items() if example.name in ("normal", "lowest", "highest") else ():
            span = profile.value(name).span  # type: ignore[union-attr]
            assert (
                wanted is None or isinstance(wanted, FaultCode) or (span and span[0] - 1e-9 <= wanted <= span[1] + 1e-9)
            ), name


@pytest.mark.parametrize("profile", REAL, ids=lambda profile: profile.id)
def test_every_fact_has_a_source_or_says_that_it_has_none(profile: Profile) -> None:
    """A verified profile shows bytes with their place; an unverified one claims no place."""
    places = [example.name for example in profile.examples if example.place]
    assert bool(places) == profile.verified
    assert profile.verified == (profile.source != profiles.UNVERIFIED)


@pytest.mark.parametrize("profile", REAL, ids=lambda profile: profile.id)
def test_every_profile_says_what_was_not_run(profile: Profile) -> None:
    """The head of the file says what only hardware can show."""
    head = (FOLDER / f"{profile.id}.yaml").read_text().partition("version:")[0].replace("\n# ", " ")
    assert "Only hardware can show: " in head


def _mutated(data: st.DataObject, raw: Raw) -> Raw:
    """What the bus gave, with something in it changed, lost or added."""
    if isinstance(raw, bytes):
        at = data.draw(st.integers(0, len(raw)))
        return raw[:at] + data.draw(st.binary(max_size=4)) + raw[at + data.draw(st.integers(0, 3)) :]
    broken = st.sampled_from([0, 1, -1, 0x7FFF, 0xFFFF, math.nan, math.inf, 1e308])
    kept = {name: number for name, number in raw.items() if data.draw(st.integers(0, 4))}
    if all(isinstance(name, int) for name in kept):
        return {name: data.draw(st.integers(0, 65535)) for name in kept}  # type: ignore[misc]
    return {name: data.draw(broken) for name in kept}  # type: ignore[misc]


@given(st.sampled_from([(p, e) for p in ALL.values() for e in p.examples]), st.data())
def test_whatever_arrives_decodes(one: tuple[Profile, Example], data: st.DataObject) -> None:
    """Answers that were broken on the way decode to finite numbers or faults, for every profile."""
    profile, example = one
    decoded = profiles.decode(profile, _mutated(data, example.raw))
    assert set(decoded) <= {value.name for value in profile.values}
    assert all(isinstance(x, FaultCode) or math.isfinite(x) for x in decoded.values())


@given(st.sampled_from(REAL), st.data())
def test_a_simulated_sensor_serves_whatever_its_span_holds(profile: Profile, data: st.DataObject) -> None:
    """What is encoded decodes to the same, up to a step of the sensor; or to the fault that stands for it."""
    wanted = {value.name: data.draw(st.floats(*value.span)) for value in profile.values if value.span}
    decoded = profiles.decode(profile, profiles.encode(profile, wanted))
    for value in profile.values:
        whole = not value.is_float or getattr(value.at, "columns", None)  # numbers on the bus
        found, step = decoded[value.name], abs(value.scale) / (2 if whole else 1e6)
        near = max(step, abs(wanted[value.name]) * 1e-6, 1e-6) * 1.001
        assert found in value.faults.codes() or abs(found - wanted[value.name]) <= near, value.name


def test_the_readme_lists_every_profile() -> None:
    """The table names each file once, and says of each whether it is verified."""
    assert set(TABLE) - {"name", "---"} == set(ALL)
    assert {name: TABLE[name][4].strip() for name in ALL} == {n: "yes" if p.verified else "no" for n, p in ALL.items()}


@pytest.mark.parametrize("profile", [p for p in REAL if p.encoding == "registers"], ids=lambda profile: profile.id)
def test_a_modbus_model_takes_thirty_lines(profile: Profile) -> None:
    """Besides its examples and its head of comments, from its register table."""
    stated = (FOLDER / f"{profile.id}.yaml").read_text().partition("\nexamples:")[0].splitlines()
    assert len([line for line in stated if not line.startswith("#")]) <= 30


def test_what_flood_staff_own() -> None:
    """At least sixteen real models, among them the kinds that flood watch is made of."""
    quantities = {value.quantity for profile in REAL for value in profile.values}
    assert len(REAL) >= 16
    assert {"water_level", "distance", "contact", "rain", "rain_rate", "wind_speed", "water_temperature"} <= quantities
    assert {"air_pressure", "latitude", "longitude", "battery_voltage"} <= quantities
    assert {profile.encoding for profile in REAL} == set(profiles.ENCODINGS)


# --- decode and encode

TYPES = st.sampled_from(registers.TYPES)
SCALES = st.sampled_from([1.0, 0.1, 0.01, 0.001, 10.0, -0.001])
ORDERS = st.sampled_from(["big", "little"])


def _register(type_: str, order: str = "big", scale: float = 1.0, offset: float = 0.0, address: int = 0) -> Profile:
    at = registers.At(address, type_, order)  # type: ignore[arg-type]
    value = Value("v", "water_level", "m", scale, offset, at)
    return Profile("p", "", "", "", "registers", (value,))


def _range(type_: str) -> tuple[int, int]:
    bits = int(type_.lstrip("uintfloa"))
    if type_.startswith("float"):
        return -(2**20), 2**20
    return (0, 2**bits - 1) if type_.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


@given(TYPES, ORDERS, SCALES, st.data())
def test_registers_round_trip(type_: str, order: str, scale: float, data: st.DataObject) -> None:
    """Every number that a type can hold comes back from its registers, in either word order and with any scale."""
    low, high = _range(type_)
    number = data.draw(st.integers(max(low, -(2**40)), min(high, 2**40)))
    profile = _register(type_, order, scale, offset=2.5, address=data.draw(st.integers(0, 65532)))
    wanted = round(number * scale + 2.5, 9)
    decoded = profiles.decode(profile, profiles.encode(profile, {"v": wanted}))["v"]
    assert decoded == pytest.approx(wanted, rel=1e-6, abs=1e-9)


@given(TYPES, ORDERS, st.lists(st.integers(0, 65535), min_size=4, max_size=4))
def test_any_words_decode(type_: str, order: str, words: list[int]) -> None:
    """Whatever a register holds decodes to a finite number or to a fault, never to an exception."""
    decoded = profiles.decode(_register(type_, order), dict(enumerate(words)))["v"]
    assert isinstance(decoded, FaultCode) or math.isfinite(decoded)


@given(st.integers(-(2**31), 2**31 - 1))
def test_word_order(number: int) -> None:
    """In the little order the words of a wide number stand in reverse, the bytes of a word do not."""
    big = profiles.encode(_register("int32"), {"v": float(number)})
    little = profiles.encode(_register("int32", "little"), {"v": float(number)})
    assert big == {0: number >> 16 & 0xFFFF, 1: number & 0xFFFF}
    assert little == {0: number & 0xFFFF, 1: number >> 16 & 0xFFFF}


@pytest.mark.parametrize("type_", registers.TYPES)
@pytest.mark.parametrize("missing", [0, -1])
def test_missing_words_are_malformed(type_: str, missing: int) -> None:
    """A value of which any word is missing is malformed, not a number made of the rest."""
    words = dict(profiles.encode(_register(type_), {"v": 1.0}))
    del words[sorted(words)[missing]]
    assert profiles.decode(_register(type_), words) == {"v": FaultCode.MALFORMED}


def test_float32_means_seven_digits() -> None:
    """1.234 served as a float32 is 1.234, not 1.2339999675750732."""
    assert profiles.decode(_register("float32"), profiles.encode(_register("float32"), {"v": 1.234})) == {"v": 1.234}


STEPS = st.text("abcxyz", min_size=1, max_size=3) | st.integers(0, 3)


@given(st.lists(STEPS, min_size=1, max_size=4).map(tuple), st.floats(-1e6, 1e6))
def test_json_round_trip(path: tuple[str | int, ...], number: float) -> None:
    """A number comes back from its place in a JSON text, whether keys or list indexes lead there."""
    value = Value("v", "water_level", "m", 1.0, 0.0, jsonpath.At(path))
    profile = Profile("p", "", "", "", "json", (value,))
    decoded = profiles.decode(profile, profiles.encode(profile, {"v": number}))["v"]
    assert decoded == pytest.approx(number, abs=1e-9)


@given(
    st.binary(max_size=40)
    | st.recursive(st.none() | st.integers() | st.text(max_size=3), st.lists).map(json.dumps).map(str.encode)
)
def test_any_text_decodes(data: bytes) -> None:
    """Whatever a sensor sends decodes to numbers or faults, never to an exception."""
    decoded = profiles.decode(ALL["json_level"], data)
    assert all(isinstance(value, FaultCode) or math.isfinite(value) for value in decoded.values())


@pytest.mark.parametrize(
    ("type_", "value"), [("int16", 40000.0), ("uint16", -1.0), ("uint32", 2.0**32), ("float32", 1e39), ("int16", 1e300)]
)
def test_what_does_not_fit_is_refused(type_: str, value: float) -> None:
    """A value that a type cannot hold is an error in the simulator, not a wrapped number."""
    with pytest.raises(ValueError):
        profiles.encode(_register(type_), {"v": value})


def test_faults_stand_before_scaling() -> None:
    """A fault is the number on the bus, whatever the scale makes of it; one that is not declared cannot be sent."""
    gauge = ALL["sim_river_gauge"]
    assert profiles.decode(gauge, {2: 0x8000})["water_level"] is FaultCode.NO_ECHO
    assert profiles.encode(gauge, {"water_level": FaultCode.NO_ECHO}) == {2: 0x8000}
    with pytest.raises(ValueError, match="cannot express the fault"):
        profiles.encode(gauge, {"water_level": FaultCode.WARMING_UP})
    with pytest.raises(KeyError):
        profiles.encode(gauge, {"rain": 1.0})


def test_blocks_join_what_is_near() -> None:
    """Values a few registers apart share one read, and no read is longer than Modbus allows."""
    assert ALL["sim_river_gauge"].blocks() == [(0, 4)]
    far = [Value(f"v{i}", "count", "count", 1.0, 0.0, registers.At(a)) for i, a in enumerate([0, 20, 24, 140, 148])]
    assert Profile("p", "", "", "", "registers", tuple(far)).blocks() == [(0, 1), (20, 5), (140, 9)]
    dense = [Value(f"v{i}", "count", "count", 1.0, 0.0, registers.At(i)) for i in range(300)]
    assert Profile("p", "", "", "", "registers", tuple(dense)).blocks() == [(0, 125), (125, 125), (250, 50)]


# --- what is said of a wrong profile

GOOD = """\
version: 1
id: acme
vendor: Acme
model: US10
source: unverified
encoding: registers
values:
  water_level: {unit: cm, address: 2, type: int16, offset: 5, faults: {-1: no_echo}}
  read_counter: {quantity: count, unit: count, address: 0, type: uint32}
examples:
  - {name: normal, registers: {0: [0, 1, 995]}, expect: {water_level: 10.000 m}}
  - {name: lowest, registers: {2: [0]}, expect: {water_level: 5 cm}}
  - {name: highest, registers: {2: [1000]}, expect: {water_level: 10.05 m}}
  - {name: fault, registers: {2: [0xFFFF]}, expect: {water_level: {fault: no_echo}}}
  - {name: malformed, registers: {9: [1]}, expect: {fault: malformed}}
"""
WRONG = [
    (
        "another id than the file's name",
        "id: acme",
        "id: acne",
        "2:5 id: 'acne' is not the file's name. Did you mean 'acme'?",
    ),
    ("an example that fails", "10.000 m", "10.002 m", "11:5 example 'normal': decoded 10.000 m, expected 10.002 m"),
    (
        "an example with another fault",
        "fault: no_echo}}}",
        "fault: refused}}}",
        "14:5 example 'fault': decoded the fault no_echo, expected the fault refused",
    ),
    (
        "a number where a fault is",
        "{fault: no_echo}}}",
        "1 m}}",
        "14:45 examples[3].expect: the example 'fault' expects no such fault. Write {<value>: {fault: <code>}}",
    ),
    (
        "a mandatory example missing",
        "name: highest",
        "name: high",
        "10:1 examples: example is missing: highest. Each profile has normal, lowest,",
    ),
    (
        "two examples of one name",
        "name: highest",
        "name: lowest",
        "13:12 examples[2].name: a second example is named 'lowest'. Choose another name",
    ),
    (
        "an example of nothing the profile has",
        "{water_level: 5 cm}",
        "{waterlevel: 5 cm}",
        "12:50 examples[1].expect.waterlevel: the profile has no value 'waterlevel'. Did you mean 'water_level'? (",
    ),
    (
        "an example without unit",
        "10.05 m",
        "10.05",
        "13:67 examples[2].expect.water_level: 10.05 has no unit. Did you mean '10.05 m'?",
    ),
    ("a word above 16 bits", "[1000]", "[100000]", "13:37 examples[2].registers.2[0]: 100000 is above 65535"),
    (
        "a register twice",
        "{0: [0, 1, 995]}",
        "{0: [0, 1, 995], 2: [1]}",
        "11:52 examples[0].registers.2[0]: register 2 stands twice. Keep one of them",
    ),
    (
        "JSON in a register profile",
        "registers: {2: [0]}",
        "json: '{}'",
        "12:5 examples[1]: 'registers' is missing. Add for example registers: {0: [0, 17, 1234]}",
    ),
    (
        "an unknown type",
        "int16",
        "int61",
        "8:45 values.water_level.type: unknown type 'int61'. Did you mean 'int64'? (one of uint16, int16,",
    ),
    (
        "a unit of another quantity",
        "unit: cm",
        "unit: degC",
        "8:23 values.water_level.unit: unknown unit 'degC' (water_level accepts m, cm, mm)",
    ),
    (
        "an unknown quantity",
        "quantity: count",
        "quantity: counter",
        "9:28 values.read_counter.quantity: unknown quantity 'counter'. Did you mean 'count'?",
    ),
    (
        "overlapping registers",
        "address: 0,",
        "address: 1,",
        "9:57 values.read_counter.address: registers 1 to 2 overlap those of 'water_level'",
    ),
    (
        "a value beyond the last register",
        "address: 0,",
        "address: 65535,",
        "9:57 values.read_counter.address: a uint32 at 65535 ends above 65535, the last register",
    ),
    ("an address that is none", "address: 0,", "address: -1,", "9:57 values.read_counter.address: -1 is below 0"),
    (
        "a fault outside the type",
        "{-1: no_echo}",
        "{40000: no_echo}",
        "8:72 values.water_level.faults.40000: 40000 can never stand in the type int16 (whole numbers from",
    ),
    (
        "an unknown fault",
        "{-1: no_echo}",
        "{-1: no_ecko}",
        "8:76 values.water_level.faults.-1: unknown fault 'no_ecko'. Did you mean 'no_echo'?",
    ),
    (
        "a fault number that is none",
        "{-1: no_echo}",
        "{x: no_echo}",
        "8:72 values.water_level.faults.x: 'x' is not a number. Write 'number: fault'",
    ),
    (
        "a scale of nothing",
        "offset: 5",
        "scale: 0",
        "8:59 values.water_level.scale: 0 would make every number the same. Write the size of one step",
    ),
    (
        "an upside-down span",
        "offset: 5",
        "span: [5 m, 1 m]",
        "8:58 values.water_level.span: 5 m is not below 1 m. Write the lower value first",
    ),
    (
        "a JSON path in a register profile",
        "offset: 5",
        "path: level",
        "8:52 values.water_level.path: unknown key 'path' (one of ",
    ),
    (
        "an unknown encoding",
        "encoding: registers",
        "encoding: register",
        "6:11 encoding: 'register' is not known. Did you mean 'registers'? (one of registers, binary, ",
    ),
]


def _problems(text: str) -> list[str]:
    document = yamlfile.parse(text.encode(), "acme.yaml")
    assert (profilefile.profile(document, "acme") is None) == bool(document.problems)
    return [str(problem) for problem in document.problems]


@pytest.mark.parametrize(("old", "new", "expected"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_wrong_profile(old: str, new: str, expected: str) -> None:
    """Each mistake in a profile is told at its place, and the profile is not used."""
    assert GOOD.count(old) == 1
    assert any(problem.startswith(f"acme.yaml:{expected}") for problem in _problems(GOOD.replace(old, new)))


def test_the_good_profile() -> None:
    """The profile that the others are made of is in order, its scales compiled and its hash that of the file."""
    document = yamlfile.parse(GOOD.encode(), "acme.yaml")
    profile = profilefile.profile(document, "acme")
    assert profile is not None
    level = profile.value("water_level")
    assert level is not None
    assert (level.scale, level.offset, level.faults.these) == (0.01, 0.05, {-1: FaultCode.NO_ECHO})
    assert profile.digest == document.digest
    assert len(profile.digest) == 12


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (("a.b", "a.c"), None),
        (("a.0", "a.1"), None),
        (("a", "a"), "no text can have a number here and at the path of 'water_level'"),
        (("a", "a.b"), "no text can have a number here and at the path of 'water_level'"),
        (("a.0", "a.b"), "no text can have a number here and at the path of 'water_level'"),
        (("a", "b..c"), "'b..c' is not a path. Write keys and list indexes with dots: items.0.level"),
    ],
)
def test_json_paths_exclude_each_other(paths: tuple[str, str], expected: str | None) -> None:
    """Two values of a JSON profile need two places that one text can have."""
    text = f"""\
version: 1
id: acme
vendor: Acme
model: J
source: unverified
encoding: json
values:
  water_level: {{unit: m, path: {paths[0]}}}
  read_counter: {{quantity: count, unit: count, path: {paths[1]}}}
examples: []
"""
    told = [p.partition("path: ")[2] for p in _problems(text) if "values." in p]
    assert told == ([expected] if expected else [])
