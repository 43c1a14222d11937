"""Kubernetes API types."""
