"""Dead letters are bounded in bytes and rows, and none goes without being counted under its reason."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import storefile
from gateway.bridge import letterbox
from gateway.bridge.store import Store
from gateway.errors import RejectCode
from gateway.model import DeadLetter
from tests.world import DEVICE, T0, TENANT

CODES = [RejectCode.NOT_JSON, RejectCode.WRONG_TYPE, RejectCode.UNKNOWN_DEVICE]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(Store(tmp_path / "store.db")) as store:
        yield store.db


def garbage(n: int, device: str = DEVICE, code: RejectCode = RejectCode.NOT_JSON, size: int = 20) -> DeadLetter:
    """Another one each time; nothing of it can be read."""
    return DeadLetter(TENANT, device, f"suimon/v1/{TENANT}/{device}/data", code, "why", b"%d" % n * size, T0 + n)


def rows(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM dead_letters").fetchone()[0])


def counted(db: sqlite3.Connection) -> dict[str, int]:
    return dict(db.execute(storefile.LETTERS).fetchall())


def test_a_device_that_sends_garbage_for_ever_fills_nothing(db: sqlite3.Connection) -> None:
    """Its rows stay below their number, the newest are there whole, the older are counts under their code with the
    time they span, and another device's letters are untouched."""
    letterbox.write(db, [garbage(1, "kasuga-02")], 10**6, 100)
    sent: Counter[str] = Counter({RejectCode.NOT_JSON: 1})
    for n in range(1000):
        code = CODES[n % 2]
        letterbox.write(db, [garbage(n, code=code)], 10**6, 100)
        sent[code] += 1
        assert rows(db) <= 101
    assert counted(db) == sent
    newest = db.execute("SELECT payload FROM dead_letters WHERE device = ? ORDER BY id DESC LIMIT 90", (DEVICE,))
    assert [p for (p,) in newest] == [garbage(n).payload for n in range(999, 909, -1)]
    assert db.execute("SELECT count(*) FROM dead_letters WHERE device = 'kasuga-02'").fetchone() == (1,)
    folded = db.execute("SELECT device, code, from_ms, to_ms FROM letters_folded ORDER BY code").fetchall()
    assert [row[:3] for row in folded] == [(DEVICE, "not_json", T0), (DEVICE, "wrong_type", T0 + 1)]
    assert all(T0 + 880 < row[3] < T0 + 999 for row in folded)


def test_devices_without_number_are_bounded_as_well(db: sqlite3.Connection) -> None:
    """Whoever invents a new device for each message fills neither rows nor counts; each is counted by its code."""
    for n in range(0, 1000, 10):
        letters = [garbage(n + i, f"d{n + i}", CODES[i % 3]) for i in range(10)]
        letterbox.write(db, letters, 10**6, 50, all_rows=200)
        assert rows(db) <= 200
    assert sum(counted(db).values()) == 1000
    assert db.execute("SELECT count(*) FROM letters_folded").fetchone()[0] == 3
    assert set(db.execute("SELECT device FROM letters_folded")) == {("",)}


def test_the_payloads_of_all_devices_are_bounded(db: sqlite3.Connection) -> None:
    """Twenty times what one device may hold, the oldest giving way; rows and reasons stay."""
    for n in range(60):
        letterbox.write(db, [garbage(n, f"d{n}", size=50)], 100, all_rows=900)
    held = db.execute("SELECT sum(bytes) FROM dead_letters WHERE payload IS NOT NULL").fetchone()[0]
    assert held <= letterbox.ALL_SHARES * 100
    assert rows(db) == 60
    kept = [n for n, (p,) in enumerate(db.execute("SELECT payload FROM dead_letters ORDER BY id")) if p is not None]
    assert kept == list(range(kept[0], 60))


def test_no_letter_goes_uncounted(db: sqlite3.Connection) -> None:
    """Whatever is sent, once or again, in whatever batches: rows and folded counts together are what was sent."""
    chance, sent = random.Random(5), Counter[str]()
    for _ in range(150):
        batch = [
            garbage(chance.randrange(300), f"d{chance.randrange(12)}", chance.choice(CODES))
            for _ in range(chance.randrange(1, 12))
        ]
        letterbox.write(db, batch, 3000, 30, all_rows=150)
        sent.update(x.code.value for x in batch)
        assert rows(db) <= 150
        mine = db.execute("SELECT max(n) FROM (SELECT count(*) AS n FROM dead_letters GROUP BY device)").fetchone()[0]
        assert mine <= 30
    assert sum(counted(db).values()) == sum(sent.values())
