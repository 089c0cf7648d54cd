"""Copies of whole sample sets: into a folder of this machine, into a bucket."""

from higgsdemo.transfer.download import Download, Survey
from higgsdemo.transfer.items import Item, copied_set, items_of
from higgsdemo.transfer.state import Outcome, State

__all__ = ["Download", "Item", "Outcome", "State", "Survey", "copied_set", "items_of"]
