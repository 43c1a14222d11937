"""Empties and finalizes namespaces; gives each a default service account and the root CA."""
