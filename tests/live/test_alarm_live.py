"""The alarm from a message of a device to people: the bridge as a process, a real broker, a real mail server, a real
receiver of webhooks and a call plan. InfluxDB is configured all the while, at a port where nobody listens.
"""

from __future__ import annotations

import contextlib
import email
import email.policy
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from gateway import wire
from gateway.clock import SystemClock
from tests import servers
from tests.live.test_bridge_live import Peer, retained
from tests.servers import free_port, wait_for
from tests.world import HANG, TENANT, HttpServer, Reply, Request, http_server, pack, sample

pytestmark = pytest.mark.live

KASUGA, KOTO = "kasuga-bridge", "koto-bridge"
RIVERS = {KASUGA: ("春日橋", "Kasuga Bridge", "春日川"), KOTO: ("香東川橋", "Koto Bridge", "香東川")}
WAIT_S = 5  # of the role called first
DUTY, CRISIS = "duty@city.example", "+81878390001"
STATION = """
  {id}:
    name: {{ja: {ja}, en: {en}}}
    position: {{latitude: 34.33, longitude: 134.07}}
    datum: T.P.
    gauge_zero: 0.00 m
    device: {id}-01
    river: {river}
    channels:
      water_level:
        interval: 10min
        thresholds:
          caution: {{value: 2.00 m, authority: 県, basis: 基準水位観測所, source: test}}
          danger: {{value: 3.00 m, authority: 県, basis: 基準水位観測所, source: test}}
          overflow: {{value: 4.00 m, authority: 県, basis: 基準水位観測所, source: test}}
"""
BRIDGE = """version: 1
simulation: true
store: {{path: {store}}}
broker: {{host: 127.0.0.1, port: {broker}}}
clock: {{trust: always}}
influx: {{api: v1, url: "http://127.0.0.1:{nobody}", database: suimon, timeout: 1s}}
notify:
  media:
    mail: {{medium: mail, host: 127.0.0.1, port: {smtp}, security: none, sender: suii@city.example}}
    voice: {{medium: voice, url: "{http}/voice", secret_file: secret}}
  recipients:
    siren: {{medium: webhook, url: "{http}/siren", notices: false}}
    stuck: {{medium: webhook, url: "{http}/stuck", notices: false, timeout: 60s}}
"""
PEOPLE = f"""version: 1
members: members.csv
roles:
  duty: {{name: {{ja: 当直, en: Duty officer}}, wait: {WAIT_S}s}}
  crisis: {{name: {{ja: 危機管理課, en: Crisis management}}}}
plans: [{{rank: 2, call: [duty]}}, {{rank: 3, call: [duty, crisis]}}, {{rank: 4, call: [duty, crisis]}}]
"""
MEMBERS = f"role,name,addresses\nduty,当直,mail:{DUTY}\ncrisis,山田,voice:{CRISIS}\n"


