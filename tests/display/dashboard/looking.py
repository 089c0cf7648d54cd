"""Looking on at a dashboard as a browser does, over its socket."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from tornado.websocket import websocket_connect

from tests.display.dashboard.builders import Served

Sections = dict[str, Any]
WAIT_S = 90


def look(one: Served, until: Callable[[Sections], bool], query: str = "") -> Sections:
    """Look on, as a browser does, until the page says something."""

    async def wait() -> Sections:
        address = one.url.replace("http", "ws", 1) + "live" + query
        socket = await websocket_connect(address)
        seen: Sections = {}
        try:
            async with asyncio.timeout(WAIT_S):
                while not until(seen):
                    text = await socket.read_message()
                    assert text is not None, "the dashboard closed the socket"
                    seen |= json.loads(text).get("sections", {})
        except TimeoutError:
            raise AssertionError(f"not in {WAIT_S} s: {seen.get('following')}") from None
        finally:
            socket.close()
            while await socket.read_message() is not None:
                pass  # until it is closed at both ends
        return seen

    return asyncio.run(wait())


def done(count: int) -> Callable[[Sections], bool]:
    return lambda seen: seen.get("overview", {}).get("done") == count


def says(word: str) -> Callable[[Sections], bool]:
    return lambda seen: word in seen.get("following", {}).get("text", "")
