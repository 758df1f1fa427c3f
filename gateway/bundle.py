"""The one file that a device joins by: who it is, the password that proves it, its edge.yaml and the profiles of its
own that this names. Made by `suimon device add` and `replace`, taken by `suimon edge join`.

JSON. It holds the password as it is: whoever has a copy can be the device until the password is replaced or revoked.
`expires_ms` only stops `join` from taking a bundle that lay about; the broker does not know of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from gateway import yamlfile
from gateway.brokerfiles import user_name
from gateway.errors import ConfigError, Problem
from gateway.fields import show
from gateway.senml import NAME
from gateway.stations import Station
from gateway.yamlfile import Document

VERSION = 1
MAX_BYTES = 4_000_000
EDGE, SECRET, CA = "edge.yaml", "mqtt.password", "mqtt-ca.crt"
_ID = re.compile(r"[0-9a-f]{32}")
_PASSWORD = re.compile(r"[!-~]{20,200}")
WARNING = "Whoever has this file can send as this device. Carry it safely, join, delete it."


class Password(msgspec.Struct, frozen=True, tag_field="kind", tag="password"):
    """Credentials by password. Another kind, a certificate and its key, would stand beside this one."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Password({self.username!r})"


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """`id`: which of a device's bundles this is. `complete`: its edge.yaml was given, and checked, not only begun.
    `ca`: the PEM text by which the broker is known; `profiles`: YAML by the profile's name. Times are UTC ms."""

    warning: str = WARNING
    version: int = VERSION
    id: str
    tenant: str
    device: str
    made_ms: int
    expires_ms: int | None = None
    credentials: Password
    complete: bool = False
    edge: str
    ca: str | None = None
    profiles: dict[str, str] = {}


class _Version(msgspec.Struct):
    version: int


def encode(bundle: Bundle) -> bytes:
    return msgspec.json.format(msgspec.json.encode(bundle), indent=1) + b"\n"


def decode(data: bytes, name: str) -> Bundle:
    """Raises ConfigError with what is wrong; nothing that stands in a bundle is shown, because it may be the secret."""
    try:
        if len(data) > MAX_BYTES:
            raise ConfigError(
                [Problem(name, 1, 1, "", f"{len(data)} bytes are no bundle. Name the file that was made")]
            )
        version = msgspec.json.decode(data, type=_Version).version
        if version != VERSION:
            message = f"is a bundle of version {version}, and this suimon reads {VERSION}. Install the gateway's suimon"
            raise ConfigError([Problem(name, 1, 1, "version", message)])
        found = msgspec.json.decode(data, type=Bundle)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        at = re.search(r"`(\$[\w.\[\]]*)`", str(e))
        where = f" at {at[1]}" if at else ""
        message = f"is no bundle of 'suimon device', or was cut short or changed{where}. Copy it once more"
        raise ConfigError([Problem(name, 1, 1, "", message)]) from None
    if problems := list(_wrong(found, name)):
        raise ConfigError(problems)
    return found


def _wrong(bundle: Bundle, name: str) -> Iterable[Problem]:
    def problem(path: str, message: str) -> Problem:
        return Problem(name, 1, 1, path, f"{message}. Copy the bundle once more, or have a new one made")

    for key, value in (
        ("tenant", bundle.tenant),
        ("device", bundle.device),
        *(("profiles", x) for x in bundle.profiles),
    ):
        if not NAME.fullmatch(value):
            yield problem(key, f"{show(value)} is not a name")
    if not _ID.fullmatch(bundle.id):
        yield problem("id", "is not the number of a bundle")
    if bundle.credentials.username != user_name(bundle.tenant, bundle.device):
        yield problem("credentials.username", "is another than the device's")
    if not _PASSWORD.fullmatch(bundle.credentials.password):
        yield problem("credentials.password", "is none that was made by 'suimon device'")
    if any("\ud800" <= c <= "\udfff" for text in _texts(bundle) for c in text):
        yield problem("", "holds half of a UTF-16 pair")


