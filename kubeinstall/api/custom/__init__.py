"""Custom resources: what a CustomResourceDefinition's version makes of its objects.

custom_resource(definition, version) -> Resource     # with `.custom`, see below
CustomType.prune(obj) -> paths of fields that were dropped ; .default(obj) ; .validate(obj) -> errors
"""

from kubeinstall.api.custom.resource import custom_resource, served_versions, storage_version
from kubeinstall.api.custom.schema import CustomType

__all__ = ["CustomType", "custom_resource", "served_versions", "storage_version"]
