"""The provisioner: preflight, plays, progress."""
