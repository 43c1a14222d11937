"""All functions: CEL's own, its extensions that Kubernetes turns on, and Kubernetes' own."""

from kubeinstall.api.cel.library import (
    authorizer,
    collections,
    conversions,
    formatting,
    network,
    operators,
    quantities,
    strings,
    times,
    versions,
)

__all__ = [
    "authorizer",
    "collections",
    "conversions",
    "formatting",
    "network",
    "operators",
    "quantities",
    "strings",
    "times",
    "versions",
]
