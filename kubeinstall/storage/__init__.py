"""Revisioned key-value storage."""
