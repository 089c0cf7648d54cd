"""Selected events as Parquet: one file a task, for whoever wants to look at them one by one.

pyarrow is an extra and is imported only when events are asked for.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import uuid
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from higgsdemo.columns import Chunk
from higgsdemo.errors import TransientError, UsageError
from higgsdemo.model import Task
from higgsdemo.workflows.h4l.candidates import Candidates
from higgsdemo.workflows.h4l.leptons import ELECTRON, MUON

NONE = "none"
_LEPTONS = ("pt", "eta", "phi", "mass")
_EVENT = {"run": "int64", "luminosityBlock": "int64", "event": "uint64"}


def folder(value: str) -> str:
    """Return the folder for event dumps, or "none"; ValueError where it is neither."""
    if not value.strip():
        raise ValueError("the folder has no name")
    if "://" in value:
        raise ValueError("events are written to a folder of this machine, not to a URL")
    if value == NONE:
        return value
    if importlib.util.find_spec("pyarrow") is None:
        raise ValueError("writing events needs pyarrow: pip install 'higgsdemo[parquet]'")
    path = Path(value).expanduser().absolute()  # a run may go on from another folder
    if path.is_file():
        raise ValueError("it is a file")
    return str(path)


class Dump:
    """The selected events of a task, written to FOLDER/<task id>.parquet.

    Columns: `sample`, `file` (logical name), `entry` (in that file), `run`, `luminosityBlock`,
    `event` (null where the input has none), `channel`, `m4l`, `mZ1`, `mZ2` (GeV), and lists of
    four in the order of Z1 then Z2: `lepton_pt`, `lepton_mass` (GeV), `lepton_eta`, `lepton_phi`,
    `lepton_charge`, `lepton_pdgId` (13 is mu-, -13 mu+, 11 e-, -11 e+).
    """

    def __init__(self, where: str, task: Task, selection: str) -> None:
        """Prepare the columns; raises UsageError where pyarrow is not installed."""
        try:
            import pyarrow as pa
            import pyarrow.parquet
        except ImportError as error:
            raise UsageError(
                "writing events needs pyarrow",
                why=str(error),
                hint="pip install 'higgsdemo[parquet]', or leave out the option 'events'",
            ) from error
        self._pa: Any = pa
        self._path = Path(where).expanduser() / f"{task.id}.parquet"
        self._sample = task.sample
        word, four = pa.dictionary(pa.int32(), pa.string()), 4
        self._schema = pa.schema(
            [
                ("sample", word),
                ("file", word),
                ("entry", pa.int64()),
                *((name, getattr(pa, kind)()) for name, kind in _EVENT.items()),
                ("channel", word),
                *((name, pa.float32()) for name in ("m4l", "mZ1", "mZ2")),
                *((f"lepton_{name}", pa.list_(pa.float32(), four)) for name in _LEPTONS),
                ("lepton_charge", pa.list_(pa.int8(), four)),
                ("lepton_pdgId", pa.list_(pa.int8(), four)),
            ],
            metadata={"workflow": "h4l", "selection": selection, "task": task.id},
        )
        self._batches: list[Any] = []

    def add(self, file: str, chunk: Chunk, channel: str, found: Candidates) -> None:
        """Take the candidates of one channel of a chunk of `file`."""
        pa, size = self._pa, found.entries.size
        if size == 0:
            return
        columns: dict[str, Any] = {
            "sample": _repeat(pa, self._sample, size),
            "file": _repeat(pa, file, size),
            "entry": chunk.start + found.entries,
            "channel": _repeat(pa, channel, size),
            "m4l": found.m_4l,
            "mZ1": found.m_z1,
            "mZ2": found.m_z2,
        }
        for name, kind in _EVENT.items():
            columns[name] = (
                chunk.scalars[name].take(found.entries).astype(kind)
                if name in chunk.scalars
                else pa.nulls(size, getattr(pa, kind)())
            )
        for name in _LEPTONS:
            columns[f"lepton_{name}"] = _four(pa, _gather(chunk, found, name, np.float32))
        charge = _gather(chunk, found, "charge", np.int8)
        flavour = np.where(found.electrons, ELECTRON.pdg_id, MUON.pdg_id)
        columns["lepton_charge"] = _four(pa, charge)
        columns["lepton_pdgId"] = _four(pa, (-flavour * charge).astype(np.int8))
        self._batches.append(
            pa.record_batch([pa.array(columns[name]) for name in self._schema.names], self._schema)
        )

    def write(self) -> Path:
        """Write the file, whole or not at all, and return its path.

        Raises TransientError where the folder cannot be written, e.g. as the disk is full.
        """
        table = self._pa.Table.from_batches(self._batches, self._schema)
        partial = self._path.with_name(f".{self._path.name}.{uuid.uuid4().hex}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with partial.open("wb") as stream:
                    self._pa.parquet.write_table(table, stream, compression="zstd")
                    stream.flush()
                    os.fsync(stream.fileno())
                partial.replace(self._path)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    partial.unlink()
        except OSError as error:
            raise TransientError(
                "cannot write the selected events",
                where=str(self._path),
                why=error.strerror or str(error),
                hint="make room, or give another folder with the option 'events'",
            ) from error
        return self._path


def _gather(chunk: Chunk, found: Candidates, name: str, kind: type[np.generic]) -> NDArray[Any]:
    """Return a column of the candidates' leptons, shape (4, n)."""
    column = np.empty(found.leptons.shape, dtype=kind)
    for flavour, here in ((ELECTRON, found.electrons), (MUON, ~found.electrons)):
        if here.any():
            values = chunk.values[f"{flavour.collection}_{name}"]
            column[here] = values.take(found.leptons[here])
    return column


def _four(pa: Any, rows: NDArray[Any]) -> Any:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(rows.T).ravel()), 4)


def _repeat(pa: Any, word: str, size: int) -> Any:
    return pa.DictionaryArray.from_arrays(np.zeros(size, dtype=np.int32), [word])
