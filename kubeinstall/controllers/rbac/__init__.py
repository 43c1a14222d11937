"""Fills aggregated ClusterRoles with the rules of the roles that they select."""
