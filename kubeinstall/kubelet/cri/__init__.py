"""The container runtime, over CRI v1."""

from kubeinstall.kubelet.cri.client import CRI, CRIError
from kubeinstall.kubelet.cri.types import ContainerStatus, PodRuntime, Sandbox

__all__ = ["CRI", "CRIError", "ContainerStatus", "PodRuntime", "Sandbox"]
