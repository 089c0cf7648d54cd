"""Dataset mappings: which cluster works on which file indexes, as the 2019 demo wrote them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from higgsdemo.catalog.indexes import read_json
from higgsdemo.errors import UsageError, nearest

PREFIX = "kubecon-demo-"  # the demo's clusters: kubecon-demo-0, kubecon-demo-1, ...
# `dump` is in three files of the demo, where nothing read it; `cluster` is new: a context's name.
_KEYS = ("datasets", "flavor", "nodes", "dpath", "cluster", "dump")
_HINT = (
    'a mapping looks like [{"datasets": ["..._file_index.txt"], "flavor": "n1-highmem-16", '
    '"nodes": 22, "dpath": "/dev/shm"}, ...]'
)
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ClusterEntry:
    """One cluster of a mapping.

    `name` is the context (by default ``kubecon-demo-`` and the place in the list), `datasets`
    are file indexes or patterns of them, each once. `flavor` is the machine type, `nodes` how
    many; `dpath` is where the demo staged files in, which nothing here goes by. `repeated` says
    which datasets were listed again, and in which entry.
    """

    name: str
    datasets: tuple[str, ...]
    flavor: str = ""
    nodes: int = 0
    dpath: str = ""
    repeated: tuple[str, ...] = ()


def read_mapping(path: Path, prefix: str = PREFIX) -> tuple[ClusterEntry, ...]:
    """Read a mapping file. A dataset listed again, here or in an earlier entry, counts once.

    Raises UsageError, with place and nearest names, for keys that are not known, values of the
    wrong type, and whatever else is not a mapping.
    """
    document = read_json(path, "dataset mapping")
    if not isinstance(document, list) or not document:
        kind = "an empty list" if document == [] else f"a {type(document).__name__}"
        raise UsageError(
            "not a dataset mapping", why=f"it holds {kind}", where=str(path), hint=_HINT
        )
    entries: list[ClusterEntry] = []
    owners: dict[str, int] = {}
    for number, item in enumerate(document):
        place = f"{path}: entry {number}"
        entry = _entry(item, place, f"{prefix}{number}", owners, number)
        for earlier, other in enumerate(entries):
            if other.name == entry.name:
                raise UsageError(
                    f"two entries are for the cluster {entry.name!r}",
                    where=f"{path}: entries {earlier} and {number}",
                    hint="put their datasets into one entry",
                )
        entries.append(entry)
    return tuple(entries)


def choose(entries: Sequence[ClusterEntry], cluster: str | None) -> tuple[ClusterEntry, ...]:
    """Return the entry of one cluster, or all. Raises UsageError with the nearest names."""
    if cluster is None:
        return tuple(entries)
    kept = tuple(entry for entry in entries if entry.name == cluster)
    if not kept:
        names = [entry.name for entry in entries]
        raise UsageError(
            f"the mapping has no cluster {cluster!r}",
            nearest=nearest(cluster, names),
            hint=f"it has: {', '.join(names)}",
        )
    return kept


def _entry(
    item: Any, place: str, default: str, owners: dict[str, int], number: int
) -> ClusterEntry:
    if not isinstance(item, dict):
        raise UsageError(
            "an entry of a mapping is an object with keys",
            why=f"it is {_shown(item)}",
            where=place,
            hint=_HINT,
        )
    unknown = [key for key in item if key not in _KEYS]
    if unknown:
        raise UsageError(
            f"unknown key {unknown[0]!r} in the dataset mapping",
            where=f"{place}, key {unknown[0]!r}",
            nearest=[near for key in unknown for near in nearest(key, _KEYS[:-1])],
            hint=f"the keys are: {', '.join(_KEYS[:-1])}",
        )
    if "datasets" not in item:
        raise UsageError("an entry has no datasets", where=place, hint=_HINT)
    datasets, repeated = _datasets(item["datasets"], place, owners, number)
    return ClusterEntry(
        name=_text(item, "cluster", place) or default,
        datasets=datasets,
        flavor=_text(item, "flavor", place),
        nodes=_count(item.get("nodes", 0), f"{place}, key 'nodes'"),
        dpath=_text(item, "dpath", place),
        repeated=repeated,
    )


def _datasets(
    value: Any, place: str, owners: dict[str, int], number: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the datasets that are new, and a word on each that is not. Fills `owners`."""
    if not isinstance(value, list):
        raise _wrong("datasets", "a list of file indexes", value, place)
    kept: list[str] = []
    repeated: list[str] = []
    for position, dataset in enumerate(value):
        if not isinstance(dataset, str) or not dataset.strip():
            raise _wrong(f"datasets[{position}]", "the name of a file index", dataset, place)
        name = dataset.strip()
        owner = owners.setdefault(name, number)
        if owner == number and name not in kept:
            kept.append(name)
        else:
            repeated.append(
                f"{name} (datasets[{position}])" if owner == number else f"{name} (entry {owner})"
            )
    return tuple(kept), tuple(repeated)


def _text(item: Mapping[str, Any], key: str, place: str) -> str:
    value = item.get(key, "")
    if not isinstance(value, str) or (key in item and not value.strip()):
        raise _wrong(key, "a text", value, place)
    return value.strip()


def _count(value: Any, place: str) -> int:
    """Return a number of nodes; the demo wrote them as text."""
    text = str(value).strip() if isinstance(value, int | str) else ""
    if isinstance(value, bool) or not text.isdecimal():
        raise UsageError("'nodes' is not a number of nodes", why=f"{_shown(value)}", where=place)
    return int(text)


def _wrong(key: str, wanted: str, value: Any, place: str) -> UsageError:
    return UsageError(
        f"{key!r} is not {wanted}", why=f"it is {_shown(value)}", where=f"{place}, key {key!r}"
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
