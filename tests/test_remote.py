"""What a device is told from afar: which commands it obeys, each once; a pushed configuration on trial, which stands
with contact and is taken back without; and the bridge, which sends until there is an answer."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway import config, settings, wire
from gateway.bridge.commanding import AGAIN_S, Commands, RemoteRequest
from gateway.edge import trial
from gateway.edge.commands import COMMANDS, LONGEST_MS, judge
from gateway.edge.orders import Orders
from gateway.edge.pushed import Pushed
from gateway.edge.remote import REPLY_BYTES, Hands, Remote
from gateway.edge.trial import MOST_DONE, Done, Standing, State, Trial
from gateway.errors import CommandCode, FaultCode
from gateway.model import ClockState, Message, Reading
from gateway.mqtt import Delivery
from gateway.wire import Command, CommandReply
from tests.world import DEVICE, STATION, T0, TENANT

ID = "0123456789abcdef"
SOON = T0 + 60_000
OWN = """\
version: 1
tenant: takamatsu
device: kasuga-01
broker: {host: 127.0.0.1}
spool: {path: spool.db}
buses: {mast: {type: modbus_tcp, host: 127.0.0.1}}
sensors:
  level: {station: kasuga-bridge, bus: mast, profile: sim_river_gauge, interval: 60s, accept_unverified: true}
"""


def command(name: str = "restart", expires_ms: int = SOON, **args: Any) -> Command:
    return Command(ID, name, expires_ms, args)


# --- which are obeyed --------------------------------------------------------------------------------------------

DONE = Done(T0 - 1, CommandReply(ID, "done"))


@pytest.mark.parametrize(
    ("what", "given", "retained", "clock_set", "allowed", "done", "answer"),
    [
        ("in time", command(), False, True, COMMANDS, None, None),
        ("retained", command(), True, True, COMMANDS, None, "retained"),
        ("retained and done", command(), True, True, COMMANDS, DONE, "retained"),
        ("done already", command(), False, True, COMMANDS, DONE, "done"),
        ("done, and over", command(expires_ms=T0 - 9), False, True, COMMANDS, DONE, "done"),
        ("over", command(expires_ms=T0), False, True, COMMANDS, None, "expired"),
        ("too far ahead", command(expires_ms=T0 + LONGEST_MS + 1), False, True, COMMANDS, None, "expired"),
        ("not known", command("explode"), False, True, COMMANDS, None, "unknown_command"),
        ("not allowed", command("config"), False, True, ("sample",), None, "not_allowed"),
        ("no clock", command(), False, False, COMMANDS, None, "clock_not_set"),
        ("harmless without a clock", command("sample"), False, False, COMMANDS, None, None),
        ("harmless and over", command("sample", T0 - 1), False, True, COMMANDS, None, "expired"),
    ],
)
def test_which_commands_are_obeyed(
    what: str, given: Command, retained: bool, clock_set: bool, allowed: tuple[str, ...], done: Done | None, answer: str
) -> None:
    """A retained, old, unknown or forbidden one is refused with its reason; a repeated one is answered as before."""
    found = judge(given, retained, T0, clock_set, allowed, done)
    assert (found and (found.code or found.state)) == answer, what


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"{}", b'{"id":"x","command":"restart","expires_ms":1}', b"\xff", b"["]
)
def test_what_is_no_command(payload: bytes) -> None:
    """It is refused as such, and raises nothing else."""
    with pytest.raises(ValueError):
        wire.decode_command(payload)


# --- the trial, as states ----------------------------------------------------------------------------------------

GOOD = Standing("push-old", "base")
ON = Trial("push-new", "base", ID, SOON, 60.0)


@pytest.mark.parametrize(
    ("what", "state", "base", "run", "after"),
    [
        ("nothing was pushed", State(), "base", "base", State()),
        ("a good one", State(GOOD), "base", "good", State(GOOD)),
        ("edited on the device", State(GOOD), "other", "base", State()),
        (
            "first start of a trial",
            State(GOOD, ON),
            "base",
            "trial",
            State(GOOD, msgspec.structs.replace(ON, starts=1)),
        ),
    ],
)
def test_by_which_configuration_a_device_starts(what: str, state: State, base: str, run: str, after: State) -> None:
    """The last good one; a new one once; the device's own where somebody edited that."""
    assert trial.started(state, base) == (after, run), what


