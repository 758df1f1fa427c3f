"""The two files by which mosquitto 2.0 knows a device, as text: a line of the password file, an entry of the ACL. Pure.

    takamatsu/kasuga-01:$7$101$<salt>$<hash>         password file: one line for each user

    user takamatsu/kasuga-01                         ACL: from a `user` line to the next, `topic` lines are this user's;
    topic write suimon/v1/takamatsu/kasuga-01/data   `pattern` lines hold for everybody, %u stands for the user name

Every other line is somebody else's and stays as it is, to the byte.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

from gateway import wire

# As mosquitto_passwd 2.0 writes them (its password_mosq.h). Few rounds: the passwords are 256 random bits, which no
# number of rounds makes harder to guess, and the broker's only thread works them all out after each power cut.
ITERATIONS, SALT_BYTES, HASH_BYTES = 101, 12, 64
_ACCESSES = ("read", "write", "readwrite", "deny")


def user_name(tenant: str, device: str) -> str:
    return f"{tenant}/{device}"


# --- the password file


def password_line(user: str, password: str, salt: bytes) -> str:
    """`user:$7$iterations$salt$hash`: PBKDF2 with SHA-512, both in base64. The salt has SALT_BYTES."""
    hashed = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS, HASH_BYTES)
    return f"{user}:$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(hashed).decode()}"


def users(passwords: str) -> list[str]:
    """Who has a line in the password file."""
    lines = (line.partition(":") for line in passwords.split("\n"))
    return [user for user, colon, _ in lines if colon and not user.startswith("#")]


def with_password(passwords: str, user: str, line: str) -> str:
    """With this line for the user, in the place of its first one where it has any."""
    kept, placed = list[str](), False
    for other in _lines(passwords):
        if other.startswith(f"{user}:"):
            if not placed:
                kept.append(line)
            placed = True
        else:
            kept.append(other)
    return _text([*kept, *([] if placed else [line])])


def without_password(passwords: str, user: str) -> str:
    return _text([line for line in _lines(passwords) if not line.startswith(f"{user}:")])


# --- the ACL


def rights(tenant: str, device: str) -> list[tuple[str, str]]:
    """(access, topic) of all that an agent needs and of nothing else: its own topics, and the bridge's presence."""
    written = [("write", wire.topic(tenant, device, kind)) for kind in wire.FROM_DEVICE]
    read = [("read", wire.topic(tenant, device, kind)) for kind in wire.TO_DEVICE]
    return [*written, *read, ("read", wire.BRIDGE_STATUS)]


def granted(acl: str, tenant: str, device: str) -> str:
    """With an entry for those rights that neither the ACL's patterns nor the device's own lines give already."""
    user = user_name(tenant, device)
    there = {(access, topic) for owner, access, topic in _topics(acl, user) if owner in (None, user)}
    lacks = [right for right in rights(tenant, device) if not there & {right, ("readwrite", right[1])}]
    if not lacks:
        return acl
    entry = [_mark(user), f"user {user}", *(f"topic {access} {topic}" for access, topic in lacks)]
    return _text([*_lines(acl), *entry])


def withdrawn(acl: str, tenant: str, device: str) -> str:
    """Without that entry. What else stands under the device's `user` line was put there by hand and stays: without the
    line it would become the right of the user before it."""
    user = user_name(tenant, device)
    ours = {("topic", access, topic) for access, topic in rights(tenant, device)}
    kept, owner = list[str](), ""
    for line in _lines(acl):
        words = tuple(line.split())
        if words[:1] == ("user",):
            owner = line.split(maxsplit=1)[1].rstrip() if len(words) > 1 else ""
        if line != _mark(user) and not (owner == user and words in ours):
            kept.append(line)
    return _text(_without_bare(kept, user))


def _without_bare(lines: list[str], user: str) -> list[str]:
    """Without `user` lines of this user under which no topic stands."""
    bare = set()
    for number, line in enumerate(lines):
        if line.split() != ["user", user]:
            continue
        following = (words[0] for other in lines[number + 1 :] if (words := other.split()) and words[0] != "pattern")
        if next((word for word in following if word in ("user", "topic")), "user") == "user":
            bare.add(number)
    return [line for number, line in enumerate(lines) if number not in bare]


def _topics(acl: str, user: str) -> Iterator[tuple[str | None, str, str]]:
    """(whose, access, topic) of every line that gives something: of a pattern whose is None, and %u the given user."""
    owner = ""
    for line in _lines(acl):
        words = line.split()
        if words[:1] == ["user"]:
            owner = line.split(maxsplit=1)[1].rstrip() if len(words) > 1 else ""
        elif words[:1] in (["topic"], ["pattern"]) and len(words) > 1:
            access = words[1] if words[1] in _ACCESSES and len(words) > 2 else "readwrite"
            topic = words[2] if len(words) > 2 and words[1] in _ACCESSES else words[1]
            pattern = words[0] == "pattern"
            yield (None if pattern else owner), access, topic.replace("%u", user) if pattern else topic


def _mark(user: str) -> str:
    return f"# {user}: written by 'suimon device add', taken away by 'suimon device revoke'"


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
