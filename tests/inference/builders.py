"""Totals for tests: built by hand, and read from the real CMS analysis of 2011 and 2012."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import uproot

from higgsdemo.model import Axis, Group, Histogram, InputFile, Sample, SampleTotals, Totals

M4L = Axis(37, 70.0, 181.0, "m4l", "GeV")
MUONS, ELECTRONS = ("4mu", "2mu2e"), ("4e",)
# Luminosities of the 2017 macro, pb^-1 (M4Lnormdatall.cc).
MACRO_LUMINOSITY = {2011: 2330.0, 2012: 11580.0}
ENERGY = {2011: 7.0, 2012: 8.0}

# name: year, group, channels, cross section pb, scale factor, generated events (the macro's)
SIMULATED: dict[str, tuple[int, Group, tuple[str, ...], float, float, int]] = {
    "HZZ12": (2012, "higgs", ("4mu", "4e", "2mu2e"), 0.0065, 1.0, 299973),
    "HZZ11": (2011, "higgs", ("4mu", "4e", "2mu2e"), 0.0057, 1.0, 299683),
    "ZZ4mu12": (2012, "zz", ("4mu",), 0.077, 1.386, 1499064),
    "ZZ4e12": (2012, "zz", ("4e",), 0.077, 1.386, 1499093),
    "ZZ2mu2e12": (2012, "zz", ("2mu2e",), 0.18, 1.386, 1497445),
    "ZZ4mu11": (2011, "zz", ("4mu",), 0.067, 1.386, 1447136),
    "ZZ4e11": (2011, "zz", ("4e",), 0.067, 1.386, 1493308),
    "ZZ2mu2e11": (2011, "zz", ("2mu2e",), 0.15, 1.386, 1479879),
    "TTBar12": (2012, "ttbar", ("4mu", "4e", "2mu2e"), 200.0, 1.0, 6423106),
    "TTBar11": (2011, "ttbar", ("4mu", "4e", "2mu2e"), 177.31, 0.11, 9771205),
    "DY50TuneZ12": (2012, "dy", ("4mu", "4e", "2mu2e"), 2955.0, 1.12, 29426492),
    "DY1012": (2012, "dy", ("4mu", "4e", "2mu2e"), 10.742, 1.12, 6462290),
    "DY50TuneZ11": (2011, "dy", ("4mu", "4e", "2mu2e"), 2475.0, 1.12, 36408225),
    "DY1011": (2011, "dy", ("4mu", "4e", "2mu2e"), 9507.0, 1.12, 39909640),
}
DATA = {
    "DoubleMu12": (2012, MUONS),
    "DoubleE12": (2012, ELECTRONS),
    "DoubleMu11": (2011, MUONS),
    "DoubleE11": (2011, ELECTRONS),
}


def sample(
    name: str,
    group: Group,
    *,
    year: int | None = 2012,
    channels: tuple[str, ...] = ("4mu", "4e", "2mu2e"),
    cross_section_pb: float | None = None,
    scale_factor: float = 1.0,
    normalise_with: str | None = None,
    demo: bool = False,
) -> Sample:
    return Sample(
        name,
        group,
        (InputFile(f"{name}.root", f"{name}.root"),),
        year=year,
        sqrt_s_tev=None if year is None else ENERGY[year],
        channels=channels,
        cross_section_pb=cross_section_pb,
        scale_factor=scale_factor,
        normalise_with=normalise_with,
        demo=demo,
    )


def totals_of(
    what: Sample,
    counts: Mapping[str, Iterable[int]],
    *,
    axis: Axis = M4L,
    luminosity_pb: float | None = None,
    generated: float = 0.0,
    files: int = 1,
    files_planned: int | None = None,
    luminosity_planned_pb: float | None = None,
    events_planned: int | None = None,
    skipped: tuple[str, ...] = (),
) -> SampleTotals:
    """Return totals with these counts per bin (without flow), per channel, of m4l."""
    planned = files if files_planned is None else files_planned
    return SampleTotals(
        what,
        {f"{channel}/m4l": filled(axis, values) for channel, values in counts.items()},
        events=int(generated) if generated else 1000 * files,
        files=files,
        tasks=files,
        files_planned=planned,
        tasks_planned=planned,
        events_planned=events_planned,
        luminosity_pb=luminosity_pb,
        luminosity_planned_pb=(
            luminosity_pb if luminosity_planned_pb is None else luminosity_planned_pb
        ),
        generated_events=generated,
        skipped=skipped,
    )


def filled(axis: Axis, values: Iterable[int]) -> Histogram:
    return Histogram(axis, np.array([0, *values, 0], dtype=np.int64))


def run(*samples: SampleTotals, run_id: str = "test") -> Totals:
    return Totals(run_id, {one.sample.name: one for one in samples})


def real_totals(folder: Path, luminosity: Mapping[int, float] = MACRO_LUMINOSITY) -> Totals:
    """Return the 18 samples that the public macro uses, from the histogram files of CMS."""
    samples = []
    for name, (year, group, channels, cross_section, factor, generated) in SIMULATED.items():
        what = sample(
            name,
            group,
            year=year,
            channels=channels,
            cross_section_pb=cross_section,
            scale_factor=factor,
        )
        histograms, events = _read(folder / f"{name}.root")
        assert events == generated
        samples.append(
            replace(totals_of(what, {}, generated=generated), histograms=histograms, events=events)
        )
    for name, (year, channels) in DATA.items():
        what = sample(name, "data", year=year, channels=channels)
        histograms, events = _read(folder / f"{name}.root")
        one = totals_of(what, {}, luminosity_pb=luminosity[year])
        samples.append(replace(one, histograms=histograms, events=events))
    return run(*samples, run_id="cms-2017")


def _read(path: Path) -> tuple[dict[str, Histogram], int]:
    with uproot.open(path) as file:
        histograms = {
            f"{channel}/m4l": Histogram(
                M4L,
                file[f"demo/mass{channel}_8TeV_low"].values(flow=True).astype(np.int64),
            )
            for channel in ("4mu", "4e", "2mu2e")
        }
        return histograms, int(file["demo/NMuons"].values(flow=True).sum())


def physics_facts(folder: Path) -> dict[str, dict[str, str]]:
    """Return the rows of samples.csv by their root file of 2017."""
    with (folder / "physics" / "samples.csv").open(newline="") as stream:
        return {row["rootfile_2017"]: row for row in csv.DictReader(stream)}
