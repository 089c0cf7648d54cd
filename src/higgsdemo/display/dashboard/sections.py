"""A view of a run as the sections of the page, ready for JSON.

Text that others wrote (names of files and samples, messages) goes out as plain text in which
nothing steers a terminal or turns the direction of writing; the page shows it as text.
"""

from __future__ import annotations

import hashlib
from typing import Any

from higgsdemo.display import words
from higgsdemo.display.captions import completeness_text
from higgsdemo.display.dashboard.selection import group_label
from higgsdemo.inference import Fit, Normalised, yields
from higgsdemo.ledger import Problem
from higgsdemo.monitor import SampleView, View
from higgsdemo.monitor.gathering import Standing

Section = dict[str, Any]

SHOWN_MESSAGE = 2_000  # characters; a million log lines are no message
SHOWN_TRACEBACK = 50_000
SHOWN_PROBLEMS = 50
SHOWN_PLACES = 40
SHOWN_NAMES = 200  # of skipped files
SHOWN_REFUSAL = 300


def plain(text: object, most: int = 500) -> str:
    """Return text without control characters, and not more of it than fits."""
    whole = str(text)
    shown = words.plain(whole[:most], lines=True)
    more = len(whole) - most
    return shown if more <= 0 else f"{shown}\n… and {more:,} more characters"


def standing(said: Standing) -> Section:
    """Return how the run is followed."""
    silent = {plain(url): plain(why) for url, why in said.silent.items()}
    return {"state": said.state, "text": plain(said.text), "silent": silent}


def readable(text: str) -> str:
    """Return a caption's mathtext as plain text."""
    for code, letter in (("$^{-1}$", "⁻¹"), (r"\$", "$"), ("\N{NO-BREAK SPACE}", " ")):
        text = text.replace(code, letter)
    return plain(text)


def overview(view: View) -> Section:
    """Return the head of the page: what it is, how far, and what came of it."""
    counts = view.counts
    completeness = view.normalised.completeness
    files = completeness.files
    return {
        "run": plain(view.run_id),
        "title": plain(view.title),
        "demo": view.demo,
        "state": _state(view),
        "planned": counts.planned,
        "done": counts.done,
        "running": counts.running,
        "queued": counts.queued,
        "failed": sum(counts.failed.values()),
        "causes": dict(counts.failed),
        "files": files.to_json(),
        "events": sum(one.events for one in view.samples),
        "luminosity": _luminosity(view.normalised),
        "window": _window(view.normalised),
        "fit": _fit(view.fit),
        "alarms": [plain(alarm) for alarm in view.alarms],
        "refused": [plain(one, SHOWN_REFUSAL) for one in view.refusals.examples],
        "refused_more": view.refusals.documents - len(view.refusals.examples),
        "emptied": view.refusals.emptied,
    }


def _state(view: View) -> str:
    if view.complete:
        return "complete"
    if view.ended:
        return "incomplete"  # it ended, and something is missing
    return "running" if view.counts.done or view.counts.running else "waiting"


def _luminosity(normalised: Normalised) -> list[dict[str, Any]]:
    """Return done and planned per collision energy; of the channels, the largest counts."""
    years: dict[tuple[float | None, int | None], list[Any]] = {}
    for one in normalised.completeness.luminosity:
        years.setdefault((one.sqrt_s_tev, one.year), []).append(one)
    energies: dict[float | None, list[float | None]] = {}
    for (energy, _), channels in years.items():
        sums = energies.setdefault(energy, [0.0, 0.0])
        best = max(channels, key=lambda one: one.pb.planned or one.pb.done)
        done = max(one.pb.done for one in channels)
        sums[0] = (sums[0] or 0.0) + done
        planned = best.pb.planned
        sums[1] = None if planned is None or sums[1] is None else sums[1] + planned
    return [
        {"sqrt_s_tev": energy, "done_pb": done, "planned_pb": planned}
        for energy, (done, planned) in energies.items()
    ]


def _window(normalised: Normalised) -> Section | None:
    found = yields(normalised)
    if found.bins is None or normalised.axis.label != "m4l":
        return None
    simulated = [group for group in found.groups if group != "data"]
    return {
        "range": found.window,
        "data": found.count(["data"], window=True).counts if "data" in found.groups else None,
        "data_label": group_label("data", demo=normalised.demo),
        "higgs": found.count(["higgs"], window=True).to_json(),
        "background": found.count(found.backgrounds, window=True).to_json(),
        "expected": found.count(simulated, window=True).to_json(),
    }


