"""kubeadm-style configuration documents."""
