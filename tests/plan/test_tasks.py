"""The plan: nothing lost, nothing twice, and every share adds up to the whole."""

import dataclasses
import itertools
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st

from higgsdemo.catalog import filter_set, load_set
from higgsdemo.errors import UsageError
from higgsdemo.model import InputFile, Sample, SampleSet, Task
from higgsdemo.plan import PROBED_FILES, Plan, Settings, make_plan
from higgsdemo.simulation import Settings as DemoSettings
from higgsdemo.simulation import generate

# Events of each good file: what is written at once is a cluster.
CLUSTERS = {"small": [30], "large": [100] * 10, "odd": [7, 400, 3, 90], "one": [1000], "empty": []}
ENTRIES = {name: sum(sizes) for name, sizes in CLUSTERS.items()}
BAD = ("damaged", "not ROOT", "missing", "no tree")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files by what is the matter with them."""
    folder = tmp_path_factory.mktemp("pool")
    paths = {name: folder / f"{name}.root" for name in (*CLUSTERS, *BAD)}
    for name, sizes in CLUSTERS.items():
        with uproot.recreate(paths[name]) as file:
            tree = file.mktree("Events", {"run": "int32"})
            for size in sizes:
                tree.extend({"run": np.arange(size, dtype=np.int32)})
    with uproot.recreate(paths["no tree"]) as file:
        file.mktree("Other", {"run": "int32"})
    whole = paths["large"].read_bytes()
    paths["damaged"].write_bytes(whole[: len(whole) // 2])
    paths["not ROOT"].write_text("hello")
    return {name: str(path) for name, path in paths.items()}


def files(pool: dict[str, str], *kinds: str, **more: float) -> tuple[InputFile, ...]:
    return tuple(
        InputFile(f"{number}-{kind}.root", pool[kind], **more) for number, kind in enumerate(kinds)
    )


def zz(pool: dict[str, str], *kinds: str, **more: object) -> Sample:
    return Sample("ZZTo4mu", "zz", files(pool, *kinds), **more)


def data(pool: dict[str, str], *kinds: str, **more: object) -> Sample:
    return Sample("Run2012B", "data", files(pool, *kinds), **more)


def plan(*samples: Sample, **more: object) -> Plan:
    return make_plan(SampleSet("set", samples), Settings(**more))


def spans(task_list: tuple[Task, ...]) -> list[tuple[int | None, int | None]]:
    return [(task.start, task.stop) for task in task_list]


# -- nothing is lost ------------------------------------------------------------------------------


@st.composite
def sets(draw: st.DrawFn) -> list[tuple[str, list[str]]]:
    kinds = st.lists(st.sampled_from([*CLUSTERS, *BAD]), max_size=6)
    groups = draw(st.lists(st.sampled_from(["data", "zz", "higgs"]), min_size=1, max_size=3))
    return [(group, draw(kinds)) for group in groups]


@settings(max_examples=50, deadline=None)
@given(
    chosen=sets(),
    events_per_task=st.sampled_from([0, 1, 50, 250, 333, 10_000]),
    files_per_task=st.integers(1, 4),
    luminosity_pb=st.none() | st.floats(0.1, 1e5),
    generated=st.none() | st.integers(1, 10**7),
    skimmed=st.booleans(),
)
def test_every_event_of_every_file_is_in_exactly_one_task(
    pool: dict[str, str],
    chosen: list[tuple[str, list[str]]],
    events_per_task: int,
    files_per_task: int,
    luminosity_pb: float | None,
    generated: int | None,
    skimmed: bool,
) -> None:
    samples = [
        Sample(
            f"sample {number}",
            group,
            files(pool, *kinds),
            luminosity_pb=luminosity_pb,
            generated_events=generated,
            skimmed=skimmed,
        )
        for number, (group, kinds) in enumerate(chosen)
    ]
    if not any(sample.files for sample in samples):
        with pytest.raises(UsageError, match="has no files"):
            plan(*samples)
        return
    made = plan(*samples, events_per_task=events_per_task, files_per_task=files_per_task)
    assert len({task.id for task in made.tasks}) == len(made.tasks)
    parts: dict[tuple[str, str], list[Task]] = defaultdict(list)
    for task in made.tasks:
        assert 1 <= len(task.files) <= files_per_task
        assert task.start is None or len(task.files) == 1
        for file in task.files:
            parts[task.sample, file.name].append(task)
    assert set(parts) == {(sample.name, file.name) for sample in samples for file in sample.files}
    for sample in samples:
        mine = [task for task in made.tasks if task.sample == sample.name]
        for file in sample.files:
            kind = file.name.partition("-")[2].removesuffix(".root")
            check_file(parts[sample.name, file.name], ENTRIES.get(kind))
        check_shares(sample, mine, [file.name.partition("-")[2][:-5] for file in sample.files])
    assert [sample.name for sample in made.samples] == [sample.name for sample in samples]


def check_file(tasks: list[Task], entries: int | None) -> None:
    """The tasks of a file read each of its events once."""
    if len(tasks) == 1 and tasks[0].start is None:
        return
    assert entries is not None
    assert tasks[0].start == 0
    assert tasks[-1].stop == entries
    for one, other in itertools.pairwise(tasks):
        assert one.stop == other.start
    assert all(task.events == task.stop - task.start > 0 for task in tasks)


def check_shares(sample: Sample, tasks: list[Task], kinds: list[str]) -> None:
    """Events, luminosity and generated events of the tasks add up to those of the sample."""
    known = all(kind in ENTRIES for kind in kinds)
    entries = sum(ENTRIES.get(kind, 0) for kind in kinds)
    if known and tasks:
        assert sum(task.events for task in tasks) == entries
    luminosity = [task.luminosity_pb for task in tasks]
    if sample.is_data and sample.luminosity_pb is not None and tasks:
        assert math.fsum(luminosity) == pytest.approx(sample.luminosity_pb, rel=1e-12)
        assert min(luminosity) >= 0
    else:
        assert set(luminosity) <= {None}
    generated = [task.generated_events for task in tasks]
    wanted = sample.generated_events
    if not sample.is_data and sample.skimmed and wanted is not None and tasks:
        assert math.fsum(generated) == pytest.approx(wanted, rel=1e-12)
    else:
        assert set(generated) <= {None}


@pytest.mark.parametrize("kind", BAD)
def test_bad_file_becomes_a_task_that_will_tell(pool: dict[str, str], kind: str) -> None:
    made = plan(zz(pool, "small", kind))
    assert [task.files[0].name for task in made.tasks] == ["0-small.root", f"1-{kind}.root"]
    assert [task.events for task in made.tasks] == [30, None]
    assert spans(made.tasks)[1] == (None, None)
    assert made.events is None


def test_empty_file_becomes_a_task(pool: dict[str, str]) -> None:
    (task,) = plan(zz(pool, "empty")).tasks
    assert (task.events, task.start) == (0, None)


def test_remote_files_are_not_opened() -> None:
    url = "root://eospublic.cern.ch//eos/opendata/cms/a.root"
    (task,) = plan(Sample("s", "zz", (InputFile("/eos/opendata/cms/a.root", url, 10),))).tasks
    assert (task.events, task.files[0].url, task.size_bytes) == (None, url, 10)


def test_many_files_are_not_opened(pool: dict[str, str]) -> None:
    made = plan(zz(pool, *["missing"] * PROBED_FILES, "small"))
    assert len(made.tasks) == PROBED_FILES + 1
    assert made.tasks[-1].events is None


# -- splitting ------------------------------------------------------------------------------------


def test_large_file_is_split_where_its_clusters_begin(pool: dict[str, str]) -> None:
    made = plan(zz(pool, "large"), events_per_task=250)
    # wanted are cuts at 250, 500 and 750; of two clusters as near it takes the first
    assert spans(made.tasks) == [(0, 200), (200, 500), (500, 700), (700, 1000)]
    assert [task.events for task in made.tasks] == [200, 300, 200, 300]


def test_cuts_are_at_clusters_however_odd(pool: dict[str, str]) -> None:
    edges = np.cumsum([0, *CLUSTERS["odd"]]).tolist()
    for events_per_task in (1, 3, 100, 250, 499):
        made = plan(zz(pool, "odd"), events_per_task=events_per_task)
        cuts = [task.start or 0 for task in made.tasks]
        assert set(cuts) <= set(edges)
        assert cuts == sorted(set(cuts))


@pytest.mark.parametrize(
    ("kind", "events_per_task"), [("large", 0), ("large", 1000), ("one", 10), ("small", 30)]
)
def test_file_that_need_not_or_cannot_be_split_is_whole(
    pool: dict[str, str], kind: str, events_per_task: int
) -> None:
    # a file of one cluster became the range [0, entries): another id for the same work
    (task,) = plan(zz(pool, kind), events_per_task=events_per_task).tasks
    assert (task.start, task.stop, task.events) == (None, None, ENTRIES[kind])
    assert task.id == plan(zz(pool, kind)).tasks[0].id


def test_small_files_share_a_task_and_large_ones_do_not(pool: dict[str, str]) -> None:
    made = plan(
        zz(pool, "small", "large", "small", "empty", "missing"),
        events_per_task=500,
        files_per_task=2,
    )
    assert [[file.name for file in task.files] for task in made.tasks] == [
        ["1-large.root"],
        ["1-large.root"],
        ["0-small.root", "2-small.root"],
        ["3-empty.root", "4-missing.root"],
    ]
    assert [task.events for task in made.tasks] == [500, 500, 60, None]


def test_files_of_two_samples_never_share_a_task(pool: dict[str, str]) -> None:
    made = plan(zz(pool, "small"), data(pool, "small"), files_per_task=5)
    assert [task.sample for task in made.tasks] == ["Run2012B", "ZZTo4mu"]


# -- luminosity -----------------------------------------------------------------------------------


def luminosities(made: Plan) -> list[float | None]:
    return [task.luminosity_pb for task in made.tasks]


def test_luminosity_is_shared_by_events(pool: dict[str, str]) -> None:
    made = plan(data(pool, "small", "large", "empty", luminosity_pb=1030.0))
    assert luminosities(made) == pytest.approx([30, 1000, 0])


def test_luminosity_is_shared_by_bytes_where_events_are_not_known(pool: dict[str, str]) -> None:
    sized = tuple(
        dataclasses.replace(file, size_bytes=size)
        for file, size in zip(files(pool, "small", "missing"), (100, 300), strict=True)
    )
    made = plan(dataclasses.replace(data(pool, luminosity_pb=40.0), files=sized))
    assert luminosities(made) == pytest.approx([10, 30])


def test_luminosity_is_shared_equally_where_nothing_is_known(pool: dict[str, str]) -> None:
    assert luminosities(plan(data(pool, "small", "missing", luminosity_pb=40.0))) == [20, 20]
    assert luminosities(plan(data(pool, "empty", "empty", luminosity_pb=40.0))) == [20, 20]


def test_luminosity_of_each_file_is_taken_from_a_table(pool: dict[str, str]) -> None:
    known = tuple(
        dataclasses.replace(file, luminosity_pb=share)
        for file, share in zip(files(pool, "large", "small"), (1.0, 2.0), strict=True)
    )
    sample = dataclasses.replace(data(pool, luminosity_pb=99.0), files=known)
    assert luminosities(plan(sample)) == [1, 2]
    assert luminosities(plan(sample, files_per_task=2)) == [3]
    assert luminosities(plan(sample, events_per_task=500)) == [0.5, 0.5, 2]


def test_luminosity_missing_in_a_table_is_unknown(pool: dict[str, str]) -> None:
    one, other = files(pool, "small", "small")
    one = dataclasses.replace(one, luminosity_pb=1.0)
    sample = dataclasses.replace(data(pool, luminosity_pb=99.0), files=(one, other))
    assert luminosities(plan(sample)) == [1, None]
    assert luminosities(plan(sample, files_per_task=2)) == [None]


def test_luminosity_of_ranges_is_by_events(pool: dict[str, str]) -> None:
    made = plan(data(pool, "odd", luminosity_pb=500.0), events_per_task=250)
    assert luminosities(made) == pytest.approx([task.events for task in made.tasks])
    assert len(made.tasks) == 2


def test_simulation_and_data_without_luminosity_have_none(pool: dict[str, str]) -> None:
    assert luminosities(plan(data(pool, "small"))) == [None]
    assert luminosities(plan(zz(pool, "small", luminosity_pb=3.0))) == [None]


def test_sample_without_files_beside_others(pool: dict[str, str]) -> None:
    # was a ZeroDivisionError
    made = plan(data(pool, luminosity_pb=3.0), zz(pool, "small"))
    assert [task.sample for task in made.tasks] == ["ZZTo4mu"]
    assert len(made.samples) == 2


# -- generated events -----------------------------------------------------------------------------


def generated(made: Plan) -> list[float | None]:
    return [task.generated_events for task in made.tasks]


def test_skim_stands_for_all_events_that_were_generated(pool: dict[str, str]) -> None:
    made = plan(zz(pool, "small", "large", "empty", skimmed=True, generated_events=103_000))
    assert generated(made) == pytest.approx([3_000, 100_000, 0])


def test_ranges_of_a_skim_share_what_it_stands_for(pool: dict[str, str]) -> None:
    made = plan(zz(pool, "large", skimmed=True, generated_events=5_000), events_per_task=500)
    assert generated(made) == pytest.approx([2_500, 2_500])


def test_events_read_are_counted_where_all_are_there(pool: dict[str, str]) -> None:
    for number in (None, 30, 29, 1_000_000):
        assert generated(plan(zz(pool, "small", generated_events=number))) == [None]


def test_data_generates_nothing(pool: dict[str, str]) -> None:
    assert generated(plan(data(pool, "small", generated_events=1000))) == [None]


# -- part of a set, as --limit asks for -----------------------------------------------------------


def test_first_files_have_their_share_of_the_luminosity(pool: dict[str, str]) -> None:
    whole = SampleSet("set", (data(pool, "large", "large", "small", luminosity_pb=30.0),))
    made = make_plan(filter_set(whole, [], 2), Settings())
    assert [task.files[0].name for task in made.tasks] == ["0-large.root", "1-large.root"]
    assert luminosities(made) == [10, 10]


def test_first_files_of_a_skim_stand_for_their_share(pool: dict[str, str]) -> None:
    whole = SampleSet("set", (zz(pool, "large", "large", skimmed=True, generated_events=10_000),))
    made = make_plan(filter_set(whole, [], 1), Settings())
    assert generated(made) == pytest.approx([5_000])


# -- what tasks carry, and what is refused --------------------------------------------------------


def test_tasks_carry_workflow_options_and_channels(pool: dict[str, str]) -> None:
    made = plan(
        data(pool, "small", channels=("4e",)),
        zz(pool, "small"),
        workflow="scripted",
        options={"selection": "published"},
        certified="/golden.json",
    )
    of_data, of_zz = made.tasks
    assert of_data.workflow == of_zz.workflow == "scripted"
    assert of_data.options == of_zz.options == {"selection": "published"}
    assert (of_data.channels, of_data.is_data) == (("4e",), True)
    assert (of_data.certified, of_zz.certified) == ("/golden.json", None), "data only"


def test_progress_is_told_file_by_file(pool: dict[str, str]) -> None:
    told: list[tuple[int, int]] = []
    samples = SampleSet("set", (zz(pool, "small", "missing"), data(pool, "small")))
    make_plan(samples, Settings(), lambda done, of: told.append((done, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_forecast(pool: dict[str, str]) -> None:
    sized = (InputFile("a", pool["large"], 600_000_000), InputFile("b", pool["small"], 0))
    made = plan(Sample("s", "zz", sized), events_per_task=250)
    assert made.size_bytes == 600_000_000, "ranges of a file are not counted again"
    assert made.events == 1030
    one, two = made.seconds(1), made.seconds(2)
    assert one is not None
    assert two is not None
    assert two < one < 2 * two
    assert plan(zz(pool, "small")).size_bytes is None
    assert plan(zz(pool, "small")).seconds(1) is None


def test_no_files(pool: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="sample set set has no files"):
        plan(zz(pool))


@pytest.mark.parametrize("wrong", [{"events_per_task": -1}, {"files_per_task": 0}])
def test_wrong_settings(pool: dict[str, str], wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="events per task must be at least 0"):
        plan(zz(pool, "small"), **wrong)


def test_file_or_sample_that_is_there_twice_is_refused(pool: dict[str, str]) -> None:
    # was sqlite3.IntegrityError when the run was made
    one = zz(pool, "small")
    twice = dataclasses.replace(one, files=one.files * 2)
    for files_per_task in (1, 2):
        with pytest.raises(UsageError, match=r"ZZTo4mu: 0-small\.root is there twice"):
            plan(twice, files_per_task=files_per_task)
    with pytest.raises(UsageError, match="ZZTo4mu is there twice"):
        plan(one, zz(pool, "large", "large"))


def test_same_plan_again(pool: dict[str, str]) -> None:
    samples = (zz(pool, "odd", "small", generated_events=9999), data(pool, "large"))
    assert plan(*samples, events_per_task=100) == plan(*samples, events_per_task=100)


def test_missing_file_that_exists_later_has_the_same_id(pool: dict[str, str]) -> None:
    name = "a.root"
    before = plan(Sample("s", "zz", (InputFile(name, pool["missing"]),))).tasks[0]
    after = plan(Sample("s", "zz", (InputFile(name, str(Path(pool["small"]))),))).tasks[0]
    assert before.id == after.id


def test_samples_grow_together_data_first(pool: dict[str, str]) -> None:
    made = plan(zz(pool, "one", "small"), data(pool, "large"), events_per_task=250)
    assert [task.sample for task in made.tasks] == [
        "Run2012B", "ZZTo4mu", "Run2012B", "Run2012B", "ZZTo4mu", "Run2012B",
    ]  # fmt: skip


def test_generated_files_are_demo_data_whatever_names_them(tmp_path: Path) -> None:
    generate(DemoSettings(output=tmp_path / "demo", events_scale=0.0005, seed=1))
    (tmp_path / "demo" / "samples.yaml").unlink()
    for spec in (
        tmp_path / "demo",
        [tmp_path / "demo" / "ZZTo4mu.root", tmp_path / "demo" / "Run2012B_DoubleMuParked.root"],
    ):
        made = make_plan(load_set(spec), Settings())
        assert all(sample.demo for sample in made.samples)
        assert {sample.luminosity_pb for sample in made.samples} == {None}


@pytest.mark.parametrize(
    "url", ["https://me:secret@host/a.root", "https://host/a.root?X-Amz-Signature=secret"]
)
def test_a_url_with_a_secret_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="carries a secret") as caught:
        plan(Sample("s", "zz", (InputFile("a.root", url),)))
    assert "secret@" not in str(caught.value)
    assert "=secret" not in str(caught.value)
