"""What a provider of clusters must offer; everything else is the same for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from higgsdemo.clusters.kubeconfig import Entry

LABEL, VALUE = "managed-by", "higgsdemo"  # on every cluster made here, where labels exist


class State(StrEnum):
    """What a cluster is doing."""

    ABSENT = "absent"
    CREATING = "creating"
    READY = "ready"
    DELETING = "deleting"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the providers can be told; each reads what concerns it.

    `version` is that of Kubernetes (empty: the provider's choice), `location` a region or zone
    of GKE, `template` a cluster template of Magnum, `keypair` the name of an SSH key there,
    `cloud` a name in clouds.yaml, `image` a node image of kind.
    """

    project: str = ""
    location: str = "europe-west4"
    spot: bool = False
    version: str = ""
    template: str = ""
    keypair: str = ""
    cloud: str = ""
    image: str = ""
    kubeconfig: Path | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A cluster that should be there: `nodes` machines of the type `flavor`."""

    name: str
    flavor: str = ""
    nodes: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """A cluster as the provider shows it.

    `why` is the provider's own word on a failure. `ours` is False where it was not made by this
    program: such a cluster is neither used nor deleted. `flavor` and `nodes` are empty and 0
    where the provider does not say. `broken` marks remains that a new attempt may clear away.
    """

    name: str
    state: State
    why: str = ""
    flavor: str = ""
    nodes: int = 0
    ours: bool = True
    broken: bool = False


class Provider(Protocol):
    """Makes and deletes clusters. Usable by several threads, one cluster each.

    All methods raise TransientError for what may work when tried again, CredentialsError where
    we are not let in, and HiggsdemoError for what the provider refuses.
    """

    @property
    def name(self) -> str:
        """The word for it on the command line."""
        ...

    @property
    def poll_s(self) -> float:
        """How long to wait between two looks, s."""
        ...

    def check(self, wanted: Wanted) -> None:
        """Raise UsageError for what can never be made, before anything is."""
        ...

    def describe(self, wanted: Wanted) -> str:
        """Say in a few words what `create` would ask for."""
        ...

    def create(self, wanted: Wanted) -> None:
        """Ask for a cluster; one of the name that is there already is fine. Returns soon."""
        ...

    def look(self, name: str) -> Found:
        """Return what is known of the cluster; state ABSENT if there is none."""
        ...

    def delete(self, name: str) -> None:
        """Ask for the end of a cluster; one that is not there is fine. Returns soon."""
        ...

    def named(self, prefix: str) -> tuple[Found, ...]:
        """Return all clusters whose names begin with `prefix`."""
        ...

    def entry(self, name: str) -> Entry | None:
        """Return how to reach a cluster that is ready; None if the kubeconfig has it already."""
        ...
