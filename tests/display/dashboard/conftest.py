"""Debian's Chromium, driven by Playwright; nothing is downloaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
WAIT_S = 90  # the machine may be busy


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser; skips where there is none.

    No longer than a module: as long as it runs, so does its event loop, and no other can.
    """
    if not os.access(CHROMIUM, os.X_OK):
        pytest.skip("chromium is not installed (scripts/install-test-services does it)")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET])
        yield browser
        browser.close()


class Tab:
    """A page of the dashboard, and what it asked for and complained about."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.set_default_timeout(WAIT_S * 1000)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda socket: self.requests.append(socket.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._hear)

    def _hear(self, message: Any) -> None:
        # A server that is killed and a socket that waits for it are part of the tests.
        if message.type == "error" and "ERR_CONNECTION" not in message.text:
            self.errors.append(message.text)

    def go(self, url: str, choice: str = "") -> None:
        """Open the dashboard and wait until it draws."""
        self.page.goto(f"{url}#theme=light{choice}")
        self.until(
            "() => Boolean(window.higgsdemo?.plots.models.spectrum) && higgsdemo.live.updates"
        )

    def until(self, question: str, wanted: Any = True) -> None:
        """Wait until a JavaScript function gives a true value (the page's policy has no eval)."""
        for _ in range(WAIT_S * 10):
            asked = f"() => Boolean(({question})())" if wanted is True else question
            found = self.page.evaluate(asked)
            if found == wanted:
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"{question} gives {found!r}, wanted {wanted!r}")

    def text(self, selector: str) -> str:
        """Return what an element says."""
        return str(self.page.locator(selector).inner_text())

    def column(self, source: str, column: str) -> list[float]:
        """Return a column of what is drawn."""
        read = "([s, c]) => Array.from(higgsdemo.plots.models[`source-${s}`].data[c])"
        return [float(value) for value in self.page.evaluate(read, [source, column])]

    def legend(self) -> dict[str, list[float]]:
        """Return the numbers of the legend, whole and in the window, as they were sent."""
        read = """() => Object.fromEntries(
            [...document.querySelectorAll('#legend tbody tr')].map((row) => [row.dataset.group,
                [...row.querySelectorAll('td')].map((td) => +td.dataset.value)]))"""
        return dict(self.page.evaluate(read))


@pytest.fixture
def tab(chromium: Any) -> Iterator[Callable[..., Tab]]:
    """Open tabs; each in a profile of its own."""
    contexts = []

    def open_tab(**more: Any) -> Tab:
        context = chromium.new_context(**{"viewport": {"width": 1440, "height": 1000}, **more})
        contexts.append(context)
        return Tab(context.new_page())

    yield open_tab
    for context in contexts:
        context.close()
