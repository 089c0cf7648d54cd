"""Play the rehearsal and print its figures."""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.kubernetes.rehearsal import report
from tests.kubernetes.rehearsal.play import Settings, play
from tests.kubernetes.rehearsal.tasks import ALL
from tests.kubernetes.rehearsal.world import floor, nodes_for

ARCHIVE = Path(__file__).parents[4] / "shared" / "data" / "file-indexes.tar.gz"


def main() -> int:
    parser = argparse.ArgumentParser(prog="rehearsal", description=__doc__)
    parser.add_argument("--tasks", type=int, default=ALL)
    parser.add_argument("--nodes", type=int, help="default: the demo's 660, in proportion")
    parser.add_argument("--clusters", type=int, default=3)
    parser.add_argument("--archive", type=Path, default=ARCHIVE, help="file-indexes.tar.gz")
    parser.add_argument("--output", type=Path, metavar="FILE", help="FILE.json and FILE.md")
    parser.add_argument("--no-floor", action="store_true", help="do not measure one Job alone")
    parser.add_argument("--no-loss", action="store_true", help="lose no cluster")
    parser.add_argument("--declare", action="store_true", help="say at once that it is lost")
    parser.add_argument(
        "--only-submit", action="store_true", help="measure what it takes to submit, and end"
    )
    parser.add_argument("--check", action="store_true", help="exit 1 if a goal is missed")
    chosen = parser.parse_args()
    if not chosen.archive.is_file():
        parser.error(f"the demo's file indexes are not there: {chosen.archive}")
    nodes = chosen.nodes or nodes_for(chosen.tasks, ALL)
    began = time.monotonic()

    def tell(words: str) -> None:
        sys.stderr.write(words + "\n")

    with tempfile.TemporaryDirectory(prefix="higgsdemo-rehearsal-") as place:
        folder = Path(place)
        measured = None
        if not (chosen.no_floor or chosen.only_submit):
            (folder / "floor").mkdir()
            tell(f"the floor: one Indexed Job of {chosen.tasks:,} alone")
            measured = floor(folder / "floor", chosen.tasks, nodes)
            tell(f"the floor is {measured['seconds']:.1f} s")
        settings = Settings(
            chosen.archive,
            chosen.tasks,
            nodes,
            chosen.clusters,
            lose=not chosen.no_loss,
            declare=chosen.declare,
            only_submit=chosen.only_submit,
        )
        (folder / "play").mkdir()
        if chosen.only_submit:
            held = report.submit_goals(play(folder / "play", settings, tell)["we"])
            sys.stdout.write("".join(f"{goal.line}\n" for goal in held))
            return 1 if chosen.check and not all(goal.met for goal in held) else 0
        found = {**play(folder / "play", settings, tell), "floor": measured}
    sys.stdout.write(report.text(found) + "\n")
    if chosen.output:
        chosen.output.parent.mkdir(parents=True, exist_ok=True)
        chosen.output.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
        chosen.output.with_suffix(".md").write_text(report.markdown(found))
    tell(f"all of it took {time.monotonic() - began:.0f} s")
    missed = [goal for goal in report.goals(found) if not goal.met]
    return 1 if found["account"]["wrong"] or (chosen.check and missed) else 0


if __name__ == "__main__":
    sys.exit(main())
