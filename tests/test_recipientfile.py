"""The media and recipients of bridge.yaml: what a mistake is told as, and what the good ones become."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from gateway import config, recipientfile, yamlfile
from gateway.errors import ConfigError
from gateway.settings import Mail, Quota
from tests import readme

STATIONS = """version: 1
tenant: takamatsu
stations:
  kasuga-bridge:
    name: {ja: 春日橋, en: Kasuga Bridge}
    position: {latitude: 34.33, longitude: 134.07}
    datum: T.P.
    gauge_zero: 0 m
    device: kasuga-01
    channels:
      water_level: {interval: 60s}
"""
HEAD = "version: 1\nbroker: {host: 127.0.0.1}\nnotify:\n"


def folder_of(tmp_path: Path, notify: str) -> Path:
    (tmp_path / "stations.yaml").write_text(STATIONS, encoding="utf-8")
    (tmp_path / "bridge.yaml").write_text(HEAD + notify, encoding="utf-8")
    (tmp_path / "secret").write_text("s3cret\n")
    (tmp_path / "chat").write_text("slack://T/B/s3cret\n")
    return tmp_path


GOOD = """  media:
    mail:
      {medium: mail, host: mail.city.example, sender: s@city.example, username: su, password_file: secret, quota: 5/day}
    voice: {medium: voice, url: "https://voice.example/call", secret_file: secret, quota: 1_000 a month}
  recipients:
    desk: {medium: webhook, url: "http://127.0.0.1:8080/hook", token_file: secret}
    crisis: {medium: mail, to: kiki@city.example, min_rank: 3}
    chief: {medium: voice, to: "+81878390001", min_rank: 4, notices: false}
    line: {medium: line, token_file: secret, to: U0123456789abcdef0123456789abcdef}
    room: {medium: chat, url_file: chat}
    lamp: {medium: lamp, url: "http://192.0.2.9/", levels: {0: "off", 3: "red"}}
