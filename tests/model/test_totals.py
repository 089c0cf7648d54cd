"""Totals: complete, demo and skipped are those of all samples."""

from higgsdemo.model import Sample, SampleTotals, Totals

DATA = Sample("Run2012B", "data", ())
ZZ = Sample("ZZTo4mu", "zz", ())


def test_complete_only_when_every_sample_is() -> None:
    done = SampleTotals(ZZ, tasks=2, tasks_planned=2)
    part = SampleTotals(DATA, tasks=1, tasks_planned=2)
    assert done.complete
    assert not part.complete
    assert Totals("r", {"a": done}).complete
    assert not Totals("r", {"a": done, "b": part}).complete


def test_one_demo_sample_makes_the_run_demo() -> None:
    demo = SampleTotals(Sample("SMHiggsToZZTo4L", "higgs", (), demo=True))
    assert Totals("r", {"a": SampleTotals(ZZ), "b": demo}).demo
    assert not Totals("r", {"a": SampleTotals(ZZ)}).demo


def test_skipped_files_of_all_samples() -> None:
    totals = Totals(
        "r",
        {
            "a": SampleTotals(ZZ, skipped=("zz/1.root", "zz/2.root")),
            "b": SampleTotals(DATA),
            "c": SampleTotals(DATA, skipped=("b/1.root",)),
        },
    )
    assert totals.skipped == ("zz/1.root", "zz/2.root", "b/1.root")
