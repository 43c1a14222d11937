"""Approves and signs certificate requests of kubelets and clients, and forgets old requests."""
