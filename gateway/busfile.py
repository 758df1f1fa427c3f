"""The `buses` of edge.yaml -> their settings, and how a sensor stands on a bus of each type.

Each type of bus is a row of `KINDS`: the form of its section, the encodings that it carries, how its sensors are
addressed. `edge.buses` has one file for each, named like the type.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from gateway import busfields as bf
from gateway import fields as f
from gateway import linefile, schema, serverfile, settings
from gateway.encodings import named
from gateway.fields import instead, show
from gateway.profiles import EncodingName, Profile
from gateway.schema import Port, Row, need
from gateway.secretfile import secret
from gateway.validation import loosely, validate
from gateway.yamlfile import Document, Path


class ModbusTcp(Row):
    type: Literal["modbus_tcp"] = need("modbus_tcp")
    host: f.Host = need("192.168.1.20")
    port: Port = 502
    timeout: f.Duration = 1.0


class ModbusRtu(Row):
    type: Literal["modbus_rtu"] = need("modbus_rtu")
    port: f.Text = need("/dev/ttyUSB0")
    baud: Annotated[int, Field(ge=300, le=1_000_000)] = need("9600")
    format: f.SerialFormat = need("8N1")
    timeout: f.Duration = 1.0


class Serial(Row):
    type: Literal["serial"] = need("serial")
    port: f.Text = need("/dev/ttyUSB0")
    baud: Annotated[int, Field(ge=300, le=1_000_000)] | None = None
    format: f.SerialFormat | None = None
    timeout: f.Duration = 2.0


class Http(Row):
    type: Literal["http"] = need("http")
    host: f.Host = need("192.168.1.30")
    port: Port | None = None
    tls: Annotated[schema.Tls | None, BeforeValidator(f.switch)] = None
    username: f.Text | None = None
    password_file: f.Text | None = None
    header: f.Header | None = None
    token_file: f.Text | None = None
    timeout: f.Duration = 5.0


class Sdi12(Row):
    type: Literal["sdi12"] = need("sdi12")
    port: f.Text = need("/dev/ttyUSB0")
    baud: Annotated[int, Field(ge=300, le=1_000_000)] = 9600
    format: f.SerialFormat = "8N1"
    timeout: f.Duration = 1.0
    longest: f.Duration = 25.0


class Mqtt(schema.Broker):
    type: Literal["mqtt"] = need("mqtt")
    timeout: f.Duration = 10.0


class Sysfs(Row):
    type: Literal["sysfs"] = need("sysfs")
    root: f.Text = "/sys"
    timeout: f.Duration = 5.0


class Gpio(Row):
    type: Literal["gpio"] = need("gpio")
    chip: f.Text = need("/dev/gpiochip0")


class I2c(Row):
    type: Literal["i2c"] = need("i2c")
    port: f.Text = need("/dev/i2c-1")
    timeout: f.Duration = 1.0


def _modbus_tcp(row: Any) -> settings.Bus:
    return settings.ModbusTcp(row.host, row.port, row.timeout)


def _modbus_rtu(row: Any) -> settings.Bus:
    return settings.ModbusRtu(row.port, row.baud, row.format, row.timeout)


def _serial(row: Any) -> settings.Bus:
    return settings.Serial(row.port, row.baud, row.format, row.timeout)


def _sdi12(row: Any) -> settings.Bus:
    return settings.Sdi12(row.port, row.baud, row.format, row.timeout, row.longest)


def _measured(profile: Profile) -> str:
    if profile.asked.addresses:
        return "is asked over I2C. Use a bus of type i2c"
    return "is asked over SDI-12. Use a bus of type sdi12" if profile.asked.measure else ""


def _of_a_radio(profile: Profile) -> str:
    """A payload without an end of its own comes through a radio's server, which the bridge hears."""
    if profile.encoding == "binary" and profile.frame is not None and not profile.frame.ends:
        return "is the payload of a radio, which the bridge decodes. Name it at a source in bridge.yaml, not here"
    return _measured(profile)


def _endless(profile: Profile, type_: str) -> str:
    """Why it cannot be cut from a stream."""
    if radio := _of_a_radio(profile):
        return radio
    message = f"does not say where a frame ends, and a bus of type {type_} is a stream of bytes"
    return message + ". Add a length or an end to the profile's frame"


def _unmeasured(profile: Profile) -> str:
    if profile.asked.measure:
        return ""
    return "does not say what it measures over SDI-12. Add for example 'asked: {measure: M}' to it"


def _sysfs(row: Any) -> settings.Bus:
    return settings.Sysfs(FilePath(row.root), row.timeout)


def _sysfs_files(document: Document, path: Path, row: Any, folder: FilePath) -> dict[str, Any]:
    return {"root": folder / row.root} if row.root else {}


