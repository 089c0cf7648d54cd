"""The folder around the files: its sample set, its README, and whose files may be replaced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from higgsdemo.errors import UsageError
from higgsdemo.model import DEMO_MARK
from higgsdemo.simulation.files import LABEL, disk_errors
from higgsdemo.simulation.rates import PROCESSES
from higgsdemo.simulation.streams import STREAMS, EraPlan

SAMPLES_FILE, README_FILE = "samples.yaml", "README.txt"
_SCALED = "skim.cxx of HiggsToFourLeptonsNanoAODOutreachAnalysis; a value scaled to data"

_README = """\
{label}

This folder was written by `higgsdemo generate` from formulae and random numbers (seed {seed}).
It has the names and the branches of the eight reduced-NanoAOD files of CMS Open Data (records
12361 to 12368) and stands in for them where there is no network. The Run2012 files are
pseudo-data of {luminosity:g} fb^-1: no collision was recorded for them. Nothing about nature
can be learnt here.

events-scale {scale:g}: the simulated files and the dilepton bulk of the pseudo-data are thinned
out; signal, ZZ and the reducible background are at full luminosity in the pseudo-data.
How it is made: docs/physics/generator.md of higgsdemo.
"""


def prepare(folder: Path, names: Iterable[str]) -> None:
    """Make the folder; refuse to overwrite anything that is not labelled as demo data.

    Raises UsageError for a folder that cannot be made or written, and for foreign files.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".higgsdemo-probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"cannot write to {folder}",
            why=error.strerror,
            hint="choose another --output folder",
        ) from error
    foreign = [name for name in names if (folder / name).exists() and not _is_ours(folder / name)]
    if foreign:
        raise UsageError(
            f"will not overwrite {', '.join(foreign)}",
            why="not made by higgsdemo generate (no SIMULATED DEMO DATA label)",
            where=str(folder),
            hint="choose another --output folder, or move these files away",
        )


def _is_ours(path: Path) -> bool:
    import uproot

    try:
        if path.suffix == ".root":
            with uproot.open(path) as file:
                return DEMO_MARK in file.keys(cycle=False)
        return "SIMULATED DEMO DATA" in path.read_text()[:500]
    except (OSError, ValueError, uproot.DeserializationError):
        return False  # unreadable is not known to be ours


def write_texts(
    folder: Path,
    generated: Mapping[str, int],
    plans: Iterable[EraPlan],
    *,
    seed: int,
    luminosity_fb: float,
    events_scale: float,
) -> list[Path]:
    """Write the sample set that normalises the files, and the README. Return their paths."""
    document = {
        "name": "demo-2012",
        "title": LABEL,
        "demo": True,
        "description": f"{luminosity_fb:g} fb^-1, events-scale {events_scale:g}, seed {seed}",
        "samples": [*_simulated(generated), *_data(plans)],
    }
    samples, readme = folder / SAMPLES_FILE, folder / README_FILE
    with disk_errors(readme):
        readme.write_text(
            _README.format(label=LABEL, seed=seed, luminosity=luminosity_fb, scale=events_scale)
        )
    partial = samples.with_name(f".{SAMPLES_FILE}.part")
    with disk_errors(samples):
        partial.write_text(f"# {LABEL}\n" + yaml.safe_dump(document, sort_keys=False, width=100))
        partial.replace(samples)
    return [samples, readme]


def _simulated(generated: Mapping[str, int]) -> list[dict[str, Any]]:
    return [
        {
            "name": process.name,
            "group": process.group,
            "year": 2012,
            "sqrt_s_tev": 8,
            "channels": list(process.channels),
            "cross_section_pb": process.cross_section_pb,
            "scale_factor": process.scale_factor,
            "generated_events": generated[process.name],
            "files": [f"{process.name}.root"],
            "sources": {
                "cross_section_pb": _SCALED,
                "scale_factor": _SCALED,
                "generated_events": "events in the generated file",
            },
        }
        for process in PROCESSES
    ]


def _data(plans: Iterable[EraPlan]) -> list[dict[str, Any]]:
    channels = {"DoubleMuParked": ["4mu", "2mu2e"], "DoubleElectron": ["4e"]}
    eras = list(plans)
    return [
        {
            "name": f"Run2012{plan.era}_{stream}",
            "group": "data",
            "year": 2012,
            "sqrt_s_tev": 8,
            "channels": channels[stream],
            "luminosity_pb": round(plan.luminosity_pb(stream), 6),
            "files": [f"Run2012{plan.era}_{stream}.root"],
            "sources": {"luminosity_pb": "the luminosity the pseudo-data were drawn for"},
        }
        for stream in STREAMS
        for plan in eras
    ]
