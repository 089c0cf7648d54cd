"""How groups look: named, told apart by everybody, and legible on light and on dark."""

import re
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import higgsdemo.display.dashboard
from higgsdemo.display.style import GROUP_STYLES, STACK, axis_label, channel_label
from higgsdemo.model import GROUPS

Colour = npt.NDArray[np.float64]

# How a colour looks to who lacks a kind of cone: G. M. Machado, M. M. Oliveira, L. A. F. Fernandes,
# IEEE Trans. Vis. Comput. Graph. 15 (2009) 1291, table 1 at severity 1.0; on linear RGB.
VISION = {
    "full": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
         [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
         [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
         [0.004733, 0.691367, 0.303900]]
    ),
}  # fmt: skip
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
     [0.0193339, 0.1191920, 0.9503041]]
)  # fmt: skip
WHITE = np.array([0.95047, 1.0, 1.08883])


def linear(colour: str) -> Colour:
    """The linear RGB of "#rrggbb" (sRGB, IEC 61966-2-1)."""
    value = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(colour: str, vision: str) -> Colour:
    """CIE L*a*b* of a colour as it is seen."""
    xyz = XYZ @ np.clip(VISION[vision] @ linear(colour), 0, 1) / WHITE
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def contrast(one: str, other: str) -> float:
    """Contrast of two colours, 1 to 21 (WCAG 2.2)."""
    dark, light = sorted(float(XYZ[1] @ linear(colour)) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("vision", VISION)
def test_colours_of_groups_are_told_apart(vision: str) -> None:
    """Neighbours in the stack by much; any two by what one sees at a glance (10 is a lot)."""
    seen = {group: lab(GROUP_STYLES[group].colour, vision) for group in GROUPS}
    apart = {
        pair: float(np.linalg.norm(seen[pair[0]] - seen[pair[1]]))
        for pair in combinations(GROUPS, 2)
    }
    assert min(apart.values()) > 10, apart
    for pair in pairwise(STACK):
        assert apart.get(pair, apart.get(pair[::-1], 0.0)) > 20, pair


def themes() -> dict[str, dict[str, str]]:
    """The colours of the page, by theme and name."""
    folder = Path(higgsdemo.display.dashboard.__file__).parent
    text = (folder / "static" / "dashboard.css").read_text()
    found = {}
    for name, start in (("light", ":root {"), ("dark", '[data-theme="dark"] {')):
        block = text.partition(start)[2].partition("}")[0]
        found[name] = dict(re.findall(r"--([a-z0-9-]+):\s*(#[0-9a-f]{6})", block))
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_words_of_the_page_are_legible_in_both_themes(theme: str) -> None:
    """WCAG 2.2: 4.5 for text, 3 for what is no text."""
    colours = themes()[theme]
    for paper in (colours["paper"], colours["card"]):
        for ink in ("ink", "soft", "good", "warn", "failed"):
            assert contrast(colours[ink], paper) > 4.5, (ink, paper)
        for mark in ("done", "failed", "focus"):
            assert contrast(colours[mark], paper) > 3, (mark, paper)
    assert contrast("#ffffff", "#b00020") > 4.5  # alarms, and the badge of made-up data


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