"""


def test_what_they_become(tmp_path: Path) -> None:
    """A named medium is shared by its recipients, with its quota; the others stand for themselves."""
    bridge, _ = config.load_bridge(folder_of(tmp_path, GOOD))
    found = {r.name: r for r in bridge.recipients}
    assert list(found) == ["desk", "crisis", "chief", "line", "room", "lamp"]
    crisis = found["crisis"]
    assert crisis.mail == Mail("mail.city.example", "s@city.example", username="su", password="s3cret")
    assert (crisis.medium, crisis.via, crisis.to, crisis.min_rank) == ("mail", "mail", "kiki@city.example", 3)
    assert crisis.quota == Quota(5, "day")
    assert (found["chief"].secret, found["chief"].quota) == ("s3cret", Quota(1000, "month"))
    assert (found["chief"].to, found["chief"].notices) == ("+81878390001", False)
    assert (found["line"].url, found["line"].token) == ("https://api.line.me", "s3cret")
    assert found["room"].url == "slack://T/B/s3cret"
    assert found["lamp"].levels == {0: "off", 3: "red"}
    assert "s3cret" not in repr(bridge)


MISTAKES = [
    (
        "a key of another medium",
        "  recipients:\n    desk: {medium: webhook, url: 'http://x.example/', host: x.example}\n",
        "bridge.yaml:5:55 notify.recipients.desk.host: the medium webhook has no host. Leave it out",
    ),
    (
        "a dialler without a secret",
        "  media:\n    voice: {medium: voice, url: 'http://x.example/'}\n",
        "bridge.yaml:5:5 notify.media.voice: 'secret_file' is missing: the service is called there, "
        "and each call is signed. Add for example 'secret_file: secrets/voice'",
    ),
    (
        "mail for nobody",
        "  recipients:\n    a: {medium: mail, host: m.example, sender: a@b.example}\n",
        "bridge.yaml:5:5 notify.recipients.a: 'to' is missing: the medium mail must be told whom to reach",
    ),
    (
        "two addresses in one",
        "  recipients:\n    a: {medium: mail, host: m.example, sender: a@b.example, to: 'x@y.example, z@y.example'}\n",
        "bridge.yaml:5:65 notify.recipients.a.to: 'x@y.example, z@y.example' is no mail address. "
        "Write for example yamada@city.example",
    ),
    (
        "a number without its country",
        "  media:\n    v: {medium: voice, url: 'http://x.example/', secret_file: secret}\n"
        "  recipients:\n    a: {medium: v, to: '0878390001'}\n",
        "bridge.yaml:7:24 notify.recipients.a.to: '0878390001' is no telephone number with its country. "
        "Write for example +81878390001",
    ),
    (
        "a named medium described twice",
        "  media:\n    v: {medium: voice, url: 'http://x.example/', secret_file: secret}\n"
        "  recipients:\n    a: {medium: v, to: '+81878390001', url: 'http://y.example/'}\n",
        "bridge.yaml:7:40 notify.recipients.a.url: url belongs to the medium 'v' under notify.media. Leave it out",
    ),
    (
        "a medium that is not there",
        "  media:\n    voice: {medium: voice, url: 'http://x.example/', secret_file: secret}\n"
        "  recipients:\n    a: {medium: voise, to: '+81878390001'}\n",
        "bridge.yaml:7:17 notify.recipients.a.medium: unknown medium 'voise'. Did you mean 'voice'? "
        "(one of chat, console, lamp, line, mail, sms, voice, webhook)",
    ),
    (
        "a password in the clear",
        "  recipients:\n    a: {medium: mail, host: m.example, sender: a@b.example, to: a@b.example, security: none, "
        "username: u, password_file: secret}\n",
        "bridge.yaml:5:88 notify.recipients.a.security: a password would go over the network in the clear. "
        "Write starttls or tls",
    ),
    (
        "a quota that is a bare number",
        "  media:\n    v: {medium: voice, url: 'http://x.example/', secret_file: secret, quota: 200}\n",
        "bridge.yaml:5:78 notify.media.v.quota: '200' is no quota. Write for example '200/month' or '50/day'",
    ),
    (
        "a quota without a time",
        "  media:\n    v: {medium: voice, url: 'http://x.example/', secret_file: secret, quota: '200'}\n",
        "bridge.yaml:5:78 notify.media.v.quota: '200' is no quota. Write for example '200/month' or '50/day'",
    ),
    (
        "a secret that is not there",
        "  recipients:\n    a: {medium: chat, url_file: nowhere}\n",
        "bridge.yaml:5:33 notify.recipients.a.url_file: the file that this names cannot be read "
        "(no such file or directory). Write a path relative to the configuration's folder",
    ),
]


@pytest.mark.parametrize(("notify", "expected"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_mistake(notify: str, expected: str, tmp_path: Path) -> None:
    """Each mistake is told once, at its place, with what would be right."""
    with pytest.raises(ConfigError) as e:
        config.load_bridge(folder_of(tmp_path, notify))
    assert [str(p) for p in e.value.problems] == [expected]


def test_a_member_whose_address_cannot_be_one(tmp_path: Path) -> None:
    """members.csv is held to the same: a number that nobody can dial is told before anybody needs it."""
    folder = folder_of(
        tmp_path, "  media:\n    voice: {medium: voice, url: 'http://x.example/', secret_file: secret}\n"
    )
    (folder / "people.yaml").write_text(
        "version: 1\nmembers: members.csv\nroles:\n  duty: {name: {ja: 当直, en: Duty}}\n"
        "plans:\n  - {rank: 2, call: [duty]}\n",
        encoding="utf-8",
    )
    (folder / "members.csv").write_text(
        "role,order,name,addresses,from,until,days\nduty,1,当直,voice:0878390001,,,常時\n"
    )
    with pytest.raises(ConfigError) as e:
        config.load_bridge(folder)
    assert "members.csv:2:1 addresses: '0878390001' is no telephone number with its country" in str(e.value)


def test_the_example_of_the_document(tmp_path: Path) -> None:
    """What ALARM.md shows under "Media" is taken as it stands."""
    text = (readme.ROOT / "gateway" / "ALARM.md").read_text(encoding="utf-8")
    section = text[text.index("## Media") : text.index("## Journal")]
    example = section.split("```yaml\n")[1].split("```")[0]
    folder = folder_of(tmp_path, "")
    (folder / "bridge.yaml").write_text(example, encoding="utf-8")
    (folder / "secrets").mkdir()
    for name in ("mail", "sms", "voice", "line", "teams"):
        (folder / "secrets" / name).write_text("s3cret\n")
    bridge, _ = config.load_bridge(folder)
    assert {r.medium for r in bridge.recipients} | {m.medium for m in bridge.media.values()} >= {
        "mail", "sms", "voice", "line", "chat", "lamp", "webhook"
    }  # fmt: skip


def test_a_chat_without_its_package_is_told_by_check(tmp_path: Path) -> None:
    """With place, what is missing and the remedy; with the package nothing is said."""
    folder = folder_of(tmp_path, GOOD)
    document = yamlfile.read(folder / "bridge.yaml", "bridge.yaml")
    recipientfile.packages(document, lambda _: "there")
    assert document.problems == []
    recipientfile.packages(document, lambda _: None)
    (problem,) = document.problems
    assert str(problem) == (
        f"bridge.yaml:{problem.line}:{problem.col} notify.recipients.room.medium: the package apprise, which speaks to "
        "chats, is missing here. pip install 'suimon[chat]' where the bridge runs"
    )
    assert (folder / "bridge.yaml").read_text(encoding="utf-8").splitlines()[problem.line - 1].startswith("    room:")
    told = [p for p in config.inspect(folder).problems if "apprise" in p.message]
    assert len(told) == (find_spec("apprise") is None)
