"""Admission webhooks: MutatingAdmissionWebhook and ValidatingAdmissionWebhook (`plugins`)."""
