"""`replay`: a run that was, as if it went on now."""

from __future__ import annotations

from typing import Annotated

import typer

from higgsdemo.cli.parts.finding import AnyRun, find_run
from higgsdemo.cli.parts.following import follow
from higgsdemo.cli.parts.options import RUNS, AsJson, RunsFolder
from higgsdemo.cli.watch import Every
from higgsdemo.monitor import View, replayed

Speed = Annotated[
    float, typer.Option(min=0.01, metavar="FACTOR", help="How many times as fast as it went.")
]


def replay(
    name: AnyRun = None,
    speed: Speed = 60.0,
    every: Every = None,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Play a run's past again, as `watch` showed it: no network and no worker is needed.

    Rates and times left are those of the run, not of the play. Pauses of more than two minutes,
    in which nothing ran, are cut short. Nothing of the run is changed.

    [bold]Example[/]:  higgsdemo replay h4l-20261123-201500 --speed 60
    """
    made = find_run(runs, name)
    monitor, clock = replayed(made, speed)
    with monitor:

        def notes(_view: View) -> list[str]:
            return [] if clock.over else [f"replay, {speed:g} times as fast"]

        follow(
            monitor,
            as_json=as_json,
            every_s=every or (None if as_json else 0.5),
            notes=notes,
            ended=lambda _view: clock.over,
        )
