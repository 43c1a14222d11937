"""Watches over nodes: health, taints, eviction, pod CIDRs, TTL annotations."""
