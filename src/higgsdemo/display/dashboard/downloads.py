"""What can be taken home: the plot, the yields, the record of the run. Made when asked for."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from higgsdemo.display.dashboard.selection import Selection
from higgsdemo.inference import Normalised, yields
from higgsdemo.model import Totals
from higgsdemo.monitor import View

PLOTS = {"png": "image/png", "pdf": "application/pdf", "svg": "image/svg+xml"}


def plot(totals: Totals, chosen: Selection, ending: str) -> bytes:
    """Return the printed plot of a selection, as `higgsdemo plot` draws it."""
    from higgsdemo.display.plot import plot as draw  # a second of imports

    if chosen.year is not None:
        totals = replace(
            totals,
            samples={
                name: one for name, one in totals.samples.items() if one.sample.year == chosen.year
            },
        )
    with tempfile.TemporaryDirectory(prefix="higgsdemo-plot-") as folder:
        paths = draw(
            totals,
            Path(folder) / "plot",
            variable=chosen.variable,
            channel=chosen.channel,
            formats=[ending],
        )
        return paths[0].read_bytes()


def yields_json(normalised: Normalised, view: View) -> bytes:
    """Return the yields, the same document as `higgsdemo yields --json` gives, and the fit."""
    document = {
        **yields(normalised).to_json(),
        "complete": view.complete,
        "fit": None if view.fit is None else view.fit.to_json(),
    }
    return (json.dumps(document, indent=1) + "\n").encode()


def yields_csv(normalised: Normalised) -> bytes:
    """Return the contents of every bin per group, channel and year as a table."""
    edges = normalised.axis.edges
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    unit = normalised.axis.unit
    table.writerow(
        ["group", "channel", "year", f"from_{unit}", f"to_{unit}", "events", "error", "counts"]
    )
    for one in normalised.templates:
        errors = np.sqrt(one.variance)
        for number in range(normalised.axis.bins):
            table.writerow(
                [
                    *(one.group, one.channel, "" if one.year is None else one.year),
                    *(float(edges[number]), float(edges[number + 1])),
                    *(float(one.contents[number]), float(errors[number]), int(one.counts[number])),
                ]
            )
    return out.getvalue().encode()


def run_record(record: Mapping[str, Any], view: View) -> bytes:
    """Return run.json, and the state of the run now."""
    document = {"record": dict(record), "now": view.to_json()}
    return (json.dumps(document, indent=1, default=str) + "\n").encode()
