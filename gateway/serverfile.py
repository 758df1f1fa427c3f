"""How a broker or another server is reached: host and port, who we are to it, whom we believe."""

from __future__ import annotations

from pathlib import Path as FilePath

from gateway import schema, settings
from gateway.secretfile import content, secret
from gateway.yamlfile import Document, Path


def broker(document: Document, path: Path, judged: schema.Broker, folder: FilePath, user: str = "") -> settings.Broker:
    """Of the section at `path`; of no use where its row lacks what is wrong in it. `user`: what the user name would be,
    where that is known."""
    found = tls(document, (*path, "tls"), judged.tls, folder) if judged.tls else None
    password = password_of(document, path, judged.password_file, folder, user)
    port = judged.port or (8883 if found else 1883)
    return settings.Broker(judged.host, port, judged.username, password, judged.keepalive, found)


def password_of(document: Document, path: Path, file: str | None, folder: FilePath, user: str = "") -> str | None:
    """What stands in the file; a password without a user name is a problem of the document."""
    if file and "username" not in document.mapping(path):
        example = f". Add for example 'username: {user}'" if user else ""
        document.add((*path, "password_file"), f"a password needs 'username' beside it{example}", at_key=True)
    return secret(document, (*path, "password_file"), file, folder)


def tls(document: Document, path: Path, row: schema.Tls, folder: FilePath) -> settings.Tls:
    if (row.cert_file is None) != (row.key_file is None):
        there, absent = ("cert_file", "key_file") if row.cert_file else ("key_file", "cert_file")
        document.add((*path, there), f"'{absent}' is missing. A certificate and its key come together", at_key=True)
    files: dict[str, FilePath | None] = {}
    for key in ("ca_file", "cert_file", "key_file"):
        name = getattr(row, key)
        files[key] = None if name is None else folder / name
        if name is not None and content(document, (*path, key), folder / name, f"{name} ") == b"":
            document.add((*path, key), f"{name} is empty")
    return settings.Tls(**files)
