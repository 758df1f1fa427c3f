"""The kinds of value that stand in the YAML files: each takes what YAML gave and returns the value, or raises
ValueError with the sentence for people: what is wrong, the value, what would be right.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import PlainValidator, WithJsonSchema

from gateway import units
from gateway.encodings import frames, numbers, registers
from gateway.errors import FaultCode

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII)
_JAPAN = timezone(timedelta(hours=9))
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
MAX_SECONDS = 366 * 86400.0


def did_you_mean(word: object, choices: Iterable[str]) -> str:
    """ " Did you mean 'x'?" for the nearest of the choices, or nothing."""
    by_low = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(str(word).lower(), by_low, 1)
    return f". Did you mean '{by_low[near[0]]}'?" if near else ""


def instead(word: object, choices: Iterable[str]) -> str:
    """What would be right: the nearest of the choices, and all of them where they are few or none is near."""
    names = list(choices)
    near = did_you_mean(word, names)
    if near and len(names) > 8:
        return near
    return near + (f" (one of {', '.join(names)})" if len(names) > 1 else f" (only {names[0]})" if names else "")


def show(value: Any) -> str:
    """A value as it may stand in a sentence."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    text = str(value)
    text = text if len(text) <= 40 else text[:39] + "…"
    return f"'{text}'" if isinstance(value, str) else text


def text(value: Any) -> str:
    """Text that is not empty and stays on one line."""
    if value is None or value == "":
        raise ValueError("has no value")
    if isinstance(value, (bool, int, float)):
        kind = "true or false" if isinstance(value, bool) else "a number"
        raise ValueError(f"{show(value)} is read as {kind}. For text put it in quotes: '{show(value)}'")
    if not isinstance(value, str):
        raise ValueError(f"{show(value)} stands where text is expected")
    if _CONTROL.search(value):
        raise ValueError("holds a line break or control character. Write it on one line")
    return value


def name(value: Any) -> str:
    """A name as the wire contract has it."""
    word = text(value)
    if _NAME.fullmatch(word):
        return word
    near = re.sub(r"[^a-z0-9._-]+", "-", word.lower()).strip("._-")
    hint = f". Did you mean '{near}'?" if near else ""
    raise ValueError(f"{show(word)} is not a name: a-z, 0-9, '.', '_', '-', first a letter or digit{hint}")


def channel_name(value: Any) -> str:
    """A channel's name. The wire says a channel's fault under `<channel>.fault`."""
    word = name(value)
    if word == "fault" or word.endswith(".fault"):
        raise ValueError(f"'{word}' is reserved for the fault of a channel. Choose another name")
    return word


def amount(value: Any) -> str:
    """A number with a unit, as text; what units are right depends on the quantity and is checked there."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return text(value)
    return str(value)


def _length(value: Any) -> float:
    return units.parse(amount(value), "water_level")


def pair(value: Any) -> tuple[str, str]:
    """Two amounts, the lower first."""
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"{show(value)} is not a span. Write two values: [lowest, highest]")
    return amount(value[0]), amount(value[1])


def _seconds(value: Any) -> float:
    seconds = units.seconds(amount(value))
    if seconds < 0:
        raise ValueError(f"{show(value)} is below zero")
    if seconds > MAX_SECONDS:
        raise ValueError(f"{show(value)} is longer than a year")
    return seconds


def _duration(value: Any) -> float:
    seconds = _seconds(value)
    if seconds == 0:
        raise ValueError(f"{show(value)} is no time at all. Write a duration above zero")
    return seconds


def _every(value: Any) -> float | None:
    """A duration, or None for 'off'."""
    if value == "off":
        return None
    if isinstance(value, bool) or not any(c.isdigit() for c in amount(value)):
        raise ValueError(f"{show(value)} is neither a duration like '5min' nor 'off'")
    return _duration(value)


def _keepalive(value: Any) -> int:
    """Longer, and a half-open link hides for more than half a minute; shorter, and a slow link looks dead."""
    seconds = _seconds(value)
    if not 5 <= seconds <= 20 or seconds != int(seconds):
        raise ValueError(f"{show(value)} is not a keepalive. Write whole seconds from 5s to 20s")
    return int(seconds)


def _size(value: Any) -> int:
    size = units.nbytes(amount(value))
    if not 0 < size < 2**63:
        raise ValueError(f"{show(value)} is not a size that can be kept")
    return size


def _day(value: Any) -> date:
    word = text(value)
    try:
        if _DAY.fullmatch(word):
            return date.fromisoformat(word)
        digits = re.fullmatch(r"(\d{4})[/.](\d{1,2})[/.](\d{1,2})", word, re.ASCII)
        near = date(*map(int, digits.groups())) if digits else None
    except ValueError:
        raise ValueError(f"{show(word)} is not a day of the calendar") from None
    hint = f". Did you mean '{near}'?" if near else ". Write it like 2026-06-01"
    raise ValueError(f"{show(word)} is not a date{hint}")


def _moment(value: Any) -> int:
    """Milliseconds since 1970 of a day or a minute, by Japan's clock where no zone is stated."""
    word = text(value)
    if _MOMENT.fullmatch(word):
        try:
            at = datetime.fromisoformat(word.replace(" ", "T", 1).replace("Z", "+00:00"))
        except ValueError:
            raise ValueError(f"{show(word)} is not a time of the calendar") from None
        return round((at if at.tzinfo else at.replace(tzinfo=_JAPAN)).timestamp() * 1000)
    raise ValueError(f"{show(word)} is not a time. Write it like 2026-06-01 09:30, in Japan's time")


