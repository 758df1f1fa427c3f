"""Each medium against a real server on loopback: what it hands over, and what it makes of the answers."""

from __future__ import annotations

import base64
import email
import email.policy
import hashlib
import hmac
import json
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from gateway import settings
from gateway.bridge.media import Keeper, Lamp, Refused, Unreached, medium_of
from gateway.bridge.media.line import PUSH
from gateway.bridge.media.mail import composed, message_id
from gateway.bridge.media.spoken import ALONE, CLOSING, PART, PARTS, short, spoken
from gateway.bridge.media.webhook import SIGNATURE, TIMESTAMP
from gateway.bridge.store import Store
from gateway.channelstate import ChannelState
from gateway.errors import MediumReason
from gateway.model import Condition
from tests import world
from tests.servers import free_port, wait_for
from tests.world import HANG, Reply, http_server

KEY = "takamatsu/kasuga-bridge.20251124T160000.000Z/water_level/rise-0-4/1764000000000/duty"
TEXT_JA = (
    "春日橋：氾濫危険水位を超過\n水位 3.06 m（↑ 1時間に0.60 m上昇）\n観測時刻 11月25日(火) 01:00\n"
    "観測値（速報値）による参考情報です。避難情報の発令ではありません。"
)
ABOUT: dict[str, Any] = {
    "key": KEY,
    "tenant": "takamatsu",
    "station": "kasuga-bridge",
    "episode": "kasuga-bridge.20251124T160000.000Z",
    "from_rank": 0,
    "rank": 4,
    "rings": True,
    "subject": {
        "ja": "【水位情報】春日橋 氾濫危険水位を超過／3.06 m ↑ 01:00観測",
        "en": "[Water level] Kasuga Bridge: danger",
    },
    "text": {"ja": TEXT_JA, "en": "Kasuga Bridge: flood danger level exceeded\nLevel 3.06 m"},
}
BODY = json.dumps(ABOUT, ensure_ascii=False)
SECRET = "k3y-of-the-caller"


def recipient(medium: settings.MediumKind, url: str = "", **more: Any) -> settings.Recipient:
    return settings.Recipient("duty", medium, url, timeout_s=more.pop("timeout_s", 5.0), **more)


def sent(to: settings.Recipient, body: str = BODY) -> None:
    medium_of(to, Path("unused.db")).send(KEY, body)


def reason_of(to: settings.Recipient) -> tuple[bool, MediumReason]:
    """(whether trying again may help, why)."""
    with pytest.raises((Refused, Unreached)) as e:
        sent(to)
    assert isinstance(e.value, Refused | Unreached)
    return isinstance(e.value, Unreached), e.value.reason


# --- signed webhooks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["webhook", "sms", "voice"])
def test_a_call_is_signed_over_its_time_and_body(kind: settings.MediumKind) -> None:
    """Who has the secret can tell that it is ours, and when it was made; nobody else can make one."""
    with http_server(lambda _: Reply(200)) as server:
        sent(recipient(kind, server.url, secret=SECRET, to="+81878390001"))
    (request,) = server.requests
    timestamp = request.headers[TIMESTAMP]
    expected = hmac.new(SECRET.encode(), f"{timestamp}.".encode() + request.body, hashlib.sha256).hexdigest()
    assert request.headers[SIGNATURE] == f"v1={expected}"
    assert request.headers["Idempotency-Key"] == KEY
    assert SECRET not in str(request)


def test_what_a_service_for_short_messages_is_asked() -> None:
    """Whom, and what one must know, in one part of a message, with a short ending."""
    with http_server(lambda _: Reply(200)) as server:
        sent(recipient("sms", server.url, secret=SECRET, to="+81878390001"))
    said = json.loads(server.requests[0].body)
    assert said == {
        "medium": "sms",
        "to": "+81878390001",
        "key": KEY,
        "language": "ja",
        "text": f"春日橋 氾濫危険水位を超過 3.06 m ↑ 01:00観測／{CLOSING}",
    }
    assert len(said["text"]) <= ALONE


