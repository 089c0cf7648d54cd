"""`prepare`, `cleanup`: clusters made ready for runs, and left as they were."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from higgsdemo.cli.parts.console import err, out, print_json, print_table, say_error
from higgsdemo.cli.parts.options import AsJson
from higgsdemo.clusters import labels
from higgsdemo.clusters.mapping import PREFIX
from higgsdemo.errors import HiggsdemoError, UsageError

if TYPE_CHECKING:
    from higgsdemo.clusters.cleanup import Cleaned
    from higgsdemo.clusters.prepare import Prepared

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
Toleration = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY[=VALUE][:EFFECT]", help="Also on nodes with this taint; may be repeated."
    ),
]
NodeSelector = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="Only on nodes with this label; may be repeated."),
]


def prepare(
    dataset_mapping: MappingFile = None,
    clusters: Clusters = "",
    cluster: OneCluster = None,
    namespace: Namespace = labels.NAMESPACE,
    image: Annotated[
        str,
        typer.Option(
            envvar="HIGGSDEMO_IMAGE", help="Image of the workers, pulled on every node now."
        ),
    ] = "",
    pull_secret: Annotated[
        str, typer.Option(metavar="NAME", help="Secret of the namespace that a registry asks for.")
    ] = "",
    always_pull: Annotated[
        bool, typer.Option("--always-pull", help="Pull also where a node has an image of the name.")
    ] = False,
    check_command: Annotated[
        str,
        typer.Option(
            metavar="COMMAND",
            help="Run in the image once on each node, to see that it works there.",
        ),
    ] = 'python3 -c "import higgsdemo.worker"',
    hold_command: Annotated[
        str,
        typer.Option(metavar="COMMAND", help="Run after it until all nodes have the image."),
    ] = 'python3 -c "import signal; signal.pause()"',
    access_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Of the storage. Better from the environment: others see arguments.",
        ),
    ] = None,
    secret_key: Annotated[str | None, typer.Option(metavar="KEY", help="Goes with it.")] = None,
    with_redis: Annotated[
        bool, typer.Option("--with-redis", help="A Redis in the cluster, for results on their way.")
    ] = False,
    redis_image: Annotated[str, typer.Option(help="Its image.")] = "docker.io/library/redis:8",
    egress_port: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            max=65535,
            help="Pods may also connect to this port elsewhere (besides 53, 80, 443, 1094, 1095, "
            "6379); may be repeated.",
        ),
    ] = None,
    grant: Annotated[
        list[str] | None,
        typer.Option(
            metavar="USER", help="Let this user submit, watch and clean up here; may be repeated."
        ),
    ] = None,
    toleration: Toleration = None,
    node_selector: NodeSelector = None,
    timeout: Annotated[
        float, typer.Option(min=1, metavar="MINUTES", help="How long to wait.")
    ] = 15,
    patience: PatienceS = 60,
    kubeconfig: Kubeconfig = None,
    prefix: Prefix = PREFIX,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Check everything, let the clusters check it, make nothing."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make clusters ready for runs, all at once: nothing but pods is left to start on stage.

    In each: version, permissions and quotas checked first; a namespace that enforces restricted
    pod security; the account of workers, which may do nothing; their credentials, taken from the
    environment (AWS_*, GS_*, BEARER_TOKEN, REDIS_*); a network policy; the image on every node.
    Can be killed and repeated: what is as it should be stays so.

    [bold]Examples[/]

      higgsdemo prepare --dataset-mapping config/minimal.json --image registry.example.org/worker:1
      higgsdemo prepare --clusters cern,gke --with-redis --dry-run
    """
    from higgsdemo.clusters import Patience, credentials
    from higgsdemo.clusters.chosen import cluster_names, open_clusters, several
    from higgsdemo.clusters.documents import Image
    from higgsdemo.clusters.prepare import Preparation, in_parallel
    from higgsdemo.clusters.prepare import prepare as prepare_one
    from higgsdemo.display.steps import Steps

    names = cluster_names(dataset_mapping, clusters, cluster, prefix)
    wanted = Preparation(
        namespace=labels.check_namespace(namespace),
        image=Image(
            image,
            "Always" if always_pull else "IfNotPresent",
            pull_secret,
            _command(check_command, "--check-command"),
            _command(hold_command, "--hold-command"),
        )
        if image
        else None,
        credentials=credentials.from_environment(os.environ, _keys(access_key, secret_key)),
        scheduling=_scheduling(toleration, node_selector),
        egress_ports=tuple(egress_port or ()),
        grant=tuple(grant or ()),
        redis_image=redis_image if with_redis else "",
        timeout_s=60 * timeout,
        dry_run=dry_run,
    )
    if not image and not as_json:
        err.print("[yellow]no --image:[/] each node will pull it when its first task starts")
    with open_clusters(names, kubeconfig, Patience.of(patience)) as opened:
        with Steps(err, names) as steps:
            done, failed = in_parallel(
                opened,
                lambda one, stop: prepare_one(
                    one, wanted, lambda step: steps.tell(one.name, step), stop
                ),
            )
        requests = {one.name: one.traffic.requests for one in opened}
    if as_json:
        print_json([_prepared(each, requests[each.cluster]) for each in done])
    else:
        _tell_prepared(done, dry_run)
    _raise(failed, several, len(names))


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

    [bold]Examples[/]

      higgsdemo cleanup --cluster kubecon-demo-0
      higgsdemo cleanup --dataset-mapping config/minimal.json --run h4l-20261123-201500
      higgsdemo cleanup --clusters cern,gke --all --dry-run
    """
    from higgsdemo.clusters import Patience
    from higgsdemo.clusters.chosen import cluster_names, open_clusters, several
    from higgsdemo.clusters.cleanup import Scope
    from higgsdemo.clusters.cleanup import cleanup as clean_one
    from higgsdemo.clusters.prepare import in_parallel
    from higgsdemo.display.steps import Steps

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
    if run is None and not dry_run and not yes and sys.stdin.isatty():
        _ask(names, namespace, everything)
    with open_clusters(names, kubeconfig, Patience.of(patience)) as opened:
        with Steps(err, names) as steps:
            done, failed = in_parallel(
                opened,
                lambda one, stop: clean_one(
                    one, scope, lambda step: steps.tell(one.name, step), stop
                ),
            )
        requests = {one.name: one.traffic.requests for one in opened}
    if as_json:
        print_json([_cleaned(each, requests[each.cluster]) for each in done])
    else:
        _tell_cleaned(done, dry_run)
    _raise(failed, several, len(names))


def _keys(access_key: str | None, secret_key: str | None) -> tuple[str, str] | None:
    if (access_key is None) != (secret_key is None):
        raise UsageError("--access-key and --secret-key belong together")
    if access_key is None or secret_key is None:
        return None
    err.print(
        "[yellow]keys in a command line are seen by all users of this machine[/]: give them as "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
    )
    return access_key, secret_key


def _command(text: str, option: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"{option} is not a command", why=str(error), where=text) from error
    if not words:
        raise UsageError(f"{option} is empty")
    return words


def _scheduling(tolerations: list[str] | None, selectors: list[str] | None) -> Any:
    from higgsdemo.clusters.documents import Scheduling
    from higgsdemo.clusters.scheduling import read_node_selector, read_toleration

    return Scheduling(
        tuple(read_toleration(each) for each in tolerations or ()),
        read_node_selector(selectors or ()),
    )


def _ask(names: Sequence[str], namespace: str, everything: bool) -> None:
    what = "all runs and what prepare made" if everything else "all runs"
    err.print(f"this removes {what} in namespace {namespace} of {escape(', '.join(names))}")
    if not typer.confirm("remove them?", err=True):
        raise HiggsdemoError("nothing was removed")


def _tell_prepared(done: Sequence[Prepared], dry_run: bool) -> None:
    from higgsdemo.display.tables import new_table, number, size

    if not done:
        return
    table = new_table(
        "cluster", "version", "nodes", "cores", "memory", "image on", "objects",
        right=["nodes", "cores", "memory", "image on", "objects"],
    )  # fmt: skip
    for each in done:
        room = each.capacity
        table.add_row(
            escape(each.cluster),
            each.version,
            number(room.nodes if room else None),
            number(room.cores if room else None),
            size(room.memory_bytes if room else None),
            f"{each.pulled.ready}/{each.pulled.nodes} nodes" if each.pulled else "-",
            str(len(each.applied)),
        )
    print_table(table)
    for each in done:
        for note in each.notes:
            out.print(f"{escape(each.cluster)}: {escape(note)}")
    if dry_run:
        for name in done[0].applied:
            out.print(f"  would make or change: {name}")
        out.print("nothing was made")


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


def _prepared(each: Prepared, requests: int) -> dict[str, Any]:
    return {
        "cluster": each.cluster,
        "version": each.version,
        "nodes": each.capacity and each.capacity.nodes,
        "cores": each.capacity and each.capacity.cores,
        "memory_bytes": each.capacity and each.capacity.memory_bytes,
        "image_on_nodes": each.pulled and each.pulled.ready,
        "image_nodes": each.pulled and each.pulled.nodes,
        "objects": list(each.applied),
        "notes": list(each.notes),
        "requests": requests,
    }


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


def _raise(failed: Sequence[HiggsdemoError], several: Any, of: int) -> None:
    if not failed:
        return
    if of > 1:
        for error in failed:
            say_error(error)
    raise several(failed, of)
