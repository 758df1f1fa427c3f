"""Profiles of every encoding, from their YAML: what they decode, and what is said of a wrong one."""

from __future__ import annotations

import pytest

from gateway import profilefile, profiles, yamlfile
from gateway.errors import FaultCode
from gateway.profiles import Profile

HEAD = "version: 1\nid: acme\nvendor: Acme\nmodel: X\nsource: unverified\n"
BINARY = """encoding: binary
frame: {start: FF, length: 4, checksum: sum8}
values:
  distance: {unit: mm, byte: 1, type: uint16, span: [28 cm, 7.5 m], accuracy: 1 %, resolution: 1 mm, faults: {65533: no_echo, "<30": below_span}}
examples:
  - {name: normal, hex: FF 07 A1 A7, expect: {distance: 1.953 m}}
  - {name: lowest, hex: FF 01 18 18, expect: {distance: 0.280 m}}
  - {name: highest, hex: FF 1D 4C 68, expect: {distance: 7.500 m}}
  - {name: fault, hex: FF FF FD FB, expect: {distance: {fault: no_echo}}}
  - {name: too near, hex: FF 00 1D 1C, expect: {distance: {fault: below_span}}}
  - {name: malformed, hex: FF 07 A1 A8, expect: {fault: malformed}}
"""  # noqa: E501
TEXT = """encoding: text
frame: {end: "\\r\\n", separator: ","}
values:
  water_level: {unit: m, field: 1, faults: {"----": no_echo}}
  battery_voltage: {unit: V, field: 2}
status:
  - {field: 3, faults: {1: sensor_error}, values: [water_level]}
examples:
  - {name: normal, text: "L,1.25,12.6,0\\r\\n", expect: {water_level: 1.25 m, battery_voltage: 12.6 V}}
  - {name: lowest, text: "L,-0.5,12.6,0\\r\\n", expect: {water_level: -0.5 m}}
  - {name: highest, text: "L,10,12.6,0\\r\\n", expect: {water_level: 10 m}}
  - {name: fault, text: "L,----,12.6,0\\r\\n", expect: {water_level: {fault: no_echo}, battery_voltage: 12.6 V}}
  - {name: status, text: "L,1.25,12.6,1\\r\\n", expect: {water_level: {fault: sensor_error}, battery_voltage: 12.6 V}}
  - {name: malformed, text: "L,1.25", expect: {fault: malformed}}
"""
CURRENT = """encoding: named
values:
  water_level:
    input: in_voltage0_raw
    times: in_voltage0_scale
    factor: 0.01
    points: {4: 0 m, 20: 5 m}
    span: [0 m, 5 m]
    faults: {"<3.6": sensor_error, ">21": above_span}
examples:
  - {name: normal, named: {in_voltage0_raw: 8000, in_voltage0_scale: 0.125}, expect: {water_level: 1.875 m}}
  - {name: lowest, named: {in_voltage0_raw: 3200, in_voltage0_scale: 0.125}, expect: {water_level: 0 m}}
  - {name: highest, named: {in_voltage0_raw: 16000, in_voltage0_scale: 0.125}, expect: {water_level: 5 m}}
  - {name: fault, named: {in_voltage0_raw: 0, in_voltage0_scale: 0.125}, expect: {water_level: {fault: sensor_error}}}
  - {name: cable shorted, named: {in_voltage0_raw: 17600, in_voltage0_scale: 0.125}, expect: {water_level: {fault: above_span}}}
  - {name: malformed, named: {in_voltage0_scale: 0.125}, expect: {fault: malformed}}
"""  # noqa: E501
WET = """encoding: json
values:
  contact: {unit: /, path: POWER, words: {ON: 1, OFF: 0}, faults: {"null": sensor_error}}
  rain: {unit: mm, path: rain.sum, absent: 0}
examples:
  - {name: normal, json: '{"POWER": "ON", "rain": {"sum": 1.5}}', expect: {contact: 1 /, rain: 1.5 mm}}
  - {name: lowest, json: '{"POWER": "OFF", "rain": {}}', expect: {contact: 0 /, rain: 0 mm}}
  - {name: highest, json: '{"POWER": "ON", "rain": {"sum": 99}}', expect: {rain: 99 mm}}
  - {name: fault, json: '{"POWER": null, "rain": {}}', expect: {contact: {fault: sensor_error}}}
  - {name: malformed, json: '{"POWER": "MAYBE"}', expect: {fault: malformed}}
"""
BITS = """encoding: registers
values:
  water_level: {unit: mm, address: 0, type: int16}
  contact: {unit: /, address: 1, type: uint16, bits: 3}
  battery_level: {unit: "%", address: 1, type: uint16, bits: [8, 14]}
status:
  - {address: 2, type: uint16, bit_faults: {0: sensor_error, 5: warming_up}, values: [water_level]}
examples:
  - {name: normal, registers: {0: [1234, 0x3208, 0]}, expect: {water_level: 1.234 m, contact: 1 /, battery_level: 50 %}}
  - {name: lowest, registers: {0: [0x8000, 0, 0]}, expect: {water_level: -32.768 m, contact: 0 /}}
  - {name: highest, registers: {0: [0x7FFF, 0x6400, 0]}, expect: {water_level: 32.767 m, battery_level: 100 %}}
  - {name: fault, registers: {0: [1234, 0, 32]}, expect: {water_level: {fault: warming_up}, contact: 0 /}}
  - {name: malformed, registers: {0: [1234]}, expect: {fault: malformed}}
"""
LORA = """encoding: binary
frame: {start: "02", payload: true}
values:
  distance: {unit: mm, byte: 5, type: uint16, span: [0.3 m, 10 m]}
  battery_voltage: {unit: mV, byte: -2, type: uint16, span: [0 V, 5 V]}
status:
  - {byte: 3, type: uint16, faults: {2: no_answer}, values: [distance]}
examples:
  - {name: normal, hex: 02 012F 0003 04D2 0001 0BB1, expect: {distance: 1.234 m, battery_voltage: 2.993 V}}
  - {name: lowest, hex: 02 012F 0003 0000 0001 0000, expect: {distance: 0 m, battery_voltage: 0 V}}
  - {name: highest, hex: 02 012F 0003 2710 0001 1388, expect: {distance: 10 m, battery_voltage: 5 V}}
  - {name: fault, hex: 02 012F 0002 0BB1, expect: {distance: {fault: no_answer}, battery_voltage: 2.993 V}}
  - {name: malformed, hex: 03 012F 0003 04D2 0001 0BB1, expect: {fault: malformed}}
"""
TAGS = """encoding: binary
frame: {tags: {01 75: 1, 03 67: 2, 04 82: 2, 05 00: 1}}
values:
  battery_level: {unit: "%", tag: 01 75, byte: 0, type: uint8, optional: true}
  air_temperature: {unit: Cel, tag: 03 67, byte: 0, type: int16, byte_order: little, scale: 0.1}
  distance: {unit: mm, tag: 04 82, byte: 0, type: uint16, byte_order: little}
status:
  - {tag: 05 00, byte: 0, type: uint8, faults: {1: sensor_error}, values: [distance]}
examples:
  - {name: normal, hex: 017564 0367F800 04820101 050000, expect: {battery_level: 100 %, air_temperature: 24.8 Cel, distance: 0.257 m}}
  - {name: lowest, hex: 050000 04820000 0367D4FE 017500, expect: {battery_level: 0 %, air_temperature: -30 Cel, distance: 0 m}}
  - {name: highest, hex: 050000 0482FFFF, expect: {distance: 65.535 m, battery_level: absent, air_temperature: {fault: malformed}}}
  - {name: fault, hex: 017564 0367F800 04820101 050001, expect: {air_temperature: 24.8 Cel, distance: {fault: sensor_error}}}
  - {name: a value of a newer model behind it, hex: 050000 04820101 FF0102, expect: {distance: 0.257 m}}
  - {name: malformed, hex: 050000 048201, expect: {fault: malformed}}
"""  # noqa: E501
KEYS = """encoding: text
frame: {end: "\\r\\n", separator: ","}
values:
  wind_direction: {unit: deg, key: "Dm=", after: D, faults: {"#": sensor_error}}
  rain: {unit: mm, key: Acc, after: mm}
status:
  - {holds: LensBad, faults: {1: sensor_error}, values: [rain]}
examples:
  - {name: normal, text: "0R0,Dm=012D,Acc  0.20 mm\\r\\n", expect: {wind_direction: 12 deg, rain: 0.2 mm}}
  - {name: lowest, text: "Acc 0 mm,Dm=000D\\r\\n", expect: {wind_direction: 0 deg, rain: 0 mm}}
  - {name: highest, text: "Acc 99.9 mm,Dm=360D\\r\\n", expect: {wind_direction: 360 deg, rain: 99.9 mm}}
  - {name: fault, text: "Acc 0 mm, Dm=012#\\r\\n", expect: {wind_direction: {fault: sensor_error}, rain: 0 mm}}
  - {name: its lens, text: "Acc 0 mm LensBad, Dm=012D\\r\\n", expect: {rain: {fault: sensor_error}}}
  - {name: inches, text: "Acc 0.2 in,Dm=012D\\r\\n", expect: {rain: {fault: malformed}}}
  - {name: malformed, text: "Dn=012D\\r\\n", expect: {fault: malformed}}
"""
ANGLES = """encoding: text
frame: {start: "$GPRMC,", end: "\\r\\n", checksum: nmea, separator: ","}
values:
  latitude: {unit: deg, field: 2, type: latitude}
  longitude: {unit: deg, field: 4, type: longitude}
  velocity: {unit: kn, field: 6}
status:
  - {field: 1, faults: {V: warming_up}}
examples:
  - {name: normal, text: "$GPRMC,015808.00,A,2726.53758,S,15126.05255,E,0.32,208.02,160318,,,A*48\\r\\n", expect: {latitude: -27.442293 deg, longitude: 151.434209167 deg, velocity: 0.164622222 m/s}}
  - {name: lowest, text: "$GPRMC,1,A,9000.0,S,18000.0,W,0,,,,,A*7E\\r\\n", expect: {latitude: -90 deg, longitude: -180 deg}}
  - {name: highest, text: "$GPRMC,1,A,9000.0,N,18000.0,E,0,,,,,A*71\\r\\n", expect: {latitude: 90 deg, longitude: 180 deg}}
  - {name: fault, text: "$GPRMC,1,V,,,,,,,,,,N*62\\r\\n", expect: {fault: warming_up}}
  - {name: malformed, text: "$GPRMC,1,A,9000.0,N,18000.0,E,0,,,,,A*00\\r\\n", expect: {fault: malformed}}
"""  # noqa: E501
FORMS = {
    "binary": BINARY,
    "text": TEXT,
    "named": CURRENT,
    "json": WET,
    "registers": BITS,
    "radio": LORA,
    "tags": TAGS,
    "keys": KEYS,
    "angles": ANGLES,
}