def test_what_a_dialler_is_asked() -> None:
    """Spoken as one says it, twice."""
    with http_server(lambda _: Reply(200)) as server:
        sent(recipient("voice", server.url, secret=SECRET, to="+81878390001"))
    said = json.loads(server.requests[0].body)
    once = (
        "春日橋、氾濫危険水位を超過。水位は3.06メートル、1時間に0.60メートル上昇。"
        "観測時刻は11月25日火曜日、午前1時ちょうど。"
    )
    closing = "観測値、速報値、による参考情報です。避難情報の発令ではありません。"
    assert said["text"] == f"水位情報です。{once}繰り返します。{once}{closing}"
    assert (said["to"], said["episode"]) == ("+81878390001", "kasuga-bridge.20251124T160000.000Z")


def quiet(about: dict[str, Any]) -> str:
    return json.dumps(about | {"rings": False}, ensure_ascii=False)


def test_a_phone_is_not_dialled_for_what_does_not_ring() -> None:
    """A dialled phone rings: what is only to be told does not go by voice, and counts as told elsewhere."""
    with http_server(lambda _: Reply(200)) as server:
        sent(recipient("voice", server.url, secret=SECRET, to="+81878390001"), quiet(ABOUT))
    assert server.requests == []


@pytest.mark.parametrize(
    ("line", "aloud"),
    [
        ("水位 -0.12 m", "水位はマイナス0.12メートル"),
        ("水位 2.00 m（↓ 1時間に0.30 m低下）", "水位は2.00メートル、1時間に0.30メートル低下"),
        ("水位 5.00 m以上", "水位は5.00メートル以上"),
        ("1時間雨量 35 mm", "1時間雨量は35ミリ"),
        ("潮位偏差 +1.15 m、次の満潮 15:05", "潮位偏差はプラス1.15メートル、次の満潮 午後3時5分"),
        ("新川橋：市の目安（氾濫危険水位）に到達", "新川橋、市の目安の氾濫危険水位に到達"),
        (
            "【未確認】春日橋：氾濫開始相当水位を超過［5段階の5］",
            "未確認の情報です。春日橋、氾濫開始相当水位を超過、5段階の5",
        ),
        (
            "氾濫危険水位超過のまま観測不能（9月16日(水) 02:10以後不明）",
            "氾濫危険水位超過のまま観測不能、9月16日水曜日、午前2時10分以後不明",
        ),
    ],
)
def test_texts_read_aloud(line: str, aloud: str) -> None:
    """Numbers, signs, times and brackets as a person says them."""
    about = ABOUT | {"text": {"ja": line, "en": ""}}
    assert spoken(about) == f"水位情報です。{aloud}。繰り返します。{aloud}。"


def test_a_drill_is_marked_at_both_ends_however_short() -> None:
    """Also where the text had to be cut."""
    long = "【訓練】" + "【水位情報】春日橋 " + "あ" * 400 + "【訓練】"
    about = ABOUT | {"drill": True, "subject": {"ja": long, "en": ""}, "text": {"ja": f"{TEXT_JA}【訓練】", "en": ""}}
    text = short(about)
    assert len(text) == PART * PARTS
    assert text.startswith("【訓練】春日橋")
    assert text.endswith(f"…／{CLOSING}【訓練】")
    assert spoken(about).startswith("これは訓練です。")
    assert spoken(about).endswith("これは訓練です。")


@pytest.mark.parametrize(
    ("reply", "again", "reason"),
    [
        (Reply(500), True, MediumReason.FAILED),
        (Reply(503, headers={"Retry-After": "30"}), True, MediumReason.FAILED),
        (Reply(429), True, MediumReason.BUSY),
        (Reply(408), True, MediumReason.BUSY),
        (HANG, True, MediumReason.TIMED_OUT),
        (Reply(401), False, MediumReason.AUTHENTICATION),
        (Reply(403), False, MediumReason.AUTHENTICATION),
        (Reply(404), False, MediumReason.REFUSED_ADDRESS),
        (Reply(410), False, MediumReason.REFUSED_ADDRESS),
        (Reply(422), False, MediumReason.REFUSED_CONTENT),
    ],
)
def test_what_an_answer_means(reply: Reply, again: bool, reason: MediumReason) -> None:
    """Whether trying again will help, and why it was not taken."""
    with http_server(lambda _: reply) as server:
        assert reason_of(recipient("webhook", server.url, timeout_s=0.3)) == (again, reason)


def test_nobody_there() -> None:
    """A server that is away may come back."""
    assert reason_of(recipient("webhook", f"http://127.0.0.1:{free_port()}")) == (True, MediumReason.UNREACHABLE)


