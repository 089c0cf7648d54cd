"""Rewrite a tree `Events` with ROOT, so that clusters and baskets are those CMS's files have.

Runs under the Python that has ROOT: `rewrite_with_root.py IN OUT`. RDataFrame Snapshot to a TTree
with ROOT's own defaults (clusters of 30 MB, basket sizes optimised at the first flush), ZLIB
level 1: what the published reduced files carry.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the wheel warns that it is an alpha
    import ROOT


def rewrite(source: Path, target: Path) -> None:
    options = ROOT.RDF.RSnapshotOptions()
    options.fOutputFormat = ROOT.RDF.ESnapshotOutputFormat.kTTree
    options.fCompressionAlgorithm = ROOT.RCompressionSetting.EAlgorithm.kZLIB
    options.fCompressionLevel = 1
    events = ROOT.RDataFrame("Events", str(source))
    events.Snapshot("Events", str(target), "", options)


if __name__ == "__main__":
    rewrite(Path(sys.argv[1]), Path(sys.argv[2]))
