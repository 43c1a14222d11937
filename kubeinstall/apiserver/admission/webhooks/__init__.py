"""Admission webhooks: MutatingAdmissionWebhook and ValidatingAdmissionWebhook."""

from kubeinstall.apiserver.admission.webhooks.plugins import (
    MutatingAdmissionWebhook,
    ValidatingAdmissionWebhook,
)

__all__ = ["MutatingAdmissionWebhook", "ValidatingAdmissionWebhook"]