class Letters:
    """The city's mail server, as far as it is asked: whatever it took, in order."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert envelope.rcpt_tos == [DUTY]
        assert isinstance(envelope.content, bytes)
        self.taken.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 taken"

    def about(self, word: str) -> list[EmailMessage]:
        """Those with a word in the subject."""
        return [m for m in self.taken if word in m["Subject"]]


def text_of(letter: EmailMessage) -> str:
    text: str = letter.get_content()
    return text.replace("\r\n", "\n")


class City:
    """One bridge with everything around it."""

    def __init__(
        self, folder: Path, broker: servers.Server, smtp_port: int, letters: Letters, http: HttpServer
    ) -> None:
        self.folder, self.broker, self.smtp_port, self.letters, self.http = folder, broker, smtp_port, letters, http
        self.store = folder / "store.db"
        self._seq = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._device = Peer(broker.port)
        stations = "".join(STATION.format(id=i, ja=ja, en=en, river=r) for i, (ja, en, r) in RIVERS.items())
        bridge = BRIDGE.format(store=self.store, broker=broker.port, nobody=free_port(), smtp=smtp_port, http=http.url)
        self.write("stations.yaml", f"version: 1\ntenant: {TENANT}\nstations:{stations}")
        self.write("bridge.yaml", bridge)
        self.write("people.yaml", PEOPLE)
        self.write("members.csv", MEMBERS)
        self.write("secret", "k3y-of-the-caller")

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)

    def start(self, *options: str) -> None:
        command = [sys.executable, "-m", "gateway", "bridge", "run", "--config", str(self.folder), *options]
        with (self.folder / "bridge.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        # It keeps its sessions: from the first time on the broker holds for it what comes.
        wait_for("the bridge", self._online)

    def _online(self) -> bool:
        payload = retained(self.broker.port, wire.BRIDGE_STATUS)
        return payload is not None and json.loads(payload)["state"] == "online"

    def wait_killed(self) -> None:
        assert self._process is not None
        assert self._process.wait(30) == -signal.SIGKILL, (self.folder / "bridge.log").read_text()
        self._process = None

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
        self._device.end()

    def measures(self, station: str, level: float, minutes_ago: int = 0) -> None:
        """A reading of the station's device arrives."""
        self._seq += 1
        at_ms = SystemClock().now_ms() - minutes_ago * 60_000
        payload = pack(sample(self._seq, level, at_ms, station=station))
        self._device.send(wire.topic(TENANT, f"{station}-01", "data"), payload)

    def floods(self, station: str) -> None:
        """From below the first level to above danger, as fast as a river can."""
        self.measures(station, 1.90, minutes_ago=10)
        self.measures(station, 3.06)

    def suimon(self, *words: str) -> str:
        command = [sys.executable, "-m", "gateway", *words, "--config", str(self.folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)) as db:
            return db.execute(query).fetchall()

    def asked(self, path: str) -> list[Request]:
        return [r for r in self.http.requests if r.path == path]

    def siren(self) -> list[dict[str, Any]]:
        return [json.loads(r.body) for r in self.asked("/siren")]

    def called(self) -> list[str]:
        """What the dialler was asked to say, each with the episode that it is about."""
        return [json.loads(r.body)["episode"] for r in self.asked("/voice")]

    def topic(self, station: str) -> dict[str, Any] | None:
        """What a newcomer finds."""
        payload = retained(self.broker.port, wire.alert_topic(TENANT, station))
        return json.loads(payload) if payload else None


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    letters = Letters()
    smtp = Controller(letters, hostname="127.0.0.1", port=free_port())
    smtp.start()
    with (
        http_server(lambda r: HANG if r.path == "/stuck" else Reply(204)) as http,
        servers.running(servers.mosquitto(tmp_path / "broker")) as broker,
    ):
        built = City(tmp_path, broker, smtp.port, letters, http)
        try:
            yield built
        finally:
            built.end()
            smtp.stop()


def test_a_danger_reaches_people_while_a_medium_hangs_and_the_database_is_away(city: City) -> None:
    """Place, what, value and time are in the subject and the first three lines of the mail; the webhook says the same
    under its key; the retained topic holds the state; and the next alert passes the hanging medium as well."""
    city.start()
    city.floods(KASUGA)
    wait_for("the mail", lambda: city.letters.about("氾濫危険"))
    wait_for("the siren", city.siren)
    (letter,) = city.letters.about("氾濫危険")
    assert "春日橋" in letter["Subject"]
    first, second, third, *_ = text_of(letter).splitlines()
    assert "春日橋" in first
    assert "氾濫危険水位" in first
    assert "3.06 m" in second
    assert "観測時刻" in third
    assert letter.get_content_type() == "text/plain"
    (about,) = city.siren()
    assert (about["station"], about["rank"], about["confirmed"], about["value"]) == (KASUGA, 4, True, 3.06)
    assert city.asked("/siren")[0].headers["Idempotency-Key"] == f"{about['key']}/siren"
    wait_for("the topic", lambda: city.topic(KASUGA))
    assert (city.topic(KASUGA) or {})["key"] == about["key"]
    wait_for("the medium that hangs", lambda: city.asked("/stuck"))
    city.floods(KOTO)
    wait_for("the second mail", lambda: any("香東川橋" in m["Subject"] for m in city.letters.taken))
    wait_for("the siren again", lambda: [x["station"] for x in city.siren()] == [KASUGA, KOTO])
    assert len(city.asked("/stuck")) == 1  # as long as it says nothing
    assert city.sql("SELECT count(*) FROM outbox WHERE recipient = 'stuck' AND state = 'sent'") == [(0,)]
    assert city.sql("SELECT count(*) FROM cursors WHERE name = 'influx' AND position > 0") == [(0,)]


