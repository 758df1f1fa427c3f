"""Promises of the page, the open interface and the sheet on paper."""

from __future__ import annotations

from tests.crash.mutation import Mutation

WEB, BOARD = "tests/test_web.py::", "tests/test_board.py::"
ASKING, REST = "gateway/web/asking.py", "gateway/web/rest.py"

PAGE = [
    Mutation("board: what a stopped bridge wrote stays fresh", "gateway/board.py",
             "return _aged(state.last_ms, state.value, channel, now_ms, claim_of(state)) or state.condition",
             "return state.condition",
             (BOARD + "test_what_the_bridge_wrote_grows_old",)),
    Mutation("paper: a silent station is summed up with the calm ones", "gateway/papersheet.py",
             "return x.condition is Condition.FRESH and x.claim == 0", "return x.claim == 0",
             ("tests/test_papersheet.py::test_a_row",)),
    Mutation("paper: a doubtful value is summed up with the calm ones", "gateway/papersheet.py",
             " or x.flag in _JA.doubts\n", "\n",
             ("tests/test_papersheet.py::test_a_doubtful_value_is_not_normal",)),
    Mutation("paper: a bridge that hears nothing looks well", "gateway/bridge/papers.py",
             "drill, deaf, running", "drill, None, running",
             ("tests/test_papersheet.py::test_a_bridge_that_hears_nothing_says_so",)),
    Mutation("paper: a station under work is left out", "gateway/bridge/papers.py",
             "if any(not c.internal for c in x.station.channels.values())", "if x.channel is not None",
             ("tests/test_papers.py::test_under_work_a_station_stays_on_the_sheet",)),
    Mutation("page: a station of another tenant is shown", REST,
             "    if found is None or not who.sees(tenant) or (not who.staff", "    if found is None or (not who.staff",
             (WEB + "test_tenants_are_apart",)),
    Mutation("page: the public reads what is under work", REST,
             "working = set() if who.staff else boardfile.working(site.bridge.store, site.clock.now_ms())",
             "working = set[tuple[str, str]]()",
             (WEB + "test_the_public",)),
    Mutation("page: a foreign page may act for who is signed in", ASKING,
             "if HEADER.lower() not in request.headers or", "if False or",
             (WEB + "test_a_viewer_changes_nothing",)),
    Mutation("page: a name that was made to point here is this machine", ASKING,
             "return near and host in LOOPBACK_NAMES and", "return near and",
             (WEB + "test_the_machine_of_a_demonstration",)),
    Mutation("page: packed days are shown whatever came since", "gateway/pastfile.py",
             "if wanted.get(day) == stamp and", "if day in wanted and",
             ("tests/test_pastrows.py::test_what_was_packed_is_shown_while_it_is_true",)),
    Mutation("page: packed days that a disk mixed up are shown", "gateway/pastfile.py",
             "if not isinstance(packed, bytes) or packed[:4] != _sum(packed[4:], of):",
             "if not isinstance(packed, bytes):",
             ("tests/test_pastrows.py::test_what_was_packed_is_shown_while_it_is_true",)),
    Mutation("page: a stream sends a board of before what it tells of", "gateway/web/boards.py",
             "            self._made = -MOMENT_S\n", "            pass\n",
             (WEB + "test_what_people_must_see_is_not_kept_from_them",)),
]  # fmt: skip
