"""Peer (d): plain uproot and awkward, `uproot.iterate` with its default step (100 MB of arrays)."""

from __future__ import annotations

import sys
from typing import Any

import awkward as ak
import hist
import uproot
from awkward_selection import select
from measuring import BINS, LOWER, UPPER, Counts, channel, measure
from uproot.source.xrootd import XRootDSource

FIELDS = ("pt", "eta", "phi", "mass", "charge", "dxy", "dxyErr", "dz", "dzErr")
COLUMNS = {
    "Muon": (*FIELDS, "pfRelIso04_all"),
    "Electron": (*FIELDS, "pfRelIso03_all"),
}


def analyse(path: str) -> Counts:
    masses = {
        name: hist.Hist(hist.axis.Regular(BINS, LOWER, UPPER), storage=hist.storage.Int64())
        for name in ("4mu", "4e", "2mu2e")
    }
    events = 0
    names = [f"{flavour}_{field}" for flavour, fields in COLUMNS.items() for field in fields]

    def fill(name: str, values: Any) -> None:
        masses[name].fill(values)

    # Its default, fsspec-xrootd, hands numpy's integers on, which XRootD 6 refuses (seen with 0.5).
    own = {"handler": XRootDSource} if path.startswith("root:") else {}
    for batch in uproot.iterate({path: "Events"}, names, **own):
        events += len(batch)
        muons, electrons = (
            ak.zip({field: batch[f"{flavour}_{field}"] for field in fields})
            for flavour, fields in COLUMNS.items()
        )
        select(muons, electrons, fill)
    counted = {
        name: channel(int(mass.sum(flow=True)), mass.values(flow=True).astype(int).tolist())
        for name, mass in masses.items()
    }
    return {"events": events, "channels": counted}


if __name__ == "__main__":
    measure(analyse, sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
