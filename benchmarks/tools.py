"""Where ROOT and coffea are, where files are kept, and how the C++ peers are built."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

# One core per process: no library may start threads of its own.
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONWARNINGS": "ignore",
}

_FIND = """
import importlib.util, json, sys
found = importlib.util.find_spec(sys.argv[1])
print(json.dumps(list(found.submodule_search_locations or []) if found else None))
"""
LIBRARIES = (
    *("Core", "RIO", "Tree", "TreePlayer", "ROOTDataFrame", "ROOTVecOps"),
    *("Hist", "GenVector", "MathCore"),
)


class Missing(Exception):  # noqa: N818 - not an error: rows are left out
    """Something a peer needs is not on this machine; the message says what and how to get it."""


class Broken(Exception):  # noqa: N818 - the driver says it and ends
    """A contender does not run, or counts something else than the others."""


@dataclass(frozen=True)
class Root:
    """A ROOT that can be compiled against."""

    python: str
    include: Path
    lib: Path
    bundled: tuple[Path, ...]  # libraries a wheel carries for its own
    version: str


def cache_folder() -> Path:
    """Where generated files and programs are kept between runs, outside the project."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "higgsdemo" / "benchmarks"


def package_folder(python: str, package: str) -> Path | None:
    """The folder of a package as that Python sees it, without importing it."""
    try:
        done = subprocess.run(
            [python, "-c", _FIND, package],
            capture_output=True,
            text=True,
            check=True,
            env=ENVIRONMENT,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise Missing(f"{python} does not run: {error}") from error
    folders = json.loads(done.stdout)
    return Path(folders[0]) if folders else None


def find_python(package: str, variable: str) -> str:
    """The Python that has `package`: the one named by the variable, or this one."""
    python = os.environ.get(variable, sys.executable)
    if package_folder(python, package) is None:
        raise Missing(
            f"no {package} in {python}: install it there, or name another Python by {variable}"
        )
    return python


def find_root() -> Root:
    """ROOT's headers and libraries, those of a wheel or of an ordinary installation."""
    python = find_python("ROOT", "HIGGSDEMO_ROOT_PYTHON")
    package = package_folder(python, "ROOT")
    assert package is not None
    # The wheel's root-config prints folders that do not exist; its package folder has them.
    include, lib = package / "include", package / "lib"
    if not (include / "RVersion.h").exists():
        config = shutil.which("root-config")
        if config is None:
            raise Missing(f"ROOT in {package} has no headers, and there is no root-config")
        include, lib = (
            Path(subprocess.check_output([config, option], text=True).strip())
            for option in ("--incdir", "--libdir")
        )
    version = "unknown"
    for line in (include / "ROOT" / "RVersion.hxx").read_text().splitlines():
        words = line.split()
        if words[:1] == ["#define"] and words[1] in (
            "ROOT_VERSION_MAJOR",
            "ROOT_VERSION_MINOR",
            "ROOT_VERSION_PATCH",
        ):
            version = words[2] if version == "unknown" else f"{version}.{words[2]}"
    bundled = package.parent / "root.libs"
    return Root(python, include, lib, (bundled,) if bundled.exists() else (), version)


def build(source: Path, root: Root, cache: Path) -> Path:
    """Compile a C++ peer, unless the cache has it; return the program."""
    compiler = os.environ.get("CXX") or shutil.which("g++")
    if compiler is None:
        raise Missing("no g++ to compile the C++ peers (or name a compiler by CXX)")
    flags = ["-O2", "-std=c++17", "-pthread", f"-I{root.include}"]
    link = [f"-L{root.lib}", *(f"-l{name}" for name in LIBRARIES), f"-Wl,-rpath,{root.lib}"]
    link += [f"-Wl,-rpath-link,{folder}" for folder in root.bundled]
    texts = [source.read_bytes(), (HERE / "measure.hpp").read_bytes()]
    told = json.dumps([compiler, flags, link, root.version]).encode()
    program = cache / f"{source.stem}-{digest(*texts, told)}"
    if not program.exists():
        print(f"building {source.name} against ROOT {root.version}", file=sys.stderr)
        cache.mkdir(parents=True, exist_ok=True)
        part = program.with_suffix(f".{os.getpid()}.part")
        command = [compiler, *flags, str(source), "-o", str(part), *link]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise Missing(f"{source.name} does not compile: {done.stderr[-1500:]}")
        part.replace(program)
    return program


def said(command: Sequence[str | Path], who: str, settings: Mapping[str, str]) -> dict[str, Any]:
    """Run a program, with `settings` in its environment, and return the JSON of its last line.

    Raises Broken if it fails.
    """
    done = subprocess.run(
        [str(word) for word in command],
        check=False,
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, **settings},
    )
    if done.returncode != 0:
        raise Broken(f"{who} ended with status {done.returncode}:\n{done.stderr[-3000:]}")
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def progress(text: str) -> None:
    """Say what is going on, where somebody looks on."""
    if sys.stderr.isatty():
        print(f"\r{text:70}\r", end="", file=sys.stderr, flush=True)


def digest(*texts: bytes) -> str:
    """A short digest for names in the cache."""
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:10]
