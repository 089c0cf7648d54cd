"""A submission given again: what it says now must be what the run was made with."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from higgsdemo.cli.parts.placing import Placing
from higgsdemo.cli.parts.pods import PASSED, pod_settings
from higgsdemo.cli.parts.storing import Storing
from higgsdemo.errors import UsageError

if TYPE_CHECKING:
    import typer

    from higgsdemo.executors import Policy
    from higgsdemo.executors.kubernetes.settings import PodSettings
    from higgsdemo.ledger import RunDirectory

SHAPE = "shape"
"""Where run.json keeps the options that shape the plan, by name; see `refuse_other_options`."""

_Read = Callable[["PodSettings"], object]


def said(context: typer.Context) -> dict[str, str]:
    """Return the options that were given, in the command or in the environment, by parameter."""
    return {
        one.name: max(one.opts, key=len)
        for one in context.command.params
        if (source := context.get_parameter_source(one.name)) is not None
        and source.name in ("COMMANDLINE", "ENVIRONMENT")
    }


def refuse_other_options(
    made: RunDirectory,
    placing: Placing,
    storage: Storing,
    policy: Policy,
    clusters: Sequence[str],
    shape: Mapping[str, Any],
    given: Mapping[str, str],
) -> None:
    """Raise UsageError if an option that was `given` differs from what a run was made with.

    `clusters` are those that are meant now, `shape` is what shapes the plan: by parameter, as it
    was put into the record. What was not said now stays as it was.
    """
    from higgsdemo.executors.kubernetes.settings import PodSettings

    then = PodSettings.of_record(made.record)
    again = dataclasses.replace(
        placing, image=placing.image or then.image, sinks=placing.sinks or then.sinks
    )
    now = pod_settings(again, storage, policy, clusters, ())
    kept = made.record.get(SHAPE, {})
    for name, option in given.items():
        read = _reader(name, again)
        if read is not None and (clusters or read is not _clusters):
            together = [other for each, other in given.items() if _reader(each, again) is read]
            _compare(made, together or [option], read(then), read(now))
        if name in shape and name in kept:
            _compare(made, [option], kept[name] or None, shape[name] or None)


def _compare(made: RunDirectory, options: Sequence[str], then: object, now: object) -> None:
    if then == now:
        return
    named = " and ".join(options)
    raise UsageError(
        f"run {made.id} was not made with this {named}",
        where=str(made.path),
        why=f"it was {_shown(then)}, now it is {_shown(now)}",
        hint=f"leave {named} out to go on with the run as it is; or give a new run another name: "
        "--run NAME",
    )


def _reader(name: str, now: Placing) -> _Read | None:
    """Return what an option says of pods, as a function of their settings; None if nothing.

    Options of which several say one thing together (where results go) have the same.
    """
    if name in _VARIABLES:
        variable = _VARIABLES[name]
        return lambda settings: settings.environment.get(variable)
    if name == "env":
        return lambda settings: _by_env(settings, now.environment)
    return _READERS.get(name)


def _by_env(settings: PodSettings, said_now: Iterable[str]) -> dict[str, str]:
    """Return the variables of --env: those that no other option and not our environment gave."""
    others = {*PASSED, *_VARIABLES.values(), "HIGGSDEMO_STORAGE_CA"} - set(said_now)
    return {key: text for key, text in settings.environment.items() if key not in others}


def _stage(settings: PodSettings) -> str:
    if not settings.stage_bytes:
        return ""
    return f"{settings.stage_folder}:{settings.stage_bytes}"


def _certificates(settings: PodSettings) -> str:
    text = settings.files.get("storage-ca.pem")
    return f"of SHA-256 {hashlib.sha256(text.encode()).hexdigest()[:12]}" if text else ""


def _sinks(settings: PodSettings) -> list[str]:
    return sorted(settings.sinks)


def _clusters(settings: PodSettings) -> list[str]:
    return sorted(settings.clusters)


def _tolerations(settings: PodSettings) -> list[str]:
    return sorted(
        one["key"]
        + (f"={one['value']}" if "value" in one else "")
        + (f":{one['effect']}" if "effect" in one else "")
        for one in settings.tolerations
    )


_READERS: Mapping[str, _Read] = {
    **dict.fromkeys(("sink", "redis_host", "output_bucket"), _sinks),
    **dict.fromkeys(("clusters", "cluster", "dataset_mapping", "prefix"), _clusters),
    **dict.fromkeys(("toleration", "spot"), _tolerations),
    "image": lambda settings: settings.image,
    "namespace": lambda settings: settings.namespace,
    "memory": lambda settings: f"{settings.memory_bytes} bytes",
    "cpu_limit": lambda settings: settings.cpu,
    "backoff_limit": lambda settings: settings.retries,
    "parallelism": lambda settings: settings.parallelism,
    "tasks_per_pod": lambda settings: settings.tasks_per_pod or "auto",
    "skip_bad_files": lambda settings: settings.skip_bad_files,
    "queue_name": lambda settings: settings.queue_name,
    "pull_secret": lambda settings: settings.pull_secret,
    "pull_policy": lambda settings: settings.pull_policy,
    "node_selector": lambda settings: dict(settings.node_selector),
    "resource": lambda settings: dict(settings.resources),
    "claim": lambda settings: dict(settings.claims),
    "stage_in": _stage,
    "storage_ca": _certificates,
}
_VARIABLES = {
    "gcs_project_id": "GOOGLE_CLOUD_PROJECT",
    "storage_host": "HIGGSDEMO_STORAGE_HOST",
    "anonymous": "HIGGSDEMO_ANONYMOUS",
    "download_max_kb": "HIGGSDEMO_DOWNLOAD_MAX_KB",
    "upload_max_kb": "HIGGSDEMO_UPLOAD_MAX_KB",
}


def _shown(value: object) -> str:
    """Write a value in one line, as a user would."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Mapping):
        value = [f"{key}={text}" for key, text in sorted(value.items())]
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return "none" if value in (None, "") else str(value)
