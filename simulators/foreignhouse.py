"""The simulated devices of others at a broker: the configuration by which a bridge reads them, what they publish and
write into a log of their own, and the account of that log against the bridge's store.

A folder holds all of it: `stations.yaml`, `bridge.yaml`, `device_profiles/`, `published/<device>.jsonl`, and `store.db`
once a bridge has run there.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from gateway import mqtt, settings

from .foreigndevices import FORMATS, HEIGHT, Message, Row, Sender

TENANT = "elsewhere"
PUBLISHED = "published"
DECIMALS = 6
_DATED = {name.replace("_", "-"): bool(kind.dated) for name, kind in FORMATS.items()}

# How the bridge is told to read each format: codec, and a profile or names.
_MBX = "profile: decentlab_dl_mbx, channels: {distance: water_level}"
_DECODED = "profile: mbx_decoded, channels: {distance: water_level}"
_SOURCES = {
    "senml_json": 'codec: senml_json, values: {water_level: {name: "urn:dev:mac:EUI:level"}}',
    "senml_cbor": 'codec: senml_cbor, values: {water_level: {name: "urn:dev:mac:EUI:level"}}',
    "logger": "codec: plain, profile: site_logger, time: at",
    "ultralight": "codec: ultralight, profile: ultralight_level",
    "tasmota_sensor": "codec: plain, profile: tasmota_sr04, channels: {distance: water_level}",
    "tasmota_power": "codec: bare, values: {float_switch: {name: POWER}}",
    "esphome": "codec: bare, values: {water_level: {name: level, unit: cm}}",
    "chirpstack_decoded": f"codec: chirpstack, {_DECODED}",
    "chirpstack_raw": f"codec: chirpstack, {_MBX}",
    "things_stack_decoded": f"codec: tts, {_DECODED}",
    "things_stack_raw": f"codec: tts, {_MBX}",
}
_VALUES = {
    "site_logger": "water_level: {unit: mm, path: site.level.value, span: [-1 m, 15 m]}",
    "ultralight_level": "water_level: {unit: cm, path: l, span: [-1 m, 15 m]}",
    "tasmota_sr04": "distance: {unit: cm, path: SR04.Distance, span: [0 m, 10 m]}",
    "mbx_decoded": "distance: {unit: mm, path: distance.value, span: [0 m, 10 m]}",
}


# --- the configuration --------------------------------------------------------------------------------------------


def configure(folder: Path, senders: Sequence[Sender], host: str, port: int) -> None:
    """Writes the files of a house that reads these devices, one station each. Files that are there are replaced."""
    stations = ["version: 1", f"tenant: {TENANT}", "stations:"]
    sources = ["version: 1", "store: {path: store.db}", f"broker: {{host: {host}, port: {port}}}"]
    sources += ["clock: {trust: always}", "sources:"]
    for x in senders:
        kind = FORMATS[x.format]
        distance = f", readings: distance, sensor_height: {HEIGHT:g} m" if kind.distance else ""
        measured = f"plausible: [-1 m, 15 m]{distance}" if kind.channel == "water_level" else "quantity: contact"
        stations += [
            f"  {x.name}:",
            f"    name: {{ja: {x.name}, en: {x.name}}}",
            "    position: {latitude: 34.33, longitude: 134.07}",
            "    datum: T.P.",
            "    gauge_zero: 0 m",
            f'    device: "{x.address}"',
            f"    channels: {{{kind.channel}: {{interval: 10min, {measured}}}}}",
        ]
        topic = kind.topic.replace("/POWER", "/{value}").replace("/level/", "/{value}/")
        said = _SOURCES[x.format].replace("EUI", x.eui)
        sources.append(f'  {x.format}: {{topic: "{topic}", tenant: {TENANT}, {said}}}')
    (folder / "device_profiles").mkdir(parents=True, exist_ok=True)
    (folder / "stations.yaml").write_text("\n".join([*stations, ""]))
    (folder / "bridge.yaml").write_text("\n".join([*sources, ""]))
    for name, values in _VALUES.items():
        (folder / "device_profiles" / f"{name}.yaml").write_text(_profile(name, values))


def _profile(name: str, values: str) -> str:
    """Its examples are derived: they prove nothing of a sensor, and there is none."""
    value, path = values.partition(":")[0], values.partition("path: ")[2].partition(",")[0]
    to_m = {"mm": 1000, "cm": 100}[values.partition("unit: ")[2][:2]]
    low, high = (float(x.removesuffix(" m")) for x in values.partition("span: [")[2].partition("]")[0].split(", "))

    def example(said: str, number: object, expect: str) -> str:
        document: Any = number
        for key in reversed(path.split(".")):
            document = {key: document}
        return f"  - {{name: {said}, json: '{json.dumps(document)}', derived: true, expect: {expect}}}"

    lines = ["version: 1", f"id: {name}", "vendor: simulated", f"model: {name}", "source: unverified"]
    lines += ["encoding: json", "values:", f"  {values}", "examples:"]
    lines += [
        example(said, level * to_m, f"{{{value}: {level:g} m}}")
        for said, level in (("normal", 1.25), ("lowest", low), ("highest", high))
    ]
    lines.append(example("fault", "none", f"{{{value}: {{fault: malformed}}}}"))
    lines.append("  - {name: malformed, json: '{', derived: true, expect: {fault: malformed}}")
    return "\n".join([*lines, ""])


# --- publishing ---------------------------------------------------------------------------------------------------


def in_turn(senders: Sequence[Sender]) -> Iterator[Message]:
    """One message of each device after the other, those of a device in their order."""
    for turn in zip_longest(*(x.messages for x in senders)):
        yield from (message for message in turn if message is not None)


def publish(
    senders: Sequence[Sender], host: str, port: int, folder: Path, pause_s: float, due: Callable[[Message], None]
) -> int:
    """Publishes all of it, each message once the broker has the one before and `due` has returned; how many. Each is in
    the log before it leaves. Raises ConnectionError where the broker does not take one."""
    session = mqtt.Session(settings.Broker(host=host, port=port), "suimon-simulated-devices")
    session.start()
    sent = 0
    try:
        if not session.connected.wait(10):
            raise ConnectionError(f"no MQTT broker answers at {host}:{port}. Is it running? Name another with --broker")
        for message in in_turn(senders):
            due(message)
            _note(folder, message)
            if message.fate == "lost":
                continue
            if not session.publish_and_wait(message.topic, message.payload):
                raise ConnectionError(f"{host}:{port} did not take a message of {message.device}; {sent} were sent")
            sent += 1
            time.sleep(pause_s)
    finally:
        session.stop()
    return sent


def _note(folder: Path, message: Message) -> None:
    (folder / PUBLISHED).mkdir(parents=True, exist_ok=True)
    line = asdict(message) | {"payload": base64.b64encode(message.payload).decode()}
    with (folder / PUBLISHED / f"{message.device}.jsonl").open("a") as log:
        log.write(json.dumps(line) + "\n")


def published(folder: Path) -> list[Message]:
    """What the logs of a folder say."""
    out = []
    for path in sorted((folder / PUBLISHED).glob("*.jsonl")):
        for line in path.read_text().splitlines():
            said: dict[str, Any] = json.loads(line)
            rows = tuple(Row(**row) for row in said.pop("rows"))
            out.append(Message(**(said | {"payload": base64.b64decode(said["payload"]), "rows": rows})))
    return out


# --- the account --------------------------------------------------------------------------------------------------

_ROWS = """
SELECT c.station, c.channel, o.observed_ms, o.value, o.fault FROM observations o JOIN channels c ON c.id = o.channel_id
WHERE c.tenant = ?"""
_LETTERS = """
SELECT device, code, sum(count) FROM (
  SELECT tenant, device, code, count FROM dead_letters UNION ALL SELECT tenant, device, code, count FROM letters_folded)
