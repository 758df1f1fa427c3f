"""members.csv -> members: who holds which role, how they are reached, and when.

    role,order,name,addresses,from,until,days
    duty,1,当直,desk,,,常時
    crisis,1,山田 太郎,mail:yamada@city.example voice:+81878392011,2026-04-01,,夜間 休日

UTF-8 or CP932, as a spreadsheet writes it; columns in any order, their names in English or Japanese. Addresses and days
are several with spaces between. Empty dates are unbounded, empty days are all.
"""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path as FilePath

from gateway.errors import Problem
from gateway.fields import did_you_mean, instead
from gateway.people import HOLIDAY, NIGHT, PARTS, WEEKDAY, Member
from gateway.recipientfile import bad_address
from gateway.settings import MediumKind

COLUMNS = {
    "role": "役割", "order": "順番", "name": "氏名", "addresses": "連絡先", "from": "開始日", "until": "終了日",
    "days": "曜日",
}  # fmt: skip
NEEDED = ("role", "name", "addresses")
DAYS = {
    "平日": {WEEKDAY}, "weekday": {WEEKDAY}, "休日": {HOLIDAY}, "holiday": {HOLIDAY}, "夜間": {NIGHT}, "night": {NIGHT},
    "常時": PARTS, "always": PARTS,
}  # fmt: skip
_BETWEEN = re.compile(r"[\s、，;；・/]+")
_APART = re.compile(r"[\s、，;；]+")
_ADDRESS = re.compile(r"[^\s/\x00-\x1f]+")
_DATE = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})", re.ASCII)


class Members:
    """Reads one file; what is wrong are problems of it, at the line of the row."""

    def __init__(
        self,
        file: FilePath,
        name: str,
        roles: set[str],
        known: Mapping[str, bool],
        kinds: Mapping[str, MediumKind] | None = None,
    ) -> None:
        """`known`: the names of recipients (False) and of media, which are followed by an address (True).
        `kinds`: of which kind a medium is, so that its addresses can be looked at."""
        self._file, self._name, self._roles, self._known, self._kinds = file, name, roles, known, kinds or {}
        self._line = 1
        self.problems: list[Problem] = []

    def read(self) -> list[Member]:
        text = self._text()
        if text is None:
            return []
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        try:
            head = self._head(next(rows, []))
            return [m for row in rows if any(x.strip() for x in row) and (m := self._row(rows.line_num, head, row))]
        except csv.Error as e:
            self._line = rows.line_num
            self._add("", f"this line is no CSV ({e})")
            return []

    def _text(self) -> str | None:
        try:
            data = self._file.read_bytes()
        except OSError as e:
            reason = (e.strerror or "").lower()
            self._add("", f"cannot be read ({reason}). 'members' in people.yaml names it")
            return None
        for encoding in ("utf-8-sig", "cp932"):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError:
                continue
        self._add("", "this is text neither in UTF-8 nor in Shift_JIS (CP932). Save it as 'CSV UTF-8'")
        return None

    def _add(self, column: str, message: str) -> None:
        self.problems.append(Problem(self._name, self._line, 1, column, message))

    def _head(self, row: list[str]) -> list[str]:
        """The English name of each column."""
        english = {ja: en for en, ja in COLUMNS.items()}
        head = [english.get(x.strip(), x.strip().lower()) for x in row]
        for name in head:
            if name not in COLUMNS:
                self._add(name, f"unknown column '{name}'{instead(name, COLUMNS)}")
        for name in NEEDED:
            if name not in head:
                self._add(name, f"the column '{name}' ({COLUMNS[name]}) is missing. The first line names the columns")
        if len(set(head)) < len(head):
            self._add("", "two columns have the same name")
        return head if not self.problems else []

    def _row(self, line: int, head: list[str], row: list[str]) -> Member | None:
        if not head:
            return None
        self._line, before = line, len(self.problems)
        if len(row) != len(head):
            self._add("", f"{len(row)} values stand here, the first line names {len(head)} columns")
            return None
        cells = {name: value.strip() for name, value in zip(head, row, strict=True)}
        role, name = cells["role"], cells["name"]
        if role not in self._roles:
            self._add("role", f"unknown role '{role}'{instead(role, sorted(self._roles))}")
        if not name:
            self._add("name", "nobody is named here")
        member = Member(
            role,
            name,
            self._addresses(cells["addresses"]),
            self._order(cells.get("order", "")),
            self._day("from", cells.get("from", "")),
            self._day("until", cells.get("until", "")),
            self._parts(cells.get("days", "")),
        )
        if member.first and member.until and member.until < member.first:
            self._add("until", f"{member.until} is before 'from' ({member.first})")
        return member if len(self.problems) == before else None

    def _addresses(self, text: str) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(x for x in _APART.split(text) if x))
        if not found:
            self._add("addresses", "nobody is reached without an address. Write for example mail:yamada@city.example")
        for address in found:
            medium, colon, to = address.partition(":")
            known = self._known.get(medium)
            if not _ADDRESS.fullmatch(address):
                self._add("addresses", f"'{address}' is no address: it holds a slash or a control character")
            elif known is None:
                names = [f"{x}:…" if of_many else x for x, of_many in self._known.items()]
                near = did_you_mean(medium, list(self._known))
                what = ", ".join(names) or "nothing yet"
                self._add("addresses", f"unknown medium or recipient '{medium}'{near} (bridge.yaml has {what})")
            elif known and not to:
                self._add("addresses", f"'{address}' names nobody. Write for example {medium}:yamada@city.example")
            elif not known and colon:
                self._add("addresses", f"'{medium}' is a recipient of its own. Write '{medium}' without an address")
            elif medium in self._kinds and (why := bad_address(self._kinds[medium], to)):
                self._add("addresses", why)
        return found

    def _order(self, text: str) -> int:
        if not text:
            return 1
        if re.fullmatch(r"[1-9]\d{0,3}", text, re.ASCII):
            return int(text)
        self._add("order", f"'{text}' is no order. Write 1 for who is called first, then 2")
        return 1

    def _day(self, column: str, text: str) -> date | None:
        """2026-04-01, or 2026/4/1 as spreadsheets make of it."""
        found = _DATE.fullmatch(text)
        if found:
            with contextlib.suppress(ValueError):
                return date(*map(int, found.groups()))
        if text:
            self._add(column, f"'{text}' is no day of the calendar. Write it like 2026-04-01")
        return None

    def _parts(self, text: str) -> frozenset[str]:
        words = [x for x in _BETWEEN.split(text) if x]
        for word in words:
            if word.lower() not in DAYS:
                self._add("days", f"unknown '{word}'{instead(word, DAYS)}")
        return frozenset(p for word in words for p in DAYS.get(word.lower(), ())) or PARTS
