"""Client for the Kubernetes API."""
