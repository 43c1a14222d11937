"""admissionregistration.k8s.io and apiregistration.k8s.io."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from kubeinstall.api.cel.admission import CONDITIONS, policy_variables
from kubeinstall.api.cel.types import Type
from kubeinstall.api.types import Object
from kubeinstall.api.validation import expressions
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import (
    dns1035_label,
    dns1123_subdomain,
    fully_qualified_name,
    port_number,
    qualified_name,
)
from kubeinstall.api.validation.labels import check_label_selector

_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_URL_FORM = "; desired format: https://host[/path]"


def check_webhooks(*, mutating: bool) -> Callable[[Errors, Object], None]:
    """Rules of a Mutating- or ValidatingWebhookConfiguration."""

    def check(errors: Errors, item: Object) -> None:
        names: set[str] = set()
        for index, hook in enumerate(item.get("webhooks") or []):
            at, name = f"webhooks[{index}]", hook.get("name", "")
            _check_webhook(errors, hook, at)
            if mutating and hook.get("reinvocationPolicy") is not None:
                errors.one_of(
                    f"{at}.reinvocationPolicy", hook["reinvocationPolicy"], ("IfNeeded", "Never")
                )
            if name in names:
                errors.duplicate(f"{at}.name", name)
            names.add(name)

    return check


def _check_webhook(errors: Errors, hook: Object, path: str) -> None:
    errors.each(f"{path}.name", hook.get("name", ""), fully_qualified_name(hook.get("name", "")))
    label = f"{path}.rules"
    for index, rule in enumerate(hook.get("rules") or []):
        _check_rule(errors, rule, f"{label}[{index}]")
    policy, match = hook.get("failurePolicy"), hook.get("matchPolicy")
    if policy is not None:
        errors.one_of(f"{path}.failurePolicy", policy, ("Fail", "Ignore"))
    if match is not None:
        errors.one_of(f"{path}.matchPolicy", match, ("Equivalent", "Exact"))
    side = hook.get("sideEffects")
    if side is None:
        errors.required(f"{path}.sideEffects", "must specify one of None, NoneOnDryRun")
    else:
        errors.one_of(f"{path}.sideEffects", side, ("None", "NoneOnDryRun"))
    seconds = hook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= 30:
        errors.invalid(
            f"{path}.timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds"
        )
    for field in ("namespaceSelector", "objectSelector"):
        check_label_selector(errors, hook.get(field), f"{path}.{field}")
    check_client_config(errors, hook.get("clientConfig") or {}, f"{path}.clientConfig")
    _check_versions(
        errors, hook.get("admissionReviewVersions") or [], f"{path}.admissionReviewVersions"
    )
    _check_conditions(errors, hook.get("matchConditions") or [], f"{path}.matchConditions")


def _check_versions(errors: Errors, versions: list[str], path: str) -> None:
    if not versions:
        errors.required(path, "must specify one of v1, v1beta1")
        return
    for index, version in enumerate(versions):
        if version in versions[:index]:
            errors.invalid(f"{path}[{index}]", version, "duplicate version")
        errors.each(f"{path}[{index}]", version, dns1035_label(version))
    if not {"v1", "v1beta1"} & set(versions):
        errors.invalid(path, versions, "must include at least one of v1, v1beta1")


def _check_conditions(
    errors: Errors,
    conditions: list[Object],
    path: str,
    variables: dict[str, Type] | None = None,
) -> None:
    if len(conditions) > 64:
        errors.too_many(path, len(conditions), 64)
    names: set[str] = set()
    for index, condition in enumerate(conditions):
        at, name = f"{path}[{index}]", condition.get("name", "")
        if not (condition.get("expression") or "").strip():
            errors.required(f"{at}.expression")
        else:
            expressions.check(
                errors, condition["expression"], f"{at}.expression", variables or CONDITIONS, "bool"
            )
        if not name:
            errors.required(f"{at}.name")
        else:
            errors.each(f"{at}.name", name, qualified_name(name))
        if name in names:
            errors.duplicate(f"{at}.name", name)
        names.add(name)


def check_client_config(errors: Errors, config: Object, path: str) -> None:
    """Where a webhook is: exactly one of a URL and a Service."""
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        errors.required(path, "exactly one of url or service is required")
    elif url is not None:
        _check_url(errors, url, f"{path}.url")
    else:
        _check_service(errors, service or {}, f"{path}.service")


def _check_url(errors: Errors, url: str, path: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https":
        errors.invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{_URL_FORM}")
    if not parts.netloc:
        errors.invalid(path, parts.netloc, f"host must be specified{_URL_FORM}")
    if parts.username is not None:
        errors.invalid(path, parts.username, "user information is not permitted in the URL")
    if parts.fragment:
        errors.invalid(path, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        errors.invalid(path, parts.query, "query parameters are not permitted in the URL")


def _check_service(errors: Errors, service: Object, path: str) -> None:
    if not service.get("name"):
        errors.required(f"{path}.name", "service name is required")
    if not service.get("namespace"):
        errors.required(f"{path}.namespace", "service namespace is required")
    port = service.get("port")
    if port is not None and port_number(port):
        errors.invalid(f"{path}.port", port, "port is not valid: " + "".join(port_number(port)))
    text = service.get("path")
    if text is None:
        return
    if not text.startswith("/"):
        errors.invalid(f"{path}.path", text, "must start with a '/'")
    if text == "/":
        return
    steps = text.removeprefix("/").removesuffix("/").split("/")
    for index, step in enumerate(steps):
        if not step:
            errors.invalid(f"{path}.path", text, f"segment[{index}] may not be empty")
        else:
            for problem in dns1123_subdomain(step):
                errors.invalid(f"{path}.path", text, f"segment[{index}]: {problem}")


def _check_rule(errors: Errors, rule: Object, path: str) -> None:
    for field in ("apiGroups", "apiVersions"):
        values = rule.get(field) or []
        if not values:
            errors.required(f"{path}.{field}")
        if len(values) > 1 and "*" in values:
            errors.invalid(
                f"{path}.{field}",
                values,
                "if '*' is present, must not specify other API "
                + ("groups" if field == "apiGroups" else "versions"),
            )
    for index, version in enumerate(rule.get("apiVersions") or []):
        if not version:
            errors.required(f"{path}.apiVersions[{index}]")
    _check_resources(errors, rule.get("resources") or [], f"{path}.resources")
    scope = rule.get("scope")
    if scope is not None:
        errors.one_of(f"{path}.scope", scope, ("*", "Cluster", "Namespaced"))
    operations = rule.get("operations") or []
    if not operations:
        errors.required(f"{path}.operations")
    if len(operations) > 1 and "*" in operations:
        errors.invalid(
            f"{path}.operations", operations, "if '*' is present, must not specify other operations"
        )
    for index, operation in enumerate(operations):
        if operation not in _OPERATIONS:
            errors.not_supported(f"{path}.operations[{index}]", operation, _OPERATIONS)


def _check_resources(errors: Errors, resources: list[str], path: str) -> None:
    if not resources:
        errors.required(path)
    whole = {r.partition("/")[0] for r in resources if r.endswith("/*")}
    if len(resources) > 1 and "*/*" in resources:
        errors.invalid(path, resources, "if '*/*' is present, must not specify other resources")
    for index, resource in enumerate(resources):
        if not resource:
            errors.required(f"{path}[{index}]")
        name, slash, sub = resource.partition("/")
        if slash and sub != "*" and name in whole:
            message = f"if '{name}/*' is present, must not specify {resource}"
            errors.invalid(f"{path}[{index}]", resource, message)


def check_policy(errors: Errors, item: Object) -> None:
    """A ValidatingAdmissionPolicy."""
    spec = item.get("spec") or {}
    known = check_policy_spec(errors, spec)
    expressions.check_policy_expressions(errors, spec, known)
    validations, annotations = spec.get("validations") or [], spec.get("auditAnnotations") or []
    if not validations and not annotations:
        for field in ("validations", "auditAnnotations"):
            message = "validations or auditAnnotations must contain at least one item"
            errors.required(f"spec.{field}", message)
        return
    for index, validation in enumerate(validations):
        _check_validation(errors, validation, f"spec.validations[{index}]")
    for index, annotation in enumerate(annotations):
        for field in ("key", "valueExpression"):
            if not annotation.get(field):
                errors.required(f"spec.auditAnnotations[{index}].{field}")


def check_policy_spec(errors: Errors, spec: Object) -> dict[str, Type]:
    """What policies of both kinds have in common; the variables of their expressions."""
    if spec.get("failurePolicy") is None:
        errors.required("spec.failurePolicy")
    else:
        errors.one_of("spec.failurePolicy", spec["failurePolicy"], ("Fail", "Ignore"))
    _check_param_kind(errors, spec.get("paramKind"), "spec.paramKind")
    _check_constraints(errors, spec.get("matchConstraints"), "spec.matchConstraints")
    known = policy_variables(params=spec.get("paramKind") is not None)
    _check_conditions(errors, spec.get("matchConditions") or [], "spec.matchConditions", known)
    _check_variables(errors, spec.get("variables") or [], "spec.variables")
    return known


def _check_param_kind(errors: Errors, kind: Object | None, path: str) -> None:
    if kind is None:
        return
    for field in ("apiVersion", "kind"):
        if not kind.get(field):
            errors.required(f"{path}.{field}")
    if kind.get("kind"):
        errors.each(f"{path}.kind", kind["kind"], dns1035_label(kind["kind"].lower()))


def _check_constraints(errors: Errors, match: Object | None, path: str) -> None:
    if match is None:
        errors.required(path)
        return
    if match.get("matchPolicy") is None:
        errors.required(f"{path}.matchPolicy")
    else:
        errors.one_of(f"{path}.matchPolicy", match["matchPolicy"], ("Equivalent", "Exact"))
    for field in ("namespaceSelector", "objectSelector"):
        if match.get(field) is None:
            errors.required(f"{path}.{field}")
        else:
            check_label_selector(errors, match[field], f"{path}.{field}")
    rules = match.get("resourceRules") or []
    for index, rule in enumerate(rules):
        _check_rule(errors, rule, f"{path}.resourceRules[{index}]")
    for index, rule in enumerate(match.get("excludeResourceRules") or []):
        _check_rule(errors, rule, f"{path}.excludeResourceRules[{index}]")
    if not rules:
        errors.required(f"{path}.resourceRules")


def _check_variables(errors: Errors, variables: list[Object], path: str) -> None:
    names: set[str] = set()
    for index, variable in enumerate(variables):
        at, name = f"{path}[{index}]", variable.get("name", "")
        if not name:
            errors.required(f"{at}.name", "name is not specified")
        elif not name.isidentifier():
            errors.invalid(f"{at}.name", name, "name is not a valid CEL identifier")
        if not (variable.get("expression") or "").strip():
            errors.required(f"{at}.expression", "expression is not specified")
        if name in names:
            errors.duplicate(f"{at}.name", name)
        names.add(name)


def _check_validation(errors: Errors, validation: Object, path: str) -> None:
    expression, message = (
        (validation.get("expression") or "").strip(),
        validation.get("message", ""),
    )
    if not expression:
        errors.required(f"{path}.expression", "expression is not specified")
    if message and len(message) > 32 * 1024 // 2:
        errors.too_long(f"{path}.message", 32 * 1024 // 2)
    if "\n" in message:
        errors.invalid(f"{path}.message", message, "message must not contain line breaks")
    if not message and "\n" in expression and not validation.get("messageExpression"):
        text = "message must be specified if expression contains line breaks"
        errors.required(f"{path}.message", text)
    reason = validation.get("reason")
    if reason is not None:
        known = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
        errors.one_of(f"{path}.reason", reason, known)


def check_policy_binding(errors: Errors, item: Object) -> None:
    """A ValidatingAdmissionPolicyBinding."""
    spec = item.get("spec") or {}
    check_binding_spec(errors, spec)
    actions = spec.get("validationActions") or []
    if not actions:
        errors.required("spec.validationActions", "at least one validation action is required")
    for index, action in enumerate(actions):
        if action in actions[:index]:
            errors.duplicate(f"spec.validationActions[{index}]", action)
        errors.one_of(f"spec.validationActions[{index}]", action, ("Audit", "Deny", "Warn"))
    if "Deny" in actions and "Warn" in actions:
        message = "must not contain both Deny and Warn (repeating the same validation failure information in the API "
        errors.invalid(
            "spec.validationActions", actions, message + "response and headers serves no purpose)"
        )


def check_binding_spec(errors: Errors, spec: Object) -> None:
    """What bindings of both kinds have in common."""
    name = spec.get("policyName", "")
    if not name:
        errors.required("spec.policyName")
    else:
        errors.each("spec.policyName", name, dns1123_subdomain(name))
    reference = spec.get("paramRef")
    if reference is not None:
        _check_param_ref(errors, reference, "spec.paramRef")


def _check_param_ref(errors: Errors, reference: Object, path: str) -> None:
    name, selector = reference.get("name", ""), reference.get("selector")
    if name and selector is not None:
        errors.forbidden(f"{path}.name", "name and selector are mutually exclusive")
    elif not name and selector is None:
        errors.required(path, "one of name or selector must be specified")
    check_label_selector(errors, selector, f"{path}.selector")
    action = reference.get("parameterNotFoundAction")
    if action is None:
        errors.required(f"{path}.parameterNotFoundAction")
    else:
        errors.one_of(f"{path}.parameterNotFoundAction", action, ("Allow", "Deny"))
