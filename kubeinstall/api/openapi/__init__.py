"""OpenAPI documents: v2 as JSON and as gnostic protobuf, v3 as an index and one document a version.

    openapi = OpenAPI()              # or OpenAPI(extra=[CustomType(resource, schema), …])
    openapi.v2_json() / openapi.v2_protobuf()   -> Document(body, etag)
    openapi.v3_index()                           # /openapi/v3
    openapi.v3("apis/apps/v1")                   # /openapi/v3/apis/apps/v1, None when not served

Documents are built when first asked for; v2 is kept deflated. See `service.OpenAPI`.
"""

from kubeinstall.api.openapi.external import ExternalOpenAPI
from kubeinstall.api.openapi.paths import CustomType
from kubeinstall.api.openapi.service import V2_PROTOBUF, Document, OpenAPI

__all__ = ["V2_PROTOBUF", "CustomType", "Document", "ExternalOpenAPI", "OpenAPI"]
