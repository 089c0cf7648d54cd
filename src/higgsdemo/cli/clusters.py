"""`clusters-create`, `clusters-delete`: the clusters of a dataset mapping."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from higgsdemo.cli.parts.console import err, out, print_json, print_table, say_error
from higgsdemo.cli.parts.options import AsJson
from higgsdemo.clusters.mapping import PREFIX, ClusterEntry, read_mapping
from higgsdemo.errors import HiggsdemoError, UsageError

Mapping = Annotated[
    Path,
    typer.Option(
        "--dataset-mapping", metavar="FILE", help="The clusters: a JSON list, as in config/."
    ),
]
ProviderName = Annotated[
    str, typer.Option(help="Where clusters are made: gke, magnum, kind or existing.")
]
Prefix = Annotated[
    str, typer.Option(help="Begins the names of clusters; the place in the list ends them.")
]
Project = Annotated[
    str,
    typer.Option(
        "--gcs-project-id", envvar="GOOGLE_CLOUD_PROJECT", help="Google Cloud project (gke)."
    ),
]
Region = Annotated[
    str,
    typer.Option(
        "--gcs-region", help="Region, or zone (gke). In a region, nodes are those of each zone."
    ),
]
Cloud = Annotated[
    str, typer.Option("--os-cloud", envvar="OS_CLOUD", help="Cloud of clouds.yaml (magnum).")
]
Kubeconfig = Annotated[
    Path | None,
    typer.Option(
        help="File for the contexts.", show_default="first of KUBECONFIG, or ~/.kube/config"
    ),
]
Timeout = Annotated[float, typer.Option(min=0, metavar="MINUTES", help="How long to wait.")]


def clusters_create(
    dataset_mapping: Mapping,
    provider: ProviderName = "gke",
    prefix: Prefix = PREFIX,
    gcs_project_id: Project = "",
    gcs_region: Region = "europe-west4",
    spot: Annotated[bool, typer.Option("--spot", help="Machines that may be taken away.")] = False,
    kubernetes_version: Annotated[
        str, typer.Option(help="Version of Kubernetes (gke).", show_default="the provider's")
    ] = "",
    cluster_template: Annotated[str, typer.Option(help="Cluster template (magnum).")] = "",
    keypair: Annotated[str, typer.Option(help="SSH key of the nodes (magnum).")] = "",
    os_cloud: Cloud = "",
    kind_image: Annotated[str, typer.Option(help="Node image (kind).")] = "",
    kubeconfig: Kubeconfig = None,
    timeout: Timeout = 45,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be made and stop.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make one cluster per entry of a mapping, all at once, and wait until they are ready.

    What is there already is used as it is, so the command can be killed and repeated. Each cluster
    becomes a context of the kubeconfig.

    [bold]Examples[/]

      higgsdemo clusters-create --dataset-mapping config/minimal.json --gcs-project-id my-project
      higgsdemo clusters-create --dataset-mapping config/laptop.json --provider kind
    """
    from higgsdemo.clusters.providers import Wanted, Wishes, create_all, open_provider
    from higgsdemo.display.clusters import ClusterProgress, ended_table

    entries = read_mapping(dataset_mapping, prefix)
    wishes = Wishes(
        gcs_project_id, gcs_region, spot, kubernetes_version, cluster_template, keypair, os_cloud,
        kind_image, kubeconfig,
    )  # fmt: skip
    chosen = open_provider(provider, wishes)
    wanted = [Wanted(entry.name, entry.flavor, entry.nodes) for entry in entries]
    for one in wanted:
        chosen.check(one)
    if dry_run:
        _show(entries, [(one.name, chosen.describe(one)) for one in wanted], as_json)
        return
    with ClusterProgress(err, [one.name for one in wanted]) as progress:
        ended = _waited(
            lambda: create_all(
                chosen, wanted, kubeconfig=kubeconfig, tell=progress.tell, patience_s=60 * timeout
            )
        )
    _tell(ended, as_json, ended_table)
    if not as_json:
        names = ",".join(one.name for one in ended)
        out.print(f"next: higgsdemo prepare --dataset-mapping {dataset_mapping}  ({escape(names)})")


