"""The examples and tables of docs/samples.md are true."""

import json
import re
from pathlib import Path

import pytest

from higgsdemo.catalog import builtin_names, load_set, summarise_samples
from higgsdemo.catalog.indexes import LuminosityTable
from higgsdemo.catalog.schema import FileEntry, SampleEntry, SetEntry

PAGE = (Path(__file__).parents[2] / "docs" / "samples.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"1")


def test_the_yaml_example_loads(tmp_path: Path) -> None:
    (example,) = blocks("yaml")
    touch(tmp_path, "higgs/more/part2.root")
    (tmp_path / "set.yaml").write_text(example)
    found = load_set(tmp_path / "set.yaml")
    assert [len(sample.files) for sample in found.samples] == [2, 1]
    assert found["DoubleMuParked_2012C"].sqrt_s_tev == 8


def test_the_json_examples_load(tmp_path: Path) -> None:
    higgsdna, table = blocks("json")
    touch(tmp_path, "data/1.root")
    (tmp_path / "set.json").write_text(higgsdna)
    assert load_set(tmp_path / "set.json")["ZZTo4mu"].cross_section_pb == 0.077
    (tmp_path / "table.json").write_text(table)
    (url,) = json.loads(table)
    read = LuminosityTable(tmp_path / "table.json")
    assert read[url.partition(".ch/")[2]] == pytest.approx(2.736092213)


def test_every_key_is_explained() -> None:
    for key in (*SampleEntry.model_fields, *SetEntry.model_fields, *FileEntry.model_fields):
        assert re.search(rf"\b{key}\b", PAGE), key


@pytest.mark.parametrize("name", builtin_names())
def test_the_tables_are_those_of_the_sets(name: str) -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.splitlines()
        if line.startswith("| `")
    ]
    by_name = {row[0].strip("`"): row[1:] for row in rows}
    for sample in summarise_samples(load_set(name)):
        row = by_name[sample.name]
        assert row[0] == str(sample.record or "")
        if name.startswith("aod"):
            assert row.pop(1) == (f"{sample.published_files:,}" if sample.published_files else "")
        assert row[1] == " ".join(sample.channels)
        events = f"{sample.generated_events:,}" if sample.generated_events else "events read"
        expected = (
            ["", "", "", str(sample.luminosity_pb)]
            if sample.group == "data"
            else [f"{sample.cross_section_pb:g}", f"{sample.scale_factor:g}", events, ""]
        )
        assert row[2:] == expected