def at_words(ms: int) -> str:
    """The same for people."""
    return f"{datetime.fromtimestamp(ms / 1000, _JAPAN):%Y-%m-%d %H:%M}"


def _url(value: Any) -> str:
    """Where something listens. Not shown in messages before it is known to hold no password."""
    word = text(value)
    try:
        parts = urlsplit(word)
        _ = parts.port
    except ValueError:
        raise ValueError("this is not a URL. Write it like http://127.0.0.1:8086") from None
    if "@" in parts.netloc:
        raise ValueError("a URL holds no user or password here. Use a file: token_file, or username and password_file")
    if parts.scheme not in ("http", "https") or not parts.hostname or " " in word:
        raise ValueError(f"{show(word)} is not a URL. Write it like http://127.0.0.1:8086")
    return word


def _host(value: Any) -> str:
    word = text(value)
    near = word.rpartition("://")[2].partition("/")[0]
    if "@" in word:
        raise ValueError("a host holds no user or password. Use username and password_file")
    if near.count(":") == 1:
        bare, _, port = near.partition(":")
        raise ValueError(f"{show(word)} is not a host alone. Did you mean 'host: {bare}' and 'port: {port}'?")
    if near != word or " " in word:
        hint = f". Did you mean '{near}'?" if near and " " not in near else ""
        raise ValueError(f"{show(word)} is not a host name or address{hint}")
    return word


def fault(value: Any) -> FaultCode:
    word = text(value)
    codes = [code.value for code in FaultCode]
    if word in codes:
        return FaultCode(word)
    raise ValueError(f"unknown fault '{word}'{instead(word, codes)}")


