"""ROOT files into flat columns: only the wanted branches, in steps that follow the clusters."""

from higgsdemo.columns.chunk import Chunk, Wanted
from higgsdemo.columns.events import EventFile, ReaderChoice, open_events

__all__ = ["Chunk", "EventFile", "ReaderChoice", "Wanted", "open_events"]
