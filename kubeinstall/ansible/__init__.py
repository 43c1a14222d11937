"""Ansible modules and plugins that the roles call."""
