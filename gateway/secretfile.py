"""Files that a configuration names: secrets, and PEM files that only must be there."""

from __future__ import annotations

from pathlib import Path as FilePath

from gateway.yamlfile import Document, Path


def secret(document: Document, path: Path, name: str | None, folder: FilePath) -> str | None:
    """The stripped content of a file; what it holds and how it is named stay out of every message."""
    if name is None:
        return None
    found = content(document, path, folder / name, "")
    try:
        text = None if found is None else found.decode().strip()
    except UnicodeDecodeError:
        document.add(path, "the file is not text in UTF-8")
        return None
    if text is not None and len(text.splitlines()) != 1:
        document.add(path, "the file holds no or several lines. It holds the secret and nothing else")
    return text


def content(document: Document, path: Path, file: FilePath, name: str) -> bytes | None:
    try:
        return file.read_bytes()
    except (OSError, ValueError) as e:
        reason = (e.strerror or "").lower() if isinstance(e, OSError) else "not a path"
        whose = f"{name}cannot be read" if name else "the file that this names cannot be read"
        document.add(path, f"{whose} ({reason}). Write a path relative to the configuration's folder")
        return None
