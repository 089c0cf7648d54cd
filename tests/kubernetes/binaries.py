"""Where the clusters' programs are: where `scripts/install-test-kubernetes` built them."""

import hashlib
import os
import shutil
from functools import cache
from pathlib import Path

from tests.services.programs import UnavailableError

ROOT = Path(__file__).parents[2]
INSTALLER = ROOT / "scripts" / "install-test-kubernetes"
MODULES = Path(__file__).with_name("programs")


def folder() -> Path:
    """Return the folder of the programs built; the installer names it likewise."""
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(INSTALLER.read_bytes())
    for file in sorted(MODULES.glob("*/*")):
        digest.update(file.read_bytes())
    return cache_home / "higgsdemo" / f"kubernetes-{digest.hexdigest()[:10]}"


@cache
def built(name: str) -> Path:
    """Return the path of a program built from a Go module, or raise `UnavailableError`."""
    found = folder() / "bin" / name
    if not (folder() / ".complete").exists() or not found.exists():
        raise UnavailableError(f"no program {name!r} here: run scripts/install-test-kubernetes")
    return found


@cache
def installed(name: str) -> Path:
    """Return the path of a program of the system, or raise `UnavailableError`."""
    search = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/lib/cni"))
    found = shutil.which(name, path=search)
    if found is None:
        raise UnavailableError(f"no program {name!r} here: run scripts/install-test-kubernetes")
    return Path(found)


def needs_root() -> None:
    """Raise `UnavailableError` for who may not make namespaces, bridges and mounts."""
    if os.geteuid() != 0:
        raise UnavailableError("real nodes of Kubernetes clusters need root")
