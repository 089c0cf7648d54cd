"""What is new in a ledger, by the numbers of its results."""

from pathlib import Path

from higgsdemo.ledger import news
from tests.ledger.builders import make_tasks, new_ledger, result_of


def test_arrivals_after_a_sequence_number(tmp_path: Path) -> None:
    tasks = make_tasks(4)
    with new_ledger(tmp_path, tasks) as ledger:
        for task in tasks:
            ledger.deliver(result_of(task))
        first, *_, last = [taken.sequence for taken in news.arrivals(ledger)]
        later = [taken.tally.task for taken in news.arrivals(ledger, first)]
        assert later == [task.id for task in tasks[1:]]
        between = [taken.tally.task for taken in news.arrivals(ledger, first, last - 1)]
        assert between == [task.id for task in tasks[1:3]]
        assert list(news.arrivals(ledger, last)) == []
