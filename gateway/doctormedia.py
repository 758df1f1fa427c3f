"""Whether the media by which people are reached would take a message: looked at without sending one."""

from __future__ import annotations

import smtplib
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing

from gateway import settings
from gateway.bridge.media import chat
from gateway.bridge.media.mail import MailMedium
from gateway.doctor import CERTIFICATE_DAYS, TIMEOUT_S, Finding, State, url

BOT_INFO = "/v2/bot/info"  # LINE Messaging API: who a token speaks for; costs nothing


def media(bridge: settings.Bridge) -> Iterator[Finding]:
    """A medium that reaches many is looked at once."""
    seen = set[str]()
    for r in (*bridge.media.values(), *bridge.recipients):
        name = r.via or r.name.partition(":")[0]
        if name not in seen:
            seen.add(name)
            yield from _medium(f"to {name}", r)


def _medium(name: str, r: settings.Recipient) -> Iterator[Finding]:
    match r.medium:
        case "mail":
            yield _mail(name, r)
        case "line":
            yield _line(name, r)
        case "chat":
            yield _chat(name, r)
        case "webhook" | "sms" | "voice" | "lamp":
            yield url(name, r.url)
        case "console":
            pass


def _mail(name: str, r: settings.Recipient) -> Finding:
    """The server answers, its certificate is believed and for how long, and it takes our name and password."""
    assert r.mail is not None
    to, place = r.mail, f"{r.mail.host}:{r.mail.port}"
    try:
        with MailMedium(r).connected() as server:
            certificate = server.sock.getpeercert() if isinstance(server.sock, ssl.SSLSocket) else None
    except smtplib.SMTPAuthenticationError as e:
        return Finding(name, place, State.FAIL, f"refuses our login ({e.smtp_code})", "Check username, password_file")
    except ssl.SSLCertVerificationError as e:
        remedy = "Is ca_file the authority that signed it, is the host name in it, and is this clock right?"
        return Finding(name, place, State.FAIL, f"the certificate is not believed ({e.verify_message})", remedy)
    except smtplib.SMTPNotSupportedError:
        return Finding(name, place, State.FAIL, "offers no STARTTLS, or no login", "Write 'security: tls', or 'none'")
    except (OSError, smtplib.SMTPException) as e:
        reason = getattr(e, "strerror", None) or type(e).__name__
        remedy = "Is the address right, does 'security' fit the port, and does a firewall let us out?"
        return Finding(name, place, State.FAIL, f"no mail server answers ({reason})", remedy)
    said = "answers" + (", takes our login" if to.username else "")
    if certificate is None:
        return Finding(name, place, State.OK, f"{said}, without TLS")
    days = int((ssl.cert_time_to_seconds(str(certificate.get("notAfter", ""))) - time.time()) // 86400)
    said = f"{said}, its certificate is believed for {days} more days"
    if days < CERTIFICATE_DAYS:
        return Finding(name, place, State.WARN, said, "Have it renewed in time: after that day no mail leaves")
    return Finding(name, place, State.OK, said)


def _line(name: str, r: settings.Recipient) -> Finding:
    """The token is one that LINE knows."""
    request = urllib.request.Request(  # noqa: S310 - http(s) by configuration
        r.url.rstrip("/") + BOT_INFO, headers={"Authorization": f"Bearer {r.token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310
            return Finding(name, "LINE", State.OK, "knows the token")
    except urllib.error.HTTPError as e:
        with closing(e):
            remedy = "Issue a channel access token in LINE's console, and write it into token_file"
            return Finding(name, "LINE", State.FAIL, f"does not take the token ({e.code})", remedy)
    except (OSError, ValueError) as e:
        reason = str(getattr(e, "reason", None) or type(e).__name__)
        return Finding(name, "LINE", State.FAIL, f"no answer ({reason})", "Does a firewall let us out?")


def _chat(name: str, r: settings.Recipient) -> Finding:
    """Apprise is there, and knows the service of the address."""
    if not chat.available():
        remedy = "pip install 'suimon[chat]'"
        return Finding(name, "chat", State.FAIL, "the package for chat services is not installed", remedy)
    if not chat.known(r.url):
        remedy = "See Apprise's list of services for how its address is written into url_file"
        return Finding(name, "chat", State.FAIL, "its address is none that Apprise knows", remedy)
    return Finding(name, "chat", State.OK, "installed, the service is known; nothing was sent")
