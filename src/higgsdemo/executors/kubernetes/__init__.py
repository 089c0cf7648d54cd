"""Kubernetes as an engine: Indexed Jobs in many clusters, results over a sink, an exact ledger."""
