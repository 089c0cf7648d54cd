import json

from higgsdemo.inference import Share, normalise
from tests.inference.builders import ELECTRONS, MUONS, run, sample, totals_of


def test_missing_data_and_missing_simulation_are_told_apart() -> None:
    zeros = [0] * 37
    muons = sample("mu", "data", channels=MUONS)
    electrons = sample("el", "data", channels=ELECTRONS)
    zz = sample("zz", "zz", cross_section_pb=1.0)
    completeness = normalise(
        run(
            totals_of(
                muons,
                {"4mu": zeros, "2mu2e": zeros},
                luminosity_pb=30.0,
                luminosity_planned_pb=100.0,
                files=3,
                files_planned=10,
            ),
            totals_of(electrons, {"4e": zeros}, luminosity_pb=50.0, files=5),
            totals_of(
                zz, {"4e": zeros}, generated=200, files=1, files_planned=4, events_planned=800,
                skipped=("bad.root",),
            ),
        )
    ).completeness  # fmt: skip
    assert not completeness.complete
    assert completeness.data_files == Share(8, 15)
    assert completeness.simulated_files == Share(1, 4)
    assert completeness.files == Share(9, 19)
    luminosity = {one.channel: one.pb for one in completeness.luminosity}
    assert luminosity == {
        "4mu": Share(30.0, 100.0),
        "4e": Share(50.0, 50.0),
        "2mu2e": Share(30.0, 100.0),
    }
    (simulated,) = [one for one in completeness.samples if one.group == "zz"]
    assert simulated.events == Share(200, 800)
    assert simulated.luminosity_pb is None
    assert completeness.skipped == simulated.skipped == ("bad.root",)
    assert json.loads(json.dumps(completeness.to_json()))["skipped"] == ["bad.root"]


def test_an_unknown_plan_stays_unknown() -> None:
    data = totals_of(sample("d", "data"), {"4mu": [0] * 37}, luminosity_pb=None)
    completeness = normalise(run(data)).completeness
    assert completeness.complete
    assert completeness.luminosity[0].pb == Share(0.0, None)
    assert completeness.luminosity[0].unknown == ("d",)
    assert completeness.samples[0].luminosity_pb is None


def test_a_skipped_file_is_never_complete() -> None:
    one = totals_of(sample("d", "data"), {"4mu": [0] * 37}, skipped=("x.root",))
    assert not normalise(run(one)).completeness.complete


def test_fraction() -> None:
    assert Share(1, 4).fraction == 0.25
    assert Share(1, None).fraction is None
    assert Share(0, 0).fraction == 1
