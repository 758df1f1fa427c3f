"""Small rows that a batch writes beside readings and alerts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeviceNote:
    """The latest birth or status of a device, as it came."""

    tenant: str
    device: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a request: `asked` still, with how far it is, `done` or `refused`; the answer is JSON."""

    request: int
    state: str
    answer: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A recipient who was asked to answer in a test of the call."""

    test: str
    recipient: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A recipient who has answered in a test, as somebody noted."""

    test: str
    recipient: str
    by: str
