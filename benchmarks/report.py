"""From what the processes said to figures: medians, ratios per round, goals, a table."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import Any

from contenders import FLOOR, OURS, Contender
from shapes import Shape

START_CPU_S = 0.7
RESIDENT_MB = 400
TWO_WORKERS = 1.5
RDATAFRAME = {True: 3.0, False: 2.5}  # simulated, data
TTREE = 1.5
OF_FLOOR = 0.80

Rounds = list[dict[str, dict[str, Any]]]


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest over the rounds."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))

    def show(self, digits: int = 2) -> str:
        return f"{self.median:.{digits}f} [{self.least:.{digits}f}-{self.greatest:.{digits}f}]"


@dataclass(frozen=True)
class Goal:
    """A promise of the project and what was measured for it."""

    what: str
    measured: float
    wanted: float
    at_least: bool = True

    @property
    def met(self) -> bool:
        if self.at_least:
            return self.measured >= self.wanted
        return self.measured <= self.wanted


def ratios(rounds: Rounds, key: str, to: str) -> Spread:
    """CPU seconds of `to` over those of `key`, pair by pair: how many times faster `key` is."""
    return Spread.of([each[to]["loop_cpu_s"] / each[key]["loop_cpu_s"] for each in rounds])


def of_key(rounds: Rounds, key: str, figure: str) -> Spread:
    return Spread.of([each[key][figure] for each in rounds])


def goals(shape: Shape, rounds: Rounds, speed_ups: list[float]) -> list[Goal]:
    """The goals of a shape that this machine could measure."""
    measured = rounds[0]
    found = []
    for key, name, wanted in (
        ("rdataframe", "times (a) RDataFrame", RDATAFRAME[shape.simulated]),
        ("ttree", "times (b) TTree loop", TTREE),
        (FLOOR, "of (e) the floor", OF_FLOOR),
    ):
        if key in measured:
            found.append(Goal(f"{shape.name}: {name}", ratios(rounds, OURS, key).median, wanted))
    start, resident = (of_key(rounds, OURS, figure) for figure in ("start_cpu_s", "peak_rss_mb"))
    found.append(Goal(f"{shape.name}: CPU s to first event", start.median, START_CPU_S, False))
    found.append(Goal(f"{shape.name}: MB resident", resident.greatest, RESIDENT_MB, False))
    if speed_ups:
        speed_up = statistics.median(speed_ups)
        found.append(Goal(f"{shape.name}: two workers, wall", speed_up, TWO_WORKERS))
    return found


def table(shape: Shape, events: int, contenders: list[Contender], rounds: Rounds) -> str:
    """The rows of a shape, for people."""
    head = ("loop CPU s", "kev/CPU-s", "worker is faster by", "start CPU s", "peak MB")
    lines = [
        f"\n{shape.name}: {events:,} events, {len(rounds)} rounds, median [least-greatest]",
        f"{'':28} {head[0]:>18} {head[1]:>10} {head[2]:>22} {head[3]:>12} {head[4]:>8}",
    ]
    for contender in contenders:
        loop = of_key(rounds, contender.key, "loop_cpu_s")
        ratio = "" if contender.key == OURS else ratios(rounds, OURS, contender.key).show()
        no_start = contender.key == FLOOR
        start = "" if no_start else f"{of_key(rounds, contender.key, 'start_cpu_s').median:.2f}"
        peak = "" if no_start else f"{of_key(rounds, contender.key, 'peak_rss_mb').median:.0f}"
        lines.append(
            f"{contender.label:28} {loop.show():>18} {events / loop.median / 1e3:10,.0f} "
            f"{ratio:>22} {start:>12} {peak:>8}"
        )
    selected = rounds[0][OURS]["counts"]["channels"]
    counted = ", ".join(f"{name} {selected[name]['selected']:,}" for name in selected)
    checked = sum(contender.checked for contender in contenders)
    lines.append(f"selected: {counted}; equal in all {checked} programs with the published rules")
    return "\n".join(lines)


def verdicts(found: list[Goal]) -> str:
    lines = ["\ngoals"]
    for goal in found:
        sign = ">=" if goal.at_least else "<="
        verdict = "met" if goal.met else "MISSED"
        lines.append(f"  {verdict:7} {goal.what:40} {goal.measured:8.2f}  {sign} {goal.wanted:g}")
    return "\n".join(lines)


def document(found: list[Goal]) -> list[dict[str, Any]]:
    return [{**asdict(goal), "met": goal.met} for goal in found]
