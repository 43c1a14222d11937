"""The certificate of the health and metrics port."""

from __future__ import annotations

import ssl

from kubeinstall.scheduler.config import SchedulerSettings


def server_context(settings: SchedulerSettings) -> ssl.SSLContext | None:
    """TLS with the configured certificate; None (plain HTTP, loopback) without one."""
    if settings.tls_cert_file is None or settings.tls_private_key_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.tls_cert_file, settings.tls_private_key_file)
    return context
