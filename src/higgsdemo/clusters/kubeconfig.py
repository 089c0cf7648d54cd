"""Writing into a kubeconfig: entries merged in, the file replaced in one step, never half written.

Two locks, because two kinds of programs write there. Ours hold an flock on a file beside it, which
the system frees when we are killed. kubectl and other tools of its kind make `config.lock`; we make
it too, for the moment of writing, and take it over when it is older than any of them ever needs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from higgsdemo.errors import HiggsdemoError, UsageError

_STALE_S = 10.0  # kubectl holds its lock for milliseconds: an older one is of a killed process
_PATIENCE_S = 30.0
_SECTIONS = ("clusters", "users", "contexts")


@dataclass(frozen=True, slots=True)
class Entry:
    """What a kubeconfig says of one cluster: context, cluster and user have its name.

    `ca_data` is the certificate authority in base64, `user` what proves who we are (an `exec`
    plugin, a client certificate, a token). Neither is ever printed.
    """

    name: str
    server: str
    ca_data: str
    user: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Entry({self.name!r}, {self.server!r})"


def default_path() -> Path:
    """Return the file that is written: the first that KUBECONFIG names, else ~/.kube/config."""
    named = [each for each in os.environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    return Path(named[0]).expanduser() if named else Path.home() / ".kube" / "config"


def write_entries(entries: Iterable[Entry], path: Path | None = None) -> None:
    """Put entries into a kubeconfig; those of the same names are replaced, others are kept.

    The file gets mode 0600. Raises UsageError for a file that is not a kubeconfig (it is left
    alone), HiggsdemoError where it cannot be written.
    """
    given = {entry.name: entry for entry in entries}

    def change(document: dict[str, Any]) -> None:
        _drop(document, given)
        for entry in given.values():
            document["clusters"].append(
                {
                    "name": entry.name,
                    "cluster": {
                        "server": entry.server,
                        "certificate-authority-data": entry.ca_data,
                    },
                }
            )
            document["users"].append({"name": entry.name, "user": dict(entry.user)})
            document["contexts"].append(
                {"name": entry.name, "context": {"cluster": entry.name, "user": entry.name}}
            )
        if not document.get("current-context") and given:
            document["current-context"] = next(iter(given))

    if given:
        _change(path or default_path(), change)


def remove_entries(names: Iterable[str], path: Path | None = None) -> None:
    """Take the contexts of these names out, with the clusters and users of the same names."""
    gone = set(names)
    path = path or default_path()

    def change(document: dict[str, Any]) -> None:
        _drop(document, gone)
        if document.get("current-context") in gone:
            document["current-context"] = ""

    if gone and path.exists():
        _change(path, change)


def _drop(document: dict[str, Any], names: Container[Any]) -> None:
    for section in _SECTIONS:
        document[section] = [
            each
            for each in document.get(section) or []
            if not (isinstance(each, dict) and each.get("name") in names)
        ]


def _change(path: Path, change: Any) -> None:
    path = path.resolve()  # a link stays a link
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(path):
            before = path.read_bytes() if path.exists() else b""
            document = _parsed(before, path)
            change(document)
            after = yaml.safe_dump(document, sort_keys=False).encode()
            if after != before:
                _replace(path, after)
            elif path.stat().st_mode & 0o077:
                path.chmod(0o600)
    except OSError as error:
        raise HiggsdemoError(
            "the kubeconfig cannot be written",
            where=str(path),
            why=error.strerror or str(error),
            hint="choose another with --kubeconfig or KUBECONFIG",
        ) from error


def _parsed(text: bytes, path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(text) if text.strip() else {}
    except yaml.YAMLError as error:
        raise _not_one(path, " ".join(str(error).split())) from error
    if not isinstance(document, dict):
        raise _not_one(path, f"it holds a {type(document).__name__}")
    for section in _SECTIONS:
        if not isinstance(document.get(section) or [], list):
            raise _not_one(path, f"{section} is not a list")
    return {"apiVersion": "v1", "kind": "Config", **document}


def _not_one(path: Path, why: str) -> UsageError:
    return UsageError(
        "not a kubeconfig", where=str(path), why=why, hint="it is left as it is; choose another"
    )


def _replace(path: Path, text: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    deadline = time.monotonic() + _PATIENCE_S
    with path.with_name(f".{path.name}.higgsdemo-lock").open("a") as ours:
        while True:
            try:
                fcntl.flock(ours, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                _wait(path, deadline)
        theirs = path.with_name(f"{path.name}.lock")
        while True:
            try:
                os.close(os.open(theirs, os.O_CREAT | os.O_EXCL, 0o600))
                break
            except FileExistsError:
                with contextlib.suppress(FileNotFoundError):
                    if time.time() - theirs.stat().st_mtime > _STALE_S:
                        theirs.unlink()
                        continue
                _wait(path, deadline)
        try:
            yield
        finally:
            theirs.unlink(missing_ok=True)


def _wait(path: Path, deadline: float) -> None:
    if time.monotonic() > deadline:
        raise HiggsdemoError(
            "the kubeconfig is locked by another program",
            where=str(path),
            hint=f"if none is running, remove {path}.lock",
        )
    time.sleep(0.05)
