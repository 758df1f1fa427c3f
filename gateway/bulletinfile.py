"""`bulletins` in bridge.yaml: which feed of bulletins is read, of which offices, and whom which area concerns."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from gateway import fields as f
from gateway import settings
from gateway.fields import did_you_mean
from gateway.schema import Row, need
from gateway.validation import loosely, validate
from gateway.yamlfile import Document, Path

# 『高頻度フィード（随時）』 and 『長期フィード（随時）』 of the Meteorological Agency, https://xml.kishou.go.jp/xmlpull.html
FEED = "https://www.data.jma.go.jp/developer/xml/feed/extra.xml"
CATCH_UP = "https://www.data.jma.go.jp/developer/xml/feed/extra_l.xml"
# What a flood is decided by, since 2026-05. The older forms of the same warnings (気象特別警報・警報・注意報,
# 気象警報・注意報（Ｈ２７）) are sent beside them until 2028 and would say everything twice.
TITLES = (
    "指定河川洪水予報",
    "気象警報・注意報（Ｒ０６）（大雨）",
    "気象警報・注意報（Ｒ０６）（土砂）",
    "気象警報・注意報（Ｒ０６）（高潮）",
    "府県気象防災速報",
)
LEAST_EVERY_S = 60.0  # the feed is written once a minute, and everybody reads the same servers
EVERYBODY = "everybody"  # in the place of a tenant
Texts = Annotated[list[f.Text], Field(min_length=1, max_length=100)]


class BulletinRow(Row):
    feed: f.Url = FEED
    catch_up: f.Url | None = None
    offices: Texts = need("[高松地方気象台]")
    titles: Texts | None = None
    areas: Annotated[dict[f.Text, f.Name], Field(min_length=1, max_length=1000)] = need("{高松市: takamatsu}")
    every: f.Duration = 60.0
    silent_after: f.Duration = 6 * 3600.0
    timeout: f.Duration = 20.0


def bulletins_of(document: Document) -> settings.Bulletins | None:
    """The settings; None where there are none, or after noting what is wrong with them."""
    path: Path = ("bulletins",)
    if document.mapping(()).get("bulletins") is None:
        return None
    before = len(document.problems)
    row = validate(BulletinRow, document, path)
    judged = row or loosely(BulletinRow, document, path)
    if judged is not None and judged.every and judged.every < LEAST_EVERY_S and not _here(judged.feed or FEED):
        message = "the feed is written once a minute, and everybody reads the same servers. Write at least 60s"
        document.add((*path, "every"), message)
    if row is None or len(document.problems) > before:
        return None
    catch_up = row.catch_up or (CATCH_UP if row.feed == FEED else "")
    return settings.Bulletins(
        feed=row.feed,
        catch_up=catch_up,
        offices=tuple(row.offices),
        titles=tuple(row.titles or TITLES),
        areas={name: "" if tenant == EVERYBODY else tenant for name, tenant in row.areas.items()},
        every_s=row.every,
        silent_after_s=row.silent_after,
        timeout_s=row.timeout,
    )


def agree(document: Document, bridge: settings.Bridge, tenants: Collection[str]) -> None:
    """A bulletin for a tenant that nobody is would be shown to nobody."""
    for name, tenant in (bridge.bulletins.areas if bridge.bulletins else {}).items():
        if tenant and tenants and tenant not in tenants:
            hint = did_you_mean(tenant, [*tenants, EVERYBODY])
            message = f"no station of stations.yaml is of tenant '{tenant}'{hint}"
            document.add(("bulletins", "areas", name), message)


def _here(url: str) -> bool:
    """A server on this machine, as in a trial."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
