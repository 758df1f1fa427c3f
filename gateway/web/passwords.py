"""Passwords: which are good enough, their hash (argon2id), and a check that takes as long for whom nobody knows."""

from __future__ import annotations

import secrets
import threading
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

SHORTEST, LONGEST = 12, 256
DIFFERENT = 5
AT_ONCE = 2  # each takes 64 MB and a core
PATIENCE_S = 2.0
HASHER = PasswordHasher()  # argon2id, RFC 9106's second choice: 64 MiB, 3 passes


class Busy(Exception):
    """Too many passwords are being checked."""


def plain(text: str) -> str:
    """As it is hashed: full-width letters of a Japanese keyboard are the letters."""
    return unicodedata.normalize("NFKC", text)


def mistake(password: str, name: str) -> str:
    """What is wrong with a new password, empty where it will do. It never holds the password."""
    text = plain(password)
    if len(text) < SHORTEST:
        return f"a password has at least {SHORTEST} characters"
    if len(text) > LONGEST:
        return f"a password has at most {LONGEST} characters"
    if not text.isprintable():
        return "a password holds no control characters and no halves of characters"
    if len(set(text)) < DIFFERENT or text.casefold() == name:
        return "this password is guessed at once. Take several words"
    return ""


class Passwords:
    """Hashes and checks, a few at once. Safe for threads."""

    def __init__(self, hasher: PasswordHasher = HASHER) -> None:
        self._hasher = hasher
        self._turn = threading.BoundedSemaphore(AT_ONCE)
        self._nobodys = hasher.hash(secrets.token_hex(16))

    def hash(self, password: str) -> str:
        with self._turn:
            return self._hasher.hash(plain(password))

    def right(self, hashed: str | None, password: str) -> bool:
        """None is the hash of nobody: as slow, and wrong. Raises Busy."""
        if not self._turn.acquire(timeout=PATIENCE_S):
            raise Busy
        try:
            self._hasher.verify(hashed or self._nobodys, plain(password)[: LONGEST + 1])
        except (Argon2Error, InvalidHashError, UnicodeEncodeError):
            return False
        finally:
            self._turn.release()
        return hashed is not None

    def outdated(self, hashed: str) -> bool:
        """Whether it was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(hashed)
