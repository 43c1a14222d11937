"""kubeadm-style configuration documents (kubeadm.k8s.io/v1beta4).

    config = load_init(Path("cluster.yaml"))      # validated and defaulted; ConfigError otherwise
    config.cluster["networking"]["podSubnet"]

`ConfigError` lists every problem with file, line and field, not just the first.
"""

from kubeinstall.config.documents import Document, parse_documents
from kubeinstall.config.effective import InitConfig, load_init, load_reset
from kubeinstall.config.errors import ConfigError, Problem

__all__ = [
    "ConfigError",
    "Document",
    "InitConfig",
    "Problem",
    "load_init",
    "load_reset",
    "parse_documents",
]
