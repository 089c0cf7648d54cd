"""The figures as a table, JSON and Markdown, beside what was to be reached."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Goal:
    """Something to reach: at most `limit`; at the full size, where it is said."""

    what: str
    value: float
    limit: float
    unit: str = ""

    @property
    def met(self) -> bool:
        return self.value <= self.limit

    @property
    def line(self) -> str:
        said = "reached" if self.met else "MISSED"
        return f"{self.what}: {self.value:,.3g} {self.unit} (at most {self.limit:g}): {said}"


def submit_goals(we: dict[str, Any]) -> list[Goal]:
    """Return what submitting should reach."""
    submit = we["submit_traffic"].values()
    return [
        Goal("wall time to submit", we["submit_s"], 5, "s"),
        Goal("requests to submit, most of a cluster", max(one["requests"] for one in submit), 100),
        Goal(
            "sent and received to submit, most of a cluster",
            max(one["sent_bytes"] + one["received_bytes"] for one in submit) / 1e6,
            5,
            "MB",
        ),
        Goal("our memory", we["memory_bytes"] / 1e6, 300, "MB"),
    ]


def goals(found: dict[str, Any]) -> list[Goal]:
    """Return what the rehearsal should reach."""
    we, account = found["we"], found["account"]
    # What is asked of a cluster that is dead reaches none: it is in the table, not in the goal.
    lost = found["lost"].get("cluster")
    watch = [one for name, one in we["watch_traffic"].items() if name != lost]
    following = max(we["seconds"] - we["submit_s"], 1e-9)
    wanted = [
        Goal("wrong in the account", len(account["wrong"]), 0),
        *submit_goals(we),
        Goal(
            "requests to follow, most of a cluster",
            max(one["requests"] for one in watch) / following,
            1,
            "/s",
        ),
        Goal("our CPU over the control planes'", found["cpu_share"], 0.05),
    ]
    if found.get("floor"):
        ratio = we["seconds"] / found["floor"]["seconds"]
        wanted.append(Goal("time over the controller's own floor", ratio, 1.1, "x"))
    return wanted


def text(found: dict[str, Any]) -> str:
    """Return all of it for a terminal."""
    we, account = found["we"], found["account"]
    planes = found["control_planes"]
    failed = ", ".join(f"{count} {cause}" for cause, count in account["failed"].items()) or "none"
    lines = [
        f"{found['tasks']:,} tasks, {found['nodes']} simulated nodes, {found['clusters']} clusters",
        f"  account: {account['planned']:,} planned = {account['done']:,} done + failed: {failed}",
        f"  {account['delivered']:,} results delivered, {account['again']} of them a second time",
        f"  {we['submit_s']:.1f} s to submit, {we['seconds']:.1f} s to the end, {we['jobs']} Jobs",
    ]
    if found["lost"]:
        lost = found["lost"]
        lines.append(
            f"  cluster {lost['cluster']} lost after {lost['after_s']:.0f} s with"
            f" {lost['done_then']:,} done in all"
        )
    if found.get("floor"):
        alone = found["floor"]["seconds"]
        lines.append(f"  the controller's own floor, one Indexed Job alone: {alone:.1f} s")
    lines.append(
        f"  we: {we['memory_bytes'] / 1e6:.0f} MB, {we['cpu_s']:.1f} CPU s; control planes:"
        f" {planes['memory_bytes'] / 1e6:,.0f} MB, {planes['cpu_s']:.1f} CPU s"
    )
    lines += ["", "  " + "cluster".ljust(12) + "requests, MB sent, MB received: submit | follow"]
    for name, one in we["submit_traffic"].items():
        after = we["watch_traffic"].get(name, {})
        lines.append(f"  {name.ljust(12)}{_traffic(one)} | {_traffic(after)}")
    lines += ["", *(f"  {goal.line}" for goal in goals(found))]
    lines += [f"  WRONG: {one}" for one in account["wrong"]]
    return "\n".join(lines)


def markdown(found: dict[str, Any]) -> str:
    """Return the goals as a table for the documentation."""
    rows = [
        f"| {one.what} | {one.value:,.3g} {one.unit} | {one.limit:g} |"
        f" {'yes' if one.met else 'no'} |"
        for one in goals(found)
    ]
    return _table(
        f"{found['tasks']:,} tasks, {found['nodes']} simulated nodes, {found['clusters']} clusters",
        ("figure", "measured", "at most", "reached"),
        rows,
    )


def _table(title: str, head: Iterable[str], rows: Iterable[str]) -> str:
    names = list(head)
    return "\n".join(
        [title, "", f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}", *rows, ""]
    )


def _traffic(one: dict[str, int]) -> str:
    if not one:
        return "-"
    return f"{one['requests']}, {one['sent_bytes'] / 1e6:.2f}, {one['received_bytes'] / 1e6:.2f}"
