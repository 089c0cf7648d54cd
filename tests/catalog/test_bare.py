import pytest

from higgsdemo.catalog.bare import bare_sample, published_name
from higgsdemo.catalog.builtin import load_builtin
from higgsdemo.model import CHANNELS, InputFile

AOD = "/eos/opendata/cms/Run2012B/DoubleElectron/AOD/22Jan2013-v1/20000/"


def files(*names: str, size: int | None = None) -> tuple[InputFile, ...]:
    return tuple(InputFile(name, f"/data/{name}", size) for name in names)


@pytest.mark.parametrize(
    ("name", "group", "year", "sqrt_s", "channels"),
    [
        ("4mu_2011", "data", 2011, 7.0, CHANNELS),
        ("2e2mu_2012", "data", 2012, 8.0, CHANNELS),
        ("Run2016H_DoubleMuon", "data", 2016, 13.0, ("4mu", "2mu2e")),
        ("DoubleEG_2022", "data", 2022, 13.6, ("4e",)),
        ("Run2012B_doubleelectron", "data", 2012, 8.0, ("4e",)),
        ("nanoAOD_2015_CMS_Open_Data_ttbar", "ttbar", 2015, 13.0, CHANNELS),
        ("DYJetsToLL_M-50", "dy", None, None, CHANNELS),
        ("DY1JetsToLL", "dy", None, None, CHANNELS),
        ("GluGluHToZZTo4L_M125_2018", "higgs", 2018, 13.0, CHANNELS),
        ("ZZTo4tau", "zz", None, None, CHANNELS),
        ("TTTo2L2Nu", "ttbar", None, None, CHANNELS),
        ("uproot-HZZ", "data", None, None, CHANNELS),
        ("my-muons", "data", None, None, CHANNELS),
        ("run120125", "data", None, None, CHANNELS),
    ],
)
def test_what_names_say(
    name: str, group: str, year: int | None, sqrt_s: float | None, channels: tuple[str, ...]
) -> None:
    sample = bare_sample(name, files("a.root"))
    assert (sample.name, sample.group, sample.year) == (name, group, year)
    assert (sample.sqrt_s_tev, sample.channels) == (sqrt_s, channels)
    assert sample.luminosity_pb is sample.cross_section_pb is sample.generated_events is None


def test_a_copy_of_a_published_file_has_its_cross_section_but_counts_its_events() -> None:
    sample = bare_sample("ZZTo4mu", files("ZZTo4mu.root", size=1000))
    assert (sample.group, sample.cross_section_pb, sample.scale_factor) == ("zz", 0.077, 1.386)
    assert sample.channels == ("4mu",)
    assert sample.generated_events is None
    assert "may be a part" in sample.sources["generated_events"]
    assert sample.files[0].url == "/data/ZZTo4mu.root"


def test_the_published_file_itself_has_its_event_count() -> None:
    published = load_builtin("nanoaod-2012")["ZZTo4mu"]
    same_size = bare_sample("ZZTo4mu", files("ZZTo4mu.root", size=184_624_480))
    same_name = bare_sample("ZZTo4mu", published.files)
    assert same_size.generated_events == same_name.generated_events == 1_499_064


def test_a_published_data_stream_keeps_its_luminosity() -> None:
    sample = bare_sample("Run2012C_DoubleElectron", files("Run2012C_DoubleElectron.root"))
    assert (sample.luminosity_pb, sample.channels) == (7169.567607, ("4e",))


def test_a_part_of_an_aod_stream_has_no_luminosity() -> None:
    part = bare_sample("x", files(f"{AOD}a.root", f"{AOD}b.root"))
    assert (part.dataset, part.format, part.year) == (
        "/DoubleElectron/Run2012B-22Jan2013-v1/AOD", "aod", 2012,
    )  # fmt: skip
    assert part.luminosity_pb is None
    assert "part" in part.sources["luminosity_pb"]
    whole = bare_sample("x", files(*(f"{AOD}{number}.root" for number in range(1643))))
    assert whole.luminosity_pb == 4436.337279


def test_an_aod_dataset_that_is_not_built_in() -> None:
    path = "/eos/opendata/cms/Run2012B/MuEG/AOD/22Jan2013-v1/20000/a.root"
    sample = bare_sample("mine", files(path))
    assert (sample.dataset, sample.format) == ("/MuEG/Run2012B-22Jan2013-v1/AOD", "aod")
    assert (sample.group, sample.year) == ("data", 2012)


def test_published_names() -> None:
    assert published_name(f"{AOD}a.root") == "del_2012b"
    assert published_name("a.root") is None
