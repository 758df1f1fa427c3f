"""A device's line in mosquitto's password file and its entry in the ACL; everybody else's lines stay."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import brokerfiles

TENANT, DEVICE = "takamatsu", "kasuga-01"
USER = f"{TENANT}/{DEVICE}"
DEPLOYED = (Path(__file__).parent.parent / "deploy/mosquitto/acl").read_text(encoding="utf-8")
OTHER = "takamatsu/kasuga-011:$7$101$x$y"  # a name that begins like ours
BRIDGE_ALONE = "user bridge\ntopic read suimon/v1/#\n"


def test_the_password_line_is_as_mosquitto_passwd_writes_it() -> None:
    """A line that `mosquitto_passwd -b` 2.0.11 wrote for this name and password, worked out again from its salt."""
    salt = base64.b64decode("OE74CrI/8CmlhHtL")
    assert brokerfiles.password_line(USER, "correct horse", salt) == (
        "takamatsu/kasuga-01:$7$101$OE74CrI/8CmlhHtL$6cD5c4dJWES7bMs8qF6/LiWZgB4cojzSeDZMzAC7KAjLJu"
        "UWqkpuCczNe8vec3Zem4EW2RcNDblEz/JOuQQYfQ=="
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "{user}:new\n"),
        ("bridge:a\n", "bridge:a\n{user}:new\n"),
        ("bridge:a", "bridge:a\n{user}:new\n"),
        (f"bridge:a\n{{user}}:old\n{OTHER}\n", f"bridge:a\n{{user}}:new\n{OTHER}\n"),
        ("{user}:old\nbridge:a\n{user}:older\n", "{user}:new\nbridge:a\n"),
        ("# by hand\n\nbridge:a\n", "# by hand\n\nbridge:a\n{user}:new\n"),
        ("bridge:\udcff\r\n", "bridge:\udcff\r\n{user}:new\n"),
    ],
)
def test_a_password_line_takes_the_place_of_the_former(before: str, after: str) -> None:
    """One line for each user, the former's place is kept, and nobody else's line is touched."""
    before, after = before.replace("{user}", USER), after.replace("{user}", USER)
    assert brokerfiles.with_password(before, USER, f"{USER}:new") == after


def test_a_password_line_is_taken_away_alone() -> None:
    """Without a device's line the others are as they were, also of one whose name begins like its own."""
    text = f"bridge:a\n{USER}:old\n{OTHER}\n"
    assert brokerfiles.without_password(text, USER) == f"bridge:a\n{OTHER}\n"
    assert brokerfiles.users(text) == ["bridge", USER, "takamatsu/kasuga-011"]


def test_the_patterns_as_deployed_need_no_entry() -> None:
    """Where patterns bind every user to its own topics, a device needs no lines of its own in the ACL."""
    assert brokerfiles.granted(DEPLOYED, TENANT, DEVICE) == DEPLOYED


def test_the_entry_is_what_the_patterns_as_deployed_give() -> None:
    """Written out for one device, the entry gives exactly the rights that the deployed patterns give it."""
    pattern = [line.split() for line in DEPLOYED.splitlines() if line.startswith("pattern")]
    given_there = {(words[1], words[2].replace("%u", USER)) for words in pattern}
    assert set(brokerfiles.rights(TENANT, DEVICE)) == given_there


@pytest.mark.parametrize(
    ("acl", "added"),
    [
        ("", 9),
        (BRIDGE_ALONE, 9),
        (BRIDGE_ALONE + "pattern write suimon/v1/%u/data\n", 8),
        (BRIDGE_ALONE + "pattern readwrite suimon/v1/%u/data\n", 8),
        (BRIDGE_ALONE + "pattern suimon/v1/%u/data\n", 8),
        (BRIDGE_ALONE + "pattern read suimon/v1/%u/data\n", 9),
        (BRIDGE_ALONE + f"topic write suimon/v1/{USER}/data\n", 9),  # that one is the bridge's
        (BRIDGE_ALONE + f"user {USER}\ntopic write suimon/v1/{USER}/data\n", 8),
    ],
)
def test_the_entry_holds_what_is_lacking(acl: str, added: int) -> None:
    """What patterns or the device's own lines give already is not written once more; a second time adds nothing, and
    taking it away leaves the other lines as they were."""
    once = brokerfiles.granted(acl, TENANT, DEVICE)
    new = once.removeprefix(acl).splitlines()
    assert once.startswith(acl)
    assert sum(line.startswith("topic ") for line in new) == added
    assert new[1] == f"user {USER}"
    assert brokerfiles.granted(once, TENANT, DEVICE) == once
    if USER not in acl:
        assert brokerfiles.withdrawn(once, TENANT, DEVICE) == acl


def test_a_line_put_under_the_devices_own_by_hand_stays_its_own() -> None:
    """A foreign topic after the entry keeps its `user` line, else it would become the right of the user above."""
    acl = brokerfiles.granted(BRIDGE_ALONE, TENANT, DEVICE) + "topic read weather/#\nuser board\ntopic read x\n"
    wanted = BRIDGE_ALONE + f"user {USER}\ntopic read weather/#\nuser board\ntopic read x\n"
    assert brokerfiles.withdrawn(acl, TENANT, DEVICE) == wanted


LINES = st.sampled_from(
    ["user bridge", f"user {USER}", "user", "topic", "topic read a/b", f"topic write suimon/v1/{USER}/data", "# c", "",
     "pattern read suimon/v1/%u/cmd", "pattern", "nonsense \udcff", " topic deny x "]
)  # fmt: skip


@given(st.lists(LINES, max_size=12))
def test_taking_away_moves_no_right_to_another_user(lines: list[str]) -> None:
    """Whatever stands in the ACL: granting and withdrawing leave every other user's topics as they were."""
    acl = "".join(f"{line}\n" for line in lines)
    after = brokerfiles.withdrawn(brokerfiles.granted(acl, TENANT, DEVICE), TENANT, DEVICE)
    assert _of_others(after) == _of_others(acl)
    ours = {topic for owner, _, topic in brokerfiles._topics(after, "") if owner == USER}
    assert not ours & {topic for _, topic in brokerfiles.rights(TENANT, DEVICE)}


def _of_others(acl: str) -> list[tuple[str | None, str, str]]:
    return [found for found in brokerfiles._topics(acl, "") if found[0] != USER]
