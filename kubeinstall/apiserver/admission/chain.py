"""The plug-ins that are on, in upstream's order, and which of them a request concerns.

Mutating webhooks and policies stand behind what the server itself changes, validating ones right
before `ResourceQuota`; checks against escalation of RBAC, which
upstream does in the storage layer behind mutating admission, end the mutating phase.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from kubeinstall.apiserver.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
    ClusterTrustBundleAttest,
)
from kubeinstall.apiserver.admission.defaults import (
    DefaultIngressClass,
    DefaultStorageClass,
    PersistentVolumeClaimResize,
    StorageObjectInUseProtection,
)
from kubeinstall.apiserver.admission.limits import LimitRanger
from kubeinstall.apiserver.admission.namespaces import NamespaceLifecycle
from kubeinstall.apiserver.admission.node_restriction import NodeRestriction
from kubeinstall.apiserver.admission.optional import (
    AlwaysAdmit,
    AlwaysDeny,
    AlwaysPullImages,
    DenyServiceExternalIPs,
    ExtendedResourceToleration,
    NamespaceExists,
)
from kubeinstall.apiserver.admission.plugin import Plugin
from kubeinstall.apiserver.admission.pods import (
    DefaultTolerationSeconds,
    PodTopologyLabels,
    Priority,
    RuntimeClass,
    TaintNodesByCondition,
)
from kubeinstall.apiserver.admission.policies.mutating import MutatingAdmissionPolicy
from kubeinstall.apiserver.admission.policies.validating import ValidatingAdmissionPolicy
from kubeinstall.apiserver.admission.quota import ResourceQuota
from kubeinstall.apiserver.admission.security import PodSecurity
from kubeinstall.apiserver.admission.service_accounts import ServiceAccount
from kubeinstall.apiserver.admission.tenancy import (
    LimitPodHardAntiAffinityTopology,
    NamespaceAutoProvision,
    OwnerReferencesPermissionEnforcement,
    PodNodeSelector,
    PodTolerationRestriction,
)
from kubeinstall.apiserver.admission.webhooks.plugins import (
    MutatingAdmissionWebhook,
    ValidatingAdmissionWebhook,
)
from kubeinstall.apiserver.authz import Authorizer, escalation
from kubeinstall.apiserver.authz.kinds import RBAC_GROUP
from kubeinstall.apiserver.config import ApiServerSettings
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import CREATE, UPDATE, AdmissionAttributes
from kubeinstall.errors import SettingsError

#: Upstream's order of all plug-ins that are known here.
ORDER: Final = (
    "AlwaysAdmit",
    "NamespaceAutoProvision",
    "NamespaceLifecycle",
    "NamespaceExists",
    "LimitPodHardAntiAffinityTopology",
    "LimitRanger",
    "ServiceAccount",
    "NodeRestriction",
    "TaintNodesByCondition",
    "AlwaysPullImages",
    "PodSecurity",
    "PodNodeSelector",
    "Priority",
    "DefaultTolerationSeconds",
    "PodTolerationRestriction",
    "ExtendedResourceToleration",
    "PodTopologyLabels",
    "DefaultStorageClass",
    "StorageObjectInUseProtection",
    "OwnerReferencesPermissionEnforcement",
    "PersistentVolumeClaimResize",
    "RuntimeClass",
    "CertificateApproval",
    "CertificateSigning",
    "ClusterTrustBundleAttest",
    "CertificateSubjectRestriction",
    "DefaultIngressClass",
    "DenyServiceExternalIPs",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionWebhook",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionWebhook",
    "ResourceQuota",
    "AlwaysDeny",
)
#: Upstream's plug-ins that are off unless asked for.
OFF: Final = frozenset(
    {
        "AlwaysAdmit",
        "NamespaceAutoProvision",
        "NamespaceExists",
        "LimitPodHardAntiAffinityTopology",
        "PodNodeSelector",
        "PodTolerationRestriction",
        "OwnerReferencesPermissionEnforcement",
        "NodeRestriction",
        "AlwaysPullImages",
        "ExtendedResourceToleration",
        "DenyServiceExternalIPs",
        "AlwaysDeny",
    }
)
_RBAC_KINDS = frozenset({"roles", "clusterroles", "rolebindings", "clusterrolebindings"})

_Key = tuple[str, str, str, str]


class _Escalation(Plugin):
    name = "RBACEscalation"

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def handles(self, group: str, plural: str, subresource: str, operation: str) -> bool:
        return group == RBAC_GROUP and plural in _RBAC_KINDS and operation in (CREATE, UPDATE)

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        escalation.check(self._authorizer, attributes)


class Chain:
    """Runs admission; see `interfaces.AdmissionChain`."""

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        self.plugins: tuple[Plugin, ...] = tuple(plugins)
        self._mutators: dict[_Key, tuple[Plugin, ...]] = {}
        self._validators: dict[_Key, tuple[Plugin, ...]] = {}

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        """Let plug-ins change `attributes.object`; raises what refuses."""
        resource = attributes.resource
        key = (resource.group, resource.name, attributes.subresource, attributes.operation)
        plugins = self._mutators.get(key)
        if plugins is None:
            plugins = self._mutators[key] = self._select(key, "mutate")
        for plugin in plugins:
            await plugin.mutate(attributes)
        # A webhook or policy changed the object: plug-ins before it see the change (once).
        if attributes.reinvocation.wanted and not attributes.reinvocation.again:
            attributes.reinvocation.again = True
            for plugin in plugins:
                await plugin.mutate(attributes)

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """Let plug-ins refuse the object in its final form."""
        resource = attributes.resource
        key = (resource.group, resource.name, attributes.subresource, attributes.operation)
        plugins = self._validators.get(key)
        if plugins is None:
            plugins = self._validators[key] = self._select(key, "validate")
        for plugin in plugins:
            await plugin.validate(attributes)

    async def close(self) -> None:
        """Close the plug-ins' connections."""
        for plugin in self.plugins:
            await plugin.close()

    def _select(self, key: _Key, phase: str) -> tuple[Plugin, ...]:
        return tuple(
            plugin
            for plugin in self.plugins
            if getattr(type(plugin), phase) is not getattr(Plugin, phase) and plugin.handles(*key)
        )


