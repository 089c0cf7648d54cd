"""What can be said before a run starts, so that it does not end in its middle."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from rich.markup import escape

from higgsdemo.cli.parts.console import err
from higgsdemo.display.progress import duration
from higgsdemo.errors import CredentialsError, HiggsdemoError, UsageError
from higgsdemo.model import Task
from higgsdemo.storage import Access
from higgsdemo.storage.expiry import Ending, endings
from higgsdemo.storage.urls import scheme_of

_SOON_S = 24 * 3600.0  # how far ahead an end matters where nobody knows how long a run takes


def check(
    tasks: Sequence[Task], access: Access, seconds: float | None, *, only_tell: bool = False
) -> None:
    """Say which tokens, proxies and sessions end before the run does.

    `seconds` is the estimate of its time, None where there is none. Raises CredentialsError
    where there are no credentials at all, and UsageError where a file is too large to be staged
    in; these are only told, if asked for.
    """
    try:
        _check_room(tasks, access)
        _tell_endings(tasks, access, seconds)
    except (CredentialsError, UsageError) as error:
        if not only_tell:
            raise
        would_not_start(error)


def largest_staged(tasks: Sequence[Task]) -> tuple[int, str]:
    """Return the size in bytes and the URL of the largest file that would be staged in.

    (0, "") if there is none: files of a disk are read where they are.
    """
    sizes = (
        (file.size_bytes, file.url)
        for task in tasks
        for file in task.files
        if file.size_bytes is not None and scheme_of(file.url) not in (None, "file")
    )
    return max(sizes, default=(0, ""))


def would_not_start(error: HiggsdemoError) -> None:
    """Say what would keep a run from starting."""
    headline, *rest = error.lines()
    err.print(f"[yellow]a run would not start[/]: {escape(headline)}")
    for line in rest:
        err.print(f"  {escape(line)}")


def _tell_endings(tasks: Sequence[Task], access: Access, seconds: float | None) -> None:
    now = datetime.now(UTC)
    copies = ((file.url, *file.replicas) for task in tasks for file in task.files)
    ends, wrong = endings(copies, access)
    for one in wrong:
        err.print(f"[yellow]may not be let in at[/] {escape(one)}")
    for end in ends:
        if end.when < now + timedelta(seconds=_SOON_S if seconds is None else seconds):
            err.print(_said(end, now, seconds))


def _said(end: Ending, now: datetime, seconds: float | None) -> str:
    left = (end.when - now).total_seconds()
    when = f"{end.when:%Y-%m-%d %H:%M:%S} UTC"
    needs = (
        "how long the run takes is not known"
        if seconds is None
        else f"the run needs about {duration(seconds)}"
    )
    if left <= 0:
        what = f"the credentials for {end.place} ended at {when}"
    else:
        what = f"the credentials for {end.place} end at {when}, in {duration(left)}; {needs}"
    return (
        f"[yellow]{escape(what)}[/]\n"
        "  [bold]what to do:[/] get new ones now, or in time where they lie in a file (it is read "
        "anew); a run that stops for them is resumed"
    )


def _check_room(tasks: Sequence[Task], access: Access) -> None:
    """Raise UsageError if the largest file fits neither the limit nor the disk."""
    stage = access.stage_in
    if stage is None:
        return
    size, url = largest_staged(tasks)
    free = shutil.disk_usage(stage.folder).free
    room = free if stage.limit_bytes is None else min(free, stage.limit_bytes)
    if size > room:
        of = "its disk has" if room == free else "its limit is"
        raise UsageError(
            "no space to stage the files in",
            why=f"the largest has {size / 1e6:.1f} MB, {of} {room / 1e6:.1f} MB"
            + (" left" if room == free else ""),
            where=f"{stage.folder}: {url}",
            hint="stage into a larger folder, or leave --stage-in out to stream what is needed",
        )
