from higgsdemo.display.style import GROUP_STYLES, STACK, axis_label, channel_label
from higgsdemo.model import GROUPS


def test_every_group_has_a_style_and_its_own_colour() -> None:
    assert set(GROUP_STYLES) == set(GROUPS)
    assert len({style.colour for style in GROUP_STYLES.values()}) == len(GROUPS)
    assert set(STACK) == set(GROUPS) - {"data"}
    assert STACK[-1] == "higgs"


def test_labels() -> None:
    assert axis_label("m4l", "m4l", "GeV", None) == r"$m_{4\ell}$ [GeV]"
    assert axis_label("m4l_wide", "m4l", "GeV", "2mu2e") == r"$m_{2\mu2e}$ [GeV]"
    assert axis_label("mZ1", "mZ1", "GeV", None) == r"$m_{Z_{1}}$ [GeV]"
    assert axis_label("njets", "jets", "", "other") == "jets"
    assert channel_label("4mu") == r"$4\mu$"
    assert channel_label("dijet") == "dijet"
