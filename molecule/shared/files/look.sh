#!/bin/bash
# look.sh before|after: write down what a dry run may not change, and with `after` fail with what differs from `before`.
set -euo pipefail
folder=/run/molecule-look
mkdir -p "$folder"
{
    # Data directories live on while a cluster runs; a dry run that touched them would have touched one of these too.
    find /etc /usr /opt /opt/kubeinstall /var/lib/dpkg /var/lib/kubeinstall -xdev \
        \( -path '*/__pycache__*' -o -path /opt/kubeinstall/.lock -o -path '/var/lib/kubeinstall/datastore*' \) -prune -o \
        \( -type d -printf '%p %m %u\n' -o -printf '%p %y %m %u %s %T@ %l\n' \) 2>/dev/null | sort
    systemctl list-units --plain --no-legend --state=active,activating 'kube*' 'etcd*' 'containerd*' 'haproxy*' 'keepalived*' |
        awk '{print $1}' | sort | while read -r unit; do
        echo "$unit $(systemctl show --value --property InvocationID "$unit")"
    done
    nft list tables
    sysctl net.ipv4.ip_forward
} >"$folder/$1"
test "$1" = before || diff "$folder/before" "$folder/after"
