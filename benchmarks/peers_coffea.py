"""Peer (c): a coffea processor, NanoAODSchema, `Runner` with the iterative executor.

`peers_coffea.py CHUNK TINY [FILE]`; CHUNK is a number of events, or `default` for coffea's own.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import hist
from awkward_selection import select
from coffea import processor
from coffea.nanoevents import NanoAODSchema
from measuring import BINS, LOWER, UPPER, Counts, channel, measure

CHANNELS = ("4mu", "4e", "2mu2e")


class FourLeptons(processor.ProcessorABC):  # type: ignore[misc]
    """The published selection; gives the number of events and m4l per channel."""

    def process(self, events: Any) -> dict[str, Any]:
        mass = hist.Hist(
            hist.axis.StrCategory(CHANNELS, name="channel"),
            hist.axis.Regular(BINS, LOWER, UPPER, name="mass"),
            storage=hist.storage.Int64(),
        )
        select(events.Muon, events.Electron, lambda name, m4l: mass.fill(name, m4l))
        return {"events": len(events), "mass": mass}

    def postprocess(self, accumulator: dict[str, Any]) -> dict[str, Any]:
        return accumulator


def analyser(chunk: str) -> Any:
    options = {} if chunk == "default" else {"chunksize": int(chunk)}
    NanoAODSchema.warn_missing_crossrefs = False

    def analyse(path: str) -> Counts:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            runner = processor.Runner(
                processor.IterativeExecutor(), schema=NanoAODSchema, **options
            )
            found = runner(
                {"shape": {"files": {path: "Events"}}},
                processor_instance=FourLeptons(),
                treename="Events",
            )
        counted = {}
        for name in CHANNELS:
            mass = found["mass"][name, :]
            counted[name] = channel(
                int(mass.sum(flow=True)), mass.values(flow=True).astype(int).tolist()
            )
        return {"events": found["events"], "channels": counted}

    return analyse


if __name__ == "__main__":
    measure(analyser(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None)
