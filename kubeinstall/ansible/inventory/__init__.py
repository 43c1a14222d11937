"""From an inventory's groups and variables to every host's complete configuration.

Pure functions over plain data, so that the command (which validates before any host is touched) and the playbook
(whose `plan` action does it again for `ansible-playbook`) come to the same.
"""
