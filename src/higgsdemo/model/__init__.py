"""The words of the design as types: frozen, typed, no input or output."""

from higgsdemo.model.failure import Failure
from higgsdemo.model.form import Form
from higgsdemo.model.histogram import Axis, Histogram
from higgsdemo.model.result import Cutflow, Output, Result
from higgsdemo.model.sample import CHANNELS, DEMO_MARK, GROUPS, Group, InputFile, Sample, SampleSet
from higgsdemo.model.sections import (
    Sections,
    count_sections,
    join_spans,
    merge_sections,
    sections_of,
)
from higgsdemo.model.task import Task, TaskFile
from higgsdemo.model.totals import SampleTotals, Totals

__all__ = [
    "CHANNELS",
    "DEMO_MARK",
    "GROUPS",
    "Axis",
    "Cutflow",
    "Failure",
    "Form",
    "Group",
    "Histogram",
    "InputFile",
    "Output",
    "Result",
    "Sample",
    "SampleSet",
    "SampleTotals",
    "Sections",
    "Task",
    "TaskFile",
    "Totals",
    "count_sections",
    "join_spans",
    "merge_sections",
    "sections_of",
]