# --- LINE ----------------------------------------------------------------------------------------------------------

USER = "U" + "0123456789abcdef" * 2


def test_a_message_of_line() -> None:
    """To whom, the whole text, the token, and a retry key that is the same for the same notification."""
    with http_server(lambda _: Reply(200, b"{}")) as server:
        for _ in range(2):
            sent(recipient("line", server.url, token="t0ken", to=USER))
        sent(recipient("line", server.url, token="t0ken", to=USER), quiet(ABOUT))
    first, second, third = server.requests
    assert first.path == PUSH
    assert first.headers["Authorization"] == "Bearer t0ken"
    assert first.headers["X-Line-Retry-Key"] == second.headers["X-Line-Retry-Key"]
    said = json.loads(first.body)
    assert said["to"] == USER
    assert said["messages"] == [{"type": "text", "text": f"{ABOUT['subject']['ja']}\n{TEXT_JA}"}]
    assert said["notificationDisabled"] is False
    assert json.loads(third.body)["notificationDisabled"] is True


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(429, b'{"message":"You have reached your monthly limit."}'), (False, MediumReason.OVER_QUOTA)),
        (Reply(429, b'{"message":"The API rate limit has been exceeded."}'), (True, MediumReason.BUSY)),
        (Reply(401), (False, MediumReason.AUTHENTICATION)),
        (Reply(400, b'{"message":"The property, to, is invalid"}'), (False, MediumReason.REFUSED_CONTENT)),
        (Reply(500), (True, MediumReason.FAILED)),
    ],
)
def test_what_line_answers(reply: Reply, expected: tuple[bool, MediumReason]) -> None:
    """The month's limit is for good, a rate for now."""
    with http_server(lambda _: reply) as server:
        assert reason_of(recipient("line", server.url, token="t0ken", to=USER)) == expected


def test_line_accepted_it_before() -> None:
    """409 says that the retry key was accepted: that is a delivery."""
    with http_server(lambda _: Reply(409)) as server:
        sent(recipient("line", server.url, token="t0ken", to=USER))


# --- chat ----------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*imghdr")  # what Apprise imports
def test_a_chat_by_apprise() -> None:
    """Apprise's own JSON service stands for all of them: title, Japanese and English."""
    pytest.importorskip("apprise", reason="the extra 'chat' is not installed")
    with http_server(lambda _: Reply(200)) as server:
        sent(recipient("chat", server.url.replace("http", "json") + "/room"))
    said = json.loads(server.requests[0].body)
    assert said["title"] == ABOUT["subject"]["ja"]
    assert "氾濫危険水位を超過" in said["message"]
    assert "flood danger level exceeded" in said["message"]


@pytest.mark.filterwarnings("ignore:.*imghdr")
def test_a_chat_that_does_not_take_it() -> None:
    """It is tried again, and its address, a secret, is in no message."""
    pytest.importorskip("apprise", reason="the extra 'chat' is not installed")
    with http_server(lambda _: Reply(500)) as server:
        to = recipient("chat", server.url.replace("http", "json") + "/s3cret")
        with pytest.raises(Unreached) as e:
            sent(to)
    assert e.value.reason is MediumReason.FAILED
    assert "s3cret" not in str(e.value)
    assert reason_of(recipient("chat", "nothing-that-is-known")) == (False, MediumReason.UNSENDABLE)


# --- lamp ----------------------------------------------------------------------------------------------------------

LAMP = {0: "?alert=000000", 3: "?alert=010000", 4: "?alert=100001"}


@pytest.mark.parametrize(
    ("states", "shown"),
    [
        ([ChannelState(rank=0)], "/?alert=000000"),
        ([ChannelState(rank=2)], "/?alert=000000"),
        ([ChannelState(rank=3), ChannelState(rank=1)], "/?alert=010000"),
        ([ChannelState(rank=0, unconfirmed=5)], "/?alert=100001"),
        ([ChannelState(rank=0, unconfirmed=3)], "/?alert=000000"),
        ([ChannelState(rank=4, condition=Condition.SILENT, held=True)], "/?alert=100001"),
        ([ChannelState(rank=5, condition=Condition.MAINTENANCE), ChannelState(rank=3)], "/?alert=010000"),
    ],
)
def test_a_lamp_shows_the_state_and_not_the_message(states: list[ChannelState], shown: str, tmp_path: Path) -> None:
    """The highest of all that is watched, as the store has it when it is asked for."""
    path = tmp_path / "store.db"
    stations = [world.station(f"s{i}", f"d{i}") for i in range(len(states))]
    store = Store(path)
    work = world.work(store.load(), world.bridge(path), reg=world.registry(*stations))
    for i, state in enumerate(states):
        work.states[(world.TENANT, f"s{i}", "water_level")] = state
    store.commit(work)
    store.close()
    with http_server(lambda _: Reply(200)) as server:
        medium_of(recipient("lamp", server.url + "/", levels=LAMP), path).send(KEY, BODY)
    assert [r.path for r in server.requests] == [shown]


