import pytest
import uproot

from higgsdemo.errors import UsageError
from higgsdemo.simulation import write_shape
from tests.simulation.conftest import same


@pytest.mark.parametrize(
    ("shape", "four", "muons"), [("signal", 1.0, 2.3), ("zz", 1.0, 2.4), ("data", 0.06, 2.0)]
)
def test_shapes(tmp_path, shape, four, muons):
    path = write_shape(tmp_path / "x.root", shape, 3_001, seed=4)
    with uproot.open(path) as file:
        counts = file["Events"].arrays(["nMuon", "nElectron"], library="np")
    assert counts["nMuon"].size == 3_001
    total = counts["nMuon"] + counts["nElectron"]
    assert (total >= 4).mean() == pytest.approx(four, abs=0.001)
    assert counts["nMuon"].mean() == pytest.approx(muons, abs=0.25)
    again = write_shape(tmp_path / "y.root", shape, 3_001, seed=4)
    assert same(path, again)


def test_one_event_is_a_file(tmp_path):
    with uproot.open(write_shape(tmp_path / "x.root", "data", 1)) as file:
        assert file["Events"].num_entries == 1


def test_what_makes_no_sense_is_refused(tmp_path):
    with pytest.raises(UsageError, match="did you mean: signal"):
        write_shape(tmp_path / "x.root", "sginal", 10)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="0 events"):
        write_shape(tmp_path / "x.root", "zz", 0)
    (tmp_path / "x.root").write_text("mine")
    with pytest.raises(UsageError, match=r"will not overwrite x\.root"):
        write_shape(tmp_path / "x.root", "zz", 10)
