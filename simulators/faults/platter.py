"""What a disk may hold after the power was cut: everything that was synced, and of the rest whatever it likes.

The strict reading of POSIX. A file's bytes are on the disk when that file was synced. A name (made, renamed, removed)
is there when its folder was synced. Of what was not, any sector of 512 bytes may be there or not, in any of the states
it went through, and any name. A journalled file system is kinder; nobody has to know how kind.
"""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

SECTOR = 512
COMPACT_BYTES = 32_000_000  # a journal is made short again at this length, or at thrice what it then was


class Op(msgspec.Struct, array_like=True, frozen=True, omit_defaults=True):
    """One operation on the disk. `file` is a number that stays with the file when its name changes.

    create: file, name. write: file, at, data. truncate: file, at. sync: file. remove: name. rename and
    link: name, to. folder: name, synced. base: file, data, durable bytes. named: file, name, durable.
    """

    kind: str
    file: int = 0
    at: int = 0
    data: bytes = b""
    name: str = ""
    to: str = ""


@dataclass
class Stored:
    """One file: its durable bytes, and what happened to it since."""

    durable: bytearray = field(default_factory=bytearray)
    waiting: list[Op] = field(default_factory=list)


class Platter:
    """Files and names, durable and not, after a number of operations."""

    def __init__(self, ops: Iterable[Op] = ()) -> None:
        self.files: dict[int, Stored] = {}
        self.names: dict[str, int] = {}  # durable
        self.waiting: list[Op] = []  # of names; a rename knows its file
        self.known: set[str] = set()  # every name there ever was
        for op in ops:
            self.apply(op)

    def apply(self, op: Op) -> None:
        if op.kind in ("write", "truncate"):
            if op.file in self.files:
                self.files[op.file].waiting.append(op)
        elif op.kind == "sync":
            self._sync(op.file)
        elif op.kind == "folder":
            here = [x for x in self.waiting if str(Path(x.to or x.name).parent) == op.name]
            self.waiting = [x for x in self.waiting if x not in here]
            for name_op in here:
                _rename(self.names, name_op)
        elif op.kind == "base":
            self.files[op.file] = Stored(bytearray(op.data))
        elif op.kind == "named":
            self.names[op.name] = op.file
            self.known.add(op.name)
        else:
            self._name(op)

    def _name(self, op: Op) -> None:
        if op.kind == "create":
            self.files.setdefault(op.file, Stored())
        elif op.kind in ("rename", "link"):
            op = msgspec.structs.replace(op, file=self.seen_names().get(op.name, op.file))
        self.known |= {op.name, op.to} - {""}
        self.waiting.append(op)

    def _sync(self, file: int) -> None:
        if stored := self.files.get(file):
            for op in stored.waiting:
                _write(stored.durable, op)
            stored.waiting.clear()

    def seen_names(self) -> dict[str, int]:
        """As the programs see them, before the cut."""
        names = dict(self.names)
        for op in self.waiting:
            _rename(names, op)
        return names

    def seen(self) -> dict[str, bytes]:
        """Name and content as the programs see them."""
        out = {}
        for name, file in self.seen_names().items():
            content = bytearray(self.files[file].durable)
            for op in self.files[file].waiting:
                _write(content, op)
            out[name] = bytes(content)
        return out

    def after_cut(self, rng: random.Random) -> dict[str, bytes]:
        """Name and content of a possible disk after a power cut at this moment."""
        names = dict(self.names)
        for op in _some(rng, self.waiting):
            _rename(names, op)
        # One mood for all files finds more than one for each: what is lost of one and kept of the other.
        mood = rng.choice(("none", "all", "torn", "sectors", "mixed"))
        return {name: _content(rng, self.files[file], mood) for name, file in names.items()}

    def as_ops(self) -> Iterator[Op]:
        """The shortest history that ends like this."""
        alive = {*self.names.values(), *self.seen_names().values()}
        for file, stored in self.files.items():
            if file in alive:
                yield Op("base", file, data=bytes(stored.durable))
                yield from stored.waiting
        yield from (Op("named", file, name=name) for name, file in self.names.items())
        yield from self.waiting


def _some(rng: random.Random, ops: list[Op]) -> list[Op]:
    """None, all, the first few, or any of them, in order."""
    mood = rng.randrange(4)
    if mood == 2:
        return ops[: rng.randrange(len(ops) + 1)]
    return [op for op in ops if mood and (mood == 1 or rng.random() < 0.5)]


def _rename(names: dict[str, int], op: Op) -> None:
    if op.kind == "create":
        names[op.name] = op.file
    elif op.kind == "remove":
        names.pop(op.name, None)
    else:
        if op.kind == "rename" and names.get(op.name) == op.file:
            del names[op.name]
        names[op.to] = op.file


