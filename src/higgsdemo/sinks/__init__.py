"""Where outcomes travel when workers share no disk with the ledger: folders, buckets, Redis."""

from higgsdemo.sinks.door import open_sink
from higgsdemo.sinks.parcel import Parcel, ParcelError, failure_of, result_name, stem, unpack
from higgsdemo.sinks.protocol import Arrival, Page, Sink
from higgsdemo.sinks.retry import Patience

__all__ = [
    "Arrival",
    "Page",
    "Parcel",
    "ParcelError",
    "Patience",
    "Sink",
    "failure_of",
    "open_sink",
    "result_name",
    "stem",
    "unpack",
]
