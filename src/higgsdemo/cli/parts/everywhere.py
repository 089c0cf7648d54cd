"""The same in each of several clusters, all at once: which ones, how far each is, what failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Generic, TypeVar

import typer

from higgsdemo.cli.parts.console import err, say_error
from higgsdemo.errors import HiggsdemoError

if TYPE_CHECKING:
    import threading

    from higgsdemo.clusters import Cluster

MappingFile = Annotated[
    Path | None,
    typer.Option(
        "--dataset-mapping", metavar="FILE", help="The clusters of a mapping (see config/)."
    ),
]
Clusters = Annotated[
    str, typer.Option(metavar="C1,C2", help="The clusters, by their contexts in the kubeconfig.")
]
OneCluster = Annotated[
    str | None, typer.Option("--cluster", metavar="C", help="This cluster, or only this of them.")
]
Namespace = Annotated[str, typer.Option(help="Namespace of everything.")]
Kubeconfig = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Kubeconfig.", show_default="KUBECONFIG or ~/.kube/config"),
]
Prefix = Annotated[
    str, typer.Option(help="Begins the names of a mapping's clusters; a number ends them.")
]
PatienceS = Annotated[
    float,
    typer.Option(
        "--patience", min=1, metavar="SECONDS", help="How long an unreachable cluster is tried."
    ),
]
Made = TypeVar("Made")
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Everywhere(Generic[Made]):
    """What came of it: of the clusters where it was done, what was made, and how many requests."""

    done: list[Made]
    failed: list[HiggsdemoError]
    requests: dict[str, int]
    of: int

    def raise_failed(self) -> None:
        """Raise what failed, all of it told."""
        if not self.failed:
            return
        from higgsdemo.clusters import several

        if self.of > 1:
            for error in self.failed:
                say_error(error)
        raise several(self.failed, self.of)


def everywhere(
    names: Sequence[str],
    kubeconfig: Path | None,
    patience_s: float,
    work: Callable[[Cluster, Tell, threading.Event], Made],
) -> Everywhere[Made]:
    """Do something in each cluster; `work` gets it, what tells a step, and what says to stop."""
    from higgsdemo.clusters import Patience, open_clusters
    from higgsdemo.clusters.prepare import in_parallel
    from higgsdemo.display.steps import Steps

    with open_clusters(names, kubeconfig, Patience.of(patience_s)) as opened:
        with Steps(err, names) as steps:
            done, failed = in_parallel(
                opened, lambda one, stop: work(one, lambda step: steps.tell(one.name, step), stop)
            )
        requests = {one.name: one.traffic.requests for one in opened}
    return Everywhere(done, failed, requests, len(names))
