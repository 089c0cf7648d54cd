"""A sink in memory that gives what it is told, in any order and as often as it is told."""

from collections.abc import Iterator, Sequence

from higgsdemo.model import Failure, Result
from higgsdemo.sinks import Arrival, Page
from higgsdemo.sinks.parcel import pack
from higgsdemo.sinks.protocol import Known
from higgsdemo.storage import Closing

RUN = "test"


class ListSink(Closing):
    """Arrivals in order; the cursor counts them."""

    url: str = "list://here"
    poll_s: float = 0.0
    is_record: bool = False

    def __init__(self, arrivals: Sequence[Arrival] = (), page: int = 3) -> None:
        self.arrivals = list(arrivals)
        self.page = page
        self.trimmed = 0
        self.emptied = False

    def deliver(self, outcome: Result | Failure, run_id: str) -> None:
        self.arrivals.append(Arrival(*pack(outcome, run_id)))

    def pages(self, run_id: str, after: str = "", known: Known = lambda _: False) -> Iterator[Page]:
        if self.emptied:
            self.emptied, after = False, ""
            yield Page((), "", emptied=True)
        for start in range(int(after or 0), len(self.arrivals), self.page):
            found = self.arrivals[start : start + self.page]
            yield Page(tuple(one for one in found if not known(one.name)), str(start + len(found)))

    def trim(self, run_id: str, cursor: str) -> None:
        self.trimmed = int(cursor)


def arrival(outcome: Result | Failure, run_id: str = RUN) -> Arrival:
    return Arrival(*pack(outcome, run_id))
