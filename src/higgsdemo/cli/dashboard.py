"""`dashboard`: a run on a web page that keeps itself up to date."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import webbrowser
from typing import Annotated

import typer
from rich.markup import escape

from higgsdemo.cli.parts.console import err, out
from higgsdemo.cli.parts.finding import AnyRun, find_run
from higgsdemo.cli.parts.options import RUNS, RunsFolder, redis_url
from higgsdemo.cli.parts.storing import Storing, storage_options
from higgsdemo.errors import UsageError
from higgsdemo.monitor import replayed
from higgsdemo.sinks import open_sinks
from higgsdemo.storage.extras import optional
from higgsdemo.storage.urls import has_secret


@storage_options
def dashboard(
    name: AnyRun = None,
    redis_host: Annotated[
        str | None,
        typer.Option(metavar="HOST[:PORT]", help="Collect results from this Redis."),
    ] = None,
    sink: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Collect results from here: file://, s3://, gs://, redis://, rediss://. "
            "May be repeated.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen at; any but loopback asks for a token.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Port, or the next free one.", show_default="8866 or the next"
        ),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN", help="A proxy's address, e.g. https://hub.example.org; repeatable."
        ),
    ] = None,
    open_it: Annotated[
        bool | None,
        typer.Option("--open/--no-open", help="Open a browser.", show_default="on a desktop"),
    ] = None,
    replay: Annotated[
        float | None,
        typer.Option(min=0.01, metavar="FACTOR", help="Play the run again, so many times as fast."),
    ] = None,
    runs: RunsFolder = RUNS,
    *,
    storage: Storing,
) -> None:
    """Watch a run on a web page: plot, significance, completeness, failures, ledger.

    It updates itself, reads only, and loads nothing from elsewhere. With a sink it collects the
    results too, unless another process does. A run that was submitted elsewhere is known by the
    plan in its sink. Ctrl-C ends it; the run goes on.

    [bold]Examples[/]

      higgsdemo dashboard --redis-host bus:6379

      higgsdemo dashboard h4l-20261123-201500

      higgsdemo dashboard h4l-20261123-201500 --redis-host bus:6379

      higgsdemo dashboard h4l-20261123-201500 --replay 60
    """
    optional("bokeh", "dashboard", "higgsdemo dashboard")
    from higgsdemo.display.dashboard import access
    from higgsdemo.display.dashboard.server import Dashboard, Door

    urls = [*(sink or []), *([redis_url(redis_host)] if redis_host else [])]
    if urls and replay is not None:
        raise UsageError("--replay plays what is there, and sinks bring what is new: one of them")
    if any(has_secret(url) for url in urls):
        err.print(
            "[yellow]a password in a command line is seen by all users of this machine[/]: "
            "give it as REDIS_PASSWORD in the environment"
        )
    made = find_run(runs, name, urls, storage.access() if urls else None)
    manifest = made.manifest()
    made.look().close()  # what cannot be read, or a wrong word, is told now, not on the page
    kept = made.record.get("storage", {})
    keys = storage.over(kept).access() if urls else None
    for one in open_sinks(urls, access=keys) if urls else []:
        one.close()
    origins = frozenset(access.origin(one) for one in allow_origin or [])
    listening, found = access.listen(host, port)
    asked = access.FIRST_PORT if port is None else port
    if asked and found != asked:
        out.print(f"port {asked} is in use: took {found}")
    word = None if access.is_loopback(host) else access.token()
    ways = access.Ways(host, found, word)
    page = Dashboard(
        made,
        manifest,
        Door(host, found, word, origins),
        (lambda: open_sinks(urls, access=keys)) if urls else None,
        monitor=None if replay is None else lambda: replayed(made, replay)[0],
    )
    out.print(f"run [bold]{escape(made.id)}[/] at [bold]{escape(ways.url)}[/]")
    for where, what in ways.lines():
        out.print(f"  {where}: {escape(what)}")
    with contextlib.suppress(KeyboardInterrupt):  # the way to end it, at any moment
        out.print("Ctrl-C ends it; the run goes on")
        if open_it or (open_it is None and _is_desktop()):
            webbrowser.open(ways.url)
        asyncio.run(page.serve(listening))


def _is_desktop() -> bool:
    here = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(here) and sys.stdout.isatty() and "SSH_CONNECTION" not in os.environ
