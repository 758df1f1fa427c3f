"""`suimon web user`, `token`, `audit`: who may use the page and the interface, and what they did. On the machine
itself: whoever may write web.db needs no other right."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gateway.cli import process, times
from gateway.cli.letters import table
from gateway.errors import Unavailable

if TYPE_CHECKING:
    from gateway.web.accountrows import Account, By, Refusal
    from gateway.web.accounts import Accounts
    from gateway.web.who import Role

user_app = typer.Typer(help="Who signs in, and as what.", no_args_is_help=True)
token_app = typer.Typer(help="Tokens by which programs ask.", no_args_is_help=True)


class RoleName(StrEnum):
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"


class ScopeName(StrEnum):
    READ = "read"
    ACT = "act"
    ADMIN = "admin"


NameArgument = Annotated[str, typer.Argument(help="The account's name.")]
RoleOption = Annotated[RoleName, typer.Option("--role", help="What they may.")]
TenantOption = Annotated[list[str] | None, typer.Option("--tenant", help="Only this one; again for several.")]
FileOption = Annotated[
    Path | None, typer.Option("--password-file", help="Holds the password, in one line; '-' reads stdin.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
NOBODY = "nobody has an account. 'suimon web user add NAME --role administrator' makes the first"
LONGEST = 4096  # bytes of a password on stdin


@user_app.callback()
def _user() -> None:
    """Who signs in, and as what."""


@token_app.callback()
def _token() -> None:
    """Tokens by which programs ask."""


@dataclass(frozen=True, slots=True)
class Opened:
    file: Path
    accounts: Accounts
    by: By
    tenants: frozenset[str]

    def account(self, name: str) -> str:
        """As it is kept. Raises Unavailable."""
        from gateway.fields import instead
        from gateway.web.accountrows import one_line, spelled

        names = [x.name for x in self.accounts.members.list()]
        if not names:
            raise Unavailable(f"{self.file}: {NOBODY}")
        if spelled(name) not in names:
            message = f"{self.file}: there is no account '{one_line(name)}'{instead(spelled(name), names)}"
            raise Unavailable(f"{_ended(message)} 'suimon web user list' shows them")
        return spelled(name)

    def token(self, name: str) -> str:
        """The id of one in force; the secret itself is not told again. Raises Unavailable."""
        from gateway.fields import instead
        from gateway.web.accountrows import one_line

        now = self.accounts.now_ms()
        known = [x.id for x in self.accounts.tokens.list() if x.revoked_ms is None and x.expires_ms > now]
        id_ = name.removeprefix("sui_").partition("_")[0]
        if id_ in known:
            return id_
        message = f"{self.file}: no token in force has the id '{one_line(id_, 12)}'{instead(id_, known)}"
        raise Unavailable(f"{_ended(message)} 'suimon web token list' shows them")

    def known(self, names: list[str] | None) -> list[str] | None:
        """None for none named. Raises Unavailable for one that has no station."""
        from gateway.fields import instead

        for name in names or []:
            if name not in self.tenants:
                raise Unavailable(f"--tenant: no station is '{name}''s{instead(name, sorted(self.tenants))}")
        return names or None


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith("?") else f"{sentence}."


@contextmanager
def _opened(folder: Path) -> Iterator[Opened]:
    """web.db as web.yaml names it; made where there is none. What is declined is told in its sentence."""
    from gateway import config
    from gateway.clock import SystemClock

    with process.told():
        web, _, registry = config.load_web(folder)
        try:
            from gateway.web.accountrows import By, Declined
            from gateway.web.accounts import Accounts
        except ModuleNotFoundError as e:
            raise Unavailable(f"accounts need the package {e.name}: pip install 'suimon[web]'") from e
        accounts = Accounts(web.accounts, SystemClock())
        try:
            tenants = frozenset(tenant for tenant, _ in registry.stations)
            yield Opened(web.accounts, accounts, By(os.environ.get("SUDO_USER") or getpass.getuser(), "cli"), tenants)
        except Declined as e:
            raise Unavailable(f"{web.accounts}: {e}{f'. {e.remedy}' if e.remedy else ''}") from e
        finally:
            accounts.close()


def _role(name: RoleName) -> Role:
    from gateway.web.who import Role

    return Role[name.name]


def _password(file: Path | None) -> str:
    """Never from the command line, which every user of the machine sees. Raises Unavailable."""
    if file is None:
        if not sys.stdin.isatty():
            raise Unavailable("a password is typed at a terminal, or stands in the file of --password-file")
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt="Once more", err=True))
    try:
        data = sys.stdin.buffer.read(LONGEST) if str(file) == "-" else file.read_bytes()
        text = data.decode().removesuffix("\n").removesuffix("\r")
    except OSError as e:
        raise Unavailable(f"--password-file {file}: it cannot be read ({(e.strerror or '').lower()})") from e
    except UnicodeDecodeError:
        raise Unavailable(f"--password-file {file}: it is not text in UTF-8") from None
    if len(text.splitlines()) != 1:
        message = f"--password-file {file}: it holds {len(text.splitlines()) or 'no'} lines"
        raise Unavailable(f"{message}. Write the password into it, and nothing else")
    return text


# --- accounts --------------------------------------------------------------------------------------------------------


@user_app.command("add")
def add(
    name: NameArgument,
    role: RoleOption,
    tenant: TenantOption = None,
    display: Annotated[str, typer.Option("--display", help="The name that people read.")] = "",
    password_file: FileOption = None,
    machine: Annotated[bool, typer.Option("--machine", help="Without a password: by tokens alone.")] = False,
    folder: Path = process.ConfigOption,
) -> None:
    """A new account. The password is asked for twice; it has at least 12 characters."""
    with _opened(folder) as found:
        tenants = found.known(tenant)
        if machine and password_file is not None:
            raise Unavailable("a machine has no password: leave out --machine or --password-file")
        password = None if machine else _password(password_file)
        made = found.accounts.members.make(name, _role(role), found.by, password, tenants, display)
    typer.echo(f"{_said(made)}; {'it has no password, only tokens' if made.machine else 'they can sign in'}")


@user_app.command("list")
def list_(json_output: JsonOption = False, folder: Path = process.ConfigOption) -> None:
    """Who there is."""
    with _opened(folder) as found:
        known = found.accounts.members.list()
    if json_output:
        typer.echo(json.dumps({"version": 1, "accounts": [_account(x) for x in known]}, ensure_ascii=False))
        return
    if not known:
        typer.echo(NOBODY)
        return
    rows: list[tuple[str, ...]] = [("name", "role", "tenants", "state", "changed")]
    rows += [(x.name, x.role.name.lower(), _tenants(x.tenants), _state(x), times.local(x.changed_ms)) for x in known]
    typer.echo(table(rows))


@user_app.command("set-password")
def set_password(name: NameArgument, password_file: FileOption = None, folder: Path = process.ConfigOption) -> None:
    """Another password. Whoever is signed in must do so again; tokens stay."""
    with _opened(folder) as found:
        name = found.account(name)
        found.accounts.members.set_password(name, _password(password_file), found.by)
    typer.echo("the password is changed, and every session of the account has ended; its tokens stay")


@user_app.command("role")
def role(
    name: NameArgument,
    role: RoleOption,
    tenant: TenantOption = None,
    all_tenants: Annotated[bool, typer.Option("--all-tenants", help="No longer only some.")] = False,
    folder: Path = process.ConfigOption,
) -> None:
    """Another role, and other tenants where they are named. Whoever is signed in must do so again."""
    with _opened(folder) as found:
        tenants = found.known(tenant)
        if tenants and all_tenants:
            raise Unavailable("some tenants, or all of them: leave out --tenant or --all-tenants")
        given = (tenants,) if tenants or all_tenants else None
        changed = found.accounts.members.change(found.account(name), found.by, _role(role), given)
    typer.echo(_said(changed))


@user_app.command("disable")
def disable(name: NameArgument, folder: Path = process.ConfigOption) -> None:
    """Nobody comes in by it any more, neither by password nor by token, from now on."""
    with _opened(folder) as found:
        changed = found.accounts.members.change(found.account(name), found.by, disabled=True)
    typer.echo(_said(changed))


@user_app.command("enable")
def enable(name: NameArgument, folder: Path = process.ConfigOption) -> None:
    """Again, with its password and the tokens that have not expired."""
    with _opened(folder) as found:
        changed = found.accounts.members.change(found.account(name), found.by, disabled=False)
    typer.echo(_said(changed))


@user_app.command("logout")
def logout(name: NameArgument, folder: Path = process.ConfigOption) -> None:
    """End every session of a person; also of one whom a provider knows (NAME@PROVIDER, as the audit says)."""
    with _opened(folder) as found:
        of = name if "@" in name else found.account(name)
        count = found.accounts.sign_out(of, found.by)
    typer.echo(f"{count} session{'s' * (count != 1)} ended")


def _tenants(tenants: frozenset[str] | None) -> str:
    return "all" if tenants is None else ", ".join(sorted(tenants))


def _state(x: Account) -> str:
    return "disabled" if x.disabled else "machine" if x.machine else "enabled"


def _said(x: Account) -> str:
    return f"{x.name}: {x.role.name.lower()}, tenants: {_tenants(x.tenants)}, {_state(x)}"


def _account(x: Account) -> dict[str, Any]:
    tenants = None if x.tenants is None else sorted(x.tenants)
    return {"name": x.name, "display": x.display, "role": x.role.name.lower(), "tenants": tenants,
            "disabled": x.disabled, "machine": x.machine, "made": times.iso(x.made_ms),
            "changed": times.iso(x.changed_ms)}  # fmt: skip


# --- tokens ----------------------------------------------------------------------------------------------------------


@token_app.command("create")
def create(
    name: NameArgument,
    scope: Annotated[ScopeName, typer.Option("--scope", help="read; act: also acknowledge and judge; admin: all.")],
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="How long it is valid.")],
    label: Annotated[str, typer.Option("--label", help="What it is for.")] = "",
    tenant: TenantOption = None,
    folder: Path = process.ConfigOption,
) -> None:
    """A token for a program, within what the account may. It is printed this once."""
    word: Literal["read", "act", "admin"] = scope.value
    with _opened(folder) as found:
        name = found.account(name)
        text, made = found.accounts.tokens.make(name, word, days, found.by, label, found.known(tenant))
    typer.echo(f"valid until {times.local(made.expires_ms)}; keep it, it is shown this once:", err=True)
    typer.echo(text)


@token_app.command("list")
def tokens(
    name: Annotated[str, typer.Argument(help="Of one account.")] = "",
    json_output: JsonOption = False,
    folder: Path = process.ConfigOption,
) -> None:
    """Which there are; of each only the id is known."""
    with _opened(folder) as found:
        known = found.accounts.tokens.list(found.account(name) if name else "")
        now = found.accounts.now_ms()
    if json_output:
        rows = [
            {"id": x.id, "name": x.name, "label": x.label, "scope": x.scope,
             "tenants": None if x.tenants is None else sorted(x.tenants), "made": times.iso(x.made_ms),
             "expires": times.iso(x.expires_ms), "used": times.iso(x.used_ms), "revoked": times.iso(x.revoked_ms)}
            for x in known
        ]  # fmt: skip
        typer.echo(json.dumps({"version": 1, "tokens": rows}, ensure_ascii=False))
        return
    if not known:
        typer.echo("no tokens")
        return
    lines: list[tuple[str, ...]] = [("id", "account", "scope", "state", "expires", "last used", "label")]
    for x in known:
        state = "revoked" if x.revoked_ms is not None else "expired" if x.expires_ms <= now else "in force"
        lines.append((x.id, x.name, x.scope, state, times.local(x.expires_ms), times.local(x.used_ms), x.label))
    typer.echo(table(lines))


@token_app.command("revoke")
def revoke(
    token: Annotated[str, typer.Argument(metavar="ID", help="As 'token list' shows it.")],
    folder: Path = process.ConfigOption,
) -> None:
    """From now on nobody comes in by it."""
    with _opened(folder) as found:
        id_ = found.token(token)
        found.accounts.tokens.revoke(id_, found.by)
    typer.echo(f"{id_} is revoked")


# --- the audit -------------------------------------------------------------------------------------------------------


def audit(
    since: Annotated[str | None, typer.Option("--since", help="24h, 2026-11-22T03:00, …; 30d by default.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The newest.")] = 200,
    refused: Annotated[bool, typer.Option("--refused", help="Who was refused what instead, and how often.")] = False,
    json_output: JsonOption = False,
    folder: Path = process.ConfigOption,
) -> None:
    """Who signed in, made accounts and tokens, and acted by the page; the newest first."""
    with _opened(folder) as found:
        now = found.accounts.now_ms()
        from_ms = times.parse(since or "30d", now) or 0
        if refused:
            _refusals(found.accounts.refusals.rows(from_ms, limit=limit), json_output)
            return
        rows = found.accounts.audit.rows(from_ms, limit=limit)
    if json_output:
        told = [
            {"number": x.id, "at": times.iso(x.at_ms), "who": x.who, "via": x.via, "address": x.address,
             "what": x.what, "subject": x.subject, "outcome": x.outcome}
            for x in rows
        ]  # fmt: skip
        typer.echo(json.dumps({"version": 1, "rows": told}, ensure_ascii=False))
        return
    if not rows:
        typer.echo("nothing was done")
        return
    lines: list[tuple[str, ...]] = [("at", "who", "via", "from", "what", "of", "outcome")]
    for x in rows:
        at = times.local(x.at_ms)
        lines.append((at, x.who or "-", x.via, x.address or "-", x.what, x.subject or "-", x.outcome))
    typer.echo(table(lines))


def _refusals(rows: list[Refusal], json_output: bool) -> None:
    if json_output:
        told = [
            {"number": x.id, "first": times.iso(x.first_ms), "last": times.iso(x.last_ms), "who": x.who, "via": x.via,
             "address": x.address, "what": x.what, "code": x.code, "count": x.count}
            for x in rows
        ]  # fmt: skip
        typer.echo(json.dumps({"version": 1, "rows": told}, ensure_ascii=False))
        return
    if not rows:
        typer.echo("nobody was refused anything")
        return
    lines: list[tuple[str, ...]] = [("from", "until", "who", "via", "address", "first", "why", "times")]
    for x in rows:
        span = (times.local(x.first_ms), times.local(x.last_ms))
        lines.append((*span, x.who or "-", x.via or "-", x.address or "others", x.what, x.code, str(x.count)))
    typer.echo(table(lines))
