"""kube-servers: keeps a host's own load balancer (haproxy) pointed at the API servers that there are."""
