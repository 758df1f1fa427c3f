"""One request of a person about alerts under way: finding what is meant, and writing what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import msgspec

from gateway import journal
from gateway.bridge.telling import called
from gateway.bridge.work import Work
from gateway.channelstate import ChannelState
from gateway.episodes import Episode
from gateway.errors import ActCode
from gateway.model import Change, Transition
from gateway.stations import Channel, Station

Archive = Callable[[str], list[Episode]]  # episodes that are closed, by their name


class Refused(Exception):
    """What was asked will not be done. `text` says why at the command line; `code` and `facts` say it to the page,
    which has words of its own: names of stations and episodes, levels as {ja, en}, times as ms, lengths in hours."""

    def __init__(self, code: ActCode, text: str, **facts: object) -> None:
        super().__init__(text)
        self.code, self.facts = code, facts

    @property
    def answer(self) -> dict[str, object]:
        return {"reason": str(self), "code": self.code.value, "facts": self.facts}


def _several(name: str, tenants: list[str]) -> Refused:
    owners = ", ".join(sorted(tenants))
    why = f"'{name}' belongs to several ({owners}): name one with --tenant"
    return Refused(ActCode.SEVERAL_TENANTS, why, name=name, tenants=owners)


class Said(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`by`: who did it, where that is another than who asked."""

    tenant: str | None = None
    by: str = ""
    note: str = ""


class Act:
    """One request under way: what was said, by whom, and the batch that it is written into."""

    def __init__(self, work: Work, body: str, asked_by: str, archive: Archive) -> None:
        self.work, self._body, self._asked_by, self.archive = work, body, asked_by, archive
        self.now_ms = work.rules.now_ms

    def said(self, kind: type[Any]) -> Any:
        try:
            found = msgspec.json.decode(self._body, type=kind)
        except msgspec.ValidationError as e:
            raise Refused(ActCode.UNREADABLE, f"it cannot be read: {e}", why=str(e)) from e
        self.by: str = found.by or self._asked_by
        return found

    # --- finding what is meant -------------------------------------------------------------------------------

    def open(self) -> Iterator[Episode]:
        for e in {**self.work.memory.episodes, **self.work.episodes}.values():
            if e.closed_ms is None:
                yield e

    def episode(self, name: str, tenant: str | None) -> Episode | None:
        """The open episode of that name, or of the station of that name, what is real before a drill."""
        named = [e for e in self.open() if name in (e.id, e.station) and tenant in (None, e.tenant)]
        exact = [e for e in named if e.id == name] or [e for e in named if e.kind != "drill"] or named
        if len({e.tenant for e in exact}) > 1:
            raise _several(name, [e.tenant for e in exact])
        return exact[0] if exact else None

    def past(self, name: str) -> Episode:
        """The closed episode of that name."""
        found = self.archive(name)
        if not found:
            raise Refused(
                ActCode.NO_EPISODE,
                f"there is no open episode '{name}'. 'suimon alert list' shows those there are",
                episode=name,
            )
        return found[0]

    def station(self, name: str, tenant: str | None) -> Station:
        stations = self.work.rules.registry.stations.values()
        found = [s for s in stations if s.id == name and tenant in (None, s.tenant)]
        if len(found) > 1:
            raise _several(name, [s.tenant for s in found])
        if not found:
            why = f"there is no station '{name}' in the stations.yaml that the bridge runs by"
            raise Refused(ActCode.NO_STATION, why, station=name)
        return found[0]

    def station_of(self, e: Episode) -> Station | None:
        return self.work.rules.registry.station(e.tenant, e.station)

    def channels(self, station: Station) -> list[tuple[Channel, ChannelState]]:
        return [(c, self.work.state((station.tenant, station.id, c.name))) for c in station.watched]

    # --- writing ---------------------------------------------------------------------------------------------

    def set_state(self, station: Station, channel: Channel, state: ChannelState) -> None:
        self.work.states[(station.tenant, station.id, channel.name)] = state

    def put(self, e: Episode) -> None:
        self.work.episodes[e.slot] = e

    def tell(self, t: Transition, e: Episode) -> Episode:
        self.work.transitions.append(t)
        told = self.work.alerts.telling.transition(t, e)
        self.put(told)
        return told

    def transition(self, e: Episode, change: Change, from_rank: int, to_rank: int, **more: Any) -> Transition:
        level = called(self.work.rules.registry, self.station_of(e), to_rank or from_rank, self.now_ms)
        base = Transition(e.tenant, e.station, "", e.id, change, from_rank, to_rank, self.now_ms, None)
        return replace(base, level=level, drill=e.kind == "drill", **more)

    def note(self, kind: journal.Kind, e: Episode | None, tenant: str, station: str, /, **body: object) -> None:
        told = {k: v for k, v in body.items() if v not in ("", None)}
        name = e.id if e else ""
        self.work.entries.append(journal.Entry(self.now_ms, kind, tenant, station, name, self.by, told))
