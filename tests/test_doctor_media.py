"""`suimon doctor` and the media: what would keep a message from being taken, found without sending one."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway import doctormedia, settings
from gateway.doctor import Finding, State
from tests import world
from tests.servers import free_port
from tests.test_media import Post, _checks, _context, authority, by_mail, post_office, recipient
from tests.world import Reply, http_server

__all__ = ["authority"]  # a fixture


def findings(*to: settings.Recipient) -> list[Finding]:
    return list(doctormedia.media(world.bridge(Path("unused"), recipients=to)))


@pytest.mark.parametrize(
    ("password", "state", "says"),
    [
        ("right", State.WARN, "takes our login, its certificate is believed for"),
        ("wrong", State.FAIL, "refuses our login"),
    ],
)
def test_a_mail_server_is_asked_and_gets_no_mail(authority: Path, password: str, state: State, says: str) -> None:
    """TLS, certificate and login as for a mail, and then nothing is handed over; one that ends soon is told."""
    post = Post()
    tls = {"tls_context": _context(authority), "require_starttls": True}
    auth = {"auth_required": True, "authenticator": _checks("right")}
    own: Any = {"security": "starttls", "username": "suii", "password": password, "ca_file": authority / "cert.pem"}
    with post_office(post, **tls, **auth) as port:
        (found,) = findings(by_mail(port, **own))
    assert (found.name, found.state) == ("to duty", state)
    assert says in found.message
    assert "wrong" not in f"{found}"
    assert post.mails == []


def test_mail_servers_that_are_none(authority: Path) -> None:
    """Away, with a certificate of somebody else, without TLS, or silent: each has its remedy."""
    with post_office(Post(), tls_context=_context(authority), require_starttls=True) as port:
        (found,) = findings(by_mail(port, security="starttls"))
        assert "the certificate is not believed" in found.message
    with post_office(Post()) as port:
        (found,) = findings(by_mail(port, security="starttls", ca_file=authority / "cert.pem"))
        assert found.message == "offers no STARTTLS, or no login"
        (found,) = findings(by_mail(port))
        assert (found.state, found.message) == (State.OK, "answers, without TLS")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (found,) = findings(by_mail(silent.getsockname()[1], timeout_s=0.3))
        assert "no mail server answers" in found.message
    (found,) = findings(by_mail(free_port()))
    assert found.state is State.FAIL


@pytest.mark.parametrize(("status", "state"), [(200, State.OK), (401, State.FAIL), (500, State.FAIL)])
def test_a_token_of_line(status: int, state: State) -> None:
    """LINE is asked whose token it is, which costs no message; the token is not shown."""
    with http_server(lambda _: Reply(status, b"{}")) as server:
        (found,) = findings(recipient("line", server.url, token="t0ken"))
    assert [r.path for r in server.requests] == [doctormedia.BOT_INFO]
    assert server.requests[0].headers["Authorization"] == "Bearer t0ken"
    assert found.state is state
    assert "t0ken" not in str(found)


@pytest.mark.filterwarnings("ignore:.*imghdr")  # what Apprise imports
def test_a_chat_is_known_or_not() -> None:
    """Without sending: the package, and whether it knows the address, which is a secret."""
    (found,) = findings(recipient("chat", "nothing-s3cret"))
    assert found.state is State.FAIL
    assert "s3cret" not in str(found)
    if "not installed" in found.message:
        assert found.remedy == "pip install 'suimon[chat]'"
        return
    (found,) = findings(recipient("chat", "json://127.0.0.1/room"))
    assert found.state is State.OK


def test_what_serves_many_is_looked_at_once() -> None:
    """Members' addresses share a medium; a service is reached and not called."""
    with http_server(lambda _: Reply(200)) as server:
        voice = recipient("voice", server.url + "/s3cret", secret="k", via="voice")
        many = [replace(voice, name=f"voice:+8187839000{n}") for n in range(3)]
        found = findings(*many, recipient("lamp", f"http://127.0.0.1:{free_port()}/"))
    assert [(f.name, f.state) for f in found] == [("to voice", State.OK), ("to duty", State.FAIL)]
    assert server.requests == []
    assert "s3cret" not in str(found)