@pytest.mark.parametrize(("base", "run"), [("base", "good"), ("other", "base")])
def test_a_trial_that_ended_without_contact_is_not_started_again(base: str, run: str) -> None:
    """Whatever ended it: the last good one stands, and the sender is told."""
    begun, _ = trial.started(trial.staged(State(GOOD), ON), "base")
    after, found = trial.started(begun, base)
    assert (found, after.trial, after.done[ID].reply.code) == (run, None, CommandCode.ROLLED_BACK)
    assert trial.started(after, base) == (after, run)


def test_contact_makes_it_the_good_one() -> None:
    """It stands from then on, and the former one's folder is no longer named."""
    begun, _ = trial.started(trial.staged(State(GOOD), ON), "base")
    after = trial.confirmed(begun)
    assert (after.good, after.trial, after.folders) == (Standing("push-new", "base"), None, {"push-new"})
    assert after.done[ID].reply == CommandReply(ID, "done", detail="in force")
    assert trial.started(after, "base") == (after, "good")


def test_what_is_remembered_is_bounded() -> None:
    """The newest answers are kept."""
    state = State()
    for n in range(3 * MOST_DONE):
        state = trial.answered(state, SOON, CommandReply(f"{n:08}", "done"))
    assert list(state.done) == [f"{n:08}" for n in range(2 * MOST_DONE, 3 * MOST_DONE)]


# --- the trial, on a card ----------------------------------------------------------------------------------------


class Killed(Exception):
    """At a marked point."""


class Card:
    """A device's folder and card, through restarts and kills."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "edge.yaml").write_text(OWN)
        self.kill_at = ""

    def mark(self, name: str) -> None:
        if name == self.kill_at:
            raise Killed

    def start(self) -> tuple[Pushed, float]:
        """What the agent would run by, as the interval of its sensor."""
        pushed = Pushed(self.folder, self.folder / "spool.db", self.mark)
        edge, _ = pushed.start(config.load_edge(self.folder))
        return pushed, edge.sensors[0].interval_s

    def push(self, pushed: Pushed, interval: str, name: str = ID) -> None:
        files = {"edge.yaml": OWN.replace("60s", interval)}
        assert pushed.check(files, config.load_edge(self.folder)[0]) == []
        pushed.stage(files, Trial(f"push-{name}", pushed.base, name, SOON, 60.0))


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return Card(tmp_path)


def tried(card: Card, pushed: Pushed, interval: str, name: str) -> Pushed:
    """Pushed, started by it, and with contact."""
    card.push(pushed, interval, name)
    found, _ = card.start()
    found.confirm()
    return found


def confirmed(card: Card, interval: str, name: str) -> Pushed:
    return tried(card, card.start()[0], interval, name)


@pytest.mark.parametrize(
    ("mark", "runs"),
    [("copied", [20.0, 20.0]), ("staged", [30.0, 20.0]), ("started", [20.0, 20.0]), ("confirmed", [30.0, 30.0])],
)
def test_a_kill_at_any_point_leaves_the_old_or_the_new_one(card: Card, mark: str, runs: list[float]) -> None:
    """Never none: until its files are named it is nothing; once it was started without contact it is over; once it
    had contact it stands. What no state names is swept away."""
    pushed = confirmed(card, "20s", "aaaaaaaa")
    card.kill_at = mark
    with pytest.raises(Killed):
        tried(card, pushed, "30s", "bbbbbbbb")
    card.kill_at = ""
    assert [card.start()[1] for _ in runs] == runs
    kept = {x.name for x in (card.folder / "spool.db.remote").iterdir()}
    assert kept == {"state.json", "push-bbbbbbbb" if runs[-1] == 30.0 else "push-aaaaaaaa"}


def test_whoever_stands_at_the_device_has_the_last_word(card: Card) -> None:
    """Its own edge.yaml, once edited, is used again, and what was pushed is dropped."""
    confirmed(card, "20s", "aaaaaaaa")
    assert card.start()[1] == 20.0
    (card.folder / "edge.yaml").write_text(OWN.replace("60s", "90s"))
    assert [card.start()[1] for _ in range(2)] == [90.0, 90.0]


@pytest.mark.parametrize("spoiled", ["", "{", "[]", '{"good": 1}'])
def test_a_card_that_lost_its_note_has_the_own_configuration(card: Card, spoiled: str) -> None:
    """Whatever stands there instead."""
    confirmed(card, "20s", "aaaaaaaa")
    (card.folder / "spool.db.remote" / "state.json").write_text(spoiled)
    assert card.start()[1] == 60.0


def test_a_good_one_that_can_no_longer_be_read(card: Card) -> None:
    """Its files are damaged: the device's own is used; one on trial is taken back."""
    pushed = confirmed(card, "20s", "aaaaaaaa")
    (card.folder / "spool.db.remote/push-aaaaaaaa/edge.yaml").write_text("sensors: {")
    assert card.start()[1] == 60.0
    card.push(pushed, "30s", "bbbbbbbb")
    (card.folder / "spool.db.remote/push-bbbbbbbb/edge.yaml").write_text("{")
    pushed, interval = card.start()
    assert (interval, pushed.state.trial) == (60.0, None)
    assert pushed.state.done["bbbbbbbb"].reply.code == CommandCode.ROLLED_BACK


