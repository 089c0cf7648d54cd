"""What is done to a task's events, e.g. `h4l`; found by entry point, so anyone may add one."""

from higgsdemo.workflows.base import (
    GROUP,
    Option,
    Workflow,
    check_options,
    load,
    names,
    needs_files,
)

__all__ = ["GROUP", "Option", "Workflow", "check_options", "load", "names", "needs_files"]
