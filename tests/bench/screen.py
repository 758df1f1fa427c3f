"""A browser that shows the page and notes when each station is first painted as in danger:

python -m tests.bench.screen PORT SECONDS        prints the times, and how much of one processor redrawing took
"""

from __future__ import annotations

import json
import sys
import time

from tests import browser

# The frame after the one in which the row is there: by then it has been painted.
_WATCH = """() => {
  window.painted = {};
  const look = () => {
    const fresh = [...document.querySelectorAll('.list tr.grave[data-key]')].map((row) => row.dataset.key);
    requestAnimationFrame(() => fresh.forEach((key) => { window.painted[key] ??= Date.now() / 1000; }));
  };
  new MutationObserver(() => requestAnimationFrame(look)).observe(document.body, {childList: true, subtree: true,
    attributes: true, attributeFilter: ['class']});
}"""


def watch(port: int, seconds: float) -> dict[str, object]:
    """`painted` by tenant/station in seconds of the epoch, `busy` the share of one processor the page took."""
    with browser.chromium() as program, browser.opened(program, f"http://127.0.0.1:{port}/") as (page, complaints):
        page.wait_for_selector(".list tbody tr")
        page.evaluate(_WATCH)
        client = page.context.new_cdp_session(page)
        client.send("Performance.enable")
        began, busy = time.monotonic(), _busy_s(client)
        page.wait_for_timeout(seconds * 1000)
        share = (_busy_s(client) - busy) / (time.monotonic() - began)
        return {"painted": page.evaluate("() => window.painted"), "busy": share, "complaints": complaints}


def _busy_s(client: object) -> float:
    found = client.send("Performance.getMetrics")["metrics"]  # type: ignore[attr-defined]
    return float(next(x["value"] for x in found if x["name"] == "TaskDuration"))


if __name__ == "__main__":
    print(json.dumps(watch(int(sys.argv[1]), float(sys.argv[2]))))
