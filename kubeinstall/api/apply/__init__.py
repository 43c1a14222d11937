"""Server-side apply and field ownership (`metadata.managedFields`), as structured-merge-diff does.

update_managed_fields(resource, new, old, manager=manager_name(field_manager, user_agent))
server_side_apply(resource, live, config, manager="m", force=False) -> ApplyResult
only_times_changed(old, new)     # an update that upstream does not write
custom(openapi_v3_schema)        # the `node` argument for a CustomResource, keep it per version
"""

from kubeinstall.api.apply.managers import manager_name
from kubeinstall.api.apply.model import TypeNode, custom
from kubeinstall.api.apply.server_side import ApplyResult, server_side_apply
from kubeinstall.api.apply.tracking import only_times_changed, update_managed_fields

__all__ = [
    "ApplyResult",
    "TypeNode",
    "custom",
    "manager_name",
    "only_times_changed",
    "server_side_apply",
    "update_managed_fields",
]
