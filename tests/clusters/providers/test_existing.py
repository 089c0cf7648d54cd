"""Contexts that are there: checked, used, never deleted."""

from pathlib import Path

import pytest

from higgsdemo.clusters.providers import (
    State,
    Wanted,
    Wishes,
    create_all,
    delete_all,
    open_provider,
)
from higgsdemo.errors import UsageError
from tests.clusters.scripted_api import ScriptedApi


def test_a_context_whose_server_answers_is_ready(scripted: ScriptedApi, tmp_path: Path) -> None:
    config = scripted.kubeconfig(tmp_path)
    before = config.read_bytes()
    existing = open_provider("existing", Wishes(kubeconfig=config))
    (ended,) = create_all(existing, [Wanted("scripted")], kubeconfig=config)
    assert (ended.state, ended.error) == (State.READY, None)
    (kept,) = delete_all(existing, ["scripted"], kubeconfig=config)
    assert "left alone" in str(kept.error)
    assert existing.named("") == ()
    assert config.read_bytes() == before


def test_an_unknown_context_with_the_nearest(scripted: ScriptedApi, tmp_path: Path) -> None:
    config = scripted.kubeconfig(tmp_path)
    existing = open_provider("existing", Wishes(kubeconfig=config))
    with pytest.raises(UsageError) as caught:
        create_all(existing, [Wanted("scribbled")], kubeconfig=config)
    assert caught.value.nearest == ("scripted",)


def test_an_unknown_provider() -> None:
    with pytest.raises(UsageError) as caught:
        open_provider("gce", Wishes())
    assert "gke" in caught.value.nearest
