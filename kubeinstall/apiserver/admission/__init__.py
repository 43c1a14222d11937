"""Admission: plug-ins that complete or refuse writes."""

from kubeinstall.apiserver.admission.chain import Chain, build

__all__ = ["Chain", "build"]
