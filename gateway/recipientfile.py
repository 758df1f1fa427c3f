"""The media and recipients of bridge.yaml: which keys belong to which kind of medium, and what they need."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path as FilePath
from typing import get_args

from gateway import schema, settings
from gateway.fields import did_you_mean, instead
from gateway.secretfile import content, secret
from gateway.settings import MediumKind
from gateway.validation import validate
from gateway.yamlfile import Document, Path

KINDS: tuple[MediumKind, ...] = get_args(MediumKind)
_MAIL = ("host", "port", "security", "sender", "reply_to", "username", "password_file", "ca_file")
KEYS: dict[MediumKind, tuple[str, ...]] = {
    "console": (),
    "webhook": ("url", "token_file", "secret_file"),
    "sms": ("url", "token_file", "secret_file"),
    "voice": ("url", "token_file", "secret_file"),
    "mail": _MAIL,
    "line": ("url", "token_file"),
    "chat": ("url_file",),
    "lamp": ("url", "levels", "lost"),
}
# What cannot be left out, with an example.
NEEDED: dict[MediumKind, dict[str, str]] = {
    "console": {},
    "webhook": {"url": "url: https://desk.example/hook"},
    "sms": {"url": "url: https://sms.example/send", "secret_file": "secret_file: secrets/sms"},
    "voice": {"url": "url: https://voice.example/call", "secret_file": "secret_file: secrets/voice"},
    "mail": {"host": "host: mail.city.example", "sender": "sender: suii@city.example"},
    "line": {"token_file": "token_file: secrets/line"},
    "chat": {"url_file": "url_file: secrets/teams"},
    "lamp": {"url": "url: http://192.0.2.9/", "levels": 'levels: {0: "off", 3: "red"}'},
}
WHY = {
    "webhook": "a webhook is called there",
    "sms": "the service is called there, and each call is signed",
    "voice": "the service is called there, and each call is signed",
    "mail": "mail is handed over there, in that sender's name",
    "line": "LINE takes nothing without its channel access token",
    "chat": "the file holds the address of the chat, which is a secret",
    "lamp": "the lamp is asked there, for what stands under its level",
}
ADDRESSED = ("sms", "voice", "mail", "line")  # they serve many, and must be told whom to reach
LINE_URL = "https://api.line.me"
_ALL = {key for keys in KEYS.values() for key in keys}
_QUOTA = re.compile(r"\s*(\d[\d_,]*)\s*(?:/|a|per)\s*(day|month)\s*")
_MAIL_ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\]+")


def media(document: Document, folder: FilePath) -> dict[str, settings.Recipient]:
    """What `notify.media` names: recipients without an address, which members have."""
    found = {}
    for name in document.mapping(("notify", "media")):
        path: Path = ("notify", "media", name)
        row = validate(schema.Medium, document, path)
        if row is not None:
            found[str(name)] = _made(document, path, str(name), row.medium, row, folder)
    return found


def misdescribed(document: Document, found: Mapping[str, settings.Recipient]) -> dict[str, settings.Recipient]:
    """Media that are stated with a mistake, by their names: whoever uses them has made none."""
    path: Path = ("notify", "media")
    kinds: tuple[MediumKind, ...] = get_args(MediumKind)
    stated = {str(name): document.mapping((*path, name)).get("medium") for name in document.mapping(path)}
    return {
        name: settings.Recipient(name, next((known for known in kinds if known == kind), "webhook"))
        for name, kind in stated.items()
        if name not in found
    }


def recipients(
    document: Document, folder: FilePath, known: Mapping[str, settings.Recipient]
) -> tuple[settings.Recipient, ...]:
    """What `notify.recipients` names."""
    stated = {str(name) for name in document.mapping(("notify", "media"))}
    found = [
        _recipient(document, ("notify", "recipients", name), folder, known, stated)
        for name in document.mapping(("notify", "recipients"))
    ]
    return tuple(recipient for recipient in found if recipient)


def packages(document: Document, installed: Callable[[str], object] = find_spec) -> None:
    """For `suimon check`: what a medium needs beside Suimon itself. A bridge that starts without it alarms by all its
    other media, and says so at each message."""
    for group in ("media", "recipients"):
        for name in document.mapping(("notify", group)):
            path: Path = ("notify", group, name)
            kind = document.mapping(path).get("medium")
            if kind == "chat" and installed("apprise") is None:
                remedy = "pip install 'suimon[chat]' where the bridge runs"
                document.add(
                    (*path, "medium"), f"the package apprise, which speaks to chats, is missing here. {remedy}"
                )


def bad_address(kind: MediumKind, to: str) -> str | None:
    """Why an address cannot be one of that medium; None where it may be."""
    if kind == "mail" and not _MAIL_ADDRESS.fullmatch(to):
        return f"'{to}' is no mail address. Write for example yamada@city.example"
    if kind in ("sms", "voice") and not re.fullmatch(r"\+[1-9]\d{6,14}", to):
        return f"'{to}' is no telephone number with its country. Write for example +81878390001"
    if kind == "line" and not re.fullmatch(r"[UCR][0-9a-f]{32}", to):
        return f"'{to}' is no user, group or room of LINE: U, C or R and 32 digits from 0 to f"
    return None


def _recipient(
    document: Document, path: Path, folder: FilePath, known: Mapping[str, settings.Recipient], stated: set[str]
) -> settings.Recipient | None:
    row = validate(schema.Recipient, document, path)
    if row is None:
        return None
    before = len(document.problems)
    if row.medium in stated:
        medium = _by_name(document, path, row.medium, known)
    elif row.medium in KINDS:
        kind = next(k for k in KINDS if k == row.medium)
        medium = _made(document, path, "", kind, row, folder)
    else:
        names = sorted({*KINDS, *stated})
        document.add((*path, "medium"), f"unknown medium '{row.medium}'{instead(row.medium, names)}")
        return None
    if medium is None:
        return None
    _address(document, path, medium.medium, row.to)
    if len(document.problems) > before:
        return None
    return _replaced(medium, str(path[-1]), row)


def _replaced(medium: settings.Recipient, name: str, row: schema.Recipient) -> settings.Recipient:
    return replace(medium, name=name, to=row.to or "", min_rank=row.min_rank, notices=row.notices)


def _by_name(
    document: Document, path: Path, name: str, known: Mapping[str, settings.Recipient]
) -> settings.Recipient | None:
    """A medium of `notify.media` is described there, and nowhere else."""
    for key in sorted(_ALL & {str(k) for k in document.mapping(path)}):
        document.add(
            (*path, key), f"{key} belongs to the medium '{name}' under notify.media. Leave it out", at_key=True
        )
    return known.get(name)


def _address(document: Document, path: Path, kind: MediumKind, to: str | None) -> None:
    if kind in ADDRESSED and to is None:
        document.add(path, f"'to' is missing: the medium {kind} must be told whom to reach", at_key=True)
    elif kind not in ADDRESSED and to is not None and kind != "webhook":
        document.add((*path, "to"), f"the medium {kind} reaches nobody by an address. Leave it out", at_key=True)
    elif to is not None and (why := bad_address(kind, to)):
        document.add((*path, "to"), why)


def _made(
    document: Document, path: Path, name: str, kind: MediumKind, row: schema.Medium, folder: FilePath
) -> settings.Recipient:
    """As far as it can be made; what is wrong with it are problems of the document."""
    present = {str(key) for key in document.mapping(path)}
    for key in sorted(_ALL & present - set(KEYS[kind])):
        document.add(
            (*path, key), f"the medium {kind} has no {key}{did_you_mean(key, KEYS[kind])}. Leave it out", at_key=True
        )
    for key, example in NEEDED[kind].items():
        if key not in present:
            document.add(path, f"'{key}' is missing: {WHY[kind]}. Add for example '{example}'", at_key=True)
    read = {
        key: secret(document, (*path, key), getattr(row, key), folder)
        for key in ("token_file", "secret_file", "url_file")
    }
    mail = _mail(document, path, row, folder) if kind == "mail" else None
    quota = _quota(document, (*path, "quota"), row.quota)
    url = read["url_file"] or row.url or (LINE_URL if kind == "line" else "")
    return settings.Recipient(
        name,
        kind,
        url,
        read["token_file"],
        row.timeout,
        notices=False,
        via=name,
        secret=read["secret_file"],
        mail=mail,
        quota=quota,
        levels=row.levels or {},
        lost=row.lost or "",
    )


def _mail(document: Document, path: Path, row: schema.Medium, folder: FilePath) -> settings.Mail | None:
    for key in ("sender", "reply_to"):
        value = getattr(row, key)
        if value is not None and (why := bad_address("mail", value)):
            document.add((*path, key), why)
    if (row.username is None) != (row.password_file is None):
        there, absent = ("username", "password_file") if row.username else ("password_file", "username")
        document.add((*path, there), f"'{absent}' is missing. A name and its password come together", at_key=True)
    security = row.security or "starttls"
    if security == "none" and row.username is not None:
        message = "a password would go over the network in the clear. Write starttls or tls"
        document.add((*path, "security"), message)
    password = secret(document, (*path, "password_file"), row.password_file, folder)
    ca = None if row.ca_file is None else folder / row.ca_file
    if ca is not None and content(document, (*path, "ca_file"), ca, f"{row.ca_file} ") == b"":
        document.add((*path, "ca_file"), f"{row.ca_file} is empty")
    port = row.port or {"starttls": 587, "tls": 465, "none": 25}[security]
    if row.host is None or row.sender is None:
        return None
    return settings.Mail(row.host, row.sender, port, security, row.reply_to or "", row.username, password, ca)


def _quota(document: Document, path: Path, stated: object) -> settings.Quota | None:
    if stated is None:
        return None
    text = str(stated)
    found = _QUOTA.fullmatch(text)
    count = int(re.sub(r"[_,]", "", found[1])) if found else 0
    if found is None or count == 0:
        document.add(path, f"'{text}' is no quota. Write for example '200/month' or '50/day'")
        return None
    return settings.Quota(count, "day" if found[2] == "day" else "month")
