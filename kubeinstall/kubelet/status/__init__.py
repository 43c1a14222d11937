"""Telling the API server how pods are."""
