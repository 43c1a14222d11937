"""The table `kube-podnet` of one family: masquerading and policies, changed by the difference only."""

from __future__ import annotations

from collections.abc import Mapping

from kubeinstall.podnet.nat import TABLE
from kubeinstall.podnet.policy.compile import Wanted
from kubeinstall.runtime.nftables import Nftables, NftablesError

_BATCH = 2000
_FIXED = frozenset({"pods-ingress", "pods-egress", "itself"})


class PodTable:
    """`apply` makes the kernel match; a refused script leads to a rebuild in one transaction."""

    def __init__(self, nftables: Nftables, family: str, bridge: str) -> None:
        self.family = family
        self._nftables = nftables
        self._bridge = bridge
        self._nat = ""
        self._have = Wanted()
        self.doubtful = True
        #: How often the whole table was made anew.
        self.rebuilds = 0

    async def apply(self, nat: str, wanted: Wanted) -> None:
        """Bring masquerading (`nat`, a chain) and policies into the kernel. Raises NftablesError."""
        if self.doubtful or nat != self._nat:
            await self._rebuild(nat, wanted)
            return
        script = self._difference(wanted)
        if not script:
            return
        try:
            await self._nftables.run(script)
            self._have = wanted
        except NftablesError:
            await self._rebuild(nat, wanted)

    async def delete(self) -> None:
        """Take the table out of the kernel."""
        name = f"{self.family} {TABLE}"
        await self._nftables.run(f"table {name}\ndelete table {name}\n")
        self.doubtful = True

    def _base(self) -> str:
        ip = self.family
        known = "ct state established,related accept"
        return "\n".join(
            [
                f"map pods-ingress {{ typeof {ip} daddr : verdict; }}",
                f"map pods-egress {{ typeof {ip} saddr : verdict; }}",
                f"set itself {{ typeof {ip} saddr . {ip} daddr; }}",
                "chain forward-egress {",
                "type filter hook forward priority 0;",
                known,
                f"{ip} saddr . {ip} daddr @itself accept",
                f"{ip} saddr vmap @pods-egress",
                "}",
                # After the egress chain, whose `accept` means "go on to the next base chain".
                "chain forward-ingress {",
                "type filter hook forward priority 10;",
                known,
                f"{ip} saddr . {ip} daddr @itself accept",
                f"{ip} daddr vmap @pods-ingress",
                "}",
                # What a pod sends to its own node. The other way round is always allowed: the kubelet
                # must be able to probe.
                "chain input-egress {",
                "type filter hook input priority 0;",
                known,
                f'iifname "{self._bridge}" {ip} saddr vmap @pods-egress',
                "}",
            ]
        )

    async def _rebuild(self, nat: str, wanted: Wanted) -> None:
        self.doubtful = True
        self.rebuilds += 1
        name = f"{self.family} {TABLE}"
        lines = [
            f"table {name}",
            f"delete table {name}",
            f"table {name} {{",
            nat,
            self._base(),
            "}",
        ]
        lines += self._added(wanted, wanted.sets, wanted.chains)
        await self._nftables.run("\n".join(lines))
        self._nat, self._have, self.doubtful = nat, wanted, False

    def _difference(self, wanted: Wanted) -> str:
        name, have = f"{self.family} {TABLE}", self._have
        lines: list[str] = []
        new_sets = {s: e for s, e in wanted.sets.items() if s not in have.sets}
        new_chains = {c: r for c, r in wanted.chains.items() if c not in have.chains}
        lines += self._added(wanted, new_sets, new_chains)
        for chain, rules in wanted.chains.items():
            if chain in have.chains and have.chains[chain] != rules:
                lines.append(f"flush chain {name} {chain}")
                lines += [f"add rule {name} {chain} {rule}" for rule in rules]
        for label, elements in wanted.sets.items():
            if label in have.sets:
                lines += self._changed(label, have.sets[label], elements)
        lines += self._removed(wanted)
        return "\n".join(lines)

    def _added(
        self,
        wanted: Wanted,
        sets: Mapping[str, Mapping[str, str]],
        chains: Mapping[str, list[str]],
    ) -> list[str]:
        name = f"{self.family} {TABLE}"
        lines = [
            f"add set {name} {label} {{ {wanted.types[label]}; }}"
            for label in sets
            if label not in _FIXED
        ]
        lines += [f"add chain {name} {chain}" for chain in chains]
        for chain, rules in chains.items():
            lines += [f"add rule {name} {chain} {rule}" for rule in rules]
        for label, elements in sets.items():
            lines += self._elements("add", label, [_element(k, v) for k, v in elements.items()])
        return lines

    def _changed(self, label: str, have: Mapping[str, str], want: Mapping[str, str]) -> list[str]:
        gone = [key for key, value in have.items() if want.get(key) != value]
        fresh = [_element(key, value) for key, value in want.items() if have.get(key) != value]
        return self._elements("delete", label, gone) + self._elements("add", label, fresh)

    def _removed(self, wanted: Wanted) -> list[str]:
        """Deletions last, and chains emptied before any goes, so that nothing is referred to any more."""
        name, have = f"{self.family} {TABLE}", self._have
        chains = [chain for chain in have.chains if chain not in wanted.chains]
        lines = [f"flush chain {name} {chain}" for chain in chains]
        lines += [f"delete chain {name} {chain}" for chain in chains]
        lines += [f"delete set {name} {s}" for s in have.sets if s not in wanted.sets]
        return lines

    def _elements(self, verb: str, label: str, items: list[str]) -> list[str]:
        name = f"{self.family} {TABLE}"
        return [
            f"{verb} element {name} {label} {{ {', '.join(items[start : start + _BATCH])} }}"
            for start in range(0, len(items), _BATCH)
        ]


def _element(key: str, value: str) -> str:
    return f"{key} : {value}" if value else key
