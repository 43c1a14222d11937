"""Which controllers there are, which are on, and where their code is.

Modules are imported only for controllers that run: a manager with few controllers stays small.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module

from kubeinstall.controllers.controller import Controller
from kubeinstall.errors import SettingsError

_ROOT = "kubeinstall.controllers"


@dataclass(frozen=True, slots=True)
class Entry:
    """One controller: upstream's name, where its class is, its service account (empty: the manager's own
    identity), on by default."""

    name: str
    target: str
    account: str
    default: bool = True

    def load(self) -> type[Controller]:
        """Import the controller's class."""
        module, _, attribute = self.target.partition(":")
        found: type[Controller] = getattr(import_module(f"{_ROOT}.{module}"), attribute)
        return found


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "replicaset-controller",
        "replicaset.controller:ReplicaSetController",
        "replicaset-controller",
    ),
    Entry(
        "replicationcontroller-controller",
        "replicaset.controller:ReplicationControllerController",
        "replication-controller",
    ),
    Entry(
        "deployment-controller",
        "deployment.controller:DeploymentController",
        "deployment-controller",
    ),
    Entry(
        "endpointslice-controller",
        "endpoints.slice_controller:EndpointSliceController",
        "endpointslice-controller",
    ),
    Entry(
        "endpoints-controller",
        "endpoints.endpoints_controller:EndpointsController",
        "endpoint-controller",
    ),
    Entry(
        "endpointslice-mirroring-controller",
        "endpoints.mirroring:EndpointSliceMirroringController",
        "endpointslicemirroring-controller",
    ),
    Entry(
        "namespace-controller", "namespaces.deletion:NamespaceController", "namespace-controller"
    ),
    Entry(
        "serviceaccount-controller",
        "namespaces.accounts:ServiceAccountController",
        "service-account-controller",
    ),
    Entry(
        "root-ca-certificate-publisher-controller",
        "namespaces.root_ca:RootCAPublisher",
        "root-ca-cert-publisher",
    ),
    Entry(
        "node-lifecycle-controller", "nodes.lifecycle:NodeLifecycleController", "node-controller"
    ),
    Entry("taint-eviction-controller", "nodes.eviction:TaintEvictionController", "node-controller"),
    Entry("node-ipam-controller", "nodes.ipam:NodeIpamController", "node-controller"),
    Entry("ttl-controller", "nodes.ttl:TTLController", "ttl-controller"),
    Entry(
        "daemonset-controller", "daemonset.controller:DaemonSetController", "daemon-set-controller"
    ),
    Entry("job-controller", "job.controller:JobController", "job-controller"),
    Entry(
        "statefulset-controller",
        "statefulset.controller:StatefulSetController",
        "statefulset-controller",
    ),
    Entry("cronjob-controller", "cronjob.controller:CronJobController", "cronjob-controller"),
    Entry(
        "ttl-after-finished-controller",
        "cleanup.ttl_after_finished:TTLAfterFinishedController",
        "ttl-after-finished-controller",
    ),
    Entry(
        "pod-garbage-collector-controller",
        "cleanup.pods:PodGarbageCollector",
        "pod-garbage-collector",
    ),
    Entry(
        "disruption-controller",
        "disruption.controller:DisruptionController",
        "disruption-controller",
    ),
    Entry(
        "horizontal-pod-autoscaler-controller",
        "autoscaling.controller:HorizontalPodAutoscalerController",
        "horizontal-pod-autoscaler",
    ),
    Entry(
        "serviceaccount-token-controller",
        "tokens.secrets:TokensController",
        "",  # the manager's own: it issues the tokens with which the others would work
    ),
    Entry(
        "bootstrap-signer-controller",
        "tokens.bootstrap:BootstrapSignerController",
        "bootstrap-signer",
    ),
    Entry("token-cleaner-controller", "tokens.bootstrap:TokenCleanerController", "token-cleaner"),
    Entry(
        "certificatesigningrequest-approving-controller",
        "certificates.approving:CSRApprovingController",
        "certificate-controller",
    ),
    Entry(
        "certificatesigningrequest-signing-controller",
        "certificates.signing:CSRSigningController",
        "certificate-controller",
    ),
    Entry(
        "certificatesigningrequest-cleaner-controller",
        "certificates.cleaning:CSRCleanerController",
        "certificate-controller",
    ),
    Entry(
        "clusterrole-aggregation-controller",
        "rbac.aggregation:ClusterRoleAggregationController",
        "clusterrole-aggregation-controller",
    ),
    Entry(
        "persistentvolume-binder-controller",
        "storage.binding:PersistentVolumeBinder",
        "persistent-volume-binder",
    ),
    Entry(
        "persistentvolume-protection-controller",
        "storage.protection:PVProtectionController",
        "pv-protection-controller",
    ),
    Entry(
        "persistentvolumeclaim-protection-controller",
        "storage.protection:PVCProtectionController",
        "pvc-protection-controller",
    ),
    Entry(
        "volumeattributesclass-protection-controller",
        "storage.protection:VolumeAttributesClassProtectionController",
        "volumeattributesclass-protection-controller",
    ),
    Entry(
        "resourcequota-controller",
        "quota.controller:ResourceQuotaController",
        "resourcequota-controller",
    ),
    Entry(
        "service-cidr-controller",
        "network.service_cidrs:ServiceCIDRController",
        "service-cidrs-controller",
    ),
    Entry(
        "ephemeral-volume-controller",
        "storage.ephemeral:EphemeralVolumeController",
        "ephemeral-volume-controller",
    ),
    # Last: it shares the informers of whole objects that the others have asked for.
    Entry(
        "garbage-collector-controller",
        "gc.controller:GarbageCollector",
        "generic-garbage-collector",
    ),
)


def enabled(wanted: Iterable[str]) -> list[Entry]:
    """The controllers that `--controllers` asks for: `*` is all default ones, `-x` takes one away.

    SettingsError for a name that does not exist.
    """
    wishes = list(wanted)
    names = {entry.name for entry in ENTRIES}
    unknown = sorted({wish.removeprefix("-") for wish in wishes} - names - {"*"})
    if unknown:
        raise SettingsError(f"controllers: there is no controller {', '.join(unknown)}")
    return [entry for entry in ENTRIES if _is_on(entry, wishes)]


def _is_on(entry: Entry, wishes: list[str]) -> bool:
    for wish in wishes:
        if wish == entry.name:
            return True
        if wish == f"-{entry.name}":
            return False
    return "*" in wishes and entry.default
