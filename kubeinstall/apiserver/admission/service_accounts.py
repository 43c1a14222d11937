"""ServiceAccount: every pod runs as a service account, and finds its token mounted."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

from kubeinstall.api.names import random_suffix
from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.plugin import POD, Plugin, all_containers, is_mirror, refuse
from kubeinstall.apiserver.admission.shared import Shared
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import CREATE, UPDATE, AdmissionAttributes
from kubeinstall.errors import NotFound

_DEFAULT = "default"
_MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_VOLUME_PREFIX = "kube-api-access-"
_ENFORCE = "kubernetes.io/enforce-mountable-secrets"
_EPHEMERAL = ("", "pods", "ephemeralcontainers")
#: The default account of a new namespace is made by a controller: give it a moment.
_ATTEMPTS = 10


class ServiceAccount(Plugin):
    """Sets the service account, its token volume and its image pull secrets."""

    name = "ServiceAccount"
    targets = frozenset({POD, _EPHEMERAL})

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._accounts = Shared(registry, kind("serviceaccounts"))

    def handles(self, group: str, plural: str, subresource: str, operation: str) -> bool:
        """New pods, and new ephemeral containers."""
        wanted = UPDATE if subresource else CREATE
        return operation == wanted and (group, plural, subresource) in self.targets

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        """Raises `Forbidden` when there is no such account."""
        pod = attributes.object
        if pod is None or attributes.subresource or is_mirror(pod):
            return
        spec = pod["spec"]
        if not spec.get("serviceAccountName"):
            spec["serviceAccountName"] = _DEFAULT
        spec["serviceAccount"] = spec["serviceAccountName"]
        account = await self._account(attributes, spec["serviceAccountName"])
        if _automount(pod, account):
            _mount_token(spec)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [
                {"name": secret.get("name", "")} for secret in account["imagePullSecrets"]
            ]

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """See that mirror pods use nothing secret, and that accounts' limits are kept."""
        pod = attributes.object
        if pod is None:
            return
        if is_mirror(pod):
            for problem in _mirror_problems(pod["spec"]):
                raise refuse(attributes, problem)
            return
        name = pod["spec"].get("serviceAccountName")
        if attributes.subresource or not name:
            return
        account = await self._account(attributes, name)
        if (account["metadata"].get("annotations") or {}).get(_ENFORCE) == "true":
            for problem in _secret_problems(pod["spec"], account):
                raise refuse(attributes, problem)

    async def _account(self, attributes: AdmissionAttributes, name: str) -> Object:
        found = self._accounts.get(name, attributes.namespace)
        attempts = _ATTEMPTS if name == _DEFAULT else 1
        while found is None and attempts:
            attempts -= 1
            try:
                return await self._registry.get_live(
                    kind("serviceaccounts"), name, attributes.namespace
                )
            except NotFound:
                if attempts:
                    await asyncio.sleep(0.05 + random.random() / 10)  # noqa: S311 - jitter
        if found is None:
            raise refuse(
                attributes,
                f"error looking up service account {attributes.namespace}/{name}: "
                f'serviceaccount "{name}" not found',
            )
        return found


def _automount(pod: Object, account: Object) -> bool:
    for holder in (pod["spec"], account):
        value = holder.get("automountServiceAccountToken")
        if value is not None:
            return bool(value)
    return True


def _mount_token(spec: Object) -> None:
    name = ""
    for volume in spec.get("volumes") or ():
        if str(volume.get("name", "")).startswith(_VOLUME_PREFIX):
            name = volume["name"]
            break
    exists = bool(name)
    name = name or f"{_VOLUME_PREFIX}{random_suffix()}"
    needed = False
    for container in all_containers(spec):
        mounts = container.get("volumeMounts") or []
        if any(mount.get("mountPath") == _MOUNT_PATH for mount in mounts):
            continue
        container["volumeMounts"] = [
            *mounts,
            {"name": name, "readOnly": True, "mountPath": _MOUNT_PATH},
        ]
        needed = True
    if needed and not exists:
        spec["volumes"] = [*(spec.get("volumes") or ()), _token_volume(name)]


def _token_volume(name: str) -> Object:
    return {
        "name": name,
        "projected": {
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {
                    "configMap": {
                        "name": "kube-root-ca.crt",
                        "items": [{"key": "ca.crt", "path": "ca.crt"}],
                    }
                },
                {
                    "downwardAPI": {
                        "items": [
                            {
                                "path": "namespace",
                                "fieldRef": {
                                    "apiVersion": "v1",
                                    "fieldPath": "metadata.namespace",
                                },
                            }
                        ]
                    }
                },
            ],
            "defaultMode": 420,
        },
    }


def _mirror_problems(spec: Object) -> Iterator[str]:
    if spec.get("serviceAccountName"):
        yield "a mirror pod may not reference service accounts"
    for container in all_containers(spec):
        sources = [source.get("secretRef") for source in container.get("envFrom") or ()]
        sources += [
            (variable.get("valueFrom") or {}).get("secretKeyRef")
            for variable in container.get("env") or ()
        ]
        if any(sources):
            yield "a mirror pod may not reference secrets"
    for volume in spec.get("volumes") or ():
        if volume.get("secret"):
            yield "a mirror pod may not reference secrets"
        if volume.get("persistentVolumeClaim"):
            yield "a mirror pod may not reference persistentvolumeclaims"
        for source in (volume.get("projected") or {}).get("sources") or ():
            if source.get("serviceAccountToken"):
                yield "a mirror pod may not use ServiceAccountToken volume projections"


def _secret_problems(spec: Object, account: Object) -> Iterator[str]:
    name = account["metadata"]["name"]
    mountable = {secret.get("name") for secret in account.get("secrets") or ()}
    end = f"is not allowed because service account {name} does not reference that secret"
    for volume in spec.get("volumes") or ():
        secret = (volume.get("secret") or {}).get("secretName")
        if secret and secret not in mountable:
            yield f'volume with secret.secretName="{secret}" {end}'
    for field, what in (("initContainers", "init container"), ("containers", "container")):
        for container in spec.get(field) or ():
            for variable in container.get("env") or ():
                secret = ((variable.get("valueFrom") or {}).get("secretKeyRef") or {}).get("name")
                if secret and secret not in mountable:
                    yield (
                        f"{what} {container['name']} with envVar {variable['name']} referencing "
                        f'secret.secretName="{secret}" {end}'
                    )
            for source in container.get("envFrom") or ():
                secret = (source.get("secretRef") or {}).get("name")
                if secret and secret not in mountable:
                    yield (
                        f"{what} {container['name']} with envFrom referencing "
                        f'secret.secretName="{secret}" {end}'
                    )
    allowed = {secret.get("name") for secret in account.get("imagePullSecrets") or ()}
    for position, secret in enumerate(spec.get("imagePullSecrets") or ()):
        if secret.get("name") not in allowed:
            yield (
                f'imagePullSecrets[{position}].name="{secret.get("name")}" is not allowed because '
                f"service account {name} does not reference that imagePullSecret"
            )