def _fit(fit: Fit | None) -> Section | None:
    if fit is None:
        return None
    document = fit.to_json()
    document["left_out"] = [
        {"channel": plain(one.channel), "year": one.year, "reason": plain(one.reason)}
        for one in fit.left_out
    ]
    document["not_computed"] = None if fit.reason is None else plain(fit.reason)
    return document


def completeness(view: View) -> Section:
    """Return what is in and what is missing, per sample and in words."""
    lines = [readable(line) for line in completeness_text(view.normalised)]
    skipped = view.normalised.completeness.skipped
    return {
        "lines": lines,
        "missing": _missing(view),
        "skipped": [plain(name) for name in skipped[:SHOWN_NAMES]],
        "skipped_more": max(0, len(skipped) - SHOWN_NAMES),
        "samples": [_sample(one, view) for one in view.samples],
    }


def _missing(view: View) -> list[str]:
    """Say which samples have given nothing yet, data streams first, and what that means."""
    absent = [one for one in view.samples if one.files_planned and not one.counts.done]
    simulated = [one for one in absent if not one.is_data]
    said = [
        f"Nothing is in of {plain(one.name)}: its channels have no luminosity of"
        f" {one.year or 'its year'} yet, and no simulation is drawn there."
        for one in absent
        if one.is_data
    ]
    if simulated and view.counts.done:
        names = ", ".join(plain(one.name) for one in simulated[:6])
        more = f" and {len(simulated) - 6} more" if len(simulated) > 6 else ""
        said.append(f"Nothing is in of the simulated {names}{more}: not in the stack yet.")
    return said


def _sample(one: SampleView, view: View) -> Section:
    return {
        "name": plain(one.name),
        "group": one.group,
        "label": group_label(one.group, demo=view.demo),
        "year": one.year,
        "is_data": one.is_data,
        "planned": one.counts.planned,
        "done": one.counts.done,
        "running": one.counts.running,
        "queued": one.counts.queued,
        "failed": sum(one.counts.failed.values()),
        "files": [one.files, one.files_planned],
        "events": [one.events, one.events_planned],
        "luminosity_pb": [one.luminosity_pb, one.luminosity_planned_pb] if one.is_data else None,
        "generated": None if one.is_data else [one.generated_events, one.generated_planned],
    }


def problems(view: View) -> Section:
    """Return the failures by cause; the real error of each is a click away."""
    return {
        "groups": [
            {
                "name": problem_name(one),
                "cause": plain(one.cause),
                "message": plain(one.message, 300),
                "tasks": one.tasks,
                "example": plain(one.example),
            }
            for one in view.problems[:SHOWN_PROBLEMS]
        ],
        "more": max(0, len(view.problems) - SHOWN_PROBLEMS),
    }


def problem_name(one: Problem) -> str:
    """Return a name that a group of failures keeps while others come before it."""
    return hashlib.sha256(f"{one.cause}\0{one.message}".encode(errors="replace")).hexdigest()[:16]


def problem(view: View, name: str) -> Section | None:
    """Return one group of failures with all its words; None if there is none of this name."""
    one = next((one for one in view.problems if problem_name(one) == name), None)
    if one is None:
        return None
    return {
        "cause": plain(one.cause),
        "message": plain(one.message, SHOWN_MESSAGE),
        "tasks": one.tasks,
        "example": plain(one.example),
        "traceback": None if not one.traceback else plain(one.traceback, SHOWN_TRACEBACK),
    }


def throughput(view: View) -> Section:
    """Return how fast it goes and where."""
    rates = view.rates
    places = sorted(view.places.items(), key=lambda item: -item[1])
    return {
        "events_per_s": rates.events_per_s,
        "files_per_s": rates.files_per_s,
        "gbit_per_s": rates.bytes_per_s * 8 / 1e9,
        "left_s": None if view.ended else rates.left_s,
        "efficiency": rates.efficiency,
        "window_s": rates.window_s,
        "places": [[plain(name), count] for name, count in places[:SHOWN_PLACES]],
        "more_places": max(0, len(places) - SHOWN_PLACES),
    }


def history(view: View) -> dict[str, list[Any]]:
    """Return the significance against time as columns; times in ms since 1970, UTC."""
    moments = view.history
    return {
        "at": [one.at * 1000 for one in moments],
        "expected": [one.expected for one in moments],  # null is a gap in the line
        "observed": [one.observed for one in moments],
    }
