"""Certificates, kubeconfigs and tokens."""