def test_an_acknowledgement_stops_the_call_of_one_episode(city: City) -> None:
    """Nobody else is called for what somebody has seen; what nobody has seen goes on to the next role."""
    city.start()
    city.floods(KASUGA)
    wait_for("the mail", lambda: city.letters.about("春日橋"))
    city.suimon("alert", "acknowledge", KASUGA, "--by", "当直")
    city.floods(KOTO)  # its wait begins later, so the other would be called before
    wait_for("the next role", city.called)
    assert all(episode.startswith(KOTO) for episode in city.called())


def test_a_drill_is_marked_at_both_ends_and_leaves_the_topic_alone(city: City) -> None:
    """In the mail's subject and text; what stands on the topic is what is real."""
    city.start()
    city.floods(KASUGA)
    wait_for("the topic", lambda: city.topic(KASUGA))
    before = city.topic(KASUGA)
    city.suimon("alert", "drill", "begin", "--station", KASUGA, "--rank", "5", "--by", "防災係")
    wait_for("the drill", lambda: city.letters.about("【訓練】"))
    letter = city.letters.about("【訓練】")[0]
    japanese = text_of(letter).partition("\n\n---\n")[0]
    for text in (letter["Subject"], japanese):
        assert text.startswith("【訓練】")
        assert text.endswith("【訓練】")
    city.suimon("alert", "drill", "end", "--station", KASUGA)
    wait_for("the end of the drill", lambda: len(city.letters.about("【訓練】")) > 1)
    assert city.topic(KASUGA) == before


ONLY = """notify:
  alert_topic: false
  recipients:
    duty: {{{how}, notices: false}}
"""


@pytest.mark.parametrize("medium", ["mail", "webhook"])
def test_killed_between_send_and_record_it_sends_again_under_the_same_key(city: City, medium: str) -> None:
    """Once more, and then never again: by Message-ID or Idempotency-Key the receiver can tell. It is one crossing."""
    bridge = (city.folder / "bridge.yaml").read_text()
    mail = f"medium: mail, host: 127.0.0.1, port: {city.smtp_port}, security: none, sender: s@c.jp, to: {DUTY}"
    how = mail if medium == "mail" else f'medium: webhook, url: "{city.http.url}/siren"'
    city.write("bridge.yaml", bridge.partition("notify:")[0] + ONLY.format(how=how))
    (city.folder / "people.yaml").unlink()

    def told() -> list[tuple[str, str]]:
        """(key, subject) of what arrived."""
        if medium == "mail":
            return [(m["Message-ID"], m["Subject"]) for m in city.letters.taken]
        return [(r.headers["Idempotency-Key"], json.loads(r.body)["subject"]["ja"]) for r in city.asked("/siren")]

    city.start("--crash-at", "sent:1")
    city.floods(KASUGA)
    city.wait_killed()
    assert len(told()) == 1
    assert city.sql("SELECT state FROM outbox") == [("owed",)]
    city.start()
    wait_for("the second delivery", lambda: len(told()) == 2)
    assert told()[0] == told()[1]
    recorded = "SELECT count(*) FROM outbox WHERE state = 'sent'"
    wait_for("the record", lambda: city.sql(recorded) == [(1,)])
    city.measures(KASUGA, 4.02)
    wait_for("the next level", lambda: len(told()) == 3)
    assert told()[2][0] not in {key for key, _ in told()[:2]}
    wait_for("the record", lambda: city.sql(recorded) == [(2,)])
    assert len(told()) == 3