def _no_files(profile: Profile) -> str:
    if not profile.asked.folder:
        example = """asked: {folder: "bus/iio/devices/iio:device*"}"""
        return f"does not say where the kernel shows such a device. Add for example '{example}' to it"
    places = (*(value.at for value in profile.values), *(status.at for status in profile.status))
    inputs = [x for at in places if isinstance(at, named.At) for x in (at.name, at.times)]
    wrong = next((x for x in inputs if "/" in x or x.startswith(".")), "")
    return f"reads the input {show(wrong)}, and a bus of type sysfs names files of one folder" if wrong else ""


def _i2c(row: Any) -> settings.Bus:
    return settings.I2c(row.port, row.timeout)


def _without_length(profile: Profile) -> str:
    if not profile.asked.addresses:
        return "does not say at which addresses it is on I2C. Add for example 'asked: {addresses: [0x44]}' to it"
    if not profile.frame or not profile.frame.length:
        return "does not say how many bytes are read. Add a length to its frame"
    return ""


def _mqtt(row: Any) -> settings.Bus:
    return settings.Mqtt(settings.Broker(row.host), row.timeout)


def _mqtt_files(document: Document, path: Path, row: Any, folder: FilePath) -> dict[str, Any]:
    return {"broker": serverfile.broker(document, path, row, folder)}


def _gpio(row: Any) -> settings.Bus:
    return settings.Gpio(row.chip)


def _http(row: Any) -> settings.Bus:
    return settings.Http(row.host, row.port or (80 if row.tls is None else 443), timeout_s=row.timeout)


