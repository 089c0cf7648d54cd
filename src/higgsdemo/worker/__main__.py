"""The program around `run_task`: `python -m higgsdemo.worker`.

    --connection FD   serves tasks over a socket handed down by the parent process
                      (executor `local`)
    TASK.json         one task from a file, its result as JSON on standard output (batch jobs),
                      or put into a sink with --sink URL --run RUN, where a collector takes it;
                      several --sink: into each, an object store as record and Redis as bus
    --tasks FOLDER --index N
                      the tasks of index N of an array of jobs, one after another, each delivered
                      to the sinks before the next begins

Exit status of the last two forms: 0 done, 65 bad input, 70 bug, 75 transient, 77 credentials,
137 out of memory, 143 told to end.
"""

from __future__ import annotations

import sys

from higgsdemo.worker.command import main

if __name__ == "__main__":
    sys.exit(main())
