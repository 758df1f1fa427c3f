"""`cap` in bridge.yaml: who sends CAP documents, where they are put, and for whom they are."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import Field

from gateway import cap, settings
from gateway import fields as f
from gateway.schema import Row
from gateway.validation import validate
from gateway.yamlfile import Document, Path

MAX_RADIUS_M = 100_000.0
RESTRICTION = "庁内および防災関係機関に限る / for authorities only"


def _need(example: str) -> Any:
    return Field(examples=[example])


class SenderName(Row):
    ja: f.Text = "水位監視"
    en: f.Text = "Flood watch"


class CapRow(Row):
    folder: f.Text = _need("cap")
    sender: f.Text = _need("flood@city.example.jp")
    sender_name: SenderName = SenderName()
    scope: Literal["restricted", "public"] = "restricted"
    restriction: f.Text | None = None
    contact: f.Text | None = None
    url: f.Url | None = None
    radius: f.Length = 1000.0
    areas: Annotated[dict[f.Text, Any], Field(default_factory=dict)]


def cap_of(document: Document, folder: FilePath) -> settings.Cap | None:
    """The settings; None where there are none, or after noting what is wrong with them."""
    path: Path = ("cap",)
    if document.mapping(()).get("cap") is None:
        return None
    before = len(document.problems)
    row = validate(CapRow, document, path)
    if row is None:
        return None
    if not cap.referable(row.sender):
        message = f"'{row.sender}' holds a space, a comma, '<' or '&'. Write it like flood@city.example.jp"
        document.add((*path, "sender"), message)
    if not 0 < row.radius <= MAX_RADIUS_M:
        document.add((*path, "radius"), f"{row.radius:g} m is no radius around a gauge. Write for example '1000 m'")
    areas = {name: _outline(document, (*path, "areas", name), points) for name, points in row.areas.items()}
    if len(document.problems) > before:
        return None
    return settings.Cap(
        folder=folder / row.folder,
        sender=row.sender,
        sender_ja=row.sender_name.ja,
        sender_en=row.sender_name.en,
        scope="Public" if row.scope == "public" else "Restricted",
        restriction=row.restriction or RESTRICTION,
        contact=row.contact or "",
        url=(row.url or "").rstrip("/"),
        radius_km=row.radius / 1000,
        areas={name: points for name, points in areas.items() if points},
    )


def _outline(document: Document, path: Path, points: Any) -> tuple[tuple[float, float], ...]:
    """At least three corners, latitude first."""
    ok = isinstance(points, list) and all(
        isinstance(p, list) and len(p) == 2 and all(type(x) in (int, float) for x in p) for p in points
    )
    if not ok or len(points) < 3:
        document.add(path, "this is no outline. Write at least three corners: [[34.30, 134.00], [34.30, 134.10], …]")
        return ()
    corners = tuple((float(a), float(b)) for a, b in points)
    for latitude, longitude in corners:
        if not (abs(latitude) <= 90 and abs(longitude) <= 180):
            hint = f". Did you mean [{longitude:g}, {latitude:g}]?" if abs(longitude) <= 90 else ""
            document.add(path, f"[{latitude:g}, {longitude:g}] is no place; latitude comes first{hint}")
            return ()
    return corners
