"""Chains made before anybody needs them.

A new shape costs a rebuild of the table (see `table.py`), so a rebuild also makes the shapes that are likely
to come: every number of endpoints up to a good deal more than there are now. An unused chain costs a packet
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kubeinstall.proxy.chains import Family, Shape, render
from kubeinstall.proxy.plan import Chains, Plan

_LEAST, _LEAST_LOCAL, _MOST_LOCAL = 16, 4, 16


def prepared(plans: Iterable[Plan], family: Family) -> Chains:
    """Rules by chain name of all shapes that `plans` have or may soon have; empty without plans."""
    shapes: set[Shape] = set()
    masquerading = None
    for plan in plans:
        shapes |= plan.shapes
        masquerading = plan.masquerading
    if masquerading is None:
        return {}
    wanted = shapes | set(_likely(shapes))
    ordered = sorted(wanted, key=lambda shape: (shape.kind == "local", shape.name))
    return {shape.name: render(shape, family, masquerading) for shape in ordered}


def _likely(shapes: set[Shape]) -> Iterator[Shape]:
    # The commonest services exist sooner or later in any cluster.
    kinds = {("internal", False, "cluster", False), ("external", True, "cluster", False)}
    kinds |= {(s.kind, s.node_port, s.policy, s.affinity) for s in shapes}
    highest = max((shape.count for shape in shapes), default=0)
    for kind, node_port, policy, affinity in kinds:
        if kind == "local":
            yield from _likely_local(node_port, affinity, shapes)
            continue
        for count in range(1, max(_LEAST, 2 * highest) + 1):
            yield Shape(kind, node_port, count, 0, policy, affinity)


def _likely_local(node_port: bool, affinity: bool, shapes: set[Shape]) -> Iterator[Shape]:
    highest = max(shape.count for shape in shapes if shape.kind == "local")
    for count in range(1, min(_MOST_LOCAL, max(_LEAST_LOCAL, 2 * highest)) + 1):
        for local in range(count + 1):
            shape = Shape("local", node_port, count, local, affinity=affinity)
            yield shape
            yield shape.inner()
