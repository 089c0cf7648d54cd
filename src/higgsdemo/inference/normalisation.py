"""Simulation scaled to the luminosity of the data that are in, bin by bin.

For a simulated sample s that fills channel c in year y::

    N = n * L(c, y) * sigma_s / sum(generated)

with n its raw counts, sigma_s its cross section times scale factor, L(c, y) the luminosity of
the data samples that fill the channel in that year, and the generated events of all samples
that share its cross section (`Sample.normalisation`). All of it comes from the tasks counted
done, so the result is right for any part of a run (promise P5).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from higgsdemo.errors import RunError, UsageError, nearest
from higgsdemo.inference.completeness import (
    Category,
    Completeness,
    Luminosity,
    completeness_of,
    fills,
    luminosity_of,
)
from higgsdemo.model import CHANNELS, GROUPS, Axis, Group, SampleTotals, Totals

M4L_AXIS = Axis(37, 70.0, 181.0, "m4l", "GeV")  # the published spectrum; drawn before data are in


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """One group in one channel and year. All arrays have shape (bins,), without flow.

    `contents` are events at the luminosity of the data, `variance` the sum of squared weights,
    `counts` the raw events behind them. For data the three are the same numbers.
    """

    group: Group
    channel: str
    year: int | None
    contents: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Remark:
    """What could not be done with a sample in these channels, and why."""

    sample: str
    group: Group
    year: int | None
    channels: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        return f"{self.sample} ({', '.join(self.channels)}): {self.reason}"


@dataclass(frozen=True, slots=True)
class Spectrum:
    """A sum of templates: contents, variance and raw counts of shape (bins,)."""

    contents: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Normalised:
    """A spectrum of a run, per group, channel and year, at the luminosity that is in.

    `excluded` lists simulated samples that are not in the templates although they belong
    there; `without_luminosity` lists data that are in the templates but whose luminosity is
    unknown, so that the simulation is scaled to the other data alone.
    """

    run_id: str
    variable: str
    axis: Axis
    templates: tuple[Template, ...]
    luminosity: Mapping[Category, Luminosity]
    excluded: tuple[Remark, ...]
    without_luminosity: tuple[Remark, ...]
    completeness: Completeness
    demo: bool

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels, in the usual order."""
        return tuple(_in_order((one.channel for one in self.templates), CHANNELS))

    @property
    def years(self) -> tuple[int | None, ...]:
        """The years, the unknown one last."""
        return tuple(sorted({one.year for one in self.templates}, key=_year_order))

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups that the run plans, in the order of `GROUPS`."""
        present = {one.group for one in self.templates}
        return tuple(group for group in GROUPS if group in present)

    @property
    def categories(self) -> tuple[Category, ...]:
        """All (channel, year) pairs with a template."""
        present = {(one.channel, one.year) for one in self.templates}
        return tuple(
            (channel, year)
            for channel in self.channels
            for year in self.years
            if (channel, year) in present
        )

    def spectrum(
        self,
        groups: Collection[str],
        channels: Collection[str] | None = None,
        years: Collection[int | None] | None = None,
    ) -> Spectrum:
        """Return the sum over groups, channels and years (None: all of them)."""
        contents = np.zeros(self.axis.bins)
        variance = np.zeros(self.axis.bins)
        counts = np.zeros(self.axis.bins, dtype=np.int64)
        for one in self.templates:
            if (
                one.group in groups
                and (channels is None or one.channel in channels)
                and (years is None or one.year in years)
            ):
                contents += one.contents
                variance += one.variance
                counts += one.counts
        return Spectrum(contents, variance, counts)

    def only(self, channel: str) -> Normalised:
        """Return the part in one channel; UsageError, with the nearest names, if none is so."""
        if channel not in self.channels:
            raise UsageError(
                f"no channel {channel!r} in run {self.run_id}",
                nearest=nearest(channel, self.channels) or self.channels,
            )
        return replace(
            self,
            templates=tuple(one for one in self.templates if one.channel == channel),
            luminosity={key: one for key, one in self.luminosity.items() if key[0] == channel},
            excluded=_only(self.excluded, channel),
            without_luminosity=_only(self.without_luminosity, channel),
            completeness=replace(
                self.completeness,
                luminosity=tuple(
                    one for one in self.completeness.luminosity if one.channel == channel
                ),
            ),
        )


def normalise(totals: Totals, variable: str = "m4l") -> Normalised:
    """Scale what is in of a run to the luminosity of its data.

    Parameters
    ----------
    totals
        the sums of the run
    variable
        histograms keyed "channel/variable" are taken, e.g. "m4l", "mZ1"

    Raises
    ------
    UsageError
        if the run has histograms, but none of this variable.
    RunError
        if histograms of the variable have different axes, or nothing is in yet that could
        tell the axis of a variable other than m4l.
    """
    axis = _axis(totals, variable)
    channels = _channels(totals, variable)
    luminosity = _luminosities(totals, channels)
    generated: dict[str, float] = {}
    for one in totals.samples.values():
        if not one.sample.is_data:
            key = one.sample.normalisation
            generated[key] = generated.get(key, 0.0) + one.generated_events

    templates: dict[tuple[Group, str, int | None], Template] = {}
    excluded: list[Remark] = []
    for one in totals.samples.values():
        reasons: dict[str, list[str]] = {}
        for channel in channels:
            if not fills(one.sample, channel):
                continue
            weight, reason = _weight(
                one,
                generated.get(one.sample.normalisation, 0.0),
                luminosity.get((channel, one.sample.year)),
            )
            if reason is not None:
                reasons.setdefault(reason, []).append(channel)
            _add(templates, one, channel, variable, axis, weight)
        excluded.extend(
            Remark(one.sample.name, one.sample.group, one.sample.year, tuple(where), reason)
            for reason, where in reasons.items()
        )
    return Normalised(
        run_id=totals.run_id,
        variable=variable,
        axis=axis,
        templates=tuple(templates[key] for key in sorted(templates, key=_template_order)),
        luminosity=luminosity,
        excluded=tuple(excluded),
        without_luminosity=tuple(_without_luminosity(totals, channels)),
        completeness=completeness_of(totals, luminosity.values()),
        demo=totals.demo,
    )


def _weight(
    one: SampleTotals, generated: float, luminosity: Luminosity | None
) -> tuple[float, str | None]:
    """Return the events that one raw count stands for, and why that is 0 if it has to be."""
    sample = one.sample
    if sample.is_data:
        return 1.0, None
    cross_section = sample.effective_cross_section_pb
    if cross_section is None:
        return 0.0, "no cross section is known"
    when = "of unknown year" if sample.year is None else f"of {sample.year}"
    if luminosity is None:
        return 0.0, f"the run has no data {when} in this channel to scale to"
    if not one.generated_events > 0:
        return 0.0, "no simulated event is in yet"
    if not luminosity.pb.done > 0:
        if luminosity.unknown:
            return 0.0, f"the luminosity of {', '.join(luminosity.unknown)} is unknown"
        return 0.0, f"no data luminosity {when} is in yet in this channel"
    return luminosity.pb.done * cross_section / generated, None


def _add(
    templates: dict[tuple[Group, str, int | None], Template],
    one: SampleTotals,
    channel: str,
    variable: str,
    axis: Axis,
    weight: float,
) -> None:
    key = (one.sample.group, channel, one.sample.year)
    if key not in templates:
        templates[key] = Template(
            *key, np.zeros(axis.bins), np.zeros(axis.bins), np.zeros(axis.bins, dtype=np.int64)
        )
    histogram = one.histograms.get(f"{channel}/{variable}")
    if histogram is not None and weight > 0:
        target = templates[key]
        target.contents[:] += weight * histogram.values
        target.variance[:] += weight * weight * histogram.values
        target.counts[:] += histogram.values


def _axis(totals: Totals, variable: str) -> Axis:
    axes: dict[Axis, str] = {}
    others: set[str] = set()
    for one in totals.samples.values():
        for key, histogram in one.histograms.items():
            name = key.rpartition("/")[2]
            if name == variable:
                axes.setdefault(histogram.axis, f"{one.sample.name}, {key}")
            others.add(name)
    if len(axes) > 1:
        raise RunError(
            f"histograms of {variable!r} in run {totals.run_id} have different axes",
            why="; ".join(
                f"{where}: {axis.bins} bins in [{axis.lower:g}, {axis.upper:g})"
                for axis, where in axes.items()
            ),
            hint="only results of one workflow with the same options can be added",
        )
    if axes:
        return next(iter(axes))
    if others:
        raise UsageError(
            f"no variable {variable!r} in run {totals.run_id}",
            nearest=nearest(variable, others) or sorted(others),
        )
    if variable == "m4l":
        return M4L_AXIS
    raise RunError(
        f"nothing is known yet of {variable!r} in run {totals.run_id}",
        why="no result is in",
        hint="try again when the first task is done, or take the variable m4l",
    )


def _channels(totals: Totals, variable: str) -> list[str]:
    found: list[str] = []
    for one in totals.samples.values():
        found.extend(one.sample.channels)
        keys = (key.rpartition("/") for key in one.histograms)
        found.extend(channel for channel, _, name in keys if name == variable)
    present = {
        channel
        for channel in found
        if any(f"{channel}/{variable}" in one.histograms for one in totals.samples.values())
    }
    # Before the first result, the channels are those that the samples promise.
    return _in_order(present or found, CHANNELS)


def _luminosities(totals: Totals, channels: list[str]) -> dict[Category, Luminosity]:
    years = sorted({one.sample.year for one in totals.samples.values()}, key=_year_order)
    found = {(channel, year): luminosity_of(totals, channel, year) for channel in channels
             for year in years}  # fmt: skip
    return {key: one for key, one in found.items() if one is not None}


def _without_luminosity(totals: Totals, channels: list[str]) -> Iterator[Remark]:
    for one in totals.samples.values():
        if one.sample.is_data and one.tasks > 0 and one.luminosity_pb is None:
            where = tuple(channel for channel in channels if fills(one.sample, channel))
            reason = "its events are in, but its luminosity is unknown"
            yield Remark(one.sample.name, "data", one.sample.year, where, reason)


def _only(remarks: Iterable[Remark], channel: str) -> tuple[Remark, ...]:
    return tuple(
        replace(remark, channels=(channel,)) for remark in remarks if channel in remark.channels
    )


def _in_order(names: Iterable[str], order: tuple[str, ...]) -> list[str]:
    present = set(names)
    return [name for name in order if name in present] + sorted(present.difference(order))


def _year_order(year: int | None) -> tuple[bool, int]:
    return (year is None, year or 0)


def _template_order(key: tuple[Group, str, int | None]) -> tuple[int, int, str, bool, int]:
    group, channel, year = key
    place = CHANNELS.index(channel) if channel in CHANNELS else len(CHANNELS)
    return (GROUPS.index(group), place, channel, *_year_order(year))