@pytest.mark.parametrize(
    ("what", "files", "words"),
    [
        ("no edge.yaml", {}, "a push holds edge.yaml"),
        ("another name", {"edge.yaml": OWN, "../x.yaml": ""}, "a push holds edge.yaml"),
        ("too much", {"edge.yaml": "#" * 300_000}, "at most 200000 bytes"),
        ("a mistake", {"edge.yaml": OWN.replace("60s", "60")}, "sensors.level.interval"),
        ("a broken profile", {"edge.yaml": OWN, "device_profiles/x.yaml": "version: 1"}, "device_profiles/x.yaml"),
        ("another device", {"edge.yaml": OWN.replace("kasuga-01", "harbour-01")}, "device: harbour-01 is not"),
        ("another spool", {"edge.yaml": OWN.replace("spool.db", "other.db")}, "spool.path"),
    ],
)
def test_what_may_not_be_pushed(card: Card, what: str, files: dict[str, str], words: str) -> None:
    """Refused on the device with its reasons, and nothing of it stays on the card."""
    pushed, _ = card.start()
    assert words in "\n".join(pushed.check(files, config.load_edge(card.folder)[0])), what
    assert not list((card.folder / "spool.db.remote").glob("*"))


# --- the device --------------------------------------------------------------------------------------------------


class Clock:
    boot = "boot"

    def __init__(self) -> None:
        self.up_ms, self.synced = 0, True

    def now_ms(self) -> int:
        return T0 + self.up_ms

    def uptime_ms(self) -> int:
        return self.up_ms

    def sync_state(self) -> ClockState:
        return ClockState.SYNCED if self.synced else ClockState.UNSYNCED


class Room:
    """A device's remote, turn by turn."""

    def __init__(self, card: Card, **remote: Any) -> None:
        self.card, self.clock, self.remote_settings = card, Clock(), remote
        self.said: list[CommandReply] = []
        self.contact, self.restarts, self.diagnosis = False, 0, dict[str, Any]()
        self.start()

    def start(self) -> None:
        self.pushed = Pushed(self.card.folder, self.card.folder / "spool.db")
        edge, _ = self.pushed.start(config.load_edge(self.card.folder))
        self.edge = replace(edge, remote=settings.Remote(**self.remote_settings))
        self.orders, self.contact = Orders(), False
        hands = Hands(self._publish, lambda: self.contact, lambda: self.diagnosis, self._restart)
        self.remote = Remote(self.edge, self.pushed, self.clock, self.orders, hands)  # type: ignore[arg-type]

    def _publish(self, payload: bytes) -> None:
        assert len(payload) <= REPLY_BYTES
        self.said.append(wire.decode_reply(payload))

    def _restart(self) -> None:
        self.restarts += 1

    def tell(self, given: Command, retained: bool = False) -> list[tuple[str, str]]:
        """(state, code) of what is answered at once."""
        before = len(self.said)
        self.remote.turn(Delivery("cmd", wire.encode(given), retained, 1, 1, 1))
        return [(x.state, x.code) for x in self.said[before:]]


@pytest.fixture
def room(card: Card) -> Room:
    return Room(card)


def test_a_restart_that_comes_again_is_done_once(room: Room) -> None:
    """Also after the restart: the card remembers, and the answer is the same."""
    assert room.tell(command()) == [("done", "")]
    assert room.tell(command()) == [("done", "")]
    room.start()
    assert room.tell(command()) == [("done", "")]
    assert room.restarts == 1


