"""kube-controller-manager."""
