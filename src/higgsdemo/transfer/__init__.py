"""Copies of whole sample sets: into a folder of this machine, into a bucket."""

from higgsdemo.transfer.bucket import Bucket
from higgsdemo.transfer.download import Download, Survey
from higgsdemo.transfer.items import Item, copied_set, items_of
from higgsdemo.transfer.state import Outcome, State
from higgsdemo.transfer.upload import Upload

__all__ = [
    "Bucket",
    "Download",
    "Item",
    "Outcome",
    "State",
    "Survey",
    "Upload",
    "copied_set",
    "items_of",
]
