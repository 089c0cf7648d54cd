"""Provider `kind`: clusters in containers on this machine, made by the program kind.

kind has no library for Python and no server: its program is the interface, so here, and only here,
one is called. Machine types mean nothing to it; nodes are containers.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from higgsdemo.clusters.kubeconfig import Entry
from higgsdemo.clusters.providers.protocol import Found, State, Wanted, Wishes
from higgsdemo.errors import HiggsdemoError, UsageError

MOST_NODES = 10  # each is a container with a kubelet and a container runtime of its own
_ANSWER_S = 60.0
_CREATE_S = 900.0


class Kind:
    """Clusters of kind. A half-made one, left by a killed command, is made anew."""

    name = "kind"
    poll_s = 1.0

    def __init__(self, program: str, image: str = "") -> None:
        self._program = program
        self._image = image

    @classmethod
    def open(cls, wishes: Wishes) -> Kind:
        """Find the program. Raises UsageError where it is not."""
        program = shutil.which("kind")
        if program is None:
            raise UsageError(
                "the program kind is not on this machine",
                hint="install kind and Docker or Podman (kind.sigs.k8s.io), or choose another"
                " --provider; on one machine higgsdemo run needs no cluster at all",
            )
        return cls(program, wishes.image)

    def check(self, wanted: Wanted) -> None:
        """Raise UsageError for more nodes than one machine should carry."""
        if wanted.nodes > MOST_NODES:
            raise UsageError(
                f"{wanted.nodes} nodes of kind are too many for one machine",
                where=f"cluster {wanted.name}",
                hint=f"at most {MOST_NODES}; use a small mapping, or another --provider",
            )

    def describe(self, wanted: Wanted) -> str:
        """Say how many containers are made."""
        return f"a control plane and {max(1, wanted.nodes)} nodes, as containers on this machine"

    def create(self, wanted: Wanted) -> None:
        """Make the cluster and wait for it: kind cannot do otherwise."""
        if wanted.name in self._names():
            self.delete(wanted.name)  # half-made: a whole one is not made again
        config = {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "nodes": [{"role": "control-plane"}, *[{"role": "worker"}] * max(1, wanted.nodes)],
        }
        with tempfile.TemporaryDirectory(prefix="higgsdemo-kind-") as folder:
            words = ["create", "cluster", "--name", wanted.name, "--config", "-", "--wait", "5m",
                     "--kubeconfig", str(Path(folder) / "config")]  # fmt: skip
            if self._image:
                words += ["--image", self._image]
            self._call(words, given=json.dumps(config), patience_s=_CREATE_S)

    def look(self, name: str) -> Found:
        """Return READY for a cluster whose nodes are all there."""
        if name not in self._names():
            return Found(name, State.ABSENT)
        try:
            self._kubeconfig(name)
        except HiggsdemoError as error:
            return Found(name, State.FAILED, error.why or error.what, broken=True)
        return Found(name, State.READY)

    def delete(self, name: str) -> None:
        """Delete the cluster's containers."""
        with tempfile.TemporaryDirectory(prefix="higgsdemo-kind-") as folder:
            self._call(["delete", "cluster", "--name", name,
                        "--kubeconfig", str(Path(folder) / "config")])  # fmt: skip

    def named(self, prefix: str) -> tuple[Found, ...]:
        """Return all clusters of the prefix: kind has no labels, the name is all there is."""
        return tuple(Found(name, State.READY) for name in self._names() if name.startswith(prefix))

    def entry(self, name: str) -> Entry:
        """Return how to reach the cluster, with its client certificate."""
        document = self._kubeconfig(name)
        cluster = document["clusters"][0]["cluster"]
        return Entry(
            name,
            cluster["server"],
            cluster["certificate-authority-data"],
            document["users"][0]["user"],
        )

    def _names(self) -> list[str]:
        return self._call(["get", "clusters"]).split()

    def _kubeconfig(self, name: str) -> dict[str, Any]:
        text = self._call(["get", "kubeconfig", "--name", name])
        try:
            document = yaml.safe_load(text)
            document["clusters"][0]["cluster"]["server"], document["users"][0]["user"]
        except (yaml.YAMLError, LookupError, TypeError) as error:
            raise HiggsdemoError(
                f"kind says nothing useful of cluster {name}", why="not a kubeconfig"
            ) from error
        return dict(document)

    def _call(self, words: list[str], *, given: str = "", patience_s: float = _ANSWER_S) -> str:
        said = f"kind {' '.join(words[:2])}"
        try:
            ended = subprocess.run(
                [self._program, *words],
                input=given,
                capture_output=True,
                text=True,
                timeout=patience_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise HiggsdemoError(f"{said} did not end within {patience_s:.0f} s") from error
        except OSError as error:
            raise HiggsdemoError(
                f"{said} cannot be run", why=error.strerror or str(error), where=self._program
            ) from error
        if ended.returncode:
            lines = [line.strip() for line in ended.stderr.splitlines() if line.strip()]
            why = next((line for line in lines if line.startswith("ERROR")), "\n".join(lines[-3:]))
            raise HiggsdemoError(
                f"{said} failed", why=why or f"it ended with status {ended.returncode}"
            )
        return ended.stdout
