"""What the tests of clusters share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from higgsdemo.clusters import Cluster, Patience
from tests.clusters.scripted_api import ScriptedApi, scripted_api

QUICK = Patience(total_s=5, first_s=0.01, longest_s=0.05, connect_s=2, silence_s=1)


@pytest.fixture
def scripted() -> Iterator[ScriptedApi]:
    with scripted_api() as api:
        yield api


@pytest.fixture
def cluster(scripted: ScriptedApi, tmp_path: Path) -> Iterator[Cluster]:
    with Cluster.open("scripted", scripted.kubeconfig(tmp_path), QUICK) as opened:
        yield opened


# What promise P7 allows each command to ask one cluster, if nothing has to be waited for long.
PREPARE_REQUESTS = 30
CLEANUP_REQUESTS = 150
