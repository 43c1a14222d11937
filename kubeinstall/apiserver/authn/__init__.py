"""Authentication: certificates, tokens, front proxies, and impersonation."""

from kubeinstall.apiserver.authn.authenticator import Authenticator, build
from kubeinstall.apiserver.authn.impersonation import impersonate

__all__ = ["Authenticator", "build", "impersonate"]
