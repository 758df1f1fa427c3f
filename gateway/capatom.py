"""CAP documents as an Atom feed (RFC 4287): what it names, and its text. Shared by the bridge, which keeps a folder of
it, and the page, which serves it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from gateway import cap, settings, storefile
from gateway.disk import DISK, Disk

LISTED_MS = 48 * 3_600_000

_LISTED = """
SELECT identifier, sent_ms, status, msg_type, scope, headline, tenant FROM cap
 WHERE sent_ms >= ? ORDER BY id DESC LIMIT 2000"""


@dataclass(frozen=True, slots=True)
class Listed:
    """A document that the feed names."""

    identifier: str
    sent_ms: int
    status: str
    msg_type: str
    scope: str
    headline: str
    tenant: str = ""

    @property
    def file(self) -> str:
        return f"{self.identifier}.xml"

    @property
    def mode(self) -> int:
        return 0o644 if self.scope == "Public" else 0o640


def listed(store: Path, now_ms: int, disk: Disk = DISK) -> list[Listed]:
    """What belongs into the feed now, newest first. Raises Unavailable."""
    return [Listed(*row) for row in storefile.rows(store, _LISTED, (now_ms - LISTED_MS,), disk)]


def feed(found: list[Listed], to: settings.Cap, name: str, base: str = "", begun_ms: int = 0) -> str:
    """The feed as Atom, which calls itself `name`; `base` is the address that it is served at, where that is not the
    configured one. The same documents give the same bytes."""
    updated = cap.time(max((x.sent_ms for x in found), default=begun_ms))
    base = base or (f"{to.url}/" if to.url else "")
    own = f"  <link rel={quoteattr('self')} href={quoteattr(base + name)}/>\n" if base else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="ja">\n'
        f"  <id>{_urn(to.sender)}</id>\n  <title>{escape(to.sender_ja)} CAP</title>\n  <updated>{updated}</updated>\n"
        f"  <author><name>{escape(to.sender_ja)}</name></author>\n{own}"
        f"{''.join(_entry(x, to, base) for x in found)}</feed>\n"
    )


def _entry(x: Listed, to: settings.Cap, base: str) -> str:
    at = cap.time(x.sent_ms)
    link = f'<link rel="alternate" type="application/cap+xml" href={quoteattr(base + x.file)}/>'
    return (
        f"  <entry>\n    <id>{_urn(x.identifier, to.sender)}</id>\n    <title>{escape(x.headline)}</title>\n"
        f"    <updated>{at}</updated>\n    <published>{at}</published>\n    {link}\n"
        f'    <category term="{x.status}"/>\n    <category term="{x.msg_type}"/>\n    <category term="{x.scope}"/>\n'
        f"    <summary>{escape(x.headline)}</summary>\n  </entry>\n"
    )


def _urn(*names: str) -> str:
    """A name for ever, made of facts."""
    return uuid.uuid5(uuid.NAMESPACE_URL, "suimon:" + "/".join(names)).urn
