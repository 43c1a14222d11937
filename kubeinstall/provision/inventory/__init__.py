"""Inventories on disk: made, read with Ansible's own eyes, and checked with host, file and variable named."""
