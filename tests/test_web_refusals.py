"""What is refused is counted, by source and reason, and nobody fills the disk by being refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.web import accountschema, app, refusals
from gateway.web.accountrows import By, Refusal
from gateway.web.accounts import Accounts
from gateway.web.site import Site
from gateway.web.who import PUBLIC
from tests import website
from tests.test_cli_journal import STATION, House
from tests.test_web_login import ACT, beside, browser, signed_in, with_token
from tests.webaccounts import BY, HERE, Turned, accounts, quick

WRONG = "sui_0123456789ab_" + "x" * 43


@pytest.fixture
def clock() -> Turned:
    return Turned()


@pytest.fixture
def known(tmp_path: Path, clock: Turned) -> Iterator[Accounts]:
    (tmp_path / "own").mkdir()
    found = accounts(tmp_path / "own", clock)
    yield found
    found.close()


@pytest.fixture
def here(tmp_path: Path, known: Accounts) -> Iterator[Site]:
    with House(tmp_path) as house:
        house.reads(0.0, 1.0)
        yield website.site(house, known=known)  # type: ignore[arg-type]


def said(rows: list[Refusal]) -> list[tuple[str, str, str, str, int]]:
    return sorted((x.who, x.via, x.what, x.code, x.count) for x in rows)


def test_each_kind_of_refusal_is_counted(here: Site, known: Accounts) -> None:
    """Wrong tokens, what the role does not give, other tenants, foreign pages, too many; looking in is no try."""
    for _ in range(3):
        with_token(here, WRONG).get("/api/v1/board")
    viewer = signed_in(here, "viewer")
    viewer.post("/api/v1/acts", json=ACT)
    viewer.get("/api/v1/audit")
    foreign = signed_in(here, "elsewhere")
    foreign.get(f"/api/v1/stations/takamatsu/{STATION}")
    foreign.get("/ngsi-ld/v1/entities", headers={"NGSILD-Tenant": "takamatsu"})
    foreign.post("/api/v1/acts", json=ACT)
    operator = signed_in(here, "operator")
    operator.post("/api/v1/acts", json=ACT, headers={"Origin": "http://evil.example"})
    browser(here).post("/api/v1/acts", json=ACT)
    browser(here).get("/api/v1/board")
    rows = known.refusals.rows()
    assert said(rows) == [
        ("", "public", "POST /api/v1/acts", "unauthenticated", 1),
        ("", "token", "GET /api/v1/board", "unauthenticated", 3),
        ("elsewhere", "session", "GET /api/v1/stations/{tenant}/{station}", "foreign_tenant", 3),
        ("operator", "session", "POST /api/v1/acts", "cross_site", 1),
        ("viewer", "session", "POST /api/v1/acts", "forbidden", 2),
    ]
    assert {x.address for x in rows} == {"192.0.2.7"}
    while (answer := viewer.get("/api/v1/devices")).status_code == 200:
        pass
    assert answer.status_code == 429
    assert ("viewer", "session", "GET /api/v1/devices", "too_many", 1) in said(known.refusals.rows())
    told = signed_in(here, "administrator").get("/api/v1/audit/refused?limit=2").json()
    assert [x["code"] for x in told["rows"]] == ["too_many", "unauthenticated"]
    assert told["next"] == told["rows"][-1]["number"]
    assert foreign.get("/api/v1/audit/refused").status_code == 403
    assert WRONG not in str(told)


def test_who_tries_tokens_is_slowed_down(here: Site, known: Accounts) -> None:
    """By address; whoever comes from another one, or with a token that holds, is not."""
    served = app.create(here)
    guessing, other = (beside(served, address=x) for x in ("198.51.100.1", "198.51.100.2"))
    for to in (guessing, other):
        to.headers["Authorization"] = f"Bearer {WRONG}"
    codes = [guessing.get("/api/v1/me").status_code for _ in range(200)]
    assert codes == sorted(codes)
    assert set(codes) == {401, 429}
    assert other.get("/api/v1/me").status_code == 401
    text, _ = known.tokens.make("viewer", "read", 1, BY)
    guessing.headers["Authorization"] = f"Bearer {text}"
    assert guessing.get("/api/v1/me").status_code == 200


def test_whose_token_is_no_longer_in_force(here: Site, known: Accounts, clock: Turned) -> None:
    """A program that goes on with a revoked or expired one is found by its name; a guessed secret names nobody."""
    texts = {}
    for name in ("viewer", "operator"):
        text, kept = known.tokens.make(name, "read", 1, BY)
        texts[name] = text, kept.id
    known.tokens.revoke(texts["viewer"][1], BY)
    clock.passes(2 * 86_400)
    for text, _ in texts.values():
        assert with_token(here, text).get("/api/v1/board").status_code == 401
        with_token(here, text[:-1] + ("A" if text[-1] != "A" else "B")).get("/api/v1/board")
    assert {(x.who, x.count) for x in known.refusals.rows()} == {
        (f"{texts['viewer'][1]} of viewer", 1),
        (f"{texts['operator'][1]} of operator", 1),
        ("", 2),
    }


def test_an_attack_is_a_few_rows(known: Accounts, clock: Turned) -> None:
    """From a thousand addresses for three hours: so many rows an hour, every refusal counted; the audit untouched."""
    before = known.audit.rows()
    for hour in range(3):
        for n in range(1000):
            known.refuse(PUBLIC, f"198.51.{n // 250}.{n % 250}", "GET /x", "unauthenticated")
        clock.passes(3600 + hour)
    rows = known.refusals.rows(limit=1000)
    assert sum(x.count for x in rows) == 3000
    assert len(rows) == 3 * (refusals.SOURCES + 1)
    assert {x.count for x in rows if not x.address} == {1000 - refusals.SOURCES}
    assert known.audit.rows() == before


def test_wrong_passwords_do_not_push_the_audit_out(known: Accounts, clock: Turned) -> None:
    """Some stand in it one by one; of a flood of them, each from another address and of another name, there is the
    count."""
    for n in range(400):
        known.login(f"name{n}", "wrong", f"203.0.{n // 250}.{n % 250}")
        clock.passes(1)
    told = [x for x in known.audit.rows(limit=1000) if x.what == "login"]
    counted = [x for x in known.refusals.rows(limit=1000) if x.what == "login"]
    assert len(told) + sum(x.count for x in counted) == 400
    assert len(told) == 106, "a hundred at once, and one a minute"
    assert {x.code for x in counted} == {"unknown_name"}


def test_a_minute_is_not_a_row(known: Accounts, clock: Turned, tmp_path: Path) -> None:
    """A count rises in its row, written now and then; the first is written at once, the rest by whoever looks and at
    the end."""
    path = tmp_path / "own" / "web.db"

    def on_disk() -> list[int]:
        with closing(sqlite3.connect(path)) as db:
            return [x for (x,) in db.execute("SELECT count FROM refusals")]

    for _ in range(3):
        known.refuse(PUBLIC, HERE, "GET /x", "unauthenticated")
    assert on_disk() == [1]
    clock.passes(refusals.EVERY_MS / 1000)
    known.refuse(PUBLIC, HERE, "GET /x", "unauthenticated")
    assert on_disk() == [4]
    known.refuse(PUBLIC, HERE, "GET /y", "unauthenticated")
    known.refusals.flush()
    assert on_disk() == [5]


def test_a_disk_that_takes_nothing(known: Accounts, caplog: pytest.LogCaptureFixture) -> None:
    """Is said once; the count goes on in memory and is written when it can be."""
    known._file._db.execute("PRAGMA query_only = ON")
    for n in range(5):
        known.refuse(PUBLIC, f"192.0.2.{n % 2}", "GET /x", "unauthenticated")
    known._file._db.execute("PRAGMA query_only = OFF")
    assert [x.count for x in known.refusals.rows()] == [2, 3]
    assert len([r for r in caplog.records if "counted in memory" in r.message]) == 1


def test_refusals_are_kept_within_bounds(known: Accounts, clock: Turned) -> None:
    """Two years, and no more than so many rows."""
    with known._file.writing() as db:
        db.execute("""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50100)
                      INSERT INTO refusals (first_ms, last_ms, address, via, who, what, code, count)
                      SELECT ?, ?, '', '', '', 'y', '', 1 FROM n""", (clock.at_ms, clock.at_ms))  # fmt: skip
    clock.passes(3600)
    known.refuse(PUBLIC, HERE, "GET /x", "unauthenticated")
    assert known._file.rows("SELECT count(*) FROM refusals") == [(accountschema.KEPT_REFUSALS + 1,)]
    clock.passes(accountschema.KEPT_MS / 1000 + 60)
    known.refuse(PUBLIC, HERE, "GET /x", "unauthenticated")
    assert len(known.refusals.rows()) == 1


def test_a_file_of_before(tmp_path: Path, clock: Turned) -> None:
    """Accounts and audit of the version before stand, and refusals are counted from then on."""
    with closing(sqlite3.connect(tmp_path / "web.db")) as db:
        db.executescript(f"{accountschema.SCHEMA} PRAGMA user_version = 1;")
        db.execute("INSERT INTO accounts VALUES ('tanaka', 'Tanaka', NULL, 2, NULL, 0, 1, 1)")
        db.commit()
    found = Accounts(tmp_path / "web.db", clock, quick())
    assert [x.name for x in found.members.list()] == ["tanaka"]
    found.members.make("gis", found.members.account("tanaka").role, BY)
    found.refusals.add(By("", "public", HERE), "GET /x", "forbidden")
    assert len(found.refusals.rows()) == len(found.audit.rows()) == 1
    found.close()