WHERE tenant = ? GROUP BY device, code"""

Fact = tuple[str, str, int | None, float | None, str]  # station, channel, time (None: of its arrival), value, fault


@dataclass(frozen=True, slots=True)
class Line:
    """One device: what it sent, in readings, and what became of it."""

    device: str
    sent: int
    accepted: int
    duplicates: int
    rejected: int
    lost: int
    stored: int
    letters: int


@dataclass(frozen=True, slots=True)
class Account:
    """`problems` says why it does not close."""

    lines: tuple[Line, ...]
    problems: tuple[str, ...] = field(default=())


def account(folder: Path) -> Account:
    """What was published against what stands in `store.db`: each good reading once, with its time and value, nothing
    else, and for each refused one a dead letter with its code. Raises OSError or sqlite3.Error where one is missing."""
    messages = published(folder)
    if not messages:
        raise FileNotFoundError(f"{folder / PUBLISHED} has no log of a simulated device")
    with closing(sqlite3.connect(f"file:{folder / 'store.db'}?mode=ro", uri=True)) as db:
        rows, letters = db.execute(_ROWS, (TENANT,)).fetchall(), db.execute(_LETTERS, (TENANT,)).fetchall()
    wanted = Counter(fact for message in messages for fact in _facts(message))
    found = Counter(_found(*row) for row in rows)
    refused = Counter((_place(m), m.code) for m in messages if m.fate == "rejected")
    kept = Counter({(device, code): count for device, code, count in letters})
    problems = [
        *_differences("readings published and not stored", wanted - found),
        *_differences("readings stored and never published, or twice", found - wanted),
        *_differences("refusals without a dead letter", refused - kept),
        *_differences("dead letters of what was not wrong", kept - refused),
    ]
    names = sorted({m.device for m in messages})
    lines = tuple(_line(name, [m for m in messages if m.device == name], found, kept) for name in names)
    return Account(lines, tuple(problems))


def _facts(message: Message) -> Iterable[Fact]:
    channel = FORMATS[message.format].channel
    for row in message.rows if message.fate == "accepted" else ():
        value = None if row.value is None else round(row.value, DECIMALS)
        yield message.device, channel, row.at_ms, value, row.fault


def _found(station: str, channel: str, at_ms: int, value: float | None, fault: str | None) -> Fact:
    shown = None if value is None else round(value, DECIMALS)
    return station, channel, at_ms if _DATED.get(station) else None, shown, fault or ""


def _place(message: Message) -> str:
    """The device's name as its topic has it."""
    level = FORMATS[message.format].topic.split("/").index("{device}")
    return message.topic.split("/")[level]


def _differences(text: str, some: Counter[Any]) -> list[str]:
    if not some:
        return []
    first = " ".join(str(x) for x in sorted(some, key=str)[0])
    return [f"{some.total()} {text} (first: {first})"]


def _line(name: str, messages: Sequence[Message], found: Counter[Fact], kept: Counter[tuple[str, str]]) -> Line:
    def of(fate: str) -> int:
        return sum(m.samples for m in messages if m.fate == fate)

    place = _place(messages[0])
    return Line(
        name,
        sum(m.samples for m in messages),
        of("accepted"),
        of("duplicate"),
        of("rejected"),
        sum(m.fate == "lost" for m in messages),
        sum(count for fact, count in found.items() if fact[0] == name),
        sum(count for (device, _), count in kept.items() if device == place),
    )
