"""Messages of devices that are not ours: what their bytes say, before anybody knows whose station it is. Pure.

Each file is one format with `read(payload) -> tuple[Told, ...]`, which raises `Unreadable` for whatever does not have
its form, and nothing else. A format that hands on what a sensor said (a radio's payload, a JSON document) leaves the
numbers to a profile; one that names its numbers itself (SenML, a topic for each value) gives records.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.errors import FaultCode

MAX_READINGS = 1000  # of one message: a day by the minute is longer, and comes in several


class Unreadable(ValueError):
    """The message does not have the form of its codec. The text says what is wrong, without its content."""


@dataclass(frozen=True, slots=True)
class Record:
    """A value that names itself. `unit` is empty where the format has none; either value or fault is set."""

    name: str
    unit: str
    value: float | None
    fault: FaultCode | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """One reading of a message. `payload` is what the sensor itself sent and `document` the same as JSON, as far as the
    message has them; `records` are values that name themselves. `at_ms` is None where only the arrival dates it; `age`
    says that `at_ms` counts back from there instead. `session` and `number` are how its device counted it: the same
    number again is the same reading."""

    payload: bytes | None = None
    document: bytes | None = None
    records: tuple[Record, ...] = ()
    at_ms: int | None = None
    age_ms: int = 0
    session: str = ""
    number: int | None = None
