"""Field ownership on writes that are not server-side apply."""

from __future__ import annotations

from kubeinstall.api import apply
from kubeinstall.api.types import Object
from kubeinstall.apiserver.catalog import Served
from kubeinstall.apiserver.http import Exchange
from kubeinstall.apiserver.params import WriteOptions


def manager(options: WriteOptions, exchange: Exchange) -> str:
    """Who the writer counts as."""
    return apply.manager_name(options.manager, exchange.user_agent)


def own(
    served: Served, live: Object | None, new: Object, who: str, *, subresource: str = ""
) -> None:
    """Note in `new` who owns which field after this create or update.

    `live` is the current object (None: there is none); both are of the served version.
    """
    apply.update_managed_fields(served.resource, new, live, manager=who, subresource=subresource)
