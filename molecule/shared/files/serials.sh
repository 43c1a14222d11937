#!/bin/bash
# The serials of the certificates that API server and etcd show on this host.
set -euo pipefail
pki=/etc/kubernetes/pki/etcd
for port in 6443 2379; do
    openssl s_client -connect "127.0.0.1:$port" -cert "$pki/healthcheck-client.crt" -key "$pki/healthcheck-client.key" \
        </dev/null 2>/dev/null | openssl x509 -noout -serial
done
