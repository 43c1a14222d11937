"""What the roles' modules do: one file a concern, each an idempotent `ensure` with a check mode.

The Ansible modules themselves (`ansible_collections/kubeinstall/cluster/plugins/modules`) only parse
arguments and call in here, so that everything is importable, typed and tested without Ansible.
"""
