"""Server-side printing: `meta.k8s.io/v1` Tables and PartialObjectMetadata.

columns(resource, custom=None) -> list of column definitions
row(resource, obj, now, custom=None) -> cells
table(resource, objects, …) -> Table ; partial(obj) / partial_list(objects, …)
"""

from kubeinstall.api.table.build import columns, partial, partial_list, row, table, table_row
from kubeinstall.api.table.custom import CustomColumns

__all__ = [
    "CustomColumns",
    "columns",
    "partial",
    "partial_list",
    "row",
    "table",
    "table_row",
]
