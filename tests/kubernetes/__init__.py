"""Real Kubernetes clusters on this machine, as plain processes, for the tests.

`control_plane.py` starts etcd, kube-apiserver, kube-controller-manager and kube-scheduler on free
ports; `kwok.py` gives a cluster simulated nodes, `node.py` a real one on which pods truly run;
`registry.py` and `images.py` are where its images come from. `fixtures.py` has them as fixtures.
The programs are built by `scripts/install-test-kubernetes` from the modules in `programs/`.

No process, mount, bridge or folder outlives the tests, also when they are killed: processes end
with the one that started them, those of a node lie in namespaces that the kernel takes down, and
`reservations.py` sweeps up what is left of the tests of a process that is gone.
"""