def loaded(text: str) -> tuple[Profile | None, list[str]]:
    document = yamlfile.parse((HEAD + text).encode(), "acme.yaml")
    found = profilefile.profile(document, "acme")
    return found, [str(problem) for problem in sorted(document.problems)]


@pytest.mark.parametrize("form", FORMS)
def test_every_encoding_has_its_form(form: str) -> None:
    """It loads, its examples hold, and what they expect can be served again by a simulated sensor."""
    profile, problems = loaded(FORMS[form])
    assert problems == []
    assert profile is not None
    for example in profile.examples:
        wanted = {n: v for n, v in example.expect.items() if v is not FaultCode.MALFORMED and v is not None}
        if example.name in ("normal", "lowest", "highest"):
            served = profiles.decode(profile, profiles.encode(profile, wanted))
            assert {n: served[n] for n in wanted} == pytest.approx(wanted)


def test_facts_are_kept_in_canonical_units() -> None:
    """An accuracy as a share of the span becomes a length."""
    profile, _ = loaded(BINARY)
    assert profile is not None
    (value,) = profile.values
    assert (value.span, value.accuracy, value.resolution) == ((0.28, 7.5), 0.0722, 0.001)


WRONG: list[tuple[str, str, str, str, str]] = [
    ("no end", "binary", "length: 4, ", "", "7:1 frame: nothing says where it ends. Add for example 'length: 4'"),
    ("no bytes", "binary", "start: FF", "start: RX", "7:16 frame.start: 'RX' are no bytes"),
    ("a checksum", "binary", "sum8", "sum9", "7:41 frame.checksum: unknown checksum 'sum9'. Did you mean 'sum8'?"),
    ("behind the end", "binary", "byte: 1", "byte: 2", "9:30 values.distance.byte: a uint16 at byte 2 ends behind"),
    ("never there", "binary", "65533:", "65536:", "9:111 values.distance.faults.65536: 65536 can never stand in"),
    ("a word", "binary", "65533:", "none:", "9:111 values.distance.faults.none: 'none' is not a number"),
    ("a limit", "binary", '"<30"', '"<low"', "9:127 values.distance.faults.<low: '<low' is no limit"),
    ("a share", "binary", "span: [28 cm, 7.5 m], ", "", "9:47 values.distance.accuracy: a share of the span needs '"),
    ("another key", "binary", "hex: FF 01 18 18", 'text: "R"', "12:5 examples[1]: 'hex' is missing. Add for example"),
    ("no place", "text", "field: 2", "quantity: battery_voltage", "10:3 values.battery_voltage: it stands in a fiel"),
    ("both", "text", "field: 2", "field: 2, columns: [1, 2]", "10:3 values.battery_voltage: it stands in a field or"),
    ("backwards", "text", "field: 2", "columns: [3, 2]", "10:39 values.battery_voltage.columns: there are no column"),
    ("a separator", "text", 'separator: ","', 'separator: ", "', "7:33 frame.separator: ', ' is not one character"),
    ("no such value", "text", "values: [water_level]", "values: [level]", "12:52 status[0].values[0]: the profile h"),
    ("a silent status", "text", "faults: {1: sensor_error}, ", "", "12:5 status[0]: it says nothing"),
    ("one point", "named", "{4: 0 m, 20: 5 m}", "{4: 0 m}", "12:5 values.water_level.points: these are not two points"),
    ("one amount", "named", "20: 5 m", "20: 0 m", "12:5 values.water_level.points: both points mean the same"),
    ("points and scale", "named", "factor: 0.01", "scale: 2", "11:5 values.water_level.scale: the points already sa"),
    ("a frame", "named", "values:", "frame: {length: 4}\nvalues:", "7:1 frame: a frame belongs to binary and text,"),
    ("a unit", "json", "unit: mm, path", "path", "9:3 values.rain: 'unit' is missing. Add for example 'unit: mm'"),
    ("signed bits", "registers", "type: uint16, bits: 3", "type: int16, bits: 3", "9:47 values.contact.bits: bits o"),
    ("a bit", "registers", "bits: 3}", "bits: 16}", "9:54 values.contact.bits: a uint16 has no bit 16: its last is 15"),
    ("a byte", "registers", "bits: 3}", "bits: x}", "9:54 values.contact.bits: 'x' are no bits"),
    ("a small type", "registers", "type: int16}", "type: int8}", "8:45 values.water_level.type: unknown type 'int8'"),
    ("no tag", "tags", "tag: 04 82,", "tag: 04 83,", "11:3 values.distance: the frame has no tag '04 83'"),
    ("a tag of no frame", "binary", "byte: 1", "tag: 03 82, byte: 1", "9:3 values.distance: the frame has no tag"),
    ("behind a tag", "tags", "byte: 0, type: int16", "byte: 1, type: int16", "10:50 values.air_temperature.byte"),
    ("behind the last", "radio", "byte: -2", "byte: -1", "10:37 values.battery_voltage.byte: a uint16 does not stand"),
    ("never absent", "binary", "byte: 1", "byte: 1, optional: true", "9:33 values.distance.optional: only what stands"),
    ("not absent", "tags", "{battery_level: 0 %", "{battery_level: absent", "16:5 example 'lowest': battery_level "),
    ("no end", "radio", ", payload: true", "", "7:1 frame: nothing says where it ends. Add for example "),
    ("an angle", "angles", "field: 2, type", "key: A, type", "9:39 values.latitude.type: a latitude of degrees and mi"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "old", "new", "expected"), [x[1:] for x in WRONG], ids=[x[0] for x in WRONG])
