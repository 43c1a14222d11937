"""kube-apiserver."""
