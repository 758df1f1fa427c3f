"""One batch of the bridge: messages in, rows to store out.

`Memory` mirrors what is committed. `Work` lays copies over it and is either committed whole and then swapped in, or
dropped: a failed commit must leave no trace in memory, or the ledger would promise what no disk holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway import births, journal, pipeline, rain, settings, wire
from gateway.bridge import abroad, capping, changeover, inforce, notices, notify
from gateway.bridge.alerts import Alerts
from gateway.bridge.around import Heard
from gateway.bridge.assessing import Assessing
from gateway.bridge.capping import Capped, Chain, Open
from gateway.bridge.deriving import Deriving
from gateway.bridge.ledger import STORED, DeviceLedger
from gateway.bridge.notices import Condition, Notice, Pending
from gateway.bridge.rows import Answer, Asked, DeviceNote, Reply
from gateway.bridge.timekeeping import Time, Witness
from gateway.calling import Phone, Phones
from gateway.channelstate import ChannelState
from gateway.episodes import Episode, Suspension
from gateway.errors import NoticeCode, RejectCode
from gateway.letters import Verdict
from gateway.model import ClockState, DeadLetter, Message, Observation, Transition
from gateway.quality import Assessment, State
from gateway.stations import Registry, Station

Device = tuple[str, str]  # tenant, device
Series = tuple[str, str, str]  # tenant, station, channel
Place = tuple[str, str]  # tenant, station
Suspended = tuple[str, str, str]  # kind, tenant, station
NOT_REACHED = 2  # attempts after which a recipient counts as not reached for now


@dataclass(slots=True)
class Memory:
    """What is committed, as far as the next batch needs it. `newest` is the newest observed_ms of each series,
    `episodes` the open ones by their slot (for a station its place), `notices` the conditions that staff were told of
    and that last, `last_commit_ms` the bridge's clock at its last commit of observations, `agents` the version that
    each birth named, `suspensions` the mutes and maintenances that were begun and not ended, `phones` how
    often recipients rang lately, `quality` what the quality tests remember, `rains` what is known of rain gauges,
    `in_force` what the journal says of thresholds, `chains` the CAP messages that have not ended.

    No mirrors: `pending`, changes of conditions that have not lasted long enough, `witnesses`, what devices said of the
    time, `heard`, how long routers have been heard, `gathered_ms`, when losses were looked at last, `easing`, since
    when a common cause is nearly over, and `judged_by`, the registry that all this agrees with. No disk holds them.

    `there` asks the store itself."""

    store: str
    last_commit_ms: int = 0
    ledgers: dict[Device, DeviceLedger] = field(default_factory=dict)
    states: dict[Series, ChannelState] = field(default_factory=dict)
    quality: dict[Series, State] = field(default_factory=dict)
    rains: dict[Series, rain.State] = field(default_factory=dict)
    newest: dict[Series, int] = field(default_factory=dict)
    episodes: dict[Place, Episode] = field(default_factory=dict)
    notices: dict[Condition, Notice] = field(default_factory=dict)
    pending: dict[Condition, Pending] = field(default_factory=dict)
    witnesses: dict[Device, Witness] = field(default_factory=dict)
    heard: dict[Device, Heard] = field(default_factory=dict)
    gathered_ms: int = 0
    easing: dict[Place, int] = field(default_factory=dict)
    agents: dict[Device, str] = field(default_factory=dict)
    suspensions: dict[Suspended, Suspension] = field(default_factory=dict)
    phones: dict[str, Phone] = field(default_factory=dict)
    in_force: inforce.InForce = field(default_factory=inforce.InForce)
    chains: dict[Chain, Open] = field(default_factory=dict)
    judged_by: Registry | None = None
    there: abroad.There = lambda *_: ()


@dataclass(frozen=True, slots=True)
class Rules:
    """What a batch is judged by, fixed for its duration. `future_ms` as in `pipeline.Judgement`; `subscribed_ms` is
    since when the bridge has listened, None while it does not; `steady_ms` a clock that nobody sets, by which is judged
    how long a condition lasts; `up_ms` the uptime, and `own_ms` what the machine's clock shows, where `now_ms` is the
    time by the devices because that clock is not believed."""

    registry: Registry
    bridge: settings.Bridge
    now_ms: int
    future_ms: int | None
    subscribed_ms: int | None
    steady_ms: int = 0
    up_ms: int = 0
    own_ms: int | None = None


def rules_at(
    registry: Registry, bridge: settings.Bridge, t: Time, listening_since_ms: int | None, steady_ms: int
) -> Rules:
    """`listening_since_ms` is by the uptime, as `Time.up_ms`."""
    since = None if listening_since_ms is None else t.now_ms - (t.up_ms - listening_since_ms)
    return Rules(registry, bridge, t.now_ms, t.future_ms, since, steady_ms, t.up_ms, t.own_ms)


class Work:
    """A batch under way. Public lists are what `store.commit` writes."""

    def __init__(self, memory: Memory, rules: Rules) -> None:
        self.memory, self.rules = memory, rules
        self.ledgers: dict[Device, DeviceLedger] = {}
        self.states: dict[Series, ChannelState] = {}
        self.quality: dict[Series, State] = {}
        self.rains: dict[Series, rain.State] = {}
        self.newest: dict[Series, int] = {}
        self.episodes: dict[Place, Episode] = {}
        self.observations: list[Observation] = []
        self.assessments: list[Assessment] = []
        self.letters: list[DeadLetter] = []
        self.transitions: list[Transition] = []
        self.owed: list[notify.Owed] = []
        self.entries: list[journal.Entry] = []
        self.suspensions: dict[Suspended, Suspension | None] = {}  # None: ended
        self.cap = Capped()
        self.in_force: dict[Place, str] = {}  # what the journal says of thresholds from now on
        self.events: set[inforce.Event] = set()  # and of sensors
        self.judged_by = memory.judged_by
        self.phones = Phones(memory.phones)
        self.assessing = Assessing(self)
        self.alerts = Alerts(self)
        self.deriving = Deriving(self, self.alerts)
        self.notes: list[DeviceNote] = []
        self.statements: dict[Device, wire.Statement] = {}
        self.notices: dict[str, Notice] = {}  # by key: what began or ended
        self.lasting: dict[Condition, Notice | None] = {}
        self.jobs: list[notify.Outcome] = []
        self.agents: dict[Device, str] = {}
        self.verdicts: list[Verdict] = []  # on dead letters
        self.replies: list[Reply] = []
        self.tests: list[Asked] = []
        self.answers: list[Answer] = []
        self.cursors: dict[str, int] = {}
        self.messages = 0
        self.due: dict[Device, bool] = {}  # receipts; True where a live message is waiting for it
        # samples: accepted, rejected, duplicate, replayed; messages: refused; unknown_notices
        self.counts: Counter[str] = Counter()

    # --- views over memory -----------------------------------------------------------------------------------

    def ledger(self, device: Device) -> DeviceLedger:
        """The working copy of a device's ledger."""
        if device not in self.ledgers:
            committed = self.memory.ledgers.get(device)
            self.ledgers[device] = committed.copy() if committed else DeviceLedger()
        return self.ledgers[device]

    def state(self, series: Series) -> ChannelState:
        return self.states.get(series) or self.memory.states.get(series) or ChannelState()

    def quality_of(self, series: Series) -> State | None:
        return self.quality.get(series) or self.memory.quality.get(series)

    def rain_of(self, series: Series) -> rain.State | None:
        return self.rains.get(series) or self.memory.rains.get(series)

    def stepped(self, station: Station) -> bool:
        return self.deriving.stepped(station)

    def previous(self, tenant: str, station: str, channel: str) -> int | None:
        series = (tenant, station, channel)
        newest, future_ms = self.newest.get(series, self.memory.newest.get(series)), self.rules.future_ms
        return None if newest is not None and future_ms is not None and newest > future_ms else newest

    def episode(self, place: Place) -> Episode | None:
        found = self.episodes.get(place, self.memory.episodes.get(place))
        return found if found is not None and found.closed_ms is None else None

    def suspended(self, kind: str, tenant: str, station: str) -> Suspension | None:
        """The mute or maintenance of a station that is in force now: whatever was written, none outlasts its end."""
        if not (self.suspensions or self.memory.suspensions):
            return None
        key, now = (kind, tenant, station), self.rules.now_ms
        found = self.suspensions.get(key, self.memory.suspensions.get(key))
        return found if found is not None and now < found.until_ms else None

    def told_of(self, code: NoticeCode) -> list[Device]:
        """The devices of which staff were told so."""
        return [(tenant, device) for c, tenant, device in self.memory.notices if c is code]

    def lasts(self, code: NoticeCode) -> bool:
        """Staff were told of this condition of the house, and it is not over."""
        condition = (code, "", "")
        return self.lasting.get(condition, self.memory.notices.get(condition)) is not None

    def empty(self) -> bool:
        """Nothing to write."""
        return not any(
            (
                self.ledgers,
                self.states,
                self.episodes,
                self.observations,
                self.letters,
                self.owed,
                self.entries,
                self.cap.renewals,
                self.suspensions,
                self.notes,
                self.notices,
                self.jobs,
                self.cursors,
                self.verdicts,
                self.replies,
            )
        )

    # --- messages --------------------------------------------------------------------------------------------

    def take(self, message: Message) -> None:
        """Give one message its fate. Never raises for its content."""
        self.messages += 1
        address = wire.parse_topic(message.topic)
        if address is None:
            abroad.take(self, message)
            return
        tenant, device, kind = address
        if kind in ("data", "backlog") or (kind == "spool" and not message.retained):
            self.alerts.hear(tenant, device)
        if kind in ("data", "backlog"):
            self._data(message, (tenant, device), live=kind == "data")
        elif kind == "spool":
            self._statement(message, (tenant, device))
        else:
            self._note(message, (tenant, device), kind)

    def judgement(self, device: Device) -> pipeline.Judgement:
        return pipeline.Judgement(
            self.rules.registry,
            self.rules.future_ms,
            self.ledger(device).arrived,
            self.previous,
            self.rules.bridge.max_payload,
            0 if self.rules.own_ms is None else self.rules.now_ms - self.rules.own_ms,
            self.agents.get(device, self.memory.agents.get(device, "")).startswith("0.1."),
            lambda *series: self.state(series).value,
        )

    def _data(self, message: Message, device: Device, live: bool) -> None:
        self.settle(device, message, pipeline.process(message, *device, self.judgement(device)), live)

    def settle(self, device: Device, message: Message, out: pipeline.Processed, live: bool) -> None:
        """Enter what became of a message's samples."""
        ledger = self.ledger(device)
        for log, seq in out.stored:
            ledger.log(log).settle(seq, STORED)
        for log, seq, code in out.rejected:
            ledger.reject(log, seq, code)
        unread = any(x.seq is None for x in out.letters)
        if out.span and out.span_log and not unread:  # an unreadable sample may be one of the span's
            seen = {seq for log, seq in out.seen if log == out.span_log}
            ledger.span(out.span_log, out.span, seen, self.memory.store)
        self.letters += out.letters
        self.observe(out.observations)
        if live:
            self._witness(device, message, out.observations)
        self.counts["received"] += out.received
        self.counts["accepted"] += len(out.stored)
        self.counts["rejected"] += len(out.rejected) + sum(x.seq is None for x in out.letters)
        self.counts["duplicate"] += out.duplicates
        if self.rules.registry.knows_device(*device):
            self.due[device] = self.due.get(device, False) or live

    def _witness(self, device: Device, message: Message, observations: list[Observation]) -> None:
        """What a device whose clock is set says of the time."""
        told = [o.observed_ms for o in observations if o.clk is not ClockState.UNSYNCED]
        if told:
            own_ms = self.rules.now_ms if self.rules.own_ms is None else self.rules.own_ms
            arrived_up_ms = self.rules.up_ms - max(0, own_ms - message.received_ms)
            self.memory.witnesses[device] = Witness(max(told) - arrived_up_ms, self.rules.up_ms)

    def _statement(self, message: Message, device: Device) -> None:
        if not self.rules.registry.knows_device(*device):
            detail = f"{device[0]}/{device[1]}"
            self._refuse(message, device, RejectCode.UNKNOWN_DEVICE, detail)
            return
        try:
            said = wire.decode_statement(message.payload)
        except ValueError as e:
            self._refuse(message, device, RejectCode.BAD_STATEMENT, str(e))
            return
        self.ledger(device).statement(said)
        self.statements[device] = said
        self.due.setdefault(device, False)
        self._device_notices(device, said)

    def _note(self, message: Message, device: Device, kind: str) -> None:
        """Birth and status are kept as they are; replies belong to commands, which are not sent yet."""
        if kind == "reply" or not message.payload:
            return
        try:
            said = wire.decode_json(message.payload)
            text = message.payload.decode()
        except ValueError as e:
            self._refuse(message, device, RejectCode.BAD_STATEMENT, f"{kind}: {e}"[:200])
            return
        if self.rules.registry.knows_device(*device):
            self.notes.append(DeviceNote(*device, kind, text))
            if kind == "birth":
                self.agents[device] = births.agent_of(said)
                differs = births.differences(said, device[0], self.rules.registry)
                self.notice(NoticeCode.CONTRACT_DIFFERS, bool(differs), *device, births.shortly(differs))
        else:
            self._refuse(message, device, RejectCode.UNKNOWN_DEVICE, f"{device[0]}/{device[1]}")

    def _refuse(self, message: Message, device: Device, code: RejectCode, detail: str) -> None:
        """A message that carries no samples as a dead letter, counted apart from them."""
        self.letters.append(pipeline.letter(message, *device, code, detail))
        self.counts["refused"] += 1

    # --- alerts ----------------------------------------------------------------------------------------------

    def observe(self, observations: list[Observation]) -> None:
        """New rows, and what they mean for the alerts."""
        for o in map(self.alerts.marked, map(self.assessing.assess, observations)):
            for x in (o, *map(self.alerts.marked, self.deriving.of(o))):
                self.observations.append(x)
                series = (x.tenant, x.station, x.channel)
                if x.observed_ms > (self.previous(*series) or 0):
                    self.newest[series] = x.observed_ms
                self.alerts.observed(x)

    def tick(self) -> None:
        """Let time pass for every watched channel, and for the conditions of the house."""
        self._settle_notices()
        changeover.tick(self)
        self.deriving.tick()
        self.alerts.tick()
        inforce.tick(self, self.memory.in_force)
        self.cap.renewals = capping.renewals(self)

    def report(self, outcomes: Iterable[notify.Outcome]) -> None:
        """What became of notifications. Who was not reached has no time to acknowledge: the call moves on, while the
        medium goes on trying."""
        for outcome in outcomes:
            self.jobs.append(outcome)
            if outcome.state == "given_up" or (outcome.state == "retry" and outcome.attempts >= NOT_REACHED):
                self.alerts.telling.given_up(outcome.key)

    # --- notices ---------------------------------------------------------------------------------------------

    def notice(self, code: NoticeCode, on: bool, tenant: str = "", device: str = "", detail: str = "") -> None:
        """Whether a condition of the house lasts now; without tenant and device it is the bridge's own. To be called
        as often as one likes: only a change that has lasted (`notices.TELLING`) writes anything."""
        condition, memory = (code, tenant, device), self.memory
        told = self.lasting.get(condition, memory.notices.get(condition))
        if on == (told is not None):
            memory.pending.pop(condition, None)
            return
        begun = Pending(on, detail, self.rules.now_ms, self.rules.steady_ms)
        waiting = memory.pending.setdefault(condition, begun)
        if not waiting.lasted(code, self.rules.steady_ms):
            return
        begins = Notice(code, tenant, device, waiting.detail, waiting.since_ms)
        new = begins if told is None else told.ended(waiting.since_ms)
        self.notices[new.key] = new
        self.lasting[condition] = None if told else new
        self.owed += notices.owed(new, self.rules.registry, self.rules.bridge, self.rules.now_ms)

    def _settle_notices(self) -> None:
        """Let time pass for what has not lasted long enough; nobody speaks for a device that was taken away."""
        for (code, tenant, name), waiting in list(self.memory.pending.items()):
            self.notice(code, waiting.on, tenant, name, waiting.detail)
        for code, tenant, name in list(self.memory.notices):
            if name and not self.rules.registry.knows_device(tenant, name):
                self.notice(code, False, tenant, name)

    def _device_notices(self, device: Device, said: wire.Statement) -> None:
        """What the device says of itself lasts until a statement no longer says so."""
        stated = {NoticeCode(code) for code in said.notices if code in notices.FROM_DEVICES}
        if unknown := sum(code not in notices.FROM_DEVICES for code in said.notices):
            self.counts["unknown_notices"] += unknown
        share = "" if said.used is None else f"{said.used:.0%}".replace("%", " %")
        hours = "" if said.hours is None else f"{said.hours:.0f} h"
        for code in notices.FROM_DEVICES:
            detail = ", ".join(x for x in (share, hours) if x) if code in notices.WITH_SHARE else ""
            self.notice(code, code in stated, *device, detail)

    def swap_in(self) -> None:
        """Make memory what was just committed. Only to be called after COMMIT returned."""
        for ledger in self.ledgers.values():
            ledger.changed.clear()
            for entry in ledger.logs.values():
                for ranges in entry.kinds.values():
                    ranges.changes.clear()
        self.memory.ledgers.update(self.ledgers)
        self.memory.states.update(self.states)
        self.memory.agents.update(self.agents)
        self.memory.quality.update(self.quality)
        self.memory.rains.update(self.rains)
        self.memory.newest.update(self.newest)
        self.memory.episodes.update(self.episodes)
        for slot in [slot for slot, e in self.episodes.items() if e.closed_ms is not None]:
            del self.memory.episodes[slot]
        self.memory.judged_by = self.judged_by
        self.memory.phones.update(self.phones.changed)
        inforce.swap_in(self, self.memory.in_force)
        self.cap.swap_into(self.memory.chains)
        self.alerts.causes.swap_in()
        for key, suspension in self.suspensions.items():
            if suspension is not None:
                self.memory.suspensions[key] = suspension
            else:
                self.memory.suspensions.pop(key, None)
        own_ms = self.rules.now_ms if self.rules.own_ms is None else self.rules.own_ms
        believed = self.rules.future_ms is not None
        self.memory.last_commit_ms = own_ms if believed else max(self.memory.last_commit_ms, own_ms)
        for condition, notice in self.lasting.items():
            if notice is not None:
                self.memory.notices[condition] = notice
            else:
                self.memory.notices.pop(condition, None)
