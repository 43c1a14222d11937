"""ValidatingAdmissionPolicy, and the expressions that webhooks share with it."""
