"""Real services for the tests: S3, GCS, XRootD, HTTP with and without faults, Redis.

Each is a context manager that starts one on free loopback ports and stops it by pid; what it
keeps and logs lies in the folder it is given. No process outlives the one that started it, also
when that one is killed. `tests.services.fixtures` has them as fixtures of a whole session.
"""
