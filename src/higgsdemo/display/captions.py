"""What a figure says in words: luminosity, fit, completeness, what is missing."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

from higgsdemo.inference import Completeness, Fit, Luminosity, Normalised, SampleShare
from higgsdemo.ledger.news import Refusals

_NAMES_SHOWN = 3
_SMALL = 100.0  # pb^-1: below, 0.1 fb^-1 is too coarse a step
_EXPONENT = "$^{-1}$"
_MATHTEXT = re.compile(r"(?<!\\)\$(?:[^$\\]|\\.)*\$")


def luminosity_text(luminosity: Iterable[Luminosity]) -> str:
    """Return e.g. "2.3 fb^-1 (7 TeV), 11.6 fb^-1 (8 TeV)" in mathtext.

    Channels of a year may stand on streams of slightly different luminosity: the largest is
    named, as in the 2019 demo. Years of one collision energy are added.
    """
    parts = []
    for energy, years in _by_energy(luminosity).items():
        done = sum(max(one.pb.done for one in year) for year in years.values())
        known = done > 0 or not any(one.unknown for year in years.values() for one in year)
        beam = "" if energy is None else f"{energy:g}\N{NO-BREAK SPACE}TeV"
        if known:
            parts.append(f"{_inverse(done)} ({beam})" if beam else _inverse(done))
        elif beam:
            parts.append(beam)
    return ", ".join(parts)


def refusals_text(refusals: Refusals, most: int = 3) -> list[str]:
    """Return what came over the sinks and is no part of the run, at most so many lines of it."""
    said = [f"refused, not part of this run: {one}" for one in refusals.examples[:most]]
    if refusals.documents > most:
        said.append("more documents were refused: --json counts them")
    if refusals.emptied:
        said.append("a sink came back without what it held: what was not collected is lost")
    return said


def fit_text(found: Fit, *, mathtext: bool = False) -> list[str]:
    """Return the signal strength and significance as lines, or why there is none.

    Plain text for a terminal; with `mathtext` for a figure.
    """
    mu, sigma = (r" $\mu$ =", r"$\sigma$") if mathtext else ("", " sigma")
    errors = "$^{{+{:.2f}}}_{{-{:.2f}}}$" if mathtext else " +{:.2f} -{:.2f}"
    lines = []
    if found.signal_strength is not None:
        strength = f"signal strength{mu} {found.signal_strength:.2f}"
        if found.error_up is not None and found.error_down is not None:
            strength += errors.format(found.error_up, found.error_down)
        lines.append(strength)
    expected = found.expected_significance
    if found.observed_significance is not None:
        more = "" if expected is None else f" (expected {expected:.1f}{sigma})"
        lines.append(f"local significance {found.observed_significance:.1f}{sigma}{more}")
    elif expected is not None:
        lines.append(f"expected local significance {expected:.1f}{sigma}")
    if found.signal_strength is None and found.reason is not None:
        lines.append(f"signal strength not computed: {found.reason}")
    elif found.left_out:
        first = found.left_out[0].reason
        names = [
            one.channel if one.year is None else f"{one.channel} {one.year}"
            for one in found.left_out
            if one.reason == first
        ]
        rest = len(found.left_out) - len(names)
        others = f" (and {rest} more for other reasons)" if rest else ""
        lines.append(f"fit without {some(names)}: {first}{others}")
    return lines


def completeness_text(normalised: Normalised) -> list[str]:
    """Return plain lines: files done of planned, luminosity, simulated events, what is missing."""
    completeness = normalised.completeness
    lines = [_files(completeness)]
    if not completeness.complete:
        lines.extend(_missing(completeness))
    if completeness.skipped:
        names = [name.rsplit("/", 1)[-1] for name in completeness.skipped]
        lines.append(f"{len(names)} {_files_word(len(names))} skipped: {some(names)}")
    excluded: dict[str, list[str]] = {one.reason: [] for one in normalised.excluded}
    for one in normalised.excluded:
        where = "" if len(one.channels) > 1 else f" ({one.channels[0]})"
        excluded[one.reason].append(one.sample + where)
    lines.extend(f"not in the stack: {some(who)}: {why}" for why, who in excluded.items())
    unknown = [one.sample for one in normalised.without_luminosity]
    if unknown:
        simulated = any(group != "data" for group in normalised.groups)
        follows = ", simulation not scaled to it" if simulated else ""
        lines.append(f"luminosity unknown{follows}: {some(unknown)}")
    return lines


def wrap(line: str, width: int) -> list[str]:
    """Break a line after at most `width` characters; a piece of mathtext counts as one."""
    pieces = iter(_MATHTEXT.findall(line))
    return [
        re.sub("\0", lambda _: next(pieces), part)
        for part in textwrap.wrap(_MATHTEXT.sub("\0", line), width, break_on_hyphens=False)
    ]


def some(names: Sequence[str], shown: int = _NAMES_SHOWN) -> str:
    """Return the first names, and how many more there are; a "$" starts no mathtext."""
    more = len(names) - shown
    listed = ", ".join(names[:shown]).replace("$", r"\$")
    return f"{listed}, +{more} more" if more > 0 else listed


def _files(completeness: Completeness) -> str:
    files = completeness.files
    planned = int(files.planned or 0)
    if not planned:
        return "no files planned"
    if files.done == files.planned:
        return f"all {planned} {_files_word(planned)}" if planned > 1 else "the one file"
    fraction = files.fraction
    share = "" if fraction is None else f"{_percent(fraction)} of files: "
    return (
        f"{share}data {_of(completeness.data_files.done, completeness.data_files.planned)}, "
        f"simulation "
        f"{_of(completeness.simulated_files.done, completeness.simulated_files.planned)}"
    )


def _missing(completeness: Completeness) -> list[str]:
    parts = []
    for energy, years in _by_energy(completeness.luminosity).items():
        beam = "" if energy is None else f" ({energy:g}\N{NO-BREAK SPACE}TeV)"
        channels = {
            one.channel: (one.pb.done, one.pb.planned) for year in years.values() for one in year
        }
        if len(years) > 1:
            channels = {
                name: _summed(one for year in years.values() for one in year if one.channel == name)
                for name in channels
            }
        alike: dict[str, list[str]] = {}
        for name, (done, planned) in channels.items():
            alike.setdefault(_luminosity_of(done, planned), []).append(name)
        if len(alike) == 1:
            parts.append(f"{next(iter(alike))}{beam}")
        else:
            parts.extend(f"{','.join(names)} {said}{beam}" for said, names in alike.items())
    lines = [f"luminosity {'; '.join(parts)}"] if parts else []
    shares = [one for one in completeness.samples if one.group != "data"]
    fractions = [
        (_progress(one), one.sample) for one in shares if _progress(one) is not None
    ]  # fmt: skip
    if fractions:
        least, name = min((fraction or 0.0, sample) for fraction, sample in fractions)
        if least < 1:
            lines.append(
                f"simulated events: {_percent(least)} of the least complete sample, {some([name])}"
            )
    return lines


def _progress(share: SampleShare) -> float | None:
    fraction = share.events.fraction
    return share.files.fraction if fraction is None else fraction


def _summed(luminosity: Iterable[Luminosity]) -> tuple[float, float | None]:
    parts = list(luminosity)
    planned = [one.pb.planned for one in parts if one.pb.planned is not None]
    whole = sum(planned) if len(planned) == len(parts) else None
    return sum(one.pb.done for one in parts), whole


def _by_energy(
    luminosity: Iterable[Luminosity],
) -> dict[float | None, dict[int | None, list[Luminosity]]]:
    grouped: dict[float | None, dict[int | None, list[Luminosity]]] = {}
    for one in luminosity:
        grouped.setdefault(one.sqrt_s_tev, {}).setdefault(one.year, []).append(one)
    return dict(sorted(grouped.items(), key=lambda item: (item[0] is None, item[0] or 0.0)))


def _luminosity_of(done: float, planned: float | None) -> str:
    """Both numbers in one unit, that of the plan."""
    if planned is None:
        return f"{_inverse(done)} of unknown"
    scale = 1.0 if planned < _SMALL else 1000.0
    return f"{done / scale:.1f} of {_inverse(planned)}"


def _inverse(pb: float) -> str:
    if 0 < pb < _SMALL:
        return f"{pb:.1f} pb{_EXPONENT}"
    return f"{pb / 1000:.1f} fb{_EXPONENT}"


def _percent(fraction: float) -> str:
    """Whole percents that never round up to done, nor down to nothing."""
    percent = 100 * fraction
    if 0 < percent < 1:
        return "< 1 %"
    return f"{min(int(percent), 99) if fraction < 1 else round(percent)} %"


def _of(done: float, planned: float | None) -> str:
    return f"{done:.0f} of {'?' if planned is None else f'{planned:.0f}'}"


def _files_word(count: int) -> str:
    return "file" if count == 1 else "files"
