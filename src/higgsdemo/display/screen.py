"""One screen about a run: how far it is, how fast it goes, what failed, and what it shows."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from higgsdemo.display.captions import fit_text, refusals_text
from higgsdemo.display.progress import duration
from higgsdemo.display.spectrum import legend, sparkline, spectrum_text
from higgsdemo.display.style import DEMO_MARK, GROUP_STYLES
from higgsdemo.display.tables import counts_line
from higgsdemo.display.words import CAUSES, first_line, plain, quantity, short
from higgsdemo.inference import yields
from higgsdemo.ledger import Counts
from higgsdemo.monitor import SampleView, View

_SIDE_BY_SIDE = 112  # columns from which the spectrum stands beside the samples
_LEAST_BARS = 5  # rows of the spectrum below which it is left out
_MOST_BARS = 16
_DONE, _FAILED, _RUNNING, _TRACK = "#5790fc", "#e42536", "#f89c20", "#6d6d75"


class Screen:
    """A rich renderable of a view, fitted into the console: `notes` are further lines for people.

    Nothing that others wrote (names, messages) can move the cursor or change colours.
    """

    def __init__(self, view: View, notes: Sequence[str] = ()) -> None:
        self._view = view
        self._notes = [Text(first_line(note), style="yellow") for note in notes]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give the parts from top to bottom; what has no room is left out or shortened."""
        del console
        width = options.max_width
        height = options.height or options.size.height
        yield from self._parts(width, max(16, height - 1))

    def _parts(self, width: int, height: int) -> list[RenderableType]:
        view = self._view
        head = [self._title(width), self._bar(width), *self._figures(width)]
        tail = [*self._physics(width), *self._failures(width, 3)]
        tail += [*self._refused(width), *self._notes]
        left = height - len(head) - len(tail) - 2
        if width >= _SIDE_BY_SIDE:
            names = self._samples(width // 2 - 2, left)
            bars = min(_MOST_BARS, left - 3)
            picture = self._spectrum(width - width // 2 - 2, bars)
            beside = Table.grid(padding=(0, 4, 0, 0), expand=False)
            beside.add_row(Group(*names), Group(*picture))
            body: list[RenderableType] = [beside]
        else:
            wanted = len(view.samples) + 1
            groups = len({one.group for one in view.samples}) + 1
            bars = min(_MOST_BARS, left - min(wanted, max(groups, left // 2 - 2)) - 4)
            room = left - (bars + 4 if bars >= _LEAST_BARS else 0)
            body = [*self._samples(width, room)]
            if bars >= _LEAST_BARS:
                body += [Text(), *self._spectrum(width, bars)]
        return [*head, Text(), *body, Text(), *tail]

    def _title(self, width: int) -> Text:
        view = self._view
        at = datetime.datetime.fromtimestamp(view.at, datetime.UTC).astimezone()
        right = Text(f"{at:%H:%M:%S}", style="dim")
        if view.demo:
            right = Text.assemble((DEMO_MARK, "bold red"), "  ", right)
        left = Text(plain(view.run_id), style="bold")
        if view.title != view.run_id and not (view.demo and DEMO_MARK in view.title):
            left.append(f"  {first_line(view.title)}", style="not bold dim")
        left.truncate(max(8, width - right.cell_len - 2), overflow="ellipsis")
        return Text.assemble(left, " " * max(1, width - left.cell_len - right.cell_len), right)

    def _bar(self, width: int) -> Text:
        view = self._view
        fraction = view.fraction
        if view.ended:
            said = "complete" if view.complete else "ended, not complete"
        elif view.rates.left_s is None:
            said = "waiting for the first result" if not view.counts.done else ""
        else:
            said = f"about {duration(view.rates.left_s)} left"
        percent = f"{int(100 * fraction):3d} %"
        length = max(10, width - 34)
        return Text.assemble(
            bar(view.counts, length), f" {percent}", f"   {said}"
        )  # fmt: skip

    def _figures(self, width: int) -> list[Text]:
        view, rates = self._view, self._view.rates
        counts = Text(counts_line(view.counts))
        said = [
            quantity(rates.events_per_s, "events/s"),
            f"{rates.files_per_s:.2g} files/s" if rates.files_per_s < 10 else
            f"{rates.files_per_s:.0f} files/s",
            quantity(8 * rates.bytes_per_s, "b/s"),
        ]  # fmt: skip
        if rates.efficiency is not None:
            said.append(f"{100 * rates.efficiency:.0f} % CPU")
        if view.ended and rates.window_s:
            said.append(f"in {duration(rates.window_s)}")
        if view.places:
            busiest = sorted(view.places.items(), key=lambda item: -item[1])
            said.append("running: " + ", ".join(f"{plain(k)} {n}" for k, n in busiest[:4]))
        speed = Text("   ".join(said))
        for line in (counts, speed):
            line.truncate(width, overflow="ellipsis")
        return [counts, speed]

    def _samples(self, width: int, room: int) -> list[RenderableType]:
        """Give a bar to each sample, or to each group where there is no room for all."""
        rows = [_row(plain(one.name), [one]) for one in self._view.samples]
        if len(rows) + 1 > room:
            groups: dict[str, list[SampleView]] = {}
            for one in self._view.samples:
                groups.setdefault(one.group, []).append(one)
            rows = [
                _row(f"{GROUP_STYLES[found[0].group].plain} ({len(found)})", found)
                for found in groups.values()
            ]
        names = min(max((len(name) for name, *_ in rows), default=0), max(12, width - 34))
        table = Table.grid(padding=(0, 1))
        table.add_column(width=names, no_wrap=True, overflow="ellipsis")
        table.add_column(no_wrap=True)
        for _ in range(3):
            table.add_column(justify="right", no_wrap=True)
        table.add_row("sample", "", "tasks", "events", "in", style="dim")
        for name, counts, events, share in rows[: max(1, room - 1)]:
            done = f"{short(counts.done)}/{short(counts.planned)}"
            length = min(24, max(6, width - names - 28))
            table.add_row(Text(name), bar(counts, length), done, short(events), share)
        return [table]

    def _spectrum(self, width: int, height: int) -> list[RenderableType]:
        normalised = self._view.normalised
        return [*spectrum_text(normalised, width, height), legend(normalised)]

    def _physics(self, width: int) -> list[Text]:
        view = self._view
        lines = []
        found = yields(view.normalised)
        if found.window is not None and view.counts.done:
            low, high = found.window
            seen = found.count(["data"], window=True).counts
            signal = found.count(["higgs"], window=True).events
            rest = found.count(list(found.backgrounds), window=True).events
            what = "pseudo-data" if view.demo else "data"
            lines.append(
                Text(
                    f"{low:g}-{high:g} {view.normalised.axis.unit}: {seen} {what}, expected "
                    f"{signal:.1f} Higgs + {rest:.1f} background"
                )
            )
        if view.fit is not None:
            said = Text(
                "; ".join(fit_text(view.fit)[:2]).replace(" sigma", "\N{GREEK SMALL LETTER SIGMA}"),
                style="bold",
            )
            curve = [one.observed or 0.0 for one in view.history]
            if len(curve) > 2:
                said.append(f"  {sparkline(curve, 24)}", style="not bold #e42536")
            lines.append(said)
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        return lines

    def _failures(self, width: int, most: int) -> list[Text]:
        view = self._view
        lines = []
        for alarm in view.alarms[:1]:
            more = f" (and {len(view.alarms) - 1} more)" if len(view.alarms) > 1 else ""
            lines.append(Text(f"alarm: {first_line(alarm)}{more}", style="bold red"))
        for problem in view.problems[: most - len(lines)]:
            line = Text(f"{problem.tasks} {plain(problem.cause)}", style="bold red")
            words = CAUSES.get(problem.cause)
            line.append(f" ({words}): " if words else ": ", style="not bold")
            line.append(first_line(problem.message), style="not bold default")
            line.append(f", e.g. {first_line(problem.example)}", style="not bold dim")
            lines.append(line)
        hidden = len(view.problems) - most + len(view.alarms[:1])
        if hidden > 0:
            lines.append(Text(f"{hidden} more kinds of failures: higgsdemo status {view.run_id}",
                              style="dim"))  # fmt: skip
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        return lines

    def _refused(self, width: int) -> list[Text]:
        lines = [
            Text(first_line(said), style="yellow") for said in refusals_text(self._view.refusals, 1)
        ]
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        return lines


def bar(counts: Counts, length: int) -> Text:
    """Return a bar of the tasks: done, failed, running, and the track of what waits."""
    text = Text(no_wrap=True)
    planned = max(1, counts.planned)
    used = 0
    failed = sum(counts.failed.values())
    for count, colour in ((counts.done, _DONE), (failed, _FAILED), (counts.running, _RUNNING)):
        cells = min(length - used, round(count * length / planned))
        if count and not cells and used < length:
            cells = 1  # a single one of many thousand is seen too
        text.append("━" * cells, style=colour)
        used += cells
    text.append("━" * (length - used), style=_TRACK if used < length else "")
    return text


def plain_line(view: View) -> str:
    """Say in one line, for a pipe, how far a run is and how fast it goes."""
    rates = view.rates
    said = [
        counts_line(view.counts),
        quantity(rates.events_per_s, "events/s"),
        quantity(8 * rates.bytes_per_s, "b/s"),
    ]
    if rates.left_s is not None and not view.ended:
        said.append(f"about {duration(rates.left_s)} left")
    if view.history and view.history[-1].observed is not None:
        latest = view.history[-1]
        expected = "" if latest.expected is None else f" (expected {latest.expected:.1f})"
        said.append(f"{latest.observed:.1f} sigma{expected}")
    return ", ".join(said)


def _row(name: str, samples: Sequence[SampleView]) -> tuple[str, Counts, int, str]:
    counts = [one.counts for one in samples]
    together = Counts(
        planned=sum(one.planned for one in counts),
        done=sum(one.done for one in counts),
        running=sum(one.running for one in counts),
        queued=sum(one.queued for one in counts),
        failed={"": sum(sum(one.failed.values()) for one in counts)},
    )
    return name, together, sum(one.events for one in samples), _share(samples)


def _share(samples: Sequence[SampleView]) -> str:
    """How much of the luminosity (data) or of the simulated events is in."""
    pairs = [
        (one.luminosity_pb, one.luminosity_planned_pb)
        if one.is_data
        else (one.generated_events, one.generated_planned)
        for one in samples
    ]
    done = sum(got or 0.0 for got, _ in pairs)
    planned = [want for _, want in pairs if want is not None]
    if len(planned) < len(pairs) or not sum(planned):
        return "?"
    percent = 100 * done / sum(planned)
    return f"{int(percent + 1e-9)} %"
