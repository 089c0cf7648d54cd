import math
from dataclasses import replace

import pytest

from higgsdemo.errors import UsageError
from higgsdemo.simulation import Settings, generate
from tests.simulation.conftest import same

NAMES = [
    "SMHiggsToZZTo4L",
    "ZZTo4mu",
    "ZZTo4e",
    "ZZTo2e2mu",
    "Run2012B_DoubleMuParked",
    "Run2012C_DoubleMuParked",
    "Run2012B_DoubleElectron",
    "Run2012C_DoubleElectron",
]


def test_the_eight_files_and_two_texts(demo):
    names = [path.name for path in demo.paths]
    assert names == [*(f"{name}.root" for name in NAMES), "samples.yaml", "README.txt"]
    assert sorted(names) == sorted(path.name for path in demo.settings.output.iterdir())


def test_event_counts_follow_the_scale(demo):
    assert len(demo.arrays("SMHiggsToZZTo4L", "run")) == 3_000
    assert len(demo.arrays("ZZTo4mu", "run")) == 14_991


def test_progress_ends_at_all_and_never_runs_backwards(demo):
    for name in NAMES:
        calls = [call for call in demo.calls if call[0] == f"{name}.root"]
        done = [call[1] for call in calls]
        assert done == sorted(done)
        assert calls[-1][1] == calls[-1][2] == len(demo.arrays(name, "run"))


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tmp_path):
    settings = Settings(tmp_path / "once", luminosity_fb=2.0, events_scale=1e-3)
    generate(settings)
    generate(replace(settings, output=tmp_path / "again"))
    generate(replace(settings, output=tmp_path / "other", seed=126))
    for name in NAMES:
        path = settings.output / f"{name}.root"
        assert same(path, tmp_path / "again" / path.name)
        assert not same(path, tmp_path / "other" / path.name)


def test_places_of_data_are_unique_and_of_simulation_in_run_one(demo):
    for name in NAMES[4:]:
        places = demo.places(name)
        assert len(set(places)) == len(places)
        assert min(places)[0] > 190_000
    assert demo.places("ZZTo4e")[:2] == [(1, 1, 1), (1, 1, 2)]


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("name", ["luminosity_fb", "events_scale"])
def test_values_that_make_no_sense(tmp_path, name, value):
    with pytest.raises(UsageError, match="makes no sense"):
        generate(replace(Settings(tmp_path / "new"), **{name: value}))
    assert not (tmp_path / "new").exists()


def test_a_negative_seed(tmp_path):
    with pytest.raises(UsageError, match="--seed -1"):
        generate(Settings(tmp_path, seed=-1))


def test_an_interruption_leaves_no_numbers_that_describe_other_files(tmp_path):
    settings = Settings(tmp_path, luminosity_fb=0.001, events_scale=1e-5)
    generate(settings)

    def interrupt(name, done, of):
        if name == "ZZTo4e.root":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(replace(settings, events_scale=2e-5), interrupt)
    names = {path.name for path in tmp_path.iterdir()}
    assert "samples.yaml" not in names
    assert not any(name.endswith(".part") for name in names)
    generate(settings)
    assert (tmp_path / "samples.yaml").exists()


def test_the_smallest_demo_still_has_every_file(tmp_path):
    paths = generate(Settings(tmp_path, luminosity_fb=0.001, events_scale=1e-7))
    assert len(paths) == 10
