"""What to make of a job's status: pure decisions, from what a cluster says and the ledger knows.

The worker delivers before it ends, so whatever a status says is done or failed was delivered
before the status was written, or never. `Judge` is asked only after the sinks were read anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from higgsdemo.errors import Cause
from higgsdemo.executors.drive import AT_ONCE, Policy
from higgsdemo.executors.kubernetes.pods import Ending
from higgsdemo.executors.kubernetes.status import JobStatus, indexes
from higgsdemo.ledger.placements import Open, PlacedJob, Verdict
from higgsdemo.model import Failure

BY_POLICY = "PodFailurePolicy"  # the reason of a job that was ended for one pod
NO_DETAILS = "the index failed, and its pod is gone: no more is known"


@dataclass(frozen=True)
class Known:
    """What the ledger knows of the open tasks: failed attempts, and when the last one ended (s)."""

    tries: Mapping[str, int]
    told: Mapping[str, float]


def unexplained(
    job: PlacedJob, status: JobStatus, waiting: Iterable[Open], known: Known
) -> list[int] | None:
    """Return the failed indexes of a job whose pods must be looked at, those without a word first.

    None: any of them, as the job was ended for one pod.

    Where the worker delivered a failure it is asked all the same: an attempt after that may have
    ended otherwise.
    """
    if status.ended == BY_POLICY:
        return None
    failed = indexes(status.failed_indexes)
    silent: set[int] = set()
    spoken: set[int] = set()
    for each in waiting:
        if each.position in failed:
            told = known.told.get(each.task_id, 0.0) >= job.made
            (spoken if told else silent).add(each.position)
    return [*sorted(silent), *sorted(spoken - silent)]


def judge(
    job: PlacedJob,
    status: JobStatus | None,
    waiting: Iterable[Open],
    known: Known,
    endings: Mapping[int, Ending | None],
    policy: Policy,
) -> list[Verdict]:
    """Return what became of the tasks that wait for this job and have no result.

    `status` None: the cluster has no such job. `endings` has, by index, how the last pod ended
    (None: nothing is known); failed indexes that are not in it are left for later.
    """
    if status is None:
        why = f"job {job.name} is gone from cluster {job.cluster}"
        return [_taken_away(each, why) for each in waiting]
    done, failed = indexes(status.completed), indexes(status.failed_indexes)
    verdicts: list[Verdict] = []
    blamed: set[int] = (
        set()
    )  # indexes of which a task that was under way when the pod died is known
    for each in waiting:
        if each.position in done:
            where = f"index {each.position} of job {job.name} in cluster {job.cluster}"
            failure = Failure(each.task_id, Cause.LOST, f"done, but there is no result: {where}")
            verdicts.append(_counted(failure, known, policy))
        elif each.position in failed:
            if each.position in endings:
                ending = endings[each.position]
                if each.position in blamed and not _spoke(job, each, known):
                    why = f"its pod died before its turn: {ending.message if ending else 'gone'}"
                    verdicts.append(_taken_away(each, why))
                    continue
                verdicts.append(_failed(job, each, ending, known, policy))
                if not _spoke(job, each, known) and _died(ending):
                    blamed.add(each.position)
        elif status.ended == BY_POLICY:
            verdicts += _ended_by_policy(job, status, each, endings, known, policy)
        elif status.ended:
            why = f"job {job.name} ended before its turn: {status.ended}"
            verdicts.append(_taken_away(each, why))
    return verdicts


def _ended_by_policy(
    job: PlacedJob,
    status: JobStatus,
    each: Open,
    endings: Mapping[int, Ending | None],
    known: Known,
    policy: Policy,
) -> list[Verdict]:
    """Judge a task whose job was ended because one pod met a bug or had no credentials.

    Mostly the worker delivered it, and the run has stopped. Else the pods tell; and if they are
    gone, it counts against all, as the next job would end so too.
    """
    ending = endings.get(each.position)
    if ending is not None and ending.cause in AT_ONCE:
        return [_failed(job, each, ending, known, policy)]
    if not endings:
        return []
    why = f"job {job.name} was ended: {status.message or status.ended}"
    return [_counted(Failure(each.task_id, Cause.TRANSIENT, why), known, policy)]


def _spoke(job: PlacedJob, each: Open, known: Known) -> bool:
    """Whether the worker delivered a failure of the task since it was given to this job."""
    return known.told.get(each.task_id, 0.0) >= job.made


def _died(ending: Ending | None) -> bool:
    """Whether a pod ended in the middle of a task; tasks of a pod run one after another."""
    return ending is None or ending.cause is not Cause.BAD_INPUT


def _failed(
    job: PlacedJob, each: Open, ending: Ending | None, known: Known, policy: Policy
) -> Verdict:
    spoke = _spoke(job, each, known)
    if ending is None:
        if spoke:
            return Verdict(each.task_id, None)
        return _counted(Failure(each.task_id, Cause.TRANSIENT, NO_DETAILS), known, policy)
    if ending.cause is Cause.PREEMPTED:
        return Verdict(each.task_id, Failure(each.task_id, Cause.PREEMPTED, ending.message))
    if spoke and ending.cause is not Cause.RESOURCES:
        return Verdict(each.task_id, None)  # the worker said it, and the ledger counted it
    cause = ending.cause
    if cause is Cause.BAD_INPUT and len(job.indexes[each.position]) > 1:
        cause = Cause.TRANSIENT  # of which of its tasks, nobody knows
    failure = Failure(each.task_id, cause, ending.message, None, {"host": ending.pod})
    return _counted(failure, known, policy)


def _counted(failure: Failure, known: Known, policy: Policy) -> Verdict:
    tries = known.tries.get(failure.task_id, 0) + 1
    return Verdict(failure.task_id, failure, policy.again(failure, tries))


def _taken_away(each: Open, why: str) -> Verdict:
    """Not the task's fault; one that never began has no attempt to note."""
    failure = Failure(each.task_id, Cause.PREEMPTED, why) if each.running else None
    return Verdict(each.task_id, failure)
