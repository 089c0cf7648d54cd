import os
import shutil

import pytest
import yaml

from higgsdemo.catalog import load_set
from higgsdemo.errors import UsageError
from higgsdemo.simulation import LABEL, Settings, generate
from higgsdemo.simulation.folder import prepare


def test_the_sample_set_is_read_by_the_catalogue(demo):
    samples = load_set(demo.settings.output)
    assert samples.demo
    assert {sample.name for sample in samples.samples} == {
        path.stem for path in demo.paths if path.suffix == ".root"
    }
    for sample in samples.samples:
        assert sample.demo
        if sample.is_data:
            assert sample.luminosity_pb is not None
        else:
            columns = demo.arrays(sample.name, "run")
            assert sample.generated_events == len(columns)
    assert samples["ZZTo2e2mu"].effective_cross_section_pb == pytest.approx(0.24948)
    assert samples["Run2012B_DoubleElectron"].channels == ("4e",)
    assert samples["Run2012C_DoubleMuParked"].luminosity_pb == pytest.approx(7132.244375)


def test_the_texts_are_labelled(demo):
    document = yaml.safe_load((demo.settings.output / "samples.yaml").read_text())
    assert document["demo"] is True
    assert document["title"] == LABEL
    assert (demo.settings.output / "README.txt").read_text().startswith(LABEL)


def test_own_files_may_be_replaced_foreign_ones_not(demo, tmp_path):
    own = tmp_path / "ZZTo4mu.root"
    shutil.copy(demo.settings.output / own.name, own)
    prepare(tmp_path, [own.name])
    foreign = tmp_path / "SMHiggsToZZTo4L.root"
    foreign.write_bytes(b"the real one")
    with pytest.raises(UsageError, match=r"will not overwrite SMHiggsToZZTo4L\.root") as caught:
        generate(Settings(tmp_path, events_scale=1e-4))
    assert caught.value.exit_code == 2
    assert foreign.read_bytes() == b"the real one"


def test_a_foreign_sample_file_is_not_overwritten(tmp_path):
    (tmp_path / "samples.yaml").write_text("name: my own\n")
    with pytest.raises(UsageError, match=r"will not overwrite samples\.yaml"):
        generate(Settings(tmp_path, events_scale=1e-4))
    assert [path.name for path in tmp_path.iterdir()] == ["samples.yaml"]


def test_other_content_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    generate(Settings(tmp_path, luminosity_fb=0.1, events_scale=1e-4))
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 11


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(UsageError, match="cannot write to"):
        generate(Settings(tmp_path / "x"))


def test_a_folder_that_may_not_be_written(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(UsageError, match="cannot write to"):
            generate(Settings(tmp_path))
    finally:
        tmp_path.chmod(0o700)
