"""The rehearsal: the demo at its full number of tasks, on simulated nodes, with things going wrong.

    python -m tests.kubernetes.rehearsal [--tasks 26920] [--nodes 660] [--clusters 3] [--output F]

Three kinds of processes. *The world*: real control planes whose nodes KWOK simulates; pods end as
real ones do: some fail for good (exit 65), some each time (75), some are preempted. *The workers*
put a result into the sink for each index that a cluster counts as completed, and a failure for
each that exits 65. *We*: one process that submits the run and follows it to its end. Midway one
cluster is lost, control plane and all; its tasks must be taken over by the others.

At the end the account is compared with what the workers delivered, task by task, and with a sum of
all results that never saw a cluster.
"""