def clusters_delete(
    dataset_mapping: Mapping,
    provider: ProviderName = "gke",
    prefix: Prefix = PREFIX,
    gcs_project_id: Project = "",
    gcs_region: Region = "europe-west4",
    os_cloud: Cloud = "",
    kubeconfig: Kubeconfig = None,
    orphans: Annotated[
        bool,
        typer.Option(
            "--orphans", help="Also those of the prefix that the mapping does not have (any more)."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    timeout: Timeout = 45,
    as_json: AsJson = False,
) -> None:
    """Delete the clusters of a mapping, after asking, and forget their contexts.

    Only clusters that clusters-create made are deleted. Clusters of the prefix that are not in the
    mapping are shown, and deleted with --orphans.

    [bold]Example[/]:  higgsdemo clusters-delete --dataset-mapping config/minimal.json
    """
    from higgsdemo.clusters.providers import State, Wishes, delete_all, open_provider
    from higgsdemo.display.clusters import ClusterProgress, ended_table

    names = [entry.name for entry in read_mapping(dataset_mapping, prefix)]
    wishes = Wishes(gcs_project_id, gcs_region, cloud=os_cloud, kubeconfig=kubeconfig)
    chosen = open_provider(provider, wishes)
    if provider == "existing":
        chosen.delete(names[0])  # says why not
    if not prefix:
        raise UsageError("an empty --prefix would name all clusters there are")
    found = {one.name: one for one in chosen.named(prefix)}
    for name in names:
        if name not in found:
            found[name] = chosen.look(name)
    there = [name for name in names if found[name].state is not State.ABSENT]
    lost = sorted(name for name, one in found.items() if name not in names and one.ours)
    if lost and not orphans:
        err.print(f"of the prefix but not of the mapping, left alone: {escape(', '.join(lost))}")
        err.print("  [bold]what to do:[/] to delete them too: --orphans")
    doomed = [*there, *(lost if orphans else [])]
    if doomed and not yes:
        _ask(doomed)
    with ClusterProgress(err, doomed) as progress:
        # Those that are gone already still may have a context.
        ended = _waited(
            lambda: delete_all(
                chosen,
                [*dict.fromkeys([*doomed, *names])],
                kubeconfig=kubeconfig,
                tell=progress.tell,
                patience_s=60 * timeout,
            )
        )
    shown = [one for one in ended if one.name in doomed or one.error]
    if not shown and not as_json:
        out.print("none of these clusters is there")
        return
    _tell(shown, as_json, ended_table)


def _ask(doomed: Sequence[str]) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            f"{len(doomed)} clusters would be deleted: {', '.join(doomed)}",
            hint="say --yes where nobody can be asked",
        )
    err.print(f"this deletes {len(doomed)} clusters: {escape(', '.join(doomed))}")
    if not typer.confirm("delete them?", err=True):
        raise HiggsdemoError("nothing was deleted")


def _show(entries: Sequence[ClusterEntry], asked: list[tuple[str, str]], as_json: bool) -> None:
    from higgsdemo.display.tables import new_table, number

    if as_json:
        print_json(
            [
                {"cluster": name, "asks_for": words, "datasets": len(entry.datasets)}
                for entry, (name, words) in zip(entries, asked, strict=True)
            ]
        )
        return
    table = new_table("cluster", "asks for", "datasets", right=["datasets"])
    for entry, (name, words) in zip(entries, asked, strict=True):
        table.add_row(escape(name), escape(words), number(len(entry.datasets)))
    print_table(table)
    out.print("nothing was made")


def _waited(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except KeyboardInterrupt:
        err.print(
            "interrupted: what was asked for goes on at the provider\n"
            "  [bold]what to do:[/] repeat the command to wait for it, or clusters-delete"
        )
        raise


def _tell(ended: Sequence[Any], as_json: bool, table: Callable[[Sequence[Any]], Any]) -> None:
    """Print how it ended; HiggsdemoError if it failed for any."""
    failed = [one for one in ended if one.error]
    if as_json:
        print_json(
            [
                {
                    "cluster": one.name,
                    "state": one.state,
                    "seconds": round(one.seconds, 1),
                    "note": one.note,
                    "error": one.error.lines() if one.error else None,
                }
                for one in ended
            ]
        )
    else:
        print_table(table(ended))
    if len(failed) == 1:
        raise failed[0].error
    if failed:
        for one in failed[:3]:
            say_error(one.error)
        raise HiggsdemoError(
            f"{len(failed)} of {len(ended)} clusters failed: "
            + ", ".join(one.name for one in failed),
            hint="the others are ready; repeat the command when the cause is mended",
        )
