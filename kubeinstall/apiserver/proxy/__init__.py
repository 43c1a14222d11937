"""Requests handed on: to kubelets, pods and services."""
