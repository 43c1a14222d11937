"""kubeinstall: a complete Kubernetes from two package mirrors."""

__version__ = "0.1.0"

#: What `/version`, `kubectl version` and a Node's `kubeletVersion` report.
KUBERNETES_VERSION = "v1.36.0"
