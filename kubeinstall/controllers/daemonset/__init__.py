"""Runs one pod of a DaemonSet on each node that suits it."""
