"""The discovery of the Higgs boson (H -> ZZ -> 4 leptons) on CMS Open Data.

The rooms of the house, highest first; each imports only from those below it:
`cli`, `display`, `monitor`, `inference`, `executors`, `plan`, `ledger`, `worker`, `workflows`,
`columns`, `storage`, `simulation`, `catalog`, `model`, `errors`.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"


def watch(what: str, run: str | None = None, **options: Any) -> Any:
    """Show a run live in a notebook cell: see `higgsdemo.display.notebook.watch`.

    `what` is a run (its name or the path of its folder) or the sink its workers deliver to, e.g.
    "redis://bus:6379"; `run` then names the run.
    """
    # Not an import statement: a worker imports this package, and must start fast.
    return importlib.import_module("higgsdemo.display.notebook").watch(what, run, **options)
