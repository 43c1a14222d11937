"""Patches: RFC 6902 JSON patch, RFC 7386 merge patch, and strategic merge patch.

    decode(body, kind)                              # 400 with upstream's message
    json_patch(doc, ops) / merge_patch(doc, patch) / strategic_merge_patch(resource, doc, patch)

None of them changes its arguments.
"""

from kubeinstall.api.patch.decode import JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, decode
from kubeinstall.api.patch.jsonpatch import json_patch
from kubeinstall.api.patch.merge import merge_patch
from kubeinstall.api.patch.strategic import strategic_merge_patch

__all__ = [
    "JSON_PATCH",
    "MERGE_PATCH",
    "STRATEGIC_MERGE_PATCH",
    "decode",
    "json_patch",
    "merge_patch",
    "strategic_merge_patch",
]
