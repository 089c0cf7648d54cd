"""Where clusters come from: one file a provider, behind one small protocol.

`gke` Google Kubernetes Engine, `magnum` OpenStack, `kind` containers on this machine, `existing`
whatever a kubeconfig names. What only one of them needs is imported when it is asked for.
"""

from higgsdemo.clusters.providers.choose import PROVIDERS, open_provider
from higgsdemo.clusters.providers.drive import Ended, Step, create_all, delete_all
from higgsdemo.clusters.providers.protocol import Found, Provider, State, Wanted, Wishes

__all__ = [
    "PROVIDERS",
    "Ended",
    "Found",
    "Provider",
    "State",
    "Step",
    "Wanted",
    "Wishes",
    "create_all",
    "delete_all",
    "open_provider",
]
