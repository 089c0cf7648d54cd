"""The options of storage, for every command whose workers read or write files elsewhere.

    @storage_options
    def run(..., storage: Storing) -> None:

What they say becomes variables of the environment (`Access` reads them), which worker processes
inherit. Of these `Storing.plain` may be written down, `Storing.secret` never. A folder for whole
files is one of this machine, unless workers are pods.
"""

from __future__ import annotations

import functools
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from higgsdemo.cli.parts.console import err
from higgsdemo.cli.parts.options import gathered
from higgsdemo.errors import UsageError
from higgsdemo.storage import Access
from higgsdemo.storage.access import StageIn

_PANEL = "Storage"
_SECRET = ("HIGGSDEMO_ACCESS_KEY", "HIGGSDEMO_SECRET_KEY")

StorageHost = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Endpoint of an S3-compatible store, for s3:// files; path style.",
        rich_help_panel=_PANEL,
    ),
]
StorageCa = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Certificates (PEM) to trust, of servers.", rich_help_panel=_PANEL
    ),
]
Anonymous = Annotated[
    bool,
    typer.Option("--anonymous", help="Public buckets: sign nothing.", rich_help_panel=_PANEL),
]
StageInto = Annotated[
    str | None,
    typer.Option(
        "--stage-in",
        metavar="FOLDER[:LIMIT]",
        help="Copy whole files to this folder first, e.g. /dev/shm:4GB; so much at a time.",
        rich_help_panel=_PANEL,
    ),
]
AccessKey = Annotated[
    str | None,
    typer.Option(
        metavar="KEY",
        help="Of s3:// (or HMAC, of gs://). Better from the environment: others see arguments.",
        rich_help_panel=_PANEL,
    ),
]
SecretKey = Annotated[
    str | None, typer.Option(metavar="KEY", help="Goes with it.", rich_help_panel=_PANEL)
]
DownloadMaxKb = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="KB",
        help="At most so many kB a second, each worker.",
        rich_help_panel=_PANEL,
    ),
]
UploadMaxKb = Annotated[
    float | None,
    typer.Option(
        min=0, metavar="KB", help="The same, for what is written.", rich_help_panel=_PANEL
    ),
]


@dataclass(frozen=True)
class Storing:
    """What to connect to, and as whom, as variables of the environment.

    `plain` may be kept with a run. `secret` reaches workers by a secret channel only: an
    inherited environment or a mounted secret, never arguments, manifests or logs.
    """

    plain: Mapping[str, str] = field(default_factory=dict)
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def variables(self) -> dict[str, str]:
        """All variables that a worker needs besides those of our own environment."""
        return {**self.plain, **self.secret}

    def access(self) -> Access:
        """Return the same for this process. Raises UsageError for values that make no sense."""
        return Access.from_environment({**os.environ, **self.variables})

    def staging_here(self) -> Storing:
        """Return this for workers of this machine. UsageError if they cannot stage files in."""
        stage = self._stage_said()
        if stage is None:
            return self
        _check_folder(stage.folder)
        return self._with_stage(stage.folder.absolute(), stage.limit_bytes)

    def staging_in_pods(self) -> Storing:
        """Return this for pods, whose folders are not ours. UsageError for one that cannot be."""
        stage = self._stage_said()
        if stage is None:
            return self
        if not stage.folder.is_absolute() or stage.folder == Path("/"):
            raise UsageError(
                "pods cannot stage files in there",
                why="a folder of a pod is named from its root on",
                where=str(stage.folder),
                hint="write /FOLDER or /FOLDER:LIMIT, e.g. --stage-in /dev/shm:4GB",
            )
        return self._with_stage(stage.folder, stage.limit_bytes)

    def _stage_said(self) -> StageIn | None:
        return self.access().stage_in if self.plain.get("HIGGSDEMO_STAGE_IN") else None

    def _with_stage(self, folder: Path, limit_bytes: int | None) -> Storing:
        limit = "" if limit_bytes is None else f":{limit_bytes}"
        return Storing({**self.plain, "HIGGSDEMO_STAGE_IN": f"{folder}{limit}"}, self.secret)

    def over(self, kept: Mapping[str, str]) -> Storing:
        """Return this with what a run was begun with for whatever is not said anew."""
        return Storing({**kept, **self.plain}, self.secret)


def storage_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of storage; it has them as one `Storing`, called `storage`.

    Its workers are those of this machine, unless it has the option `executor` and that says pods.
    """
    return _with_options(command, lambda given: given.get("executor") == "kubernetes")


def pod_storage_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give the same to a command whose workers are pods."""
    return _with_options(command, lambda _: True)


def _with_options(
    command: Callable[..., None], in_pods: Callable[[Mapping[str, Any]], bool]
) -> Callable[..., None]:
    @functools.wraps(command)
    def with_storage(*, storage: Storing, **given: Any) -> None:
        staging = storage.staging_in_pods() if in_pods(given) else storage.staging_here()
        command(storage=staging, **given)

    return gathered(with_storage, "storage", _chosen)


def _chosen(
    *,
    storage_host: StorageHost = None,
    storage_ca: StorageCa = None,
    anonymous: Anonymous = False,
    stage_in: StageInto = None,
    access_key: AccessKey = None,
    secret_key: SecretKey = None,
    download_max_kb: DownloadMaxKb = None,
    upload_max_kb: UploadMaxKb = None,
) -> Storing:
    """Check what the options say, and return it as variables."""
    if (access_key is None) != (secret_key is None):
        raise UsageError("--access-key and --secret-key belong together")
    if anonymous and access_key is not None:
        raise UsageError("--anonymous signs nothing, and keys are given", hint="leave one out")
    if access_key is not None:
        err.print(
            "[yellow]keys in a command line are seen by all users of this machine[/]: give them as "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or in a profile"
        )
    plain = {
        "HIGGSDEMO_STORAGE_HOST": storage_host,
        "HIGGSDEMO_STORAGE_CA": None if storage_ca is None else _certificates(storage_ca),
        "HIGGSDEMO_ANONYMOUS": "1" if anonymous else None,
        "HIGGSDEMO_STAGE_IN": stage_in,
        "HIGGSDEMO_DOWNLOAD_MAX_KB": _number(download_max_kb),
        "HIGGSDEMO_UPLOAD_MAX_KB": _number(upload_max_kb),
    }
    secret = dict(zip(_SECRET, (access_key, secret_key), strict=True))
    found = Storing(_given(plain), _given(secret))
    found.access()  # tells what makes no sense
    return found


def _given(variables: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if value is not None}


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:g}"


def _certificates(path: Path) -> str:
    """Return the absolute path of a file of certificates that can be read."""
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:  # SSLError: it is there, and is no PEM
        why = "there is no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise UsageError(
            "cannot read the certificates to trust",
            why=why,
            where=str(path),
            hint="--storage-ca wants a file with PEM certificates",
        ) from error
    return str(path.absolute())


def _check_folder(folder: Path) -> None:
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        return
    why = "it is not writable" if folder.is_dir() else "there is no such folder"
    raise UsageError(
        "cannot stage files in there",
        why=why,
        where=str(folder),
        hint="write FOLDER or FOLDER:LIMIT, e.g. --stage-in /dev/shm:4GB",
    )