def test_a_card_that_refuses_keeps_a_restart_from_being_done(room: Room) -> None:
    """It could be done for ever; what changes nothing is done all the same."""
    (room.card.folder / "spool.db.remote").write_text("a file where the folder should be")
    assert room.tell(command()) == [("refused", "not_noted")]
    assert room.tell(Command("11111111", "diagnostics", SOON)) == [("done", "")]
    assert room.restarts == 0


def test_a_sample_now(room: Room) -> None:
    """Accepted, and done with what was read once the sensors were; asked again, nothing is read again."""
    assert room.tell(command("sample")) == [("accepted", "")]
    assert room.orders.due(["level"]) == ["level"]
    assert room.tell(command("sample")) == []
    readings = [
        Reading(STATION, "water_level", "m", 1.25),
        Reading(STATION, "battery_voltage", "V", fault=FaultCode.NO_ECHO),
    ]
    room.orders.sampled("level", readings)
    room.remote.turn(None)
    assert room.said[-1].state == "done"
    assert [x.get("value", x.get("fault")) for x in room.said[-1].data["sensors"]["level"]] == [1.25, "no_echo"]
    assert (room.tell(command("sample")), room.orders.due(["level"])) == ([("done", "")], [])


def test_a_sample_that_nobody_reads_ends(room: Room) -> None:
    """A bus that hangs: after a minute it is done without."""
    room.tell(command("sample"))
    room.clock.up_ms = 60_000
    room.remote.turn(None)
    assert (room.said[-1].state, room.said[-1].detail) == ("done", "not read within 60 s: level")


@pytest.mark.parametrize(
    ("what", "args", "answer"),
    [
        ("shorter", {"interval_s": 10, "for_s": 3600}, ("done", "")),
        ("too short", {"interval_s": 9, "for_s": 3600}, ("refused", "out_of_limits")),
        ("longer than the bridge expects", {"interval_s": 61, "for_s": 60}, ("refused", "out_of_limits")),
        ("for too long", {"interval_s": 10, "for_s": 1e6}, ("refused", "out_of_limits")),
        ("not a number", {"interval_s": "soon", "for_s": 60}, ("refused", "malformed")),
        ("NaN", {"interval_s": float("nan"), "for_s": 60}, ("refused", "malformed")),
        ("nothing", {}, ("refused", "malformed")),
        ("no such sensor", {"interval_s": 10, "for_s": 60, "sensor": "rain"}, ("refused", "unknown_sensor")),
    ],
)
def test_an_interval_within_limits(room: Room, what: str, args: dict[str, Any], answer: tuple[str, str]) -> None:
    """Within those of edge.yaml, for a time; anything else changes nothing."""
    assert room.tell(command("interval", **args)) == [answer], what
    wanted = 10.0 if answer[0] == "done" else 60.0
    assert room.orders.interval_s("level", 60.0, False, 3_599_000) == wanted
    assert room.orders.interval_s("level", 60.0, False, 3_600_000) == 60.0


def test_a_raised_interval_goes_before_an_ordered_one() -> None:
    """The water itself may ask for more than a person did, never for less."""
    orders = Orders()
    orders.read_every(["level"], 30.0, 1000)
    assert [orders.interval_s("level", own, True, 0) for own in (10.0, 60.0)] == [10.0, 30.0]


def test_diagnostics_are_bounded(room: Room) -> None:
    """Of a log that is too long the newest lines are told."""
    room.diagnosis = {"agent": "1", "log": [f"{n} {'x' * 300}" for n in range(1000)], "big": "y" * 20_000}
    assert room.tell(command("diagnostics")) == [("done", "")]
    assert room.said[-1].data["agent"] == "1"
    assert room.said[-1].data["log"][-1].startswith("999 ")


def push(interval: str = "30s", **more: Any) -> Command:
    files = {"edge.yaml": OWN.replace("60s", interval)}
    return command("config", **{"files": files, "within_s": 60, **more})


def test_a_pushed_configuration_with_contact_is_in_force(room: Room) -> None:
    """Accepted, the agent begins anew by it, and with the first word of the bridge it stands; the sender is told."""
    assert room.tell(push()) == [("accepted", "")]
    room.start()
    assert (room.restarts, room.edge.sensors[0].interval_s) == (1, 30.0)
    room.remote.turn(None)
    assert room.said[-1].state == "accepted"
    room.contact = True
    room.remote.turn(None)
    assert (room.said[-1].state, room.said[-1].detail) == ("done", "in force")
    room.start()
    assert (room.restarts, room.edge.sensors[0].interval_s) == (1, 30.0)


