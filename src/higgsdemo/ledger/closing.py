"""The closing check: a run is complete only if its sums say so (promise P1)."""

from __future__ import annotations

from higgsdemo.ledger.database import Ledger
from higgsdemo.ledger.manifest import Manifest
from higgsdemo.ledger.merge import Merger
from higgsdemo.ledger.tally import tally_of


def closing_check(ledger: Ledger, manifest: Manifest, merger: Merger | None = None) -> list[str]:
    """Return what does not add up, one line each; nothing if the run closes.

    Every task is in one state; each task counted done has one result and no other has one;
    events and files of a fresh merge equal those of the tasks counted done, entry ranges
    included; all results are of one workflow in one version; there is no alarm. `merger`, empty,
    then holds the sums that were checked.
    """
    wrong: list[str] = []
    counts = ledger.counts()
    failed = sum(counts.failed.values())
    merger = merger or Merger(manifest)
    rows = {row["id"]: row for row in ledger.rows()}
    if manifest.digest not in (None, ledger.meta("manifest")):
        wrong.append("the manifest is not the one the ledger was made for")
    planned = {task.id for task in manifest.tasks}
    if planned != rows.keys():
        wrong.append(
            f"{len(planned - rows.keys())} tasks are only in the manifest, "
            f"{len(rows.keys() - planned)} only in the ledger"
        )
    if counts.planned != counts.done + failed + counts.running + counts.queued:
        wrong.append(f"the states of the tasks do not add up: {counts}")
    if not counts.ended:
        wrong.append(f"{counts.running} tasks are running and {counts.queued} are queued")
    with_result: set[str] = set()
    versions: set[str] = set()
    for document in ledger.documents():
        row = rows[document["task"]]
        if row["id"] in planned:
            with ledger.readable():
                merger.fold(tally_of(document, ledger.form(document["form"])))
        with_result.add(row["id"])
        versions.add(f"{document['workflow']} {document['version']}")
        wrong += [
            f"{row['label']}: {document[kind]} {kind} read, {row[kind]} planned"
            for kind in ("events", "files")
            if row[kind] is not None and row[kind] != document[kind]
        ]
    done = {row["id"] for row in rows.values() if row["state"] == "done"}
    if done != with_result:
        wrong.append(
            f"{len(done - with_result)} tasks are done without a result, "
            f"{len(with_result - done)} have a result and are not done"
        )
    merged = sum(sample.events for sample in merger.totals().samples.values())
    delivered = ledger.delivered_events()
    if merged != delivered:
        wrong.append(f"{merged} events in the merged result, {delivered} in the delivered ones")
    if len(versions) > 1:
        wrong.append(f"results of several workflows are mixed: {', '.join(sorted(versions))}")
    return [*wrong, *ledger.alarms()]
