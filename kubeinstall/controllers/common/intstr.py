"""IntOrString values: a number, or a percentage of something."""

from __future__ import annotations

import math


def scaled(value: int | str, whole: int, *, round_up: bool) -> int:
    """5 is 5; "25%" is a quarter of `whole`, rounded as asked. ValueError for other text."""
    if isinstance(value, int):
        return value
    if not value.endswith("%"):
        raise ValueError(f"invalid value for IntOrString: {value!r} is not a percentage")
    # In integers, so that 25 % of 12 is exactly 3.
    share = int(value[:-1]) * whole
    return -(-share // 100) if round_up else math.floor(share / 100)
