"""`notebook`: JupyterLab with the notebooks of the project."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

import higgsdemo
from higgsdemo.cli.parts.console import err, out
from higgsdemo.errors import RunError, UsageError

TOUR = "live-tour.ipynb"
_NEXT = 50  # ports tried after one that is in use
_LOOPBACK = "127.0.0.1"


def notebook(
    folder: Annotated[
        Path,
        typer.Option(help="Where the notebooks are copied to; what is there already stays."),
    ] = Path("higgsdemo-notebooks"),
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port, or the next free one (0: any free).")
    ] = 8888,
    no_open: Annotated[bool, typer.Option("--no-open", help="Open no browser.")] = False,
) -> None:
    """Open JupyterLab with the tour: the discovery step by step, and a run live in a cell.

    It listens on the loopback interface and asks for the token in the address that is printed.
    Ctrl-C ends it.
    """
    if importlib.util.find_spec("jupyterlab") is None:
        raise UsageError(
            "notebooks need JupyterLab, which is not installed",
            hint="pip install 'higgsdemo[notebook]'",
        )
    _copy(folder)
    chosen = _free(port)
    token = secrets.token_urlsafe(24)
    if port not in (0, chosen):
        err.print(f"[yellow]port {port} is in use:[/] taking {chosen}")
    out.print(
        f"JupyterLab: http://{_LOOPBACK}:{chosen}/lab/tree/{TOUR}?token={token}", soft_wrap=True
    )
    err.print(
        f"from another machine: ssh -L {chosen}:{_LOOPBACK}:{chosen} THIS-HOST, then the same"
    )
    command = [
        *(sys.executable, "-m", "jupyterlab", f"--ServerApp.ip={_LOOPBACK}"),
        *(f"--ServerApp.port={chosen}", "--ServerApp.port_retries=0", "--ServerApp.log_level=WARN"),
        f"--ServerApp.root_dir={folder.resolve()}",
        # Jupyter refuses root unless told: in a container there is often nobody else.
        *(["--allow-root"] if os.geteuid() == 0 else []),
        *(["--no-browser"] if no_open else [f"--LabApp.default_url=/lab/tree/{TOUR}"]),
    ]
    # The token goes by the environment: argument lists are seen by all users of a machine.
    server = subprocess.Popen(command, env={**os.environ, "JUPYTER_TOKEN": token},
                              stdin=subprocess.DEVNULL)  # fmt: skip
    try:
        status = server.wait()
    finally:
        server.terminate()
        server.wait()
    if status != 0:
        raise RunError("JupyterLab ended with an error", why=f"exit status {status}")


def source() -> Path:
    """Return the folder of the notebooks: in the package as installed, or beside its sources."""
    package = Path(higgsdemo.__file__).parent
    for folder in (package / "notebooks", package.parents[1] / "notebooks"):
        if (folder / TOUR).is_file():
            return folder
    raise RunError("the notebooks are missing", where=str(package), hint="install higgsdemo again")


def _copy(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in source().glob("*.ipynb"):
            if not (folder / path.name).exists():
                shutil.copyfile(path, folder / path.name)
    except OSError as error:
        raise RunError(
            "the notebooks cannot be copied",
            where=str(folder),
            why=error.strerror or str(error),
            hint="choose another folder with --folder",
        ) from error


def _free(port: int) -> int:
    """Return the port if it is free, else the next one that is."""
    for candidate in [0] if port == 0 else range(port, min(port + _NEXT, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_LOOPBACK, candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise UsageError(
        f"no port from {port} to {min(port + _NEXT, 65536) - 1} is free", hint="--port 0 takes any"
    )