def test_a_wrong_form_is_told_at_its_place(form: str, old: str, new: str, expected: str) -> None:
    """Each mistake with its line and column, what it is and what would be right; the profile is not used."""
    assert FORMS[form].count(old) >= 1
    profile, problems = loaded(FORMS[form].replace(old, new, 1))
    assert profile is None
    assert any(x.startswith(f"acme.yaml:{expected}") for x in problems), problems


def test_a_source_needs_bytes_from_it() -> None:
    """Whoever names a datasheet shows a frame from it; without, the profile says that it is not verified."""
    text = (HEAD + BINARY).replace("source: unverified", "source: Acme X manual")
    document = yamlfile.parse(text.encode(), "acme.yaml")
    assert profilefile.profile(document, "acme") is None
    assert [x.message for x in document.problems] == [
        "none says where its bytes were taken from. Add 'place: manual, p. 12' to one, or 'source: unverified'"
    ]
    text = text.replace("{name: normal, ", "{name: normal, place: p. 9, ")
    found = profilefile.profile(yamlfile.parse(text.encode(), "acme.yaml"), "acme")
    assert found is not None
    assert found.verified


def test_examples_of_our_own_prove_nothing() -> None:
    """A mandatory example that our own encoder made is accepted only of a profile that says that it is unverified."""
    text = (HEAD + TEXT).replace("{name: normal,", "{name: normal, derived: true,", 1)
    document = yamlfile.parse(text.encode(), "acme.yaml")
    assert profilefile.profile(document, "acme") is not None
    document = yamlfile.parse(text.replace("source: unverified", "source: manual").encode(), "acme.yaml")
    assert profilefile.profile(document, "acme") is None
    assert str(document.problems[0]).startswith(
        "acme.yaml:14:20 examples[0].derived: 'normal' is one that every profile"
    )