def test_a_pushed_configuration_without_contact_is_taken_back(room: Room) -> None:
    """By the device itself, when its time is over; with contact again the sender is told so."""
    room.tell(push())
    room.start()
    room.clock.up_ms += 59_000
    room.remote.turn(None)
    assert room.restarts == 1
    room.clock.up_ms += 1_000
    room.remote.turn(None)
    assert room.restarts == 2
    room.start()
    assert room.edge.sensors[0].interval_s == 60.0
    room.contact = True
    room.remote.turn(None)
    assert (room.said[-1].state, room.said[-1].code) == ("refused", "rolled_back")
    assert room.tell(push()) == [("refused", "rolled_back")]  # the same command again


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (push(interval="60"), "bad_configuration"),
        (push(within_s=1), "out_of_limits"),
        (push(files=3), "malformed"),
        (push(files={"edge.yaml": "[" * 5000}), "bad_configuration"),
    ],
)
def test_a_push_that_is_refused_changes_nothing(room: Room, given: Command, code: str) -> None:
    """With its problems; the agent runs on."""
    assert room.tell(given) == [("refused", code)]
    assert (room.restarts, room.pushed.state.trial) == (0, None)


# --- the bridge --------------------------------------------------------------------------------------------------


class Post:
    def __init__(self) -> None:
        self.sent: list[tuple[str, Command]] = []
        self.now_ms, self.steady_s, self.up = T0, 0.0, True
        self.commands = Commands(self._publish, lambda: self.now_ms, lambda: self.steady_s)

    def _publish(self, topic: str, payload: bytes) -> bool:
        if self.up:
            self.sent.append((topic, wire.decode_command(payload)))
        return self.up

    def look(self) -> tuple[str, dict[str, Any]]:
        state, text = self.commands.look(7, RemoteRequest(TENANT, DEVICE, command()))
        return state, json.loads(text)

    def hear(self, device: str = DEVICE, **reply: Any) -> None:
        payload = wire.encode(CommandReply(**{"id": ID, "state": "done"} | reply))
        self.commands.heard([Message(wire.topic(TENANT, device, "reply"), payload, T0)])


def test_a_command_is_sent_again_until_it_is_answered() -> None:
    """Under the same id, on the device's own topic; the last answer is what the request is answered."""
    post = Post()
    assert post.look()[1]["stage"] == "sent"
    assert post.commands.waits(7)
    post.steady_s = AGAIN_S
    assert not post.commands.waits(7)
    post.look()
    assert post.sent == [(f"suimon/v1/{TENANT}/{DEVICE}/cmd", command())] * 2
    post.hear(state="accepted")
    assert (post.commands.waits(7), post.look()[1]["stage"]) == (False, "accepted")
    post.hear("harbour-01", detail="of another device")
    post.hear(id="ffffffffffff", detail="to another command")
    assert post.commands.waits(7)
    post.hear(detail="restarting")
    assert post.look() == ("done", {"id": ID, "state": "done", "detail": "restarting"})
    assert not post.commands.waits(7)


def test_a_command_whose_time_is_over_is_given_up() -> None:
    """It says whether the device had it."""
    post = Post()
    post.up = False
    assert post.look()[1]["stage"] == "the broker is away"
    post.now_ms = SOON
    assert not post.commands.waits(7)
    assert post.look() == ("refused", {"reason": "the time of the command is over; it did not answer"})


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b'{"id":"x","state":"maybe"}', b"\xff"])
def test_what_is_no_reply_harms_nobody(payload: bytes) -> None:
    """It is told in the log; the command goes on."""
    post = Post()
    post.look()
    post.commands.heard([Message(wire.topic(TENANT, DEVICE, "reply"), payload, T0)])
    assert post.commands.waits(7)


# --- a bell in a bus's wait --------------------------------------------------------------------------------------


@pytest.fixture
def bell() -> tuple[Orders, threading.Event]:
    orders = Orders()
    return orders, orders.bell()


def test_an_order_rings_and_is_done_once(bell: tuple[Orders, threading.Event]) -> None:
    """A reading that is ordered is due until it was read."""
    orders, rung = bell
    orders.sample(["level", "rain"])
    assert rung.is_set()
    assert orders.due(["rain", "wind"]) == ["rain"]
    orders.sampled("rain", [])
    assert (orders.due(["rain"]), orders.found(["level", "rain"])) == ([], {"rain": []})
