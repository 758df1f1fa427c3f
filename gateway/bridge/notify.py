"""Notifications: what is owed to whom, and the threads that deliver it. One thread for each recipient, so that a
hanging medium delays nobody else. "Sent" is recorded after the send; a crash between the two repeats a delivery
with the same key, it never loses one.
"""

from __future__ import annotations

import http.client
import json
import logging
import math
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from gateway import settings, storefile, wire
from gateway.bridge import wording
from gateway.calling import Call
from gateway.channelstate import ChannelState
from gateway.disk import DISK, Disk
from gateway.errors import Unavailable
from gateway.model import Change, Transition
from gateway.stations import Channel, LevelTable, Station

log = logging.getLogger(__name__)

ALERT_TOPIC = "_alerts"  # the recipient that is the retained MQTT topic
BACKOFF_S = (1.0, 2.0, 5.0, 15.0, 60.0, 300.0)
GIVE_UP_AFTER_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Owed:
    """A row of the outbox."""

    key: str
    medium: str
    recipient: str
    body: str
    owed_ms: int
    rings: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an outbox row: `sent`, or `given_up` with the reason."""

    outbox_id: int
    state: str
    attempts: int
    reason: str | None = None
    key: str = ""


def owed(
    t: Transition,
    station: Station,
    channel: Channel,
    state: ChannelState,
    levels: LevelTable,
    bridge: settings.Bridge,
    now_ms: int,
    calls: Sequence[Call],
    topic: bool = True,
) -> list[Owed]:
    """What these calls owe, and with `topic` what the station's alert topic is owed. Keyed (episode, transition,
    recipient), a repeated call also by what makes it another. A recipient who is configured no longer is owed nothing.
    """
    age_ms = now_ms - t.at_ms
    late = t.change is Change.RISE and age_ms > channel.contract.late_after_s * 1000
    body = _body(t, station, channel, state, levels, age_ms if late else None)
    out = addressed(body, calls, bridge, now_ms)
    if topic and bridge.alert_topic:
        text = json.dumps(body, ensure_ascii=False)
        out.append(Owed(f"{t.key}/{ALERT_TOPIC}", "mqtt", ALERT_TOPIC, text, now_ms))
    return out


def addressed(body: Mapping[str, Any], calls: Sequence[Call], bridge: settings.Bridge, now_ms: int) -> list[Owed]:
    """A notification for each call: whether it rings there, for how many others, and whom its medium is to reach."""
    recipients = {r.name: r for r in bridge.recipients}
    out = []
    for call in calls:
        if (to := recipients.get(call.recipient)) is not None:
            own: dict[str, object] = {"rings": call.rings, "more": call.more} | ({"to": to.to} if to.to else {})
            if call.more:
                own["text"] = _with_more(body, call)
            text = json.dumps({**body, **own}, ensure_ascii=False)
            out.append(Owed(call.key, to.medium, to.name, text, now_ms, call.rings))
    return out


def _with_more(body: Mapping[str, Any], call: Call) -> dict[str, str]:
    """The text, its first line saying for how many others the ring stands."""
    text: dict[str, str] = {}
    for language, words in zip(("ja", "en"), wording.also(call.more), strict=True):
        first, _, rest = body["text"][language].partition("\n")
        text[language] = f"{first}{words}\n{rest}"
    return text


def quietly(owed: Owed) -> Owed:
    """The same without a ring: something worse rings beside it."""
    return replace(owed, body=json.dumps(json.loads(owed.body) | {"rings": False}, ensure_ascii=False), rings=False)


def _body(
    t: Transition,
    station: Station,
    channel: Channel,
    state: ChannelState,
    levels: LevelTable,
    late_ms: int | None,
) -> dict[str, object]:
    level = levels.by_rank(t.to_rank)
    subject_ja, text_ja = wording.japanese(t, station, state, channel.unit, levels, late_ms)
    subject_en, text_en = wording.english(t, station, state, channel.unit, levels, late_ms)
    if t.drill:
        subject_ja, text_ja = wording.as_drill(subject_ja, text_ja, wording.DRILL_JA)
        subject_en, text_en = wording.as_drill(subject_en, text_en, wording.DRILL_EN)
    return {
        "key": t.key,
        "cap_identifier": f"suimon.{t.key.replace('/', '.')}",
        "tenant": t.tenant,
        "station": t.station,
        "channel": t.channel,
        "episode": t.episode,
        "change": t.change,
        "from_rank": t.from_rank,
        "rank": t.to_rank,
        "confirmed_rank": state.rank,
        "level": level.key,
        "level_table": levels.name,
        "name": {"ja": level.ja, "en": level.en},
        "held": state.held,
        "condition": state.condition,
        "confirmed": t.confirmed,
        "rings": t.rings,
        "more": 0,
        "drill": t.drill,
        "value": t.value,
        "unit": channel.unit,
        "observed_ms": t.at_ms,
        "subject": {"ja": subject_ja, "en": subject_en},
        "text": {"ja": text_ja, "en": text_en},
    }


# --- media ---------------------------------------------------------------------------------------------------------


class Refused(Exception):
    """The medium will not take this message, however often it is tried."""


class Medium(Protocol):
    """Delivers one notification. Returns when it was taken; raises Unavailable where trying again may help,
    Refused where it will not."""

    def send(self, key: str, body: str) -> None: ...


class Console:
    """One line on standard output."""

    def send(self, key: str, body: str) -> None:
        subject = json.loads(body)["subject"]
        print(f"{subject['ja']} / {subject['en']}", flush=True)


class Webhook:
    """POST of the notification as JSON. The key travels as Idempotency-Key, so that a receiver can tell a second
    delivery from a second alert."""

    def __init__(self, recipient: settings.Recipient) -> None:
        self._to = recipient

    def send(self, key: str, body: str) -> None:
        headers = {"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": key}
        if self._to.token:
            headers["Authorization"] = f"Bearer {self._to.token}"
        try:
            request = urllib.request.Request(self._to.url, body.encode(), headers, method="POST")  # noqa: S310
            with _opener.open(request, timeout=self._to.timeout_s):  # http(s) by configuration
                return
        except urllib.error.HTTPError as e:
            e.close()
            if e.code in (408, 425, 429) or e.code >= 500:
                raise Unavailable(f"answered {e.code}") from e
            raise Refused(f"answered {e.code} {e.reason}") from e
        except http.client.InvalidURL:
            raise Refused(_UNSENDABLE) from None
        except (OSError, http.client.HTTPException) as e:
            reason = getattr(e, "reason", e)
            raise Unavailable(str(reason) or type(reason).__name__) from e
        except ValueError:
            raise Refused(_UNSENDABLE) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET without the notification, and the token with it at another host."""

    def redirect_request(self, *_: object) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)
