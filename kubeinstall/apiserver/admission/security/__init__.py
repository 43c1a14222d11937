"""Pod Security: levels, checks, and the admission plug-in."""

from kubeinstall.apiserver.admission.security.plugin import PodSecurity

__all__ = ["PodSecurity"]
