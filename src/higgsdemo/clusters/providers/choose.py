"""Finding a provider by name."""

from __future__ import annotations

from higgsdemo.clusters.providers.protocol import Provider, Wishes
from higgsdemo.errors import UsageError, nearest

PROVIDERS = ("gke", "magnum", "kind", "existing")


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
