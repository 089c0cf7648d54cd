import dataclasses

import pytest

from higgsdemo.catalog import filter_set, load_set
from higgsdemo.catalog.filters import first_files
from higgsdemo.errors import UsageError
from higgsdemo.model import InputFile, Sample

AOD = load_set("aod-2011-2012")


def names(*patterns: str) -> list[str]:
    return [sample.name for sample in filter_set(AOD, patterns, None).samples]


def test_no_filter_is_everything() -> None:
    assert filter_set(AOD, [], None) == AOD


def test_one_key_is_alternatives_and_keys_must_all_fit() -> None:
    assert names("sample=zz4mu*") == ["zz4mu_2012", "zz4mu_2011"]
    assert names("group=higgs", "group=zz", "year=2011", "channel=4e") == [
        "hzz_2011", "zz4e_2011",
    ]  # fmt: skip
    assert names("channel=2e2mu", "group=data", "year=2012") == ["dmu_2012b", "dmu_2012c"]
    assert names("dataset=/DoubleElectron/*", "year=2011") == ["del_2011a"]


@pytest.mark.parametrize(
    ("patterns", "said", "nearest"),
    [
        (["sample=zz4mu_2013"], "no sample of sample set", ("zz4mu_2012", "zz4mu_2011")),
        (["sample=hzz*", "sample=typo"], "'typo'", ()),
        (["group=higs"], "no group", ("higgs",)),
        (["year=2013"], "2011, 2012", ()),
        (["smaple=x"], "cannot look at 'smaple'", ("sample",)),
        (["zz*"], "not a filter", ()),
        (["sample="], "not a filter", ()),
        (["group=higgs", "channel=4mu", "sample=zz*"], "hzz_2012, hzz_2011", ()),
    ],
)
def test_what_fits_nothing(patterns: list[str], said: str, nearest: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        filter_set(AOD, patterns, None)
    assert said in str(caught.value)
    assert set(nearest) <= set(caught.value.nearest)


def test_a_limit_below_one() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        filter_set(AOD, [], 0)


def sample(group: str, *sizes: int | None, luminosity: float | None = None) -> Sample:
    files = tuple(
        InputFile(f"{n}.root", f"/{n}.root", size, luminosity) for n, size in enumerate(sizes)
    )
    return Sample("s", group, files, luminosity_pb=10.0, generated_events=1000)  # type: ignore[arg-type]


def test_shares_by_bytes_or_by_number() -> None:
    kept = first_files(sample("zz", 300, 100, 600), 2)
    assert [file.name for file in kept.files] == ["0.root", "1.root"]
    assert kept.generated_events == 400
    assert kept.sources["generated_events"] == (
        "40 % of the whole: the share of 2 of 3 files, by bytes"
    )
    assert first_files(sample("zz", 300, None, 600, 1), 2).generated_events == 500
    assert first_files(sample("data", 300, 100, 600), 1).luminosity_pb == pytest.approx(3.0)


def test_luminosity_per_file_is_exact() -> None:
    kept = first_files(sample("data", 300, 100, 600, luminosity=2.5), 2)
    assert kept.luminosity_pb == 5.0
    assert kept.sources["luminosity_pb"] == "sum over the 2 files kept"


def test_a_limit_above_the_number_of_files_changes_nothing() -> None:
    whole = sample("data", 300, 100)
    assert first_files(whole, 2) is whole
    empty = dataclasses.replace(whole, files=())
    assert first_files(empty, 3) is empty
    limited = filter_set(load_set("nanoaod-2012"), ["sample=ZZ*"], 5)
    assert limited["ZZTo4e"].generated_events == 1_499_093
