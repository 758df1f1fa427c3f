"""A message that is the reading: a JSON document, a number or a line of text, a binary frame."""

from __future__ import annotations

from gateway.codecs import Told


def read(payload: bytes) -> tuple[Told, ...]:
    return (Told(payload=payload, document=payload),)
