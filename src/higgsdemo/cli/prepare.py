"""`prepare`: clusters made ready for runs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from higgsdemo.cli.parts.console import err, out, print_json, print_table
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
from higgsdemo.errors import UsageError

if TYPE_CHECKING:
    from higgsdemo.clusters.prepare import Prepared

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
    from higgsdemo.clusters import cluster_names, credentials
    from higgsdemo.clusters.documents import Image
    from higgsdemo.clusters.prepare import Preparation
    from higgsdemo.clusters.prepare import prepare as prepare_one

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
    came = everywhere(
        names, kubeconfig, patience, lambda one, tell, stop: prepare_one(one, wanted, tell, stop)
    )
    if as_json:
        print_json([_prepared(each, came.requests[each.cluster]) for each in came.done])
    else:
        _tell_prepared(came.done, dry_run)
    came.raise_failed()


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