def enabled_names(enabled: Sequence[str], disabled: Sequence[str]) -> list[str]:
    """Which plug-ins the flags turn on. Raises `SettingsError`."""
    for flag, names in (
        ("enable-admission-plugins", enabled),
        ("disable-admission-plugins", disabled),
    ):
        unknown = [name for name in names if name not in ORDER]
        if unknown:
            raise SettingsError(f"{flag}: unknown plug-ins {', '.join(unknown)}")
    both = sorted(set(enabled) & set(disabled))
    if both:
        raise SettingsError(
            f"{', '.join(both)} in enable-admission-plugins and disable-admission-plugins overlapped"
        )
    return [name for name in ORDER if name not in disabled and (name not in OFF or name in enabled)]


def _factories(
    settings: ApiServerSettings, registry: Registry, authorizer: Authorizer
) -> dict[str, Callable[[], Plugin]]:
    """How each plug-in is made, so that what is off costs nothing."""
    return {
        "AlwaysAdmit": AlwaysAdmit,
        "NamespaceAutoProvision": lambda: NamespaceAutoProvision(registry),
        "NamespaceLifecycle": lambda: NamespaceLifecycle(registry),
        "NamespaceExists": lambda: NamespaceExists(registry),
        "LimitPodHardAntiAffinityTopology": LimitPodHardAntiAffinityTopology,
        "LimitRanger": lambda: LimitRanger(registry),
        "ServiceAccount": lambda: ServiceAccount(registry),
        "NodeRestriction": lambda: NodeRestriction(registry, authorizer),
        "TaintNodesByCondition": TaintNodesByCondition,
        "AlwaysPullImages": AlwaysPullImages,
        "PodSecurity": lambda: PodSecurity(registry),
        "PodNodeSelector": lambda: PodNodeSelector(registry),
        "Priority": lambda: Priority(registry),
        "DefaultTolerationSeconds": lambda: DefaultTolerationSeconds(
            settings.default_not_ready_toleration_seconds,
            settings.default_unreachable_toleration_seconds,
        ),
        "PodTolerationRestriction": lambda: PodTolerationRestriction(registry),
        "ExtendedResourceToleration": ExtendedResourceToleration,
        "PodTopologyLabels": lambda: PodTopologyLabels(registry),
        "DefaultStorageClass": lambda: DefaultStorageClass(registry),
        "StorageObjectInUseProtection": StorageObjectInUseProtection,
        "OwnerReferencesPermissionEnforcement": lambda: OwnerReferencesPermissionEnforcement(
            authorizer
        ),
        "PersistentVolumeClaimResize": lambda: PersistentVolumeClaimResize(registry),
        "RuntimeClass": lambda: RuntimeClass(registry),
        "CertificateApproval": lambda: CertificateApproval(authorizer),
        "CertificateSigning": lambda: CertificateSigning(authorizer),
        "ClusterTrustBundleAttest": lambda: ClusterTrustBundleAttest(authorizer),
        "CertificateSubjectRestriction": CertificateSubjectRestriction,
        "DefaultIngressClass": lambda: DefaultIngressClass(registry),
        "DenyServiceExternalIPs": DenyServiceExternalIPs,
        "MutatingAdmissionPolicy": lambda: MutatingAdmissionPolicy(registry, authorizer),
        "MutatingAdmissionWebhook": lambda: MutatingAdmissionWebhook(registry, authorizer),
        "ValidatingAdmissionPolicy": lambda: ValidatingAdmissionPolicy(registry, authorizer),
        "ValidatingAdmissionWebhook": lambda: ValidatingAdmissionWebhook(registry, authorizer),
        "ResourceQuota": lambda: ResourceQuota(registry),
        "AlwaysDeny": AlwaysDeny,
    }


def build(settings: ApiServerSettings, registry: Registry, authorizer: Authorizer) -> Chain:
    """The chain that the settings ask for. Raises `SettingsError`."""
    names = enabled_names(settings.enable_admission_plugins, settings.disable_admission_plugins)
    factories = _factories(settings, registry, authorizer)
    plugins = [factories[name]() for name in names if name in factories]
    return Chain([*plugins, _Escalation(authorizer)])
