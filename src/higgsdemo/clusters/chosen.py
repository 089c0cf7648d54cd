"""Which clusters a command is about: of a mapping, by name, or one of either."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from higgsdemo.clusters.api import Cluster
from higgsdemo.clusters.mapping import PREFIX, choose, read_mapping
from higgsdemo.clusters.wire import Patience
from higgsdemo.errors import HiggsdemoError, UsageError


def cluster_names(
    mapping: Path | None, names: str = "", only: str | None = None, prefix: str = PREFIX
) -> tuple[str, ...]:
    """Return the contexts that `--dataset-mapping`, `--clusters C1,C2` and `--cluster C` mean.

    Raises UsageError, with the nearest names, for one that the others do not have, and where
    nothing is chosen.
    """
    if mapping is not None and names:
        raise UsageError("--dataset-mapping and --clusters exclude each other")
    if mapping is not None:
        return tuple(entry.name for entry in choose(read_mapping(mapping, prefix), only))
    listed = tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    if names and not listed:
        raise UsageError("--clusters names no cluster", hint="e.g. --clusters one,two")
    if listed and only is not None and only not in listed:
        raise UsageError(f"--cluster {only!r} is none of --clusters {names}")
    chosen = (only,) if only is not None else listed
    if not chosen:
        raise UsageError(
            "no cluster is named",
            hint="give --dataset-mapping FILE, --clusters C1,C2 or --cluster C; "
            "the names are those of kubectl config get-contexts",
        )
    return chosen


@contextmanager
def open_clusters(
    names: Sequence[str], kubeconfig: Path | None = None, patience: Patience | None = None
) -> Iterator[tuple[Cluster, ...]]:
    """Open clusters by their contexts. Raises the error of the first that cannot be opened."""
    with ExitStack() as stack:
        yield tuple(stack.enter_context(Cluster.open(name, kubeconfig, patience)) for name in names)


def several(errors: Sequence[HiggsdemoError], of: int) -> HiggsdemoError:
    """Return one error for what went wrong in several clusters."""
    if len(errors) == 1 and of == 1:
        return errors[0]
    return HiggsdemoError(
        f"{len(errors)} of {of} clusters failed",
        why="see above",
        hint="what is done stays; once mended, give the same command again",
    )
