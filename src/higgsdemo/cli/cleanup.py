"""`cleanup`: clusters left as they were before."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from higgsdemo.cli.parts.console import err, out, print_json
from higgsdemo.cli.parts.everywhere import (
    Clusters,
    Kubeconfig,
    MappingFile,
    Namespace,
    OneCluster,
    PatienceS,
    Prefix,
    everywhere,
)
from higgsdemo.cli.parts.options import AsJson
from higgsdemo.clusters import labels
from higgsdemo.clusters.mapping import PREFIX
from higgsdemo.errors import HiggsdemoError, UsageError

if TYPE_CHECKING:
    from higgsdemo.clusters.cleanup import Cleaned


def cleanup(
    dataset_mapping: MappingFile = None,
    clusters: Clusters = "",
    cluster: OneCluster = None,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="Of this run alone.", show_default="all runs"),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Also what prepare made; its namespace, if nothing else is in."),
    ] = False,
    namespace: Namespace = labels.NAMESPACE,
    timeout: Annotated[
        float, typer.Option(min=0, metavar="MINUTES", help="How long to wait.")
    ] = 15,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    patience: PatienceS = 60,
    kubeconfig: Kubeconfig = None,
    prefix: Prefix = PREFIX,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be removed and stop.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove what runs created in clusters, nothing else, and prove it.

    Found by its labels among all kinds of objects that a cluster has; removed, waited for, and
    looked for once more among all kinds. Results, which are in your sink and ledger, stay.
    Without --run it asks first, and where nobody can be asked it wants --yes.

    [bold]Examples[/]

      higgsdemo cleanup --cluster kubecon-demo-0
      higgsdemo cleanup --dataset-mapping config/minimal.json --run h4l-20261123-201500
      higgsdemo cleanup --clusters cern,gke --all --dry-run
    """
    from higgsdemo.clusters import cluster_names
    from higgsdemo.clusters.cleanup import Scope
    from higgsdemo.clusters.cleanup import cleanup as clean_one

    names = cluster_names(dataset_mapping, clusters, cluster, prefix)
    if run is not None and everything:
        raise UsageError(
            "--run and --all exclude each other", hint="what prepare made is of no run"
        )
    scope = Scope(
        labels.check_namespace(namespace),
        labels.check_label(run) if run is not None else None,
        everything,
        dry_run,
        60 * timeout,
    )
    if run is None and not dry_run and not yes:
        _ask(names, namespace, everything)
    came = everywhere(
        names, kubeconfig, patience, lambda one, tell, stop: clean_one(one, scope, tell, stop)
    )
    if as_json:
        print_json([_cleaned(each, came.requests[each.cluster]) for each in came.done])
    else:
        _tell_cleaned(came.done, dry_run)
    came.raise_failed()


def _ask(names: Sequence[str], namespace: str, everything: bool) -> None:
    what = "all runs and what prepare made" if everything else "all runs"
    where = f"in namespace {namespace} of {', '.join(names)}"
    if not sys.stdin.isatty():
        raise UsageError(
            f"{what} would be removed {where}",
            hint="say --yes where nobody can be asked; or name one run: --run RUN",
        )
    err.print(f"this removes {what} {escape(where)}")
    if not typer.confirm("remove them?", err=True):
        raise HiggsdemoError("nothing was removed")


def _tell_cleaned(done: Sequence[Cleaned], dry_run: bool) -> None:
    for each in done:
        what = ", ".join(f"{count} {kind}" for kind, count in sorted(each.removed.items()))
        runs = f" of {', '.join(each.runs)}" if each.runs else ""
        said = "would remove" if dry_run else "removed"
        out.print(f"[bold]{escape(each.cluster)}[/]: {said} {what or 'nothing'}{escape(runs)}")
        if not dry_run:
            out.print(f"  looked through {each.kinds} kinds of objects: nothing of it is left")
        if each.unseen:
            out.print(f"  [yellow]not seen, for want of permission:[/] {', '.join(each.unseen)}")
        for note in each.notes:
            out.print(f"  {escape(note)}")


def _cleaned(each: Cleaned, requests: int) -> dict[str, Any]:
    return {
        "cluster": each.cluster,
        "removed": dict(each.removed),
        "runs": list(each.runs),
        "kinds_looked_through": each.kinds,
        "kinds_not_seen": list(each.unseen),
        "notes": list(each.notes),
        "requests": requests,
    }
