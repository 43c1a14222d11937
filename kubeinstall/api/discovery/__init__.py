"""Discovery documents: `/api`, `/apis`, `/apis/G`, `/apis/G/V`, `/api/v1`, and the aggregated form.

discovery = Discovery()                 # or Discovery(extra=custom_resources)
discovery.api_versions("10.0.0.1:6443") # /api
discovery.groups()                      # /apis
discovery.group("apps")                 # /apis/apps, None when there is none
discovery.resources("apps", "v1")       # /apis/apps/v1 and, with "", /api/v1
discovery.aggregated(legacy=False, version="v2")   # Document(body, etag)
"""

from kubeinstall.api.discovery.aggregated import MEDIA_TYPES, Document
from kubeinstall.api.discovery.documents import Discovery, storage_version_hash
from kubeinstall.api.discovery.external import External
from kubeinstall.api.discovery.order import Priority, group_priority, version_priority

__all__ = [
    "MEDIA_TYPES",
    "Discovery",
    "Document",
    "External",
    "Priority",
    "group_priority",
    "storage_version_hash",
    "version_priority",
]
