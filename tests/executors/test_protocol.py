"""The protocol is what the local engine is held to."""

from higgsdemo.executors import Executor, LocalExecutor


def test_the_local_engine_keeps_the_protocol() -> None:
    engine: Executor = LocalExecutor(workers=3)
    assert engine.name == "local"
    assert engine.capacity == 3
    with engine:
        assert engine.events(0) == []
