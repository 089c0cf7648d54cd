"""The record of a run: its directory, every task and attempt, the merge and the closing check."""

from higgsdemo.ledger.closing import closing_check
from higgsdemo.ledger.collect import Collector, collect
from higgsdemo.ledger.database import Counts, Ledger, Problem
from higgsdemo.ledger.intake import Collected
from higgsdemo.ledger.keeping import Delivery
from higgsdemo.ledger.manifest import Manifest, read_manifest, write_manifest
from higgsdemo.ledger.merge import Merger
from higgsdemo.ledger.news import left_out
from higgsdemo.ledger.published import COPY, NameTakenError, find_run, publish, refuse_taken
from higgsdemo.ledger.rundir import RunDirectory, check_name, create_run, open_run, run_names
from higgsdemo.ledger.tally import Tally, tally_of

__all__ = [
    "COPY",
    "Collected",
    "Collector",
    "Counts",
    "Delivery",
    "Ledger",
    "Manifest",
    "Merger",
    "NameTakenError",
    "Problem",
    "RunDirectory",
    "Tally",
    "check_name",
    "closing_check",
    "collect",
    "create_run",
    "find_run",
    "left_out",
    "open_run",
    "publish",
    "read_manifest",
    "refuse_taken",
    "run_names",
    "tally_of",
    "write_manifest",
]