def fault_key(value: Any) -> float | str | tuple[str, float]:
    """What stands for a fault on the bus: a number (as a key of YAML a fraction arrives as text), a text, or all that
    is below ('<3.6') or above ('>21') a limit."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    word = text(value)
    bare = word[1:].strip() if word[:1] in "<>" else word
    try:
        number = float(bare)
    except ValueError:
        number = math.nan
    if word[:1] in "<>":
        if not math.isfinite(number):
            raise ValueError(f"{show(value)} is no limit. Write a number behind the sign: '{word[:1]}3.6'")
        return word[0], number
    return number if math.isfinite(number) else word


ABSENT = "absent"


def _expected(value: Any) -> str | FaultCode:
    """What an example expects: an amount, {fault: code}, or that an optional value is absent."""
    if isinstance(value, dict):
        if list(value) != ["fault"]:
            raise ValueError("a mapping here is {fault: …}")
        return fault(value["fault"])
    return amount(value)


def _one_of(value: Any, what: str, choices: Iterable[str]) -> str:
    word = text(value)
    if word not in choices:
        raise ValueError(f"unknown {what} '{word}'{instead(word, choices)}")
    return word


def _bits(value: Any) -> tuple[int, int]:
    """One bit, or the lowest and the highest of a field."""
    pair = [value, value] if type(value) is int else value
    if not isinstance(pair, list) or len(pair) != 2 or any(type(x) is not int for x in pair):
        raise ValueError(f"{show(value)} are no bits. Write one number, or [lowest, highest], 0 the least significant")
    if not 0 <= pair[0] <= pair[1] <= 63:
        raise ValueError(f"there are no bits {pair[0]} to {pair[1]}. 0 is the least significant, 63 the last")
    return pair[0], pair[1]


def _columns(value: Any) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2 or any(type(x) is not int for x in value):
        raise ValueError(f"{show(value)} are no columns. Write the first and the last, counted from 0: [1, 4]")
    if not 0 <= value[0] <= value[1] < frames.MAX_LENGTH:
        raise ValueError(f"there are no columns {value[0]} to {value[1]}. Write the first and the last, counted from 0")
    return value[0], value[1]


def line(value: Any) -> str:
    """A text as a sensor sends it, which may hold the end of a line."""
    if isinstance(value, (bool, int, float)):
        return text(value)
    if not isinstance(value, str):
        raise ValueError(f"{show(value)} stands where text is expected")
    if not value.isascii():
        raise ValueError(f"{show(value)} has characters beyond ASCII. Such a sensor is read as binary: 'hex'")
    return value


def _serial_format(value: Any) -> str:
    word = text(value)
    if not re.fullmatch(r"[5-8][NEO][12]", word):
        raise ValueError(
            f"{show(value)} is no format of a serial line. Write data bits, parity and stop bits: 8N1, 7E1"
        )
    return word


def url_path(value: Any) -> str:
    """What stands behind the host of a URL."""
    word = text(value)
    if not word.startswith("/") or not word.isascii() or set(word) & set(' "<>\\^`{|}#'):
        hint = f". Did you mean '/{word}'?" if re.fullmatch(r"[A-Za-z0-9._~/?=&%-]+", word) else ""
        raise ValueError(f"{show(word)} is not a path of a URL{hint or '. Write it like /api/level'}")
    return word


def header(value: Any) -> str:
    """The name of a header of HTTP (RFC 9110, section 5.6.2)."""
    word = text(value)
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", word):
        raise ValueError(f"{show(word)} is not the name of a header. Write it like X-Api-Key")
    return word


def _measurement(value: Any) -> str:
    word = text(value)
    if not re.fullmatch(r"(M|MC|C|CC)[1-9]?|(R|RC)[0-9]", word):
        raise ValueError(
            f"{show(word)} is no measurement of SDI-12. Write M, C, M1 or R0, with a CRC MC, CC, MC1 or RC0"
        )
    return word


def topic(value: Any) -> str:
    """One topic of MQTT, to which one sensor publishes."""
    word = text(value)
    if "+" in word or "#" in word:
        raise ValueError(f"{show(word)} names several topics, and a sensor has one. Write it without '+' and '#'")
    if len(word.encode()) > 1024:
        raise ValueError(f"{show(word)} is longer than a topic may be here: 1024 bytes")
    return word


def sdi12_address(value: Any) -> str:
    word = text(value)
    if not re.fullmatch(r"[0-9a-zA-Z]", word):
        raise ValueError(f"{show(word)} is no address of SDI-12. Write one of 0-9, a-z, A-Z")
    return word


def hexadecimal(value: Any) -> bytes:
    """'FF 07 A1' -> three bytes."""
    word = text(value)
    try:
        return bytes.fromhex(word)
    except ValueError:
        raise ValueError(f"{show(value)} are no bytes. Write two hexadecimal digits each: 'FF 07 A1'") from None


def _json_path(value: Any) -> tuple[str | int, ...]:
    """'items.0.level' -> ('items', 0, 'level'). Three digits at most are an index."""
    parts = (str(value) if type(value) is int else text(value)).split(".")
    if "" in parts:
        raise ValueError(f"{show(value)} is not a path. Write keys and list indexes with dots: items.0.level")
    return tuple(int(part) if re.fullmatch(r"[0-9]{1,3}", part) else part for part in parts)


def localised(value: Any) -> Any:
    """A plain name stands for every language."""
    return {"ja": value, "en": value} if isinstance(value, str) else value


def switch(value: Any) -> Any:
    """`true` is a section with nothing in it, `false` none."""
    if isinstance(value, bool):
        return {} if value else None
    if not isinstance(value, dict):
        raise ValueError(f"{show(value)} is neither true nor false nor a mapping")
    return value


# The same for editors, as JSON Schema: no stricter than what reads it.


def _form(**what: Any) -> WithJsonSchema:
    return WithJsonSchema(what)


_A_NAME = {"type": "string", "pattern": f"^{_NAME.pattern}$"}
_AN_AMOUNT = {"type": "string", "pattern": r"^\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*\S+\s*$"}
_A_TIME = {"type": "string", "pattern": r"^\s*\+?(\d+(\.\d*)?|\.\d+)\s*(ms|s|min|h|d)\s*$"}
_A_BIT = {"type": "integer", "minimum": 0, "maximum": 63}
A_FAULT = {
    "enum": [code.value for code in FaultCode],
    "description": "; ".join(f"{code}: {code.sentence}" for code in FaultCode),
}

Text = Annotated[str, PlainValidator(text), _form(type="string", minLength=1)]
Name = Annotated[str, PlainValidator(name), _form(**_A_NAME)]
ChannelName = Annotated[str, PlainValidator(channel_name), _form(**_A_NAME)]
Amount = Annotated[str, PlainValidator(amount), _form(**_AN_AMOUNT)]
Span = Annotated[tuple[str, str], PlainValidator(pair), _form(type="array", items=_AN_AMOUNT, minItems=2, maxItems=2)]
Length = Annotated[float, PlainValidator(_length)]
Duration = Annotated[float, PlainValidator(_duration), _form(**_A_TIME)]
Every = Annotated[float | None, PlainValidator(_every)]
Wait = Annotated[float, PlainValidator(_seconds), _form(**_A_TIME)]  # may be zero
Keepalive = Annotated[int, PlainValidator(_keepalive)]
Size = Annotated[int, PlainValidator(_size)]
Day = Annotated[date, PlainValidator(_day)]
Moment = Annotated[int, PlainValidator(_moment)]
Url = Annotated[str, PlainValidator(_url)]
Host = Annotated[str, PlainValidator(_host)]
Fault = Annotated[FaultCode, PlainValidator(fault), _form(**A_FAULT)]
FaultKey = Annotated[float | str | tuple[str, float], PlainValidator(fault_key)]
Expected = Annotated[
    str | FaultCode,
    PlainValidator(_expected),
    _form(
        anyOf=[
            {"type": "string", "pattern": f"{_AN_AMOUNT['pattern']}|^{ABSENT}$"},
            {"type": "object", "properties": {"fault": A_FAULT}, "required": ["fault"], "additionalProperties": False},
        ]
    ),
]
RegisterType = Annotated[
    str, PlainValidator(lambda value: _one_of(value, "type", registers.TYPES)), _form(enum=registers.TYPES)
]
ByteType = Annotated[
    str, PlainValidator(lambda value: _one_of(value, "type", numbers.TYPES)), _form(enum=list(numbers.TYPES))
]
Bits = Annotated[
    tuple[int, int],
    PlainValidator(_bits),
    _form(oneOf=[_A_BIT, {"type": "array", "items": _A_BIT, "minItems": 2, "maxItems": 2}]),
]
Columns = Annotated[
    tuple[int, int],
    PlainValidator(_columns),
    _form(type="array", items={"type": "integer", "minimum": 0}, minItems=2, maxItems=2),
]
Checksum = Annotated[
    str, PlainValidator(lambda value: _one_of(value, "checksum", frames.CHECKS)), _form(enum=frames.CHECKS)
]
Line = Annotated[str, PlainValidator(line), _form(type="string")]
SerialFormat = Annotated[str, PlainValidator(_serial_format), _form(type="string", pattern="^[5-8][NEO][12]$")]
UrlPath = Annotated[str, PlainValidator(url_path), _form(type="string", pattern="^/")]
Measurement = Annotated[
    str, PlainValidator(_measurement), _form(type="string", pattern="^((M|MC|C|CC)[1-9]?|(R|RC)[0-9])$")
]
Header = Annotated[str, PlainValidator(header)]
Hex = Annotated[bytes, PlainValidator(hexadecimal), _form(type="string", pattern=r"^([0-9A-Fa-f]{2}\s*)*$")]
JsonPath = Annotated[tuple[str | int, ...], PlainValidator(_json_path), _form(type=["string", "integer"])]
