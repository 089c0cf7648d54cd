"""Where outcomes travel when workers share no disk with the ledger: folders, buckets, Redis."""

from higgsdemo.sinks.delivery import deliver
from higgsdemo.sinks.door import open_sink, open_sinks
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
    "deliver",
    "failure_of",
    "open_sink",
    "open_sinks",
    "result_name",
    "stem",
    "unpack",
]