def _http_files(document: Document, path: Path, row: Any, folder: FilePath) -> dict[str, Any]:
    """Whom we believe, and the header that says who we are."""
    tls = serverfile.tls(document, (*path, "tls"), row.tls, folder) if row.tls else None
    password = serverfile.password_of(document, path, row.password_file, folder)
    token = secret(document, (*path, "token_file"), row.token_file, folder)
    if row.token_file and row.username:
        document.add((*path, "token_file"), "'username' already says who we are. Keep one of them", at_key=True)
    if row.header and not row.token_file:
        message = "'token_file' is missing: the file that holds what the header says"
        document.add((*path, "header"), message, at_key=True)
    if row.username and ":" in row.username:
        document.add((*path, "username"), "a user name of HTTP holds no colon")
    if token is not None and not (token.isascii() and token.isprintable()):
        document.add((*path, "token_file"), "what the file holds cannot be sent in a header. It is printable ASCII")
    header = None
    if row.username:
        both = f"{row.username}:{password or ''}".encode()
        header = ("Authorization", f"Basic {base64.b64encode(both).decode()}")
    elif token:
        header = (row.header, token) if row.header else ("Authorization", f"Bearer {token}")
    return {"tls": tls, "header": header}


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of bus. `addressed`: by a Modbus unit id, by an address that `address` checks (it returns it as the bus
    wants it, or raises ValueError with what would be right), by the lines of a chip (`linefile`), or not at all."""

    row: type[Row]
    settings: Callable[[Any], settings.Bus]
    encodings: tuple[EncodingName, ...]
    addressed: Literal["unit_id", "address", "lines", "not"] = "not"
    address: Callable[[str], str] = str
    example: str = ""  # of an address
    framed: bool = False  # what arrives is a stream, from which the profile's frame is cut
    unfit: Callable[[Profile], str] = lambda _: ""  # what is wrong with such a profile on this bus
    shared: bool = True  # several sensors may be on one bus
    stated: Callable[[Profile], str] | None = None  # the address that the profile says, where the sensor has none
    known: Callable[[Profile], tuple[str, ...]] | None = None  # the only addresses that such a model may have
    # What stands in files beside the configuration, as settings of the bus; what is wrong with it are problems.
    files: Callable[[Document, Path, Any, FilePath], dict[str, Any]] | None = None


KINDS: dict[str, Kind] = {
    "modbus_tcp": Kind(ModbusTcp, _modbus_tcp, ("registers",), "unit_id"),
    "modbus_rtu": Kind(ModbusRtu, _modbus_rtu, ("registers",), "unit_id"),
    "serial": Kind(Serial, _serial, ("binary", "text"), framed=True, shared=False, unfit=_measured),
    "sdi12": Kind(
        Sdi12, _sdi12, ("text",), "address", address=f.sdi12_address, example='"0"', framed=True, unfit=_unmeasured
    ),
    "mqtt": Kind(
        Mqtt,
        _mqtt,
        ("json", "text", "binary"),
        "address",
        address=f.topic,
        example="tele/level/SENSOR",
        files=_mqtt_files,
        unfit=_of_a_radio,
    ),
    "i2c": Kind(
        I2c,
        _i2c,
        ("binary",),
        "address",
        address=bf.i2c_address,
        example='"0x44"',
        stated=lambda profile: profile.asked.addresses[0] if profile.asked.addresses else "",
        known=lambda profile: profile.asked.addresses,
        unfit=_without_length,
    ),
    "sysfs": Kind(
        Sysfs,
        _sysfs,
        ("named",),
        "address",
        address=bf.device,
        example="28-0316a2794f5d",
        stated=lambda profile: profile.asked.folder,
        files=_sysfs_files,
        unfit=_no_files,
    ),
    "http": Kind(
        Http,
        _http,
        ("json",),
        "address",
        address=f.url_path,
        example="/api/level",
        stated=lambda profile: profile.asked.path,
        files=_http_files,
    ),
    "gpio": Kind(Gpio, _gpio, ("named",), "lines", unfit=linefile.unfit),
}
_ENCODED = {
    "registers": "registers",
    "binary": "binary frames",
    "text": "lines of text",
    "json": "JSON texts",
    "named": "numbers by name",
}


def buses(document: Document, folder: FilePath) -> dict[str, tuple[str, settings.Bus | None]]:
    """The type and the settings of each bus; None after noting what is wrong with it."""
    return {str(name): _bus(document, ("buses", name), folder) for name in document.mapping(("buses",))}


def _bus(document: Document, path: Path, folder: FilePath) -> tuple[str, settings.Bus | None]:
    section = document.mapping(path)
    stated = section.get("type")
    kind = KINDS.get(stated) if isinstance(stated, str) else None
    if kind is None and "type" in section:
        document.add((*path, "type"), f"{show(stated)} is not known{instead(stated, KINDS)}")
        return "", None
    model = kind.row if kind else ModbusTcp
    row = validate(model, document, path)
    judged = row or loosely(model, document, path)
    found = kind.files(document, path, judged, folder) if kind and kind.files and judged else {}
    if kind is None or row is None:
        return (stated if kind and isinstance(stated, str) else ""), None
    return str(stated), replace(kind.settings(row), **found)


def carriers(profile: Profile) -> list[str]:
    """The types of bus that such a sensor can stand on."""
    return [name for name, kind in KINDS.items() if _carries(kind, profile)]


def _carries(kind: Kind, profile: Profile) -> bool:
    ends = profile.frame is not None and profile.frame.ends
    return profile.encoding in kind.encodings and (ends or not kind.framed) and not kind.unfit(profile)


def fits(document: Document, path: Path, row: schema.Sensor, type_: str, profile: Profile) -> str:
    """The sensor's address on its bus; what does not fit is a problem of the document."""
    kind = KINDS.get(type_)
    if kind is None:
        return ""
    if profile.encoding not in kind.encodings:
        message = f"{profile.id} is a profile for {_ENCODED[profile.encoding]}, and a bus of type {type_} carries "
        document.add((*path, "profile"), message + " and ".join(_ENCODED[x] for x in kind.encodings))
    elif kind.framed and not (profile.frame and profile.frame.ends):
        document.add((*path, "profile"), f"{profile.id} {_endless(profile, type_)}")
    elif unfit := kind.unfit(profile):
        document.add((*path, "profile"), f"{profile.id} {unfit}")
    given: Mapping[str, Any] = {"unit_id": row.unit_id, "address": row.address, "lines": row.lines}
    for key, value in given.items():
        if value is not None and key != kind.addressed:
            wanted = f"knows its sensors by '{kind.addressed}'" if kind.addressed != "not" else "has one sensor"
            document.add((*path, key), f"a bus of type {type_} {wanted}. Leave {key} out", at_key=True)
    return _address(document, path, row, kind, profile) if kind.addressed == "address" else ""


def _address(document: Document, path: Path, row: schema.Sensor, kind: Kind, profile: Profile) -> str:
    if row.address is None:
        if "address" in document.mapping(path):  # and was told
            return ""
        if kind.stated is not None and kind.stated(profile):
            return ""
        document.add(path, f"'address' is missing. Add for example 'address: {kind.example}'", at_key=True)
        return ""
    try:
        found = kind.address(row.address)
    except ValueError as e:
        document.add((*path, "address"), str(e))
        return ""
    if kind.known is not None and (known := kind.known(profile)) and found not in known:
        message = f"{profile.id} is never at {found}. Write one of its addresses: {', '.join(known)}"
        document.add((*path, "address"), message)
    return found


def alone(document: Document, types: Mapping[str, str]) -> None:
    """A line that has one sensor has no second one."""
    first: dict[str, str] = {}
    for name in document.mapping(("sensors",)):
        bus = str(document.mapping(("sensors", name)).get("bus"))
        kind = KINDS.get(types.get(bus, ""))
        other = first.setdefault(bus, str(name))
        if kind is not None and not kind.shared and other != str(name):
            message = f"bus {bus} of type {types[bus]} already has the sensor '{other}'. Add a bus for this one"
            document.add(("sensors", name, "bus"), message)
