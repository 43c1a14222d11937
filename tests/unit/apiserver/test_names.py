from __future__ import annotations

import uuid
from collections import Counter

from kubeinstall.api import names


def test_uids_are_random_uuids() -> None:
    made = {names.new_uid() for _ in range(2000)}
    assert len(made) == 2000
    assert all(uuid.UUID(one).version == 4 and str(uuid.UUID(one)) == one for one in made)
    assert {uuid.UUID(one).variant for one in made} == {uuid.RFC_4122}


def test_characters_are_spread_evenly() -> None:
    counts = Counter(names.random_suffix(60_000))
    assert set(counts) == set(names.ALPHABET)
    assert max(counts.values()) / min(counts.values()) < 1.3
