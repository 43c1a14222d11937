"""Bringing the containers of a pod to what its spec says."""
