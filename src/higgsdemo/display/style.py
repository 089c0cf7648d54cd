"""How the groups and channels look and what they are called, in figures and tables alike.

The colours are those of M. A. Petroff, arXiv:2107.02270 (six colours, told apart with any
colour vision deficiency), which CMS recommends and mplhep's CMS style cycles through.
"""

from __future__ import annotations

from dataclasses import dataclass

from higgsdemo.model import Group

DEMO_MARK = "SIMULATED DEMO DATA"
STACK: tuple[Group, ...] = ("other", "dy", "ttbar", "zz", "higgs")  # bottom to top


@dataclass(frozen=True, slots=True)
class GroupStyle:
    """A group: its colour, its name in figures (mathtext) and in plain text."""

    colour: str
    label: str
    plain: str


GROUP_STYLES: dict[Group, GroupStyle] = {
    "data": GroupStyle("#000000", "Data", "data"),
    "higgs": GroupStyle("#e42536", r"$H\;\rightarrow\;ZZ^{*}\;\rightarrow\;4\ell$", "Higgs"),
    "zz": GroupStyle("#5790fc", r"$ZZ,\;Z\gamma^{*}\;\rightarrow\;4\ell$", "ZZ"),
    "ttbar": GroupStyle("#9c9ca1", r"$t\overline{t}$", "ttbar"),
    "dy": GroupStyle("#f89c20", r"$Z/\gamma^{*}$ + jets", "Drell-Yan"),
    "other": GroupStyle("#964a8b", "Other", "other"),
}

_CHANNELS = {"4mu": r"4\mu", "4e": "4e", "2mu2e": r"2\mu2e"}
_PARTICLES = {"mZ1": r"Z_{1}", "mZ2": r"Z_{2}"}


def channel_label(channel: str) -> str:
    """Return the name of a channel in mathtext."""
    return f"${_CHANNELS[channel]}$" if channel in _CHANNELS else channel


def axis_label(variable: str, label: str, unit: str, channel: str | None) -> str:
    """Return the name of a variable in mathtext, with its unit.

    A four-lepton mass ("m4l", also with a suffix such as "m4l_wide") names the leptons of the
    channel; other variables that are not known here keep the label of their axis.
    """
    if variable.partition("_")[0] == "m4l":
        leptons = _CHANNELS.get(channel, r"4\ell") if channel else r"4\ell"
        name = f"$m_{{{leptons}}}$"
    elif variable in _PARTICLES:
        name = f"$m_{{{_PARTICLES[variable]}}}$"
    else:
        name = label or variable
    return f"{name} [{unit}]" if unit else name