def _write(content: bytearray, op: Op) -> None:
    if op.kind == "truncate":
        del content[op.at :]
        content.extend(bytes(op.at - len(content)))
        return
    if len(content) < op.at:
        content.extend(bytes(op.at - len(content)))
    content[op.at : op.at + len(op.data)] = op.data


def _content(rng: random.Random, stored: Stored, mood: str) -> bytes:
    content = bytearray(stored.durable)
    if mood == "mixed":
        mood = rng.choice(("none", "all", "torn", "sectors"))
    waiting = stored.waiting
    if mood == "all":
        kept: Iterable[Op] = waiting
    elif mood == "torn":  # all up to one, and that one in parts
        n = rng.randrange(len(waiting) + 1)
        kept = [*waiting[:n], *(_torn(rng, waiting[n], 0.5) if n < len(waiting) else ())]
    elif mood == "sectors":
        share = rng.random()
        kept = (part for op in waiting for part in _torn(rng, op, share))
    else:
        kept = ()
    for op in kept:
        _write(content, op)
    return bytes(content)


def _torn(rng: random.Random, op: Op, share: float) -> Iterator[Op]:
    """The sectors of a write, each there or not."""
    if op.kind == "truncate":
        if rng.random() < share:
            yield op
        return
    at, end = op.at, op.at + len(op.data)
    while at < end:
        stop = min(end, at - at % SECTOR + SECTOR)
        if rng.random() < share:
            yield Op("write", op.file, at, op.data[at - op.at : stop - op.at])
        at = stop


# --- a journal, which outlives the process -------------------------------------------------------------------------


class Journal:
    """Operations in a file, each there before it is done. It outlives a killed process, as the page cache does."""

    def __init__(self, path: Path, compact_bytes: int = COMPACT_BYTES) -> None:
        self._path, self._least = path, compact_bytes
        self._lock = threading.Lock()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._compact()

    def append(self, op: Op) -> None:
        """Raises OSError where the journal cannot take it; then the operation must not be done, and is not in it."""
        data = msgspec.msgpack.encode(op)
        data = len(data).to_bytes(4, "big") + data
        with self._lock:
            try:
                if os.write(self._fd, data) < len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
            except OSError:
                os.ftruncate(self._fd, self._bytes)
                raise
            self._bytes += len(data)
            if self._bytes > self._limit:
                self._compact()

    def _compact(self) -> None:
        write(self._path, Platter(read(self._path)))
        os.close(self._fd)
        self._fd = os.open(self._path, os.O_RDWR | os.O_APPEND)
        self._bytes = self._path.stat().st_size
        self._limit = max(self._least, 3 * self._bytes)

    def close(self) -> None:
        os.close(self._fd)


def read(path: Path) -> Iterator[Op]:
    """Every whole operation; the last may have been cut by a kill."""
    decode = msgspec.msgpack.Decoder(Op).decode
    with path.open("rb") as file:
        while len(head := file.read(4)) == 4:
            size = int.from_bytes(head, "big")
            data = file.read(size)
            if len(data) < size:
                return
            yield decode(data)


def write(path: Path, platter: Platter) -> None:
    """A journal that says what `platter` is."""
    new = path.with_name(path.name + ".new")
    with new.open("wb") as file:
        for op in platter.as_ops():
            data = msgspec.msgpack.encode(op)
            file.write(len(data).to_bytes(4, "big") + data)
    new.replace(path)


def lay_out(content: dict[str, bytes], known: Iterable[str]) -> None:
    """Make the files of a disk be these, and no others of the known ones. Shared memory ends with its process."""
    for name in {*known} - content.keys():
        Path(name).unlink(missing_ok=True)
    for name in known:
        Path(name + "-shm").unlink(missing_ok=True)
    for name, data in content.items():
        path = Path(name)
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)


def cut(journal: Path, seed: int) -> dict[str, int]:
    """The power was cut: after the process was killed, make its files what the disk may hold, and the journal that.

    Returns how many operations were not yet durable, and how many bytes of them: `names`, `writes`, `bytes`.
    """
    platter = Platter(read(journal))
    waiting = [op for stored in platter.files.values() for op in stored.waiting]
    content = platter.after_cut(random.Random(seed))
    lay_out(content, platter.known)
    after = Platter()
    for file, (name, data) in enumerate(content.items(), 1):
        after.apply(Op("base", file, data=data))
        after.apply(Op("named", file, name=name))
    write(journal, after)
    return {"names": len(platter.waiting), "writes": len(waiting), "bytes": sum(len(op.data) for op in waiting)}
