"""The dashboard: a run on a web page that keeps itself up to date (the extra `dashboard`).

    ledger -> Monitor (one thread) -> Feed (sections, made once) -> sockets -> browsers

The numbers are made in Python; browsers draw them with BokehJS. Nothing is loaded from elsewhere.
"""