@pytest.mark.parametrize(
    ("states", "shown"),
    [
        ([ChannelState(condition=Condition.FRESH)], "/?alert=000000"),
        ([ChannelState(condition=Condition.FRESH), ChannelState(condition=Condition.SILENT)], "/?lost"),
        ([ChannelState(condition=Condition.SILENT), ChannelState(rank=4)], "/?alert=100001"),
        ([ChannelState(condition=Condition.MAINTENANCE), ChannelState(condition=Condition.FRESH)], "/?alert=000000"),
        ([], "/?lost"),
    ],
)
def test_a_lamp_shows_calm_only_where_everything_is_seen(
    states: list[ChannelState], shown: str, tmp_path: Path
) -> None:
    """With `lost`: what nobody sees is not calm; a level that is reached goes before it. A station that was taken away
    stands for nothing."""
    path, gone = tmp_path / "store.db", world.station("gone", "old")
    stations = [world.station(f"s{i}", f"d{i}") for i in range(len(states))]
    store = Store(path)
    work = world.work(store.load(), world.bridge(path), reg=world.registry(*stations, gone))
    work.states[(world.TENANT, "gone", "water_level")] = ChannelState(rank=5)
    for i, state in enumerate(states):
        work.states[(world.TENANT, f"s{i}", "water_level")] = state
    store.commit(work)
    store.close()
    watched = {(world.TENANT, s.id, "water_level") for s in stations}
    with http_server(lambda _: Reply(200)) as server:
        to = recipient("lamp", server.url + "/", levels=LAMP, lost="?lost")
        lamp = medium_of(to, path, watched=watched)
        assert isinstance(lamp, Lamp)
        keeper = Keeper([lamp], every_s=0.05)  # a lamp that lost its power learns it again
        keeper.start()
        wait_for("it twice", lambda: len(server.requests) >= 2)
        keeper.stop()
    assert {r.path for r in server.requests} == {shown}


# --- mail ----------------------------------------------------------------------------------------------------------


class Post:
    """Takes mail as it is told to."""

    def __init__(self, answer: str = "250 taken", to: str = "250 OK") -> None:
        self.answer, self.to, self.mails = answer, to, list[Envelope]()

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.to.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.to

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.mails.append(envelope)
        return self.answer


@contextmanager
def post_office(post: Post, **more: Any) -> Iterator[int]:
    port = free_port()
    controller = Controller(post, "127.0.0.1", port, **more)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def by_mail(port: int, to: str = "yamada@city.example", **more: Any) -> settings.Recipient:
    given: dict[str, Any] = {"host": "127.0.0.1", "sender": "suii@city.example", "port": port, "security": "none"}
    timeout_s = more.pop("timeout_s", 5.0)
    return recipient("mail", to=to, mail=settings.Mail(**(given | more)), timeout_s=timeout_s)


def read(post: Post) -> EmailMessage:
    (envelope,) = post.mails
    content = envelope.content
    assert isinstance(content, bytes)
    found = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


def test_a_mail() -> None:
    """Plain text in one part, both languages, from whom and to whom, and an identity that a second delivery shares."""
    post = Post()
    with post_office(post) as port:
        sent(by_mail(port, reply_to="bousai@city.example"))
    m = read(post)
    assert post.mails[0].rcpt_tos == ["yamada@city.example"]
    assert m["Subject"] == ABOUT["subject"]["ja"]
    assert m["From"] == "水位監視 <suii@city.example>"
    assert (m["To"], m["Reply-To"]) == ("yamada@city.example", "bousai@city.example")
    assert m["Message-ID"] == message_id(KEY, "suii@city.example")
    assert m["Auto-Submitted"] == "auto-generated"
    assert m["Importance"] == "high"
    assert m.get_content_type() == "text/plain"
    text = m.get_content().replace("\r\n", "\n")
    assert text.startswith(TEXT_JA)
    assert "flood danger level exceeded" in text
    assert "http" not in text


