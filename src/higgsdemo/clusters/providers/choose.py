"""Finding a provider by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from higgsdemo.clusters.providers.protocol import Provider
from higgsdemo.errors import UsageError, nearest

PROVIDERS = ("gke", "magnum", "kind", "existing")


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


def open_provider(name: str, wishes: Wishes) -> Provider:
    """Return a provider. Raises UsageError for an unknown name or a package that is missing."""
    if name == "gke":
        from higgsdemo.clusters.providers.gke import Gke

        return Gke.open(wishes)
    if name == "magnum":
        from higgsdemo.clusters.providers.magnum import Magnum

        return Magnum.open(wishes)
    if name == "kind":
        from higgsdemo.clusters.providers.kind import Kind

        return Kind.open(wishes)
    if name == "existing":
        from higgsdemo.clusters.providers.existing import Existing

        return Existing(wishes.kubeconfig)
    raise UsageError(
        f"there is no provider {name!r}",
        nearest=nearest(name, PROVIDERS),
        hint=f"there are: {', '.join(PROVIDERS)}",
    )
