"""A topic for each value, whose message is the value alone, as ESPHome publishes (its documentation, MQTT client
component: `<prefix>/sensor/<name>/state`). The topic names the value.
"""

from __future__ import annotations

import re

from gateway.codecs import Record, Told, Unreadable
from gateway.errors import FaultCode

_NUMBER = re.compile(r"\s*([+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(?:[eE][+-]?[0-9]{1,2})?)\s*")
WORDS = {"ON": 1.0, "OFF": 0.0, "true": 1.0, "false": 0.0, "online": 1.0, "offline": 0.0}
NONE = {"nan", "NaN", "NAN", "unavailable", "unknown", "None", ""}  # what is sent where there is no value


def read(payload: bytes) -> tuple[Told, ...]:
    try:
        said = payload.decode()
    except UnicodeDecodeError:
        raise Unreadable("no text") from None
    if said.strip() in NONE:
        return (Told(records=(Record("", "", None, FaultCode.SENSOR_ERROR),)),)
    found = _NUMBER.fullmatch(said)
    value = float(found[1]) if found else WORDS.get(said.strip())
    if value is None:
        raise Unreadable("neither a number nor ON or OFF")
    return (Told(records=(Record("", "", value),)),)
