"""A device's right to connect: given, taken away, given to another in its place. Writes the broker's password file and
ACL, the bundle and devices.jsonl, one command at a time.

The order makes every interruption harmless, and the same command again finishes it:

- What is given is given last: first the bundle, then the ACL, then the password line, and devices.jsonl at the end. Cut
  anywhere before the line, the broker knows nothing of the new password; cut after it, the bundle that holds it is
  there, and the next try makes both anew.
- What is taken is taken first: revoking begins with the password line, replacing exchanges it in one rename, in which
  the former password ends and the new one begins.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway import brokerfiles, bundle, devicefile, settings, storefile
from gateway.brokerfiles import user_name
from gateway.bundle import Bundle
from gateway.devicefile import Act, Event, Record
from gateway.errors import ConfigError, Problem, Unavailable
from gateway.fields import did_you_mean
from gateway.wholefile import FILES, Files

PASSWORD_BYTES = 32


@dataclass(frozen=True, slots=True)
class Asked:
    """Who wants what for which device, when (UTC ms) and why."""

    tenant: str
    device: str
    by: str
    now_ms: int
    why: str = ""
    stations: tuple[str, ...] = ()

    @property
    def user(self) -> str:
        return user_name(self.tenant, self.device)


@dataclass(frozen=True, slots=True)
class Contents:
    """What the device is given beside its password; see `bundle.Bundle`."""

    edge: str
    complete: bool
    ca: str | None
    profiles: dict[str, str]
    valid_s: float | None


@dataclass(frozen=True, slots=True)
class Done:
    """`changed` is false where all was so already. `told`: why the broker was not told to reload, empty if it was."""

    changed: bool
    expires_ms: int | None = None
    told: str = ""


class Enrolling:
    """Works on the broker's files of one configuration folder."""

    def __init__(self, at: settings.Enrolment, folder: Path, files: Files = FILES) -> None:
        self._at, self._register, self._files = at, folder / devicefile.DEVICES, files

    def add(self, asked: Asked, contents: Contents, to: Path) -> Done:
        """Enrol a device, one that was revoked too. Again, with the bundle that was made: nothing changes. Raises
        ConfigError and Unavailable; then the broker lets in nobody whom it did not let in before."""
        with self._alone(to.parent):
            passwords = self._text(self._at.passwords, "passwords")
            record = self._records().get((asked.tenant, asked.device))
            if record and record.state == "enrolled" and asked.user in brokerfiles.users(passwords):
                there = _bundle_at(to)
                if there is not None and there.id == record.last.bundle:
                    return Done(changed=False, expires_ms=there.expires_ms, told=self._reload())
                raise Unavailable(
                    f"{asked.user} is enrolled since {record.last.at}, by {record.last.by}. For new hardware, or a "
                    f"bundle that was lost: suimon device replace {asked.user} --why …"
                )
            return self._give(Act.ADDED, asked, contents, to, passwords)

    def replace(self, asked: Asked, contents: Contents, to: Path) -> Done:
        """New credentials for the device of that name; the former are refused. Raises ConfigError, Unavailable."""
        with self._alone(to.parent):
            self._enrolled(asked)
            return self._give(Act.REPLACED, asked, contents, to, self._text(self._at.passwords, "passwords"))

    def revoke(self, asked: Asked) -> Done:
        """The broker is to refuse the device. Again, or where its lines were taken out by hand: what is left is done.
        Raises ConfigError, Unavailable."""
        with self._alone():
            passwords = self._text(self._at.passwords, "passwords")
            record = self._records().get((asked.tenant, asked.device))
            if record is None and asked.user not in brokerfiles.users(passwords):
                raise Unavailable(f"{asked.user} is not enrolled; 'suimon device list' shows all{self._near(asked)}")
            self._put(self._at.passwords, passwords, brokerfiles.without_password(passwords, asked.user))
            told = self._reload()  # at once: nothing that may yet fail keeps the device in
            acl = self._text(self._at.acl, "acl")
            if self._put(self._at.acl, acl, brokerfiles.withdrawn(acl, asked.tenant, asked.device)):
                told = self._reload()
            if record is not None and record.state == "revoked":
                return Done(changed=False, told=told)
            self._note(Act.REVOKED, asked)
            return Done(changed=True, told=told)

    def records(self) -> dict[devicefile.Key, Record]:
        """Raises ConfigError, Unavailable."""
        return self._records()

    def let_in(self) -> set[str] | None:
        """The user names to which the broker's password file gives a password; None where it cannot be read."""
        try:
            return set(brokerfiles.users(self._text(self._at.passwords, "passwords")))
        except (ConfigError, Unavailable):
            return None

    # --- steps

    def _give(self, act: Act, asked: Asked, contents: Contents, to: Path, passwords: str) -> Done:
        acl = self._text(self._at.acl, "acl")
        _free(to, asked)
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        expires = None if contents.valid_s is None else asked.now_ms + round(contents.valid_s * 1000)
        made = Bundle(
            id=secrets.token_hex(16),
            tenant=asked.tenant,
            device=asked.device,
            made_ms=asked.now_ms,
            expires_ms=expires,
            credentials=bundle.Password(asked.user, password),
            complete=contents.complete,
            edge=contents.edge,
            ca=contents.ca,
            profiles=contents.profiles,
        )
        line = brokerfiles.password_line(asked.user, password, secrets.token_bytes(brokerfiles.SALT_BYTES))
        self._write(to, bundle.encode(made), mode=0o600)
        self._put(self._at.acl, acl, brokerfiles.granted(acl, asked.tenant, asked.device))
        self._put(self._at.passwords, passwords, brokerfiles.with_password(passwords, asked.user, line))
        told = self._reload()
        self._note(act, asked, made.id)
        return Done(changed=True, expires_ms=expires, told=told)

    def _enrolled(self, asked: Asked) -> None:
        record = self._records().get((asked.tenant, asked.device))
        if record is None or record.state == "revoked":
            stands = f"was revoked {record.last.at}, by {record.last.by}" if record else "is not enrolled"
            near = "" if record else self._near(asked)
            raise Unavailable(f"{asked.user} {stands}; 'suimon device add {asked.user}' enrols it{near}")

    def _near(self, asked: Asked) -> str:
        return did_you_mean(asked.user, [user_name(*key) for key in self._records()])

    def _records(self) -> dict[devicefile.Key, Record]:
        return devicefile.records(devicefile.read(self._events()))

    def _events(self) -> bytes:
        try:
            return self._register.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as e:
            raise Unavailable(f"{self._register} cannot be read ({_reason(e)})") from e

    def _note(self, act: Act, asked: Asked, bundle_id: str = "") -> None:
        event = Event(
            at=devicefile.stamp(asked.now_ms),
            event=act,
            tenant=asked.tenant,
            device=asked.device,
            by=asked.by,
            why=asked.why,
            stations=list(asked.stations),
            bundle=bundle_id,
        )
        events = self._events()
        gap = b"\n" if events and not events.endswith(b"\n") else b""
        self._write(self._register, events + gap + devicefile.line(event), new_mode=0o644)

    @contextlib.contextmanager
    def _alone(self, *folders: Path) -> Iterator[None]:
        """While no other `suimon device` works on the same password file, and every folder can be written."""
        for folder in (
            *folders,
            *(path.resolve().parent for path in (self._at.passwords, self._at.acl, self._register)),
        ):
            if not folder.is_dir():
                raise Unavailable(f"there is no folder {folder}. Make it, or name another")
            if not os.access(folder, os.W_OK):
                raise Unavailable(f"{folder} cannot be written by this user. Run it with sudo. Nothing was changed")
        fd = storefile.lock(self._at.passwords, "'suimon device'")
        try:
            yield
        finally:
            os.close(fd)

    def _text(self, path: Path, key: str) -> str:
        """One of the broker's files; bytes that are not UTF-8 come through unharmed."""
        try:
            return path.read_bytes().decode("utf-8", "surrogateescape")
        except FileNotFoundError:
            message = f"there is no file {path}. deploy/README.md says how the broker's files are made"
            raise ConfigError([Problem("bridge.yaml", 1, 1, f"enrolment.{key}", message)]) from None
        except OSError as e:
            raise Unavailable(f"{path} cannot be read ({_reason(e)}). Run it with sudo") from e

    def _put(self, path: Path, old: str, new: str) -> bool:
        """Whether anything differed."""
        if new != old:
            self._write(path, new.encode("utf-8", "surrogateescape"))
        return new != old

    def _write(self, path: Path, data: bytes, mode: int | None = None, new_mode: int | None = None) -> None:
        if new_mode is not None and not path.exists():
            mode = new_mode
        try:
            self._files.write(path, data, mode)
        except OSError as e:
            remedy = "Run it with sudo" if isinstance(e, PermissionError) else "Make room, then run the same again"
            raise Unavailable(f"{path} cannot be written ({_reason(e)}); it is as it was. {remedy}") from e

    def _reload(self) -> str:
        """Tell the broker to read its files again; why that could not be done, else nothing."""
        if self._at.pid_file is None:
            return "enrolment.pid_file in bridge.yaml is not set"
        try:
            pid = int(self._at.pid_file.read_text())
            # A number that a former broker left may be anybody's by now.
            if Path(f"/proc/{pid}/comm").read_text().strip() != "mosquitto":
                return f"process {pid} of {self._at.pid_file} is not mosquitto"
            os.kill(pid, signal.SIGHUP)
        except (OSError, ValueError) as e:
            return f"{self._at.pid_file}: {_reason(e) if isinstance(e, OSError) else 'holds no number'}"
        return ""


def _reason(e: OSError) -> str:
    return (e.strerror or "input/output error").lower()


def _bundle_at(path: Path) -> Bundle | None:
    try:
        return bundle.decode(path.read_bytes(), path.name)
    except (OSError, ConfigError):
        return None


def _free(to: Path, asked: Asked) -> None:
    """A bundle may stand where one of this device stood that was replaced, or never came into force; nowhere else."""
    if to.is_symlink():
        raise Unavailable(f"{to} is a link. Name the file itself with --bundle")
    if not to.exists():
        return
    there = _bundle_at(to)
    if there is None or (there.tenant, there.device) != (asked.tenant, asked.device):
        raise Unavailable(f"{to} exists and is no bundle of {asked.user}. Name another file with --bundle")