_UNSENDABLE = "its URL or token cannot be sent"  # Python's own words would show the token


class AlertTopic:
    """The retained MQTT topic of the station: its current alert state."""

    def __init__(self, publish: Callable[[str, bytes], bool]) -> None:
        self._publish = publish

    def send(self, key: str, body: str) -> None:
        about = json.loads(body)
        if not self._publish(wire.alert_topic(about["tenant"], about["station"]), body.encode()):
            raise Unavailable("the broker did not acknowledge")


# --- delivery ------------------------------------------------------------------------------------------------------


class Deliverer:
    """Delivers one recipient's part of the outbox, in order. `report` hands outcomes to the bridge, which alone
    writes the store; until it has done so, `_done` keeps a row from being sent again."""

    def __init__(
        self,
        name: str,
        medium: Medium,
        store: Path,
        report: Callable[[Outcome], None],
        now_ms: Callable[[], int],
        backoff_s: Sequence[float] = BACKOFF_S,
        disk: Disk = DISK,
        steady_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self._backoff_s, self._disk = name, backoff_s, disk
        self._medium, self._store, self._report, self._now_ms = medium, store, report, now_ms
        self._steady_s, self._down_since = steady_s, math.inf  # by a clock that nobody sets: since no try succeeded
        self._done: set[int] = set()
        self._readable = True
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"notify {name}", daemon=True)

    def start(self) -> None:
        if self._thread.ident is None and not self._stop.is_set():
            self._thread.start()

    def wake(self) -> None:
        """Something may be owed."""
        self._wake.set()

    def halt(self) -> None:
        """Begin no further delivery. Waits for nothing."""
        self._stop.set()
        self._wake.set()

    def stop(self, timeout_s: float = 5.0) -> None:
        self.halt()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(5.0)
            self._wake.clear()
            while not self._stop.is_set() and (rows := self._owed()):
                for row in rows:
                    self._deliver(*row)

    def _owed(self) -> list[tuple[int, str, str, int]]:
        """Owed rows that were not sent by this process; none where the store cannot be read now."""
        try:
            rows = storefile.rows(self._store, storefile.OWED, (self.name, 1000), self._disk)
        except Unavailable as e:
            if self._readable:
                log.error("notifications to %s wait: %s", self.name, e)
            self._readable = False
            return []
        self._readable = True
        self._done &= {row[0] for row in rows}
        return [(i, key, body, owed_ms) for i, key, body, _, owed_ms in rows if i not in self._done]

    def _deliver(self, outbox_id: int, key: str, body: str, owed_ms: int) -> None:
        attempts = 0
        while not self._stop.is_set():
            attempts += 1
            try:
                self._medium.send(key, body)
            except Refused as e:
                log.error("notification to %s refused: %s; given up (%s)", self.name, e, key)
                self._finish(Outcome(outbox_id, "given_up", attempts, str(e), key))
                return
            except Unavailable as e:
                if attempts == 1:
                    log.warning("cannot notify %s: %s; trying again", self.name, e)
                self._down_since = min(self._down_since, self._steady_s())
                if self._is_history(owed_ms) and attempts > len(self._backoff_s):
                    log.error("notification to %s given up after a day: %s (%s)", self.name, e, key)
                    self._finish(Outcome(outbox_id, "given_up", attempts, str(e), key))
                    return
                self._stop.wait(self._backoff_s[min(attempts, len(self._backoff_s)) - 1])
            else:
                self._down_since = math.inf
                if attempts > 1:
                    log.info("notified %s after %d attempts", self.name, attempts)
                self._finish(Outcome(outbox_id, "sent", attempts, key=key))
                return

    def _is_history(self, owed_ms: int) -> bool:
        """Owed for a day, and tried for a day: a clock that is set forward gives up nothing."""
        tried_s = self._steady_s() - self._down_since
        return min((self._now_ms() - owed_ms) / 1000, tried_s) > GIVE_UP_AFTER_S

    def _finish(self, outcome: Outcome) -> None:
        self._done.add(outcome.outbox_id)
        self._report(outcome)


def medium_of(recipient: settings.Recipient) -> Medium:
    return Console() if recipient.medium == "console" else Webhook(recipient)
