"""Counts what namespaces use, for their ResourceQuotas."""
