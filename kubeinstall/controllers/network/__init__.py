"""Keeps ServiceCIDRs while addresses of theirs are in use."""
