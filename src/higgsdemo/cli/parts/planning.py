"""From what a user says to a plan and its record: shared by the commands that begin runs."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import platform
from pathlib import Path
from typing import Any

import higgsdemo
from higgsdemo import executors, workflows
from higgsdemo.cli.parts.console import err, print_json, print_table
from higgsdemo.cli.parts.options import key_values
from higgsdemo.cli.parts.storing import Storing
from higgsdemo.display.tables import plan_table
from higgsdemo.errors import UsageError
from higgsdemo.ledger import RunDirectory
from higgsdemo.model import SampleSet
from higgsdemo.plan import Plan, Settings, make_plan


def make_settings(
    workflow: str,
    option: list[str] | None,
    events_per_task: int,
    files_per_task: int,
    certified: Path | None,
) -> Settings:
    """Read the options of a plan."""
    if certified:
        from higgsdemo.catalog.certification import load_sections

        load_sections(certified)  # a bad file is told now, not by each task
        certified = certified.resolve()
    return Settings(
        workflow=workflow,
        options=workflows.check_options(
            workflows.load(workflow), key_values(option or [], "--option")
        ),
        events_per_task=events_per_task,
        files_per_task=files_per_task,
        certified=str(certified) if certified else None,
    )


def load_samples(inputs: list[str], filters: list[str] | None, limit: int | None) -> SampleSet:
    """Find the samples that a user names."""
    from higgsdemo import catalog

    samples = catalog.load_set(inputs[0] if len(inputs) == 1 else inputs)
    return catalog.filter_set(samples, filters or [], limit)


def plan_samples(samples: SampleSet, settings: Settings, *, only_forecast: bool = False) -> Plan:
    """Turn samples into tasks, showing how far it is."""
    with err.status("planning") as status:
        return make_plan(
            samples,
            settings,
            lambda done, of: status.update(f"planning: {done} of {of} files"),
            only_forecast=only_forecast,
        )


def show_plan(planned: Plan, cores: int, as_json: bool) -> None:
    """Print a plan for the workers of this machine."""
    if as_json:
        print_json(
            {
                "tasks": [task.to_json() for task in planned.tasks],
                "size_bytes": planned.size_bytes,
                "events": planned.events,
                "workers": cores,
                "estimated_s": planned.seconds(cores),
            }
        )
        return
    print_table(plan_table(planned, cores))


def describe(
    inputs: list[str],
    samples: SampleSet,
    settings: Settings,
    policy: executors.Policy,
    storage: Storing,
) -> dict[str, Any]:
    """Describe a run for its run.json."""
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "samples": {"set": samples.name, "title": samples.title, "inputs": inputs},
        "workflow": settings.workflow,
        "options": dict(settings.options),
        "certified_sections": settings.certified,
        "storage": dict(storage.plain),
        "tries": policy.tries,
        "code_sha256": code_digest(),
        "versions": {
            "higgsdemo": higgsdemo.__version__,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in ("numpy", "uproot")},
        },
    }


def refuse_another(known: RunDirectory, inputs: list[str], settings: Settings) -> None:
    """Raise UsageError if the run to resume is of other samples or another workflow."""
    record = known.record
    asked = (inputs, settings.workflow, dict(settings.options), settings.certified)
    made = (record["samples"]["inputs"], record["workflow"], record["options"],
            record["certified_sections"])  # fmt: skip
    for what, now, then in zip(
        ("samples", "workflow", "options", "certified sections"), asked, made, strict=True
    ):
        if now != then:
            raise UsageError(
                f"run {known.id} was made with other {what}",
                why=f"{then} then, {now} now",
                hint=f"go on with it as it is: higgsdemo resume {known.id};"
                " or give the new run another name",
            )


def name_of_now(workflow: str) -> str:
    """Return a name that two runs started at once do not share."""
    return f"{workflow}-{datetime.datetime.now():%Y%m%d-%H%M%S-%f}"[:-3]


def code_digest() -> str:
    """Return the SHA-256 of this package's sources: what a run was made with."""
    folder = Path(higgsdemo.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