def test_a_subject_keeps_its_spaces_wherever_it_is_folded() -> None:
    """A place and what happened there stay apart, for names of every length; each line is as short as it must be."""
    for n in range(40):
        subject = f"【水位情報】高松市 {'あ' * n}橋 氾濫危険水位を超過［警戒レベル4相当］／2.65 m ↑ 14:26観測"
        about = json.dumps(ABOUT | {"subject": {"ja": subject, "en": ""}})
        raw = composed("k", about, settings.Mail("mail.example", "a@city.example"), "b@city.example").as_bytes()
        assert email.message_from_bytes(raw, policy=email.policy.default)["Subject"] == subject
        assert max(len(line) for line in raw.split(b"\r\n\r\n")[0].split(b"\r\n")) <= 76


def test_a_line_break_in_a_name_makes_no_header() -> None:
    """A subject is one line, whatever an operator wrote into a name."""
    post = Post()
    about = ABOUT | {"subject": {"ja": "【水位情報】春日橋\r\nBcc: everybody@example", "en": ""}}
    with post_office(post) as port:
        sent(by_mail(port), json.dumps(about))
    m = read(post)
    assert m["Bcc"] is None
    assert m["Subject"] == "【水位情報】春日橋 Bcc: everybody@example"


@pytest.mark.parametrize(
    ("post", "expected"),
    [
        (Post("451 try again later"), (True, MediumReason.BUSY)),
        (Post("554 no"), (False, MediumReason.REFUSED_CONTENT)),
        (Post(to="550 no such user"), (False, MediumReason.REFUSED_ADDRESS)),
        (Post(to="452 mailbox full"), (True, MediumReason.BUSY)),
    ],
)
def test_what_a_mail_server_answers(post: Post, expected: tuple[bool, MediumReason]) -> None:
    """4yz is for now, 5yz for good; whether it is the address or the mail."""
    with post_office(post) as port:
        assert reason_of(by_mail(port)) == expected


def test_a_mail_server_that_hangs_or_is_away() -> None:
    """Both may pass."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert reason_of(by_mail(silent.getsockname()[1], timeout_s=0.3)) == (True, MediumReason.TIMED_OUT)
    assert reason_of(by_mail(free_port())) == (True, MediumReason.UNREACHABLE)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, thrown away afterwards."""
    folder = tmp_path_factory.mktemp("ca")
    command = [
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return folder


def _context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def _checks(password: str) -> Callable[..., AuthResult]:
    def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password == password.encode(), handled=False)

    return check


@pytest.mark.parametrize(("password", "taken"), [("right", True), ("wrong", False)])
def test_mail_over_starttls_with_a_password(authority: Path, password: str, taken: bool) -> None:
    """The name and password go over TLS only; a wrong one is said, without showing it."""
    post = Post()
    tls = {"tls_context": _context(authority), "require_starttls": True}
    auth = {"auth_required": True, "authenticator": _checks("right")}
    to = {"security": "starttls", "username": "suii", "password": password, "ca_file": authority / "cert.pem"}
    with post_office(post, **tls, **auth) as port:
        if taken:
            sent(by_mail(port, **to))
            assert len(post.mails) == 1
        else:
            with pytest.raises(Refused) as e:
                sent(by_mail(port, **to))
            assert e.value.reason is MediumReason.AUTHENTICATION
            assert password not in str(e.value)
            assert base64.b64encode(password.encode()).decode() not in str(e.value)


def test_a_certificate_that_is_not_believed(authority: Path) -> None:
    """Nothing is handed to a server that is another than it says; it may be mended."""
    post = Post()
    with post_office(post, tls_context=_context(authority), require_starttls=True) as port:
        assert reason_of(by_mail(port, security="starttls")) == (True, MediumReason.UNREACHABLE)
    assert post.mails == []


def test_a_server_without_tls_gets_nothing(authority: Path) -> None:
    """Who asked for STARTTLS does not send in the clear."""
    post = Post()
    with post_office(post) as port:
        again, _ = reason_of(by_mail(port, security="starttls", ca_file=authority / "cert.pem"))
    assert not again
    assert post.mails == []