def _texts(bundle: Bundle) -> list[str]:
    return [bundle.edge, bundle.ca or "", *bundle.profiles.values()]


# --- edge.yaml


@dataclass(frozen=True, slots=True)
class Joining:
    """What an edge.yaml must say for a device to be who it is."""

    tenant: str
    device: str
    host: str = ""
    port: int = 8883
    tls: bool = True
    ca: bool = False  # a certificate of its own travels in the bundle
    folder: str = ""  # of the edge.yaml, where that is known: the password's file may be named with it

    def agree(self, document: Document) -> None:
        """What an edge.yaml states of this must be this; mistakes are problems of the document."""
        stated = document.mapping(())
        broker = document.mapping(("broker",))
        wanted: tuple[tuple[Mapping[yamlfile.Key, object], yamlfile.Path, str], ...] = (
            (stated, ("tenant",), self.tenant),
            (stated, ("device",), self.device),
            (broker, ("broker", "username"), user_name(self.tenant, self.device)),
            (broker, ("broker", "password_file"), SECRET),
        )
        for where, path, right in wanted:
            if path[-1] in where and where[path[-1]] not in (right, f"{self.folder}/{right}"):
                message = f"{show(where[path[-1]])} is not what this device is enrolled with. Write '{right}'"
                document.add(path, message)
        for key in ("username", "password_file"):
            if broker and key not in broker:
                right = SECRET if key == "password_file" else user_name(self.tenant, self.device)
                document.add(("broker",), f"'{key}' is missing. Add '{key}: {right}'", at_key=True)

    def lacking(self, stated: Mapping[yamlfile.Key, object]) -> str:
        """The lines of edge.yaml that the mapping has not."""
        tls = f"{{ca_file: {CA}}}" if self.ca else "true"
        broker = (
            f"broker:\n  host: {json.dumps(self.host)}\n  port: {self.port}\n"
            f"  username: {user_name(self.tenant, self.device)}\n  password_file: {SECRET}\n"
        ) + (f"  tls: {tls}\n" if self.tls else "")
        parts = {
            "version": "version: 1\n",
            "tenant": f'tenant: "{self.tenant}"\n',
            "device": f'device: "{self.device}"\n',
            "broker": broker,
        }
        return "".join(text for key, text in parts.items() if key not in stated)


def given(text: str, name: str, joining: Joining) -> str:
    """An edge.yaml that an operator wrote, with what it lacks of version, tenant, device and broker behind it. Raises
    ConfigError where it states another device, or is no YAML."""
    document = yamlfile.parse(text.encode("utf-8", "surrogatepass"), name)
    if document.readable:
        joining.agree(document)
    if document.problems:
        raise ConfigError(document.problems)
    lacking = joining.lacking(document.mapping(()))
    return text + ("\n" if text and not text.endswith("\n") else "") + lacking


def begun(joining: Joining, stations: Iterable[Station]) -> str:
    """An edge.yaml that lacks buses and sensors; which are wanted stands in it as comments."""
    lines = [
        "# Still to be written: buses and sensors. 'suimon profile list' names models, 'suimon check' every mistake.",
        joining.lacking({}).rstrip("\n"),
        "spool: {path: /var/lib/suimon/spool.db}",
        "#buses:",
        "#  mast: {type: modbus_tcp, host: 192.168.1.20}",
        "#sensors:",
    ]
    for station in stations:
        wanted = [channel for channel in station.channels.values() if not channel.derived]
        interval = min((channel.contract.interval_s for channel in wanted), default=60.0)
        lines += [
            f"#  {station.id}:",
            f"#    station: {station.id}",
            "#    bus: mast",
            "#    profile: NAME",
            f"#    interval: {interval:g}s",
            "#    # value of the profile: channel of the station, which takes …",
            "#    channels:",
            *(f"#      VALUE: {channel.name}  # {_takes(channel.quantity, channel.factor)}" for channel in wanted),
        ]
    return "\n".join(lines) + "\n"


def _takes(quantity: str, factor: float) -> str:
    return "a distance, from the sensor down to the water" if factor < 0 else f"a {quantity}"
