"""Tasks: the unit of work, the same wherever it runs."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from higgsdemo.model.sample import CHANNELS


@dataclass(frozen=True, slots=True)
class TaskFile:
    """A file of a task: logical name, where it lies, size in bytes and checksum where known.

    `replicas` are further URLs of the same bytes, tried in this order where one fails.
    """

    name: str
    url: str
    size_bytes: int | None = None
    checksum: str | None = None  # e.g. "adler32:1a2b3c4d"
    replicas: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """One file of one sample (or a few small ones, or an entry range of a large one).

    `start` and `stop` are the entry range [start, stop) of a single file; None is the whole.
    `events` is how many entries that is, where the plan could know.
    `luminosity_pb` (data, pb^-1) and `generated_events` (simulated) are the shares of the
    sample that this task stands for; None means unknown, and the events read are counted.
    """

    sample: str
    files: tuple[TaskFile, ...]
    workflow: str = "h4l"
    options: Mapping[str, str] = field(default_factory=dict)
    start: int | None = None
    stop: int | None = None
    events: int | None = None
    channels: tuple[str, ...] = CHANNELS
    is_data: bool = False
    certified: str | None = None  # path of the certified-sections JSON applied to this task
    luminosity_pb: float | None = None
    generated_events: float | None = None
    _id: str = field(default="", init=False, repr=False, compare=False)  # once it was asked for

    @property
    def id(self) -> str:
        """A digest of sample, logical file names and range: 16 hexadecimal digits."""
        if not self._id:
            named = [self.sample, [file.name for file in self.files], self.start, self.stop]
            digest = hashlib.sha256(json.dumps(named).encode()).hexdigest()
            object.__setattr__(self, "_id", digest[:16])
        return self._id

    @property
    def label(self) -> str:
        """A short name for people: the file and the range."""
        more = f" and {len(self.files) - 1} more" if len(self.files) > 1 else ""
        span = "" if self.start is None else f"[{self.start}:{self.stop}]"
        return f"{self.sample}: {self.files[0].name}{span}{more}"

    @property
    def size_bytes(self) -> int | None:
        """The bytes of its files, where all are known."""
        sizes = [file.size_bytes for file in self.files]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    def to_json(self) -> dict[str, Any]:
        """Return the task as a JSON-ready document."""
        # Not dataclasses.asdict: it copies deeply, and 26,920 tasks would take it a second.
        document: dict[str, Any] = {name: getattr(self, name) for name in _FIELDS}
        document["files"] = tuple(
            {name: getattr(file, name) for name in _FILE_FIELDS} for file in self.files
        )
        document["options"] = dict(self.options)
        for file in document["files"]:
            if not file["replicas"]:
                del file["replicas"]  # a manifest has thousands of files, and few have copies
        document["id"] = self.id
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Task:
        """Read a task written by `to_json`; ValueError if its id does not fit its content."""
        try:
            fields = {key: value for key, value in document.items() if key != "id"}
            fields["files"] = tuple(
                TaskFile(**{**file, "replicas": tuple(file.get("replicas", ()))})
                for file in fields["files"]
            )
            fields["channels"] = tuple(fields["channels"])
            task = cls(**fields)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not a task: {error!r}") from error
        if document.get("id", task.id) != task.id:
            raise ValueError(f"task {document['id']} has the content of task {task.id}")
        return task


_FIELDS = tuple(field.name for field in dataclasses.fields(Task) if field.init)
_FILE_FIELDS = tuple(field.name for field in dataclasses.fields(TaskFile))
