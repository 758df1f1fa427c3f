"""Mail: plain text, handed to the city's own server. No HTML, link or attachment, which sanitisers of city desks take
away."""

from __future__ import annotations

import hashlib
import json
import smtplib
import ssl
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import formatdate

from gateway import settings
from gateway.bridge.media.answer import Refused, Unreached
from gateway.errors import MediumReason

_NAMES = {"ja": "水位監視", "en": "Flood watch"}


class _Policy(EmailPolicy):
    """As usual, but for how a subject is folded: the standard library loses a space that falls between two encoded
    words of RFC 2047 (cpython 92081), and with it the border between a place and what happened there."""

    def fold(self, name: str, value: str) -> str:
        if name.lower() != "subject":
            return str(super().fold(name, value))
        words = Header(value, "utf-8", maxlinelen=self.max_line_length, header_name=name).encode(linesep=self.linesep)
        return f"{name}: {words}{self.linesep}"

    def fold_binary(self, name: str, value: str) -> bytes:
        return self.fold(name, value).encode("ascii") if name.lower() == "subject" else super().fold_binary(name, value)


# UTF-8 in base64: every mail program reads it, and no line of it can be taken for a header or be folded wrongly.
_POLICY = _Policy(linesep="\r\n", cte_type="7bit", max_line_length=76)


def message_id(key: str, sender: str) -> str:
    """The same for a second delivery of the same notification, so that a mail program shows it once."""
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@{sender.rpartition('@')[2]}>"


def composed(key: str, body: str, mail: settings.Mail, to: str) -> EmailMessage:
    """The mail: Japanese, and English below it."""
    about = json.loads(body)
    m = EmailMessage(policy=_POLICY)
    m["Subject"] = " ".join(about["subject"]["ja"].split())
    m["From"] = Address(_NAMES["ja"], addr_spec=mail.sender)
    m["To"] = Address(addr_spec=to)
    if mail.reply_to:
        m["Reply-To"] = Address(addr_spec=mail.reply_to)
    m["Date"] = formatdate(localtime=False)
    m["Message-ID"] = message_id(key, mail.sender)
    m["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answer by machine, no holiday notes
    if (about.get("rank") or 0) >= 4 and about.get("rings"):
        m["Importance"] = "high"
    m.set_content(f"{about['text']['ja']}\n\n---\n{about['text']['en']}\n", charset="utf-8", cte="base64")
    return m


class MailMedium:
    """One address. A connection for each mail: there are few, and a kept one would be dead when it is needed."""

    def __init__(self, to: settings.Recipient) -> None:
        assert to.mail is not None
        self._to, self._mail = to, to.mail

    def send(self, key: str, body: str) -> None:
        try:
            message = composed(key, body, self._mail, self._to.to)
        except (ValueError, IndexError):
            raise Refused(MediumReason.UNSENDABLE, "the address cannot be written into a mail") from None
        try:
            with self.connected() as server:
                server.send_message(message, self._mail.sender, [self._to.to])
        except UnicodeError:
            raise Refused(MediumReason.UNSENDABLE, "the address holds letters that no mail server here takes") from None
        except smtplib.SMTPAuthenticationError as e:
            raise Refused(MediumReason.AUTHENTICATION, _said(e.smtp_code, e.smtp_error)) from None
        except smtplib.SMTPRecipientsRefused as e:
            raise _judged(*next(iter(e.recipients.values())), MediumReason.REFUSED_ADDRESS) from None
        except smtplib.SMTPResponseException as e:
            raise _judged(e.smtp_code, e.smtp_error, MediumReason.REFUSED_CONTENT) from None
        except smtplib.SMTPNotSupportedError:
            raise Refused(MediumReason.UNSENDABLE, "the server offers no STARTTLS, or no login") from None
        except ssl.SSLCertVerificationError as e:
            raise Unreached(MediumReason.UNREACHABLE, f"its certificate is not believed: {e.verify_message}") from None
        except TimeoutError as e:
            raise Unreached(MediumReason.TIMED_OUT, str(e)) from None
        except (OSError, smtplib.SMTPException) as e:
            # smtplib tells a time-out as a connection that was closed
            late = isinstance(e.__context__, TimeoutError)
            reason = MediumReason.TIMED_OUT if late else MediumReason.UNREACHABLE
            raise Unreached(reason, str(e) or type(e).__name__) from None

    def connected(self) -> smtplib.SMTP:
        mail, timeout_s = self._mail, self._to.timeout_s
        context = None if mail.security == "none" else ssl.create_default_context(cafile=mail.ca_file)
        if mail.security == "tls":
            assert context is not None
            server: smtplib.SMTP = smtplib.SMTP_SSL(mail.host, mail.port, timeout=timeout_s, context=context)
        else:
            server = smtplib.SMTP(mail.host, mail.port, timeout=timeout_s)
        try:
            if mail.security == "starttls":
                server.starttls(context=context)
            if mail.username is not None and mail.password is not None:
                server.login(mail.username, mail.password)
        except (OSError, smtplib.SMTPException):
            server.close()
            raise
        return server


def _said(code: int, text: bytes | str) -> str:
    words = text.decode(errors="replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(words.split())}"[:200]


def _judged(code: int, text: bytes | str, refused: MediumReason) -> Refused | Unreached:
    """RFC 5321, 4.2.1: 4yz is for now, 5yz for good."""
    if 400 <= code < 500 or code < 0:
        return Unreached(MediumReason.BUSY, _said(code, text))
    return Refused(refused, _said(code, text))
