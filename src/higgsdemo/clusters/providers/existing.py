"""Provider `existing`: the contexts of a kubeconfig. Nothing is made and nothing is deleted."""

from __future__ import annotations

from pathlib import Path

from higgsdemo.clusters.api import Cluster
from higgsdemo.clusters.contexts import context_names
from higgsdemo.clusters.kubeconfig import Entry
from higgsdemo.clusters.providers.protocol import Found, State, Wanted
from higgsdemo.errors import UsageError, nearest


class Existing:
    """Clusters that are there: a mapping's entry names its context with the key `cluster`."""

    name = "existing"
    poll_s = 2.0

    def __init__(self, kubeconfig: Path | None = None) -> None:
        self._kubeconfig = kubeconfig

    def check(self, wanted: Wanted) -> None:
        """Raise UsageError where the kubeconfig has no such context."""
        known = context_names(self._kubeconfig)
        if wanted.name not in known:
            raise UsageError(
                f"the kubeconfig has no context {wanted.name!r}",
                nearest=nearest(wanted.name, known),
                hint='name a context in the mapping, e.g. {"cluster": "my-context", ...}; there'
                f" are: {', '.join(known) or 'none'}",
            )

    def describe(self, wanted: Wanted) -> str:
        """Say what is used."""
        return f"context {wanted.name} as it is"

    def create(self, wanted: Wanted) -> None:
        """Do nothing but look whether it is there."""
        self.check(wanted)

    def look(self, name: str) -> Found:
        """Return READY for a context whose server answers. TransientError if it does not."""
        if name not in context_names(self._kubeconfig):
            return Found(name, State.ABSENT)
        with Cluster.open(name, self._kubeconfig) as cluster:
            cluster.get("/version")
        return Found(name, State.READY)

    def delete(self, name: str) -> None:
        """Refuse: what we did not make we do not delete."""
        raise UsageError(
            f"cluster {name} was not made by higgsdemo and is left alone",
            hint="clusters-delete is for the providers gke, magnum and kind",
        )

    def named(self, prefix: str) -> tuple[Found, ...]:
        """Return nothing: none is ours."""
        del prefix
        return ()

    def entry(self, name: str) -> Entry | None:
        """Return None: the kubeconfig has it."""
        del name
        return None
