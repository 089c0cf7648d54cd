"""What is answered at which path. All of it reads; a token is asked for where the door has one."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import bokeh
from tornado.web import HTTPError, RequestHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from higgsdemo.display.dashboard import downloads, sections
from higgsdemo.display.dashboard.access import is_loopback, same
from higgsdemo.display.dashboard.feed import Viewer
from higgsdemo.display.dashboard.figures import Look
from higgsdemo.display.dashboard.selection import Selection
from higgsdemo.errors import HiggsdemoError
from higgsdemo.ledger.browse import ORDERS, STATES, Wanted, browse, task_row

if TYPE_CHECKING:
    from higgsdemo.display.dashboard.server import Dashboard

_log = logging.getLogger(__name__)

MOST_VIEWERS = 200
MOST_ATTEMPTS = 50  # shown of a task
_COOKIE = "higgsdemo-token"
_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data: blob:;"
    " style-src 'self' 'unsafe-inline';"  # BokehJS styles its elements
    " base-uri 'none'; form-action 'none'"
)
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def routes(dashboard: Dashboard) -> list[tuple[str, Any, dict[str, Any]]]:
    """Return the paths of the server."""
    this = {"dashboard": dashboard}
    return [
        (r"/", Page, this),
        (r"/static/([a-z.]+)", Static, this),
        (r"/figures", Figures, this),
        (r"/live", Live, this),
        (r"/api/tasks", Tasks, this),
        (r"/api/task/([0-9a-f]{16})", OneTask, this),
        (r"/api/problem/([0-9a-f]{16})", OneProblem, this),
        (r"/download/plot\.(png|pdf|svg)", Plot, this),
        (r"/download/(yields\.json|yields\.csv|run\.json)", Document, this),
    ]


class Guarded(RequestHandler):
    """Lets in who may look. Answers say nothing of the server, and are not kept by browsers."""

    def initialize(self, dashboard: Dashboard) -> None:
        """Know whose page this is."""
        self.dashboard = dashboard

    def set_default_headers(self) -> None:
        """Forbid what a page like this never needs."""
        self.clear_header("Server")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")

    def prepare(self) -> None:
        """Refuse who may not look."""
        door = self.dashboard.door
        if door.token is None:
            # A page elsewhere could have its name point at this machine and read ours.
            name = (self.request.host_name or "").lower()
            if not (
                is_loopback(name.strip("[]")) or {name, self.request.host.lower()} & door.origins
            ):
                raise HTTPError(403, reason="unknown host: see --allow-origin")
            return
        given = self.get_query_argument("token", "")
        if given and same(given, door.token):
            self.set_cookie(
                _COOKIE, given, httponly=True, samesite="Lax", path="/", expires_days=30
            )
            self._without_token()
            return
        shown = self.get_cookie(_COOKIE, "") or ""
        bearer = self.request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not (same(shown, door.token) or same(bearer, door.token)):
            raise HTTPError(403, reason="a token is needed: take the address the program printed")

    def _without_token(self) -> None:
        """Send a browser on, so that the token is not in the address it shows and keeps."""
        if isinstance(self, Page):
            rest = [
                pair for pair in parse_qsl(self.request.query, True) if pair[0] != "token"
            ]  # fmt: skip
            self.redirect("./" + (f"?{urlencode(rest)}" if rest else ""))

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        """Show mistakes of ours alone, and never an address: there may be a token in it."""
        if not isinstance(error, HTTPError | HiggsdemoError):
            _log.error("GET %s", self.request.path, exc_info=(kind, error, trace))

    def write_error(self, status_code: int, **words: Any) -> None:  # noqa: ARG002
        """Say in one line what is wrong."""
        error = words.get("exc_info", (None, None))[1]
        if isinstance(error, HiggsdemoError):  # e.g. the ledger was moved away
            self.set_status(503, "the run cannot be read now")
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{self.get_status()}: {self._reason}\n")

    def chosen(self) -> Selection:
        """Return the selection that the address names."""
        names = ("variable", "channel", "year", "merged")
        return Selection.read({name: self.get_query_argument(name, "") for name in names})

    def say(self, document: Any) -> None:
        """Answer with JSON."""
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(document))

    def attach(self, content: bytes, kind: str, name: str) -> None:
        """Answer with a file."""
        self.set_header("Content-Type", kind)
        self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        self.finish(content)


class Page(Guarded):
    """The page."""

    def get(self) -> None:
        """Answer with it."""
        ancestors = " ".join(["'self'", *sorted(self.dashboard.door.origins)])
        self.set_header("Content-Security-Policy", f"{_POLICY}; frame-ancestors {ancestors}")
        self.set_header("Content-Type", _TYPES[".html"])
        self.finish(_file("index.html"))


class Static(Guarded):
    """Its files, and BokehJS as it was installed."""

    def get(self, name: str) -> None:
        """Answer with one; what is not there is 404."""
        content = _file(name)
        self.set_header("Content-Type", _TYPES[Path(name).suffix])
        self.set_header("Cache-Control", "no-cache")
        self.finish(content)  # with a tag: what a browser has is not sent again


@functools.lru_cache(maxsize=32)
def _file(name: str) -> bytes:
    if name == "bokeh.min.js":
        return (Path(bokeh.__file__).parent / "server" / "static" / "js" / name).read_bytes()
    path = resources.files(__package__) / "static" / name
    if not path.is_file() or Path(name).suffix not in _TYPES:
        raise HTTPError(404)
    return path.read_bytes()


class Figures(Guarded):
    """The figures, empty."""

    def get(self) -> None:
        """Answer with those of a look."""
        on = {name: self.get_query_argument(name, "0") == "1" for name in ("dark", "log", "stage")}
        self.say(self.dashboard.figures(Look(**on)))


class Live(WebSocketHandler, Guarded):
    """A browser that looks on: gets what changed, and says only what it wants to see."""

    def open(self) -> None:
        """Send all there is."""
        if len(self.dashboard.sockets) >= MOST_VIEWERS:
            self.close(1013, "too many look on already")
            return
        self._viewer = Viewer(self.chosen())
        self._sending = self._more = False
        self.dashboard.sockets.add(self)
        self.push()

    def check_origin(self, origin: str) -> bool:
        """Only pages of ours may open it."""
        host = urlsplit(origin).netloc.lower()
        return host == self.request.host.lower() or host in self.dashboard.door.origins

    def on_message(self, message: str | bytes) -> None:
        """Take another selection."""
        try:
            words = json.loads(message)["select"]
            chosen = Selection.read(dict(words))
        except (ValueError, KeyError, TypeError, RecursionError):
            return
        self._viewer.chosen = chosen
        self.push()

    def on_close(self) -> None:
        """Forget the browser."""
        self.dashboard.sockets.discard(self)

    def beat(self) -> None:
        """Show that we are there."""
        if not self._sending:
            self._sending = True
            self._task = asyncio.ensure_future(self._send('{"beat":1}'))

    def push(self) -> None:
        """Send what is new; to a slow browser not before it has taken what came last."""
        if self._sending:
            self._more = True
            return
        news = self._viewer.news(self.dashboard.feed)
        if news is not None:
            self._sending = True
            self._task = asyncio.ensure_future(self._send(news))

    async def _send(self, news: str) -> None:
        try:
            await self.write_message(news)
        except WebSocketClosedError:
            self.dashboard.sockets.discard(self)
            return
        finally:
            self._sending = False
        if self._more:
            self._more = False
            self.push()


class Tasks(Guarded):
    """The ledger, a page at a time."""

    def get(self) -> None:
        """Answer with one page."""
        say = functools.partial(self.get_query_argument, default="")
        state, order = say("state"), say("order")
        wanted = Wanted(
            text=say("text")[:200],
            state=state if state in STATES else "",
            sample=say("sample")[:300],
            order=order if order in ORDERS else ORDERS[0],
            descending=say("descending") == "1",
            page=_number(say("page")),
            rows=_number(say("rows")) or 25,
        )
        with self.dashboard.run.look() as ledger:
            page = browse(ledger, wanted)
        self.say({"total": page.total, "rows": [_shown(row) for row in page.rows]})


class OneTask(Guarded):
    """A task with the attempts at it, and the real error of each."""

    def get(self, task_id: str) -> None:
        """Answer with it."""
        with self.dashboard.run.look() as ledger:
            row = task_row(ledger, task_id)
            if row is None:
                raise HTTPError(404)
            attempts = ledger.attempts(task_id)
        shown = [
            {
                "place": sections.plain(one["place"]),
                "started": one["started"],
                "ended": one["ended"],
                "outcome": one["outcome"],
                "message": sections.plain(one["message"] or "", sections.SHOWN_MESSAGE),
                "traceback": sections.plain(one["traceback"] or "", sections.SHOWN_TRACEBACK),
            }
            for one in attempts[-MOST_ATTEMPTS:]
        ]
        self.say({**_shown(dict(row)), "tried": len(attempts), "attempts": shown})


class OneProblem(Guarded):
    """Failures that look alike, with all their words."""

    def get(self, name: str) -> None:
        """Answer with it."""
        view = self.dashboard.feed.view
        found = None if view is None else sections.problem(view, name)
        if found is None:
            raise HTTPError(404)
        self.say(found)


class Plot(Guarded):
    """The plot as a file."""

    async def get(self, ending: str) -> None:
        """Draw it aside, so that the page goes on."""
        view, chosen = _view(self.dashboard), self.chosen()
        normalised = self.dashboard.feed.normalised(chosen.variable) or view.normalised
        chosen = chosen.known(normalised)
        try:
            async with self.dashboard.drawing:
                content = await asyncio.to_thread(downloads.plot, view.totals, chosen, ending)
        except HiggsdemoError as error:
            raise HTTPError(409, reason=error.what) from error
        parts = (self.dashboard.run.id, chosen.variable, chosen.channel, chosen.year)
        name = "-".join(str(part) for part in parts if part)
        self.attach(content, downloads.PLOTS[ending], f"{_file_name(name)}.{ending}")


class Document(Guarded):
    """Yields and record as files."""

    def get(self, name: str) -> None:
        """Answer with one."""
        view = _view(self.dashboard)
        normalised = self.dashboard.feed.normalised(self.chosen().variable) or view.normalised
        kind = "application/json"
        if name == "yields.json":
            content = downloads.yields_json(normalised, view)
        elif name == "yields.csv":
            content, kind = downloads.yields_csv(normalised), "text/csv; charset=utf-8"
        else:
            content = downloads.run_record(self.dashboard.record, view)
        self.attach(content, kind, _file_name(f"{self.dashboard.run.id}-{name}"))


def _view(dashboard: Dashboard) -> Any:
    if dashboard.feed.view is None:
        raise HTTPError(503, reason="nothing has been read yet: try again in a moment")
    return dashboard.feed.view


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: sections.plain(value) if name in ("label", "sample") else value
        for name, value in row.items()
    }


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 9 else 0


def _file_name(text: str) -> str:
    return "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in ".-_") else "_"
        for letter in text
    )
