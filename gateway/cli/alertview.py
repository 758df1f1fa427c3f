"""What `suimon alert` shows: read from the store beside the bridge, or without one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli import times
from gateway.errors import Unavailable

if TYPE_CHECKING:
    from gateway import settings
    from gateway.stations import Registry

_WEEKDAYS = "月火水木金土日"


@dataclass(frozen=True, slots=True)
class Place:
    bridge: settings.Bridge
    registry: Registry

    @property
    def store(self) -> Path:
        return self.bridge.store


def place(folder: Path) -> Place:
    """The configuration, and that there is a store. Raises ConfigError, Unavailable."""
    from gateway import config

    found = Place(*config.load_bridge(folder))
    if not found.store.exists():
        raise Unavailable(f"there is no store {found.store} yet: the bridge makes it when it first runs")
    return found


def listed(at: Place) -> dict[str, Any]:
    from gateway import alertfile
    from gateway.alertrows import AlertRows
    from gateway.clock import SystemClock

    now_ms = SystemClock().now_ms()
    return AlertRows(at.bridge, at.registry, times.iso).listed(alertfile.now(at.store, now_ms), now_ms)


# --- list --------------------------------------------------------------------------------------------------------


def list_lines(x: dict[str, Any]) -> list[str]:
    runs = {True: "", False: "; NO BRIDGE RUNS: nothing is judged or told", None: ""}[x["running"]]
    lines = [f"{_clock(x['now'])}, times are local, {times.zone()}{runs}"]
    for e in x["episodes"]:
        lines += _episode_lines(e)
    if not x["episodes"]:
        lines.append("nothing is open")
    for s in x["suspensions"]:
        what = "muted" if s["kind"] == "mute" else "maintenance (点検中)"
        note = f": {s['note']}" if s["note"] else ""
        lines.append(f"{s['station']} {what} until {_clock(s['until'])}, by {s['by']}{note}")
    for r in x["rejected"]:
        lines.append(f"{r['station']} {r['channel']}: rank {r['rank']} is rejected (誤報) until data are below it")
    return lines


def _episode_lines(e: dict[str, Any]) -> list[str]:
    mark = "【訓練】" if e["drill"] else ""
    rank = max(e["rank"], e["unconfirmed"])
    name = f"{e['name']['ja']} {e['name']['en']}" if e["name"] else e["station"]
    if e["cause"]:
        name = f"{e['cause']['group']}: {len(e['cause']['stations'])} stations"
    level = e["level"]["exceeded_ja"] if rank else _calm(e)
    if e["steps"] and not rank:
        level = "雨量の基準に到達 " + "・".join(f"{s['ja']} {s['en']} {s['value']:g} {s['unit']}" for s in e["steps"])
    words = [
        f"{mark}[{rank}] {level}",
        *(["未確認 UNCONFIRMED"] if e["unconfirmed"] else []),
        *(["観測不能 HELD"] if e["held"] else []),
        *([e["contact"]] if e["contact"] else []),
        name,
        *([_value(e["value"], e["unit"])] if e["value"] is not None and not e["steps"] else []),
        *([e["condition"]] if e["condition"] not in (None, "fresh") and not e["held"] else []),
        f"since {_clock(e['since'])}",
        *([f"highest {e['highest']}"] if e["highest"] > rank else []),
    ]
    lines = ["  ".join(words) + mark]
    lines.append(f"      {_seen(e)}")
    if e["judgement"]:
        j = e["judgement"]
        note = f": {j['note']}" if j["note"] else ""
        lines.append(f"      {j['what']} by {j['by']} ({j['basis']}) at {_clock(j['at'])}{note}")
    if e["muted_until"]:
        lines.append(f"      muted until {_clock(e['muted_until'])}")
    return [*lines, f"      {e['episode']}"]


def _calm(e: dict[str, Any]) -> str:
    """What stands for no rank: normal for fresh data only; of many stations nothing is known together."""
    from gateway.board import UNSEEN_JA

    return "共通の原因（複数の観測所）" if e["cause"] else UNSEEN_JA.get(e["condition"] or "fresh", "平常の水位")


def _seen(e: dict[str, Any]) -> str:
    call = e["calling"]
    if e["acknowledged"]:
        return f"seen by {e['acknowledged']['by']} at {_clock(e['acknowledged']['at'])}"
    if call is None:
        return f"nobody was rung; {e['told']} were told"
    if not call["active"] and call["role"] and call["rank"] >= 3:
        return f"NOT SEEN 未応答, and nobody is called any more ({e['told']} were told)"
    if call["role"] and call["active"]:
        role = call["role"]
        turn = f"round {call['round']} of {call['rounds']}"
        return f"NOT SEEN 未応答: calling {role['ja']} {role['en']} since {_clock(call['since'])} ({turn})"
    return f"NOT SEEN 未応答; {e['told']} were told"


def _value(value: float, unit: str | None) -> str:
    if unit == "/":  # a contact
        return "浸水を検知 wet" if value else "乾 dry"
    return f"{value:.2f} {unit or ''}".rstrip()


def _clock(iso: str | None) -> str:
    """'11-24 02:10', of what JSON has."""
    return "-" if iso is None else f"{datetime.fromisoformat(iso):%m-%d %H:%M}"


def shown(at: Place, name: str, tenant: str | None) -> dict[str, Any]:
    from gateway import alertfile
    from gateway.alertrows import AlertRows
    from gateway.clock import SystemClock

    now = alertfile.now(at.store, SystemClock().now_ms())
    return AlertRows(at.bridge, at.registry, times.iso).shown(now, name, tenant)


# --- show --------------------------------------------------------------------------------------------------------


def _who(x: dict[str, Any]) -> str:
    """'voice:+8187… (山田)'; the retained topic is nobody."""
    recipient = "topic (MQTT)" if x["recipient"] == "_alerts" else x["recipient"]
    return f"{recipient} ({x['name']})" if x["name"] else recipient


def show_lines(x: dict[str, Any]) -> list[str]:
    e = x["episode"]
    lines = _episode_lines(e)
    if e["closed"]:
        lines.append(f"      closed at {_clock(e['closed'])}")
    lines.append(f"what changed (times are local, {times.zone()})")
    for c in x["changes"]:
        value = "" if c["value"] is None else f"  {_value(c['value'], c['unit'])}"
        sure = "" if c["confirmed"] else " unconfirmed"
        what = f"{c['change']} {c['from_rank']} to {c['to_rank']}{sure}"
        lines.append(f"  {_clock(c['at'])}  {c['channel'] or 'station'}  {what}{value}{'  rings' * c['rings']}")
    lines.append(f"who was told: {', '.join(_who(t) + ' rang' * t['rang'] for t in x['told']) or 'nobody'}")
    for n in x["notified"]:
        about = n["key"].removeprefix(f"{e['tenant']}/{e['episode']}/").split("/")  # channel/change/time/recipient …
        done = f" at {_second(n['done'])}" if n["done"] else ""
        why = f", {n['reason']}" if n["reason"] else ""
        tries = f", attempt {n['attempts']}" if n["attempts"] > 1 else ""
        tries += f", again at {_second(n['next'])}" if n["next"] and n["state"] == "owed" else ""
        tries += f", handed over {n['again'] + 1} times (a kill)" if n["again"] else ""
        how = f"{n['state'].replace('_', ' ')}{done}{tries}{why}"
        lines.append(f"  {_clock(n['owed'])}  {_who(n)}  {'/'.join(x for x in about[:2] if x)}: {how}")
    return lines


def _second(iso: str) -> str:
    return f"{datetime.fromisoformat(iso):%H:%M:%S}"


# --- plan --------------------------------------------------------------------------------------------------------


def planned(folder: Path, name: str, rank: int, at: str | None, tenant: str | None) -> dict[str, Any]:
    from gateway import config
    from gateway.clock import SystemClock
    from gateway.people import JST

    bridge, registry = config.load_bridge(folder)
    found = [s for s in registry.stations.values() if s.id == name and tenant in (None, s.tenant)]
    if not found:
        raise Unavailable(f"there is no station '{name}' in stations.yaml")
    if bridge.people is None:
        raise Unavailable("there is no people.yaml: every recipient of bridge.yaml is told from its min_rank on")
    people, now_ms = bridge.people, SystemClock().now_ms()
    at_ms = now_ms if (parsed := times.parse(at, now_ms)) is None else parsed
    plan = people.plan(rank, found[0].id, found[0].hazard, found[0].tenant)
    if plan is None:
        raise Unavailable(f"no plan calls anybody at rank {rank} at {name}")
    day, part = people.part(at_ms)
    local = datetime.fromtimestamp(at_ms / 1000, JST)
    return {
        "version": 1,
        "station": found[0].id,
        "rank": rank,
        "at": local.isoformat(timespec="minutes"),
        "weekday": _WEEKDAYS[day.weekday()],
        "part": part,
        "rounds": plan.rounds if rank >= 3 else 1,
        "turns": [
            {"role": r, "ja": people.roles[r].ja, "en": people.roles[r].en,
             "wait_s": people.wait_s(plan, r, rank) if rank >= 3 else None,
             "rounds": [[{"name": m.name, "role": m.role, "recipients": list(m.recipients)}
                         for m in people.reach(r, at_ms, n)] for n in range(plan.rounds if rank >= 3 else 1)]}
            for r in (people.order(plan) if rank >= 3 else plan.call[:1])
        ],
        "inform": [{"role": r, "names": [m.name for m in people.reach(r, at_ms)]} for r in plan.inform],
    }  # fmt: skip


def plan_lines(x: dict[str, Any]) -> list[str]:
    parts = {"weekday": "平日", "holiday": "休日", "night": "夜間"}
    lines = [f"{x['station']}, rank {x['rank']}, {x['at']} ({x['weekday']}, {parts[x['part']]})"]
    after_s = 0.0
    for n in range(x["rounds"]):
        for turn in x["turns"]:
            members = turn["rounds"][n]
            who = "; ".join(f"{m['name']} ({', '.join(m['recipients'])})" for m in members)
            stands_in = " (deputies)" if members and members[0]["role"] != turn["role"] else ""
            if members:
                lines.append(f"  +{after_s / 60:g} min  {turn['ja']} {turn['en']}{stands_in}: {who}")
                after_s += turn["wait_s"] or 0.0
            elif n == 0:
                lines.append(f"  -        {turn['ja']} {turn['en']}: NOBODY can be reached then")
    if x["inform"]:
        lines.append("  told quietly: " + ", ".join(n for i in x["inform"] for n in i["names"]))
    return lines


# --- tests of the call -------------------------------------------------------------------------------------------


def tested(at: Place, test: str) -> dict[str, Any]:
    from gateway import alertfile
    from gateway.alertrows import AlertRows

    rows = AlertRows(at.bridge, at.registry, times.iso)
    if test == "last":
        found = alertfile.past_tests(at.store, 1)
        if not found:
            raise Unavailable("there was no test yet. 'suimon alert test --all' makes one")
        test = found[0][0]
    asked = alertfile.asked(at.store, test)
    if not asked:
        known = ", ".join(row[0] for row in alertfile.past_tests(at.store, 3)) or "none"
        raise Unavailable(f"there is no test '{test}' (the newest: {known})")
    things = {r.name for r in at.bridge.recipients if r.medium == "lamp"}
    return {
        "version": 1,
        "test": test,
        "recipients": [
            rows.timed(asdict(x)) | {"name": rows.name(x.recipient), "person": x.recipient not in things} for x in asked
        ],
        "totals": {
            "asked": len(asked),
            "sent": sum(x.state == "sent" for x in asked),
            "given_up": sum(x.state == "given_up" for x in asked),
            "answered": sum(x.answered_ms is not None for x in asked),
        },
    }


def test_lines(x: dict[str, Any]) -> list[str]:
    lines = [f"test {x['test']}"]
    for r in x["recipients"]:
        how = (r["state"] or "no longer known").replace("_", " ")
        why = f" ({r['reason']})" if r["reason"] else ""
        none = "NO ANSWER" if r["person"] else "does not answer: go and look"
        answer = f"answered at {_clock(r['answered'])}, noted by {r['answered_by']}" if r["answered"] else none
        lines.append(f"  {_who(r)}: {how}{why}; {answer}")
    t = x["totals"]
    lines.append(f"{t['asked']} asked, {t['sent']} sent, {t['given_up']} given up, {t['answered']} answered")
    lines.append(f"Note an answer: suimon alert acknowledge --test {x['test']} --recipient NAME")
    return lines
