"""`samples list | show | check`."""

from pathlib import Path
from typing import Any


def test_list_names_the_built_in_sets(higgsdemo: Any) -> None:
    said = higgsdemo("samples", "list")
    assert said.status == 0
    assert "nanoaod-2012" in said.out
    assert "aod-2011-2012" in said.out
    assert {each["name"] for each in higgsdemo("samples", "list", "--json").json} >= {
        "nanoaod-2012", "aod-2011-2012",
    }  # fmt: skip


def test_show_gives_the_numbers_and_their_sources(higgsdemo: Any) -> None:
    said = higgsdemo("samples", "show", "nanoaod-2012", "--sources", "--files")
    assert "0.077 x 1.386" in said.out
    assert "299,973" in said.out
    assert "cross_section_pb:" in said.out
    assert "Run2012C_DoubleElectron.root" in said.out
    document = higgsdemo("samples", "show", "nanoaod-2012", "--json").json
    assert len(document["samples"]) == 8


def test_check_finds_a_missing_file(higgsdemo: Any) -> None:
    Path("set.yaml").write_text(
        "name: mine\nsamples:\n- {name: a, group: higgs, files: [a.root]}\n"
    )
    said = higgsdemo("samples", "check", "set.yaml")
    assert said.status == 1
    assert "a.root" in said.out
    assert any(
        finding["level"] == "error"
        for finding in higgsdemo("samples", "check", "set.yaml", "--json").json
    )


def test_an_unknown_set_names_the_nearest(higgsdemo: Any) -> None:
    said = higgsdemo("samples", "show", "nanoad-2012")
    assert said.status == 2
    assert "nanoaod-2012" in said.err


def test_fetch_writes_a_sample_file_and_needs_no_network_the_second_time(
    higgsdemo: Any, fake: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    said = higgsdemo("samples", "fetch", 12361, "--server", fake.url, "--output", "mine.yaml")
    assert said.status == 0, said.err
    assert "higgsdemo plan mine.yaml" in said.out
    planned = higgsdemo("plan", "mine.yaml", "--json")
    assert planned.status == 0, planned.err
    (task,) = planned.json["tasks"]
    (file,) = task["files"]
    assert file["url"].endswith("SMHiggsToZZTo4L.root")
    assert file["checksum"].startswith("adler32:")
    again = higgsdemo(
        "samples", "fetch", 12361, "--offline", "--server", fake.url, "--output", "again.yaml"
    )
    assert again.status == 0, again.err
    there = higgsdemo("samples", "fetch", 12361, "--server", fake.url, "--output", "mine.yaml")
    assert there.status == 2
    assert "is there already" in there.err


def test_fetch_of_an_unknown_record_says_so(higgsdemo: Any, fake: Any) -> None:
    said = higgsdemo("samples", "fetch", 99999, "--server", fake.url)
    assert said.status != 0
    assert "99999" in said.err
    assert "Traceback" not in said.err
