"""Writing the ROOT files: branches and types of the reduced NanoAOD, label, safe renaming.

uproot and awkward are imported when the first file is written: half of the command line's start.
"""

from __future__ import annotations

import contextlib
import errno
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from higgsdemo.errors import TransientError, UsageError
from higgsdemo.model import DEMO_MARK
from higgsdemo.simulation.detector import Reconstructed
from higgsdemo.simulation.leptons import Flags

LABEL = "SIMULATED DEMO DATA (higgsdemo generate): not recorded by CMS, not made by CMS software"

# Names, order and types as in AOD2NanoAODOutreachTool, src/AOD2NanoAOD.cc. Left out: taus, jets,
# generator particles and the rest of MET, which the four-lepton analysis does not read.
EVENT_BRANCHES: dict[str, str] = {
    "run": "int32",
    "luminosityBlock": "uint32",
    "event": "uint64",
    "HLT_IsoMu24_eta2p1": "bool",
    "HLT_IsoMu24": "bool",
    "HLT_IsoMu17_eta2p1_LooseIsoPFTau20": "bool",
    "PV_npvs": "int32",
    "PV_x": "float32",
    "PV_y": "float32",
    "PV_z": "float32",
}
LEPTON_BRANCHES: dict[str, dict[str, str]] = {
    "Muon": {
        "pt": "float32",
        "eta": "float32",
        "phi": "float32",
        "mass": "float32",
        "charge": "int32",
        "pfRelIso03_all": "float32",
        "pfRelIso04_all": "float32",
        "tightId": "bool",
        "softId": "bool",
        "dxy": "float32",
        "dxyErr": "float32",
        "dz": "float32",
        "dzErr": "float32",
    },
    "Electron": {
        "pt": "float32",
        "eta": "float32",
        "phi": "float32",
        "mass": "float32",
        "charge": "int32",
        "pfRelIso03_all": "float32",
        "dxy": "float32",
        "dxyErr": "float32",
        "dz": "float32",
        "dzErr": "float32",
        "cutBasedId": "bool",
        "pfId": "bool",
    },
}
MET_BRANCHES: dict[str, str] = {"MET_pt": "float32", "MET_phi": "float32"}


def _types() -> dict[str, Any]:
    import awkward as ak

    # types as objects: parsing "var * float32" for each branch takes most of a second a file
    jagged = {
        f"{collection}_{name}": ak.types.ListType(ak.types.NumpyType(kind))
        for collection, branches in LEPTON_BRANCHES.items()
        for name, kind in branches.items()
    }
    events, met = (
        {name: np.dtype(kind) for name, kind in branches.items()}
        for branches in (EVENT_BRANCHES, MET_BRANCHES)
    )
    return {**events, **jagged, **met}


def _counter(branch: str) -> str:
    return f"n{branch.partition('_')[0]}"


class EventsFile:
    """A ROOT file with one tree `Events`, written block by block; a block is a cluster.

    Use as a context manager. The content goes to a temporary name next to `path` and gets its
    own name only when complete, so a file that has its name is whole.

    Raises TransientError where the disk is full, UsageError where the folder is not writable.
    """

    def __init__(self, path: Path, title: str) -> None:
        self.path = path
        self._title = title
        self._temporary = path.with_name(f".{path.name}.part")
        self._file: Any = None
        self._tree: Any = None

    def __enter__(self) -> Self:
        import uproot

        with disk_errors(self.path):
            self._file = uproot.recreate(self._temporary, compression=uproot.ZLIB(1))
            self._file[DEMO_MARK] = f"{LABEL}. {self._title}"
            self._tree = self._file.mktree(
                "Events", _types(), title=f"Events ({LABEL})", counter_name=_counter
            )
        return self

    def write(self, block: Reconstructed) -> None:
        """Append a block of events."""
        columns: dict[str, Any] = {}
        for name, kind in {**EVENT_BRANCHES, **MET_BRANCHES}.items():
            columns[name] = block.globals_[name].astype(kind)
        for collection, chosen in (("Muon", block.muon), ("Electron", ~block.muon)):
            columns.update(_jagged(block, collection, chosen))
        with disk_errors(self.path):
            self._tree.extend(columns)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            with disk_errors(self.path):
                if kind is None:
                    self._file.close()
                    _make_counters_unsigned(self._temporary)
                    self._temporary.replace(self.path)
                else:
                    # the first error is the one to report, not the file's complaint at closing
                    with contextlib.suppress(OSError):
                        self._file.close()
        finally:
            self._temporary.unlink(missing_ok=True)


def _jagged(block: Reconstructed, collection: str, chosen: Flags) -> dict[str, Any]:
    import awkward as ak

    offsets = np.concatenate([[0], np.cumsum(block.count(chosen))])
    index = ak.index.Index64(offsets)
    made = {}
    for name, kind in LEPTON_BRANCHES[collection].items():
        values = block.leptons[name][chosen].astype(kind, copy=False)
        layout = ak.contents.ListOffsetArray(index, ak.contents.NumpyArray(values))
        made[f"{collection}_{name}"] = ak.Array(layout)
    return made


def _make_counters_unsigned(path: Path) -> None:
    """Turn nMuon and nElectron from Int_t into UInt_t, as they are in the real files.

    uproot writes the counter of jagged branches as a signed integer. Signed and unsigned differ
    in two bytes of the tree's record: the letter in the branch's title ("nMuon/I" against
    "nMuon/i") and the flag fIsUnsigned of its TLeafI (ROOT's TLeaf streamer: fLen, fLenType,
    fOffset, then fIsRange, fIsUnsigned). Counts are not negative, so the content is the same.
    """
    import uproot

    with uproot.open(path) as file:
        key = file.key("Events")
        start, length = key.fSeekKey, key.fNbytes
    with path.open("r+b") as raw:
        raw.seek(start)
        record = raw.read(length)
        for counter in ("nMuon", "nElectron"):
            name = bytes([len(counter)]) + counter.encode()
            title = bytes([len(counter) + 2]) + counter.encode()
            flags = name + name + struct.pack(">iii??", 1, 4, 0, True, False)
            for old, new in ((title + b"/I", title + b"/i"), (flags, flags[:-1] + b"\x01")):
                if record.count(old) != 1:
                    raise RuntimeError(f"{path}: no single {old!r} in the record of Events")
                record = record.replace(old, new)
        raw.seek(start)
        raw.write(record)


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write `path` into an error for users."""
    try:
        yield
    except PermissionError as error:
        raise UsageError(
            f"cannot write {path.name}",
            why=error.strerror,
            where=str(path.parent),
            hint="choose a folder that you may write to",
        ) from error
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        raise TransientError(
            f"cannot write {path.name}",
            why=error.strerror or str(error),
            where=str(path.parent),
            hint="free some space or take a smaller --events-scale" if full else None,
        ) from error
