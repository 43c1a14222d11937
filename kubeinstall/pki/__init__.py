"""Certificate authorities, certificates, kubeconfigs, tokens and discovery signatures.

The set of files and their names are kubeadm's. The usual way in:

    identity = ClusterIdentity(node_name="a", advertise_address="10.0.0.1")
    ensure_pki(Path("/etc/kubernetes/pki"), identity)
    ensure_kubeconfigs(Path("/etc/kubernetes"), Path("/etc/kubernetes/pki"), identity)

Both write only what is missing or no longer right, and return what they changed; with
`write=False` they change nothing and return what they would.
"""

from kubeinstall.pki.discovery import ca_cert_hash, sign_discovery, verify_discovery
from kubeinstall.pki.ensure import Change, ensure_pki
from kubeinstall.pki.envelope import decrypt_with_key, encrypt_with_key, new_certificate_key
from kubeinstall.pki.errors import PkiError
from kubeinstall.pki.identity import ClusterIdentity
from kubeinstall.pki.keys import KeyAlgorithm
from kubeinstall.pki.kubeconfigs import ensure_kubeconfigs
from kubeinstall.pki.tokens import BootstrapToken

__all__ = [
    "BootstrapToken",
    "Change",
    "ClusterIdentity",
    "KeyAlgorithm",
    "PkiError",
    "ca_cert_hash",
    "decrypt_with_key",
    "encrypt_with_key",
    "ensure_kubeconfigs",
    "ensure_pki",
    "new_certificate_key",
    "sign_discovery",
    "verify_discovery",
]