def test_examples_are_executed_beside_other_mistakes() -> None:
    """A wrong example does not hide what the others decode to, nor a wrong number in it what it expects."""
    text = HEAD + BINARY.replace("{distance: 1.953 m}", "{distance: 1.9 m}").replace("hex: FF 01 18 18", "hex: FF 1")
    text = text.replace("{distance: 0.280 m}", "{distanc: 1}").replace(
        "{distance: {fault: no_echo}}", "{distance: no_echo}"
    )
    document = yamlfile.parse(text.encode(), "acme.yaml")
    assert profilefile.profile(document, "acme") is None
    told = {problem.path: problem.message for problem in document.problems}
    assert told["example 'normal'"] == "decoded 1.953 m, expected 1.900 m"
    assert "hex" in " ".join(told)
    assert "no value 'distanc'" in told["examples[1].expect.distanc"]
    assert told["examples[3].expect.distance"] == "'no_echo' is a fault. Write 'distance: {fault: no_echo}'"


@pytest.mark.parametrize(
    ("what", "old", "new", "expected"),
    [
        ("another value has a mistake", "battery_voltage: {unit: V,", "battery_voltage: {unit: Volt,", True),
        ("another value has a key too many", "{unit: V, field: 2}", "{unit: V, field: 2, feild: 3}", True),
        ("its own value has a mistake", "{unit: m, field: 1,", "{unit: mete, field: 1,", False),
        ("the frame has a mistake", 'separator: ","', 'separator: ", "', False),
        ("the status has a mistake", "faults: {1: sensor_error}, ", "", False),
    ],
)
def test_examples_are_executed_beside_a_mistake_in_a_value(what: str, old: str, new: str, expected: bool) -> None:
    """The values without a mistake are decoded and compared; what depends on the mistake is not judged by it."""
    assert old in TEXT
    text = HEAD + TEXT.replace("expect: {water_level: 10 m}", "expect: {water_level: 11 m}").replace(old, new, 1)
    document = yamlfile.parse(text.encode(), "acme.yaml")
    assert profilefile.profile(document, "acme") is None
    told = [f"{problem.path}: {problem.message}" for problem in document.problems]
    assert any(not x.startswith("example '") for x in told), what
    wrong = ["example 'highest': decoded 10 m, expected 11 m"] if expected else []
    assert [x for x in told if x.startswith("example '")] == wrong, what
