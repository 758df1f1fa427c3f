"""Times as people type and read them: local, and said to be so."""

from __future__ import annotations

from datetime import datetime

import typer

from gateway import units


def parse(text: str | None, now_ms: int) -> int | None:
    """'2h' is two hours before now; '2026-11-22', '2026-11-22T03:00' and '03:00' are local time, unless an offset is
    written ('…+09:00', '…Z'). Milliseconds; None for None. Raises typer.BadParameter."""
    if text is None:
        return None
    try:
        return now_ms - round(units.seconds(text) * 1000)
    except ValueError:
        pass
    now = datetime.fromtimestamp(now_ms / 1000).astimezone()
    written = f"{now:%Y-%m-%d}T{text}" if text[2:3] == ":" else text
    try:
        at = datetime.fromisoformat(written)
        return round((at if at.tzinfo else at.astimezone()).timestamp() * 1000)
    except (ValueError, OverflowError):
        message = f"{text!r} is no time. Write 2h, 30min, 3d, 2026-11-22, 2026-11-22T03:00 or 03:00 (local time)"
        raise typer.BadParameter(message) from None


def local(ms: int | None) -> str:
    """'22 Nov 03:00:05', with the year where it is not this one's to be guessed; '-' for None."""
    return "-" if ms is None else f"{_at(ms):%Y-%m-%d %H:%M:%S}"


def iso(ms: int | None) -> str | None:
    """For JSON: with the offset, to the millisecond."""
    return None if ms is None else _at(ms).isoformat(timespec="milliseconds")


def zone() -> str:
    """The local time zone, as people name it."""
    now = datetime.now().astimezone()
    return f"{now:%Z} (UTC{now:%z})" if f"{now:%Z}" != "UTC" else "UTC"


def _at(ms: int) -> datetime:
    try:
        return datetime.fromtimestamp(ms / 1000).astimezone()
    except (ValueError, OverflowError, OSError):  # a clock beyond the calendar
        return datetime.fromtimestamp(0).astimezone()
