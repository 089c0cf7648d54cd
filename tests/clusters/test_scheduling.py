"""Tolerations and node labels, from words."""

import pytest

from higgsdemo.clusters.scheduling import read_node_selector, read_toleration
from higgsdemo.errors import UsageError


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("spot", {"key": "spot", "operator": "Exists"}),
        ("spot:NoSchedule", {"key": "spot", "operator": "Exists", "effect": "NoSchedule"}),
        ("cloud.google.com/gke-spot=true:NoExecute",
         {"key": "cloud.google.com/gke-spot", "operator": "Equal", "value": "true",
          "effect": "NoExecute"}),
    ],
)  # fmt: skip
def test_tolerations(text: str, said: dict[str, str]) -> None:
    assert read_toleration(text) == said


@pytest.mark.parametrize("text", ["", "=true", "a b", "k:Noschedule", "k:"])
def test_what_is_no_toleration(text: str) -> None:
    with pytest.raises(UsageError):
        read_toleration(text)


def test_labels_of_nodes() -> None:
    assert read_node_selector(["a=b", "kubernetes.io/arch="]) == {
        "a": "b",
        "kubernetes.io/arch": "",
    }
    assert read_node_selector([]) is None
    with pytest.raises(UsageError, match="not a label of nodes"):
        read_node_selector(["a"])
