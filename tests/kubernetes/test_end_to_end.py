"""The demo from beginning to end: three real clusters with real nodes, the real worker image.

What is killed midway (a kubelet, a pod's process, our own commands) changes no bit of the result.
"""

import signal

import pytest

from tests.kubernetes.client import wait_for
from tests.kubernetes.laboratory import objects
from tests.kubernetes.stage import JOBS, NAMESPACE, Stage, done_in, uids

RUN = "stageplay"  # found in the names and labels of all that is made for it


@pytest.mark.slow
@pytest.mark.timeout(900)  # a minute or two, unless others use the machine too
def test_the_whole_demo(stage: Stage) -> None:
    call = stage.commands
    one, two, _ = stage.clusters

    prepared = call.good(*stage.preparation("--json")).json
    assert {each["cluster"] for each in prepared} == {each.name for each in stage.clusters}
    for each in prepared:
        assert (each["image_on_nodes"], each["image_nodes"]) == (1, 1)
    for cluster in stage.clusters:
        assert stage.image in cluster.node.images()
        space = cluster.client.get(f"/api/v1/namespaces/{NAMESPACE}")["metadata"]["labels"]
        assert space["pod-security.kubernetes.io/enforce"] == "restricted"

    submit = stage.submission(RUN)
    with call.start(*submit) as killed:
        wait_for(
            lambda: (
                any(each.client.items(JOBS) for each in stage.clusters) or killed.poll() is not None
            ),
            "the first job",
        )
        killed.kill()
    call.good(*submit)
    before = [uids(each.client) for each in stage.clusters]
    assert all(before)
    call.good(*submit)  # repeated, it changes nothing that is there
    assert [uids(each.client) for each in stage.clusters] == before

    with call.start("watch", RUN) as killed:
        wait_for(lambda: done_in(one.client) > 0, "the first task")
        one.node.kubelet.kill()
        two.node.kill_process("higgsdemo.worker")
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
    one.node.kubelet.restart()
    said = call.good("watch", RUN, seconds=600)
    assert "'pods': {" in said.out  # the line of the 2019 demo
    assert stage.totals(RUN) == stage.here()

    # Who has not the run's folder finds its plan in the sink.
    sinks = [word for sink in stage.sinks for word in ("--sink", sink)]
    call.good("watch", RUN, *sinks, "--runs", "elsewhere")
    assert stage.totals(RUN, "elsewhere") == stage.here()

    call.good("plot", RUN)
    assert (call.folder / "runs" / RUN / "plots" / "m4l.png").stat().st_size > 10_000

    cleaned = call.good("cleanup", "--clusters", stage.names, "--run", RUN, "--json").json
    for each in cleaned:
        assert each["removed"]["jobs.batch"] >= 1
    for cluster in stage.clusters:
        left = objects(cluster.client)
        assert len({kind for kind, _ in left}) > 10  # it looked at something
        assert [name for _, name in left if RUN in name] == []
