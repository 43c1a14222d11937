"""From a configuration to a cluster: runs the playbooks and shows what they do."""
