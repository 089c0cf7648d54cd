"""Where the servers' programs are: on PATH, or where `scripts/install-test-services` put them."""

import hashlib
import os
import shutil
from functools import cache
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


class UnavailableError(Exception):
    """A server's program is not on this machine."""


def from_wheels() -> Path:
    """Return the folder of the programs that come as wheels; the installer names it likewise."""
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:10]
    return cache_home / "higgsdemo" / f"services-{digest}" / "bin"


@cache
def program(name: str) -> str:
    """Return the path of a program, or raise `UnavailableError`."""
    search = os.pathsep.join((str(from_wheels()), os.environ.get("PATH", os.defpath)))
    found = shutil.which(name, path=search)
    if found is None:
        raise UnavailableError(f"no program {name!r} here: run scripts/install-test-services")
    return found
