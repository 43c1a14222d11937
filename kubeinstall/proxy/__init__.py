"""kube-proxy: Services on nftables."""
