# Objects of Kubernetes and Argo CD. Pod Security "restricted", and what it does not ask for.
package kubernetes

workloads := {"Deployment", "StatefulSet", "DaemonSet", "Rollout", "ReplicaSet", "Job"}

pod := input.spec.template if input.kind in workloads

pod := input.spec.jobTemplate.spec.template if input.kind == "CronJob"

pod := input if input.kind == "Pod"

containers contains container if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some container in pod.spec[field]
}

name := sprintf("%s %s", [input.kind, input.metadata.name])

# Of a container, else of its pod.
context(container, field) := object.get(container, ["securityContext", field], object.get(pod.spec, ["securityContext", field], null))

is_manifest if {
	is_object(input)
	input.apiVersion
}

found contains {"rule": rule, "what": name} if {
	is_manifest
	some rule in broken
}

found contains {"rule": rule, "what": sprintf("%s, container %s", [name, container.name])} if {
	some container in containers
	some rule in broken_by(container)
}

broken contains "host-namespaces" if {
	some field in ["hostNetwork", "hostPID", "hostIPC"]
	pod.spec[field]
}

broken contains "host-paths" if pod.spec.volumes[_].hostPath

broken contains "pod-security" if count(object.get(pod.spec, ["securityContext", "sysctls"], [])) > 0

broken contains "service-account-token" if object.get(pod.spec, "automountServiceAccountToken", true) != false

broken contains "labels" if {
	some label in ["app.kubernetes.io/name", "app.kubernetes.io/instance"]
	object.get(pod, ["metadata", "labels", label], "") == ""
}

broken contains "namespace" if object.get(input.metadata, "namespace", "") in {"default", "kube-system"}

broken contains "secrets" if {
	input.kind == "ConfigMap"
	some key, value in input.data
	not harmless(key, value)
}

broken contains "rights" if {
	input.kind in {"Role", "ClusterRole"}
	some given in input.rules
	some field in ["verbs", "resources"]
	"*" in given[field]
}

broken contains "rights" if {
	input.kind in {"RoleBinding", "ClusterRoleBinding"}
	input.roleRef.name in {"cluster-admin", "admin", "edit"}
}

broken contains "rights" if {
	input.kind in {"RoleBinding", "ClusterRoleBinding"}
	some subject in input.subjects
	subject.name in {"system:anonymous", "system:unauthenticated", "system:authenticated", "default"}
}

broken contains "exposure" if {
	input.kind == "Service"
	count(object.get(input.spec, "externalIPs", [])) > 0
}

broken contains "exposure" if {
	input.kind == "Ingress"
	count(object.get(input.spec, "tls", [])) == 0
}

broken contains "delivery-scope" if {
	input.kind == "AppProject"
	some field in ["sourceRepos", "destinations", "clusterResourceWhitelist"]
	some given in input.spec[field]
	regex.match(`"(namespace|kind)":"\*"|^"\*"$`, json.marshal(given))
}

broken contains "delivery-scope" if {
	input.kind == "Application"
	input.spec.project == "default"
}

# What is missing or odd does not hold.
broken_by(container) := {rule | some rule in demands; not holds(rule, container)}

demands := {
	"privilege", "non-root", "capabilities", "seccomp", "read-only", "host-ports", "pod-security", "resources", "probes",
	"images", "secrets",
}

holds("privilege", container) if {
	object.get(container, ["securityContext", "privileged"], false) == false
	container.securityContext.allowPrivilegeEscalation == false
}

holds("non-root", container) if {
	context(container, "runAsNonRoot") == true
	context(container, "runAsUser") != 0
}

holds("capabilities", container) if {
	"ALL" in container.securityContext.capabilities.drop
	every one in object.get(container.securityContext.capabilities, "add", []) { one == "NET_BIND_SERVICE" }
}

holds("seccomp", container) if context(container, "seccompProfile").type in {"RuntimeDefault", "Localhost"}

holds("read-only", container) if container.securityContext.readOnlyRootFilesystem == true

holds("host-ports", container) if {
	every port in object.get(container, "ports", []) { object.get(port, "hostPort", 0) == 0 }
}

holds("pod-security", container) if object.get(container, ["securityContext", "procMount"], "Default") == "Default"

holds("resources", container) if {
	container.resources.requests.cpu
	container.resources.requests.memory
	container.resources.limits.memory
}

holds("probes", container) if {
	container.livenessProbe
	container.readinessProbe
}

# What ends by itself needs none.
holds("probes", _) if input.kind in {"Job", "CronJob", "Pod"}

holds("probes", container) if container in pod.spec.initContainers

holds("images", container) if fixed(container.image)

holds("secrets", container) if {
	every variable in object.get(container, "env", []) { harmless(variable.name, object.get(variable, "value", "")) }
}

harmless(_, value) if value in {"", null}

harmless(key, value) if not names_a_secret(concat("\n", [sprintf("%v", [value]), key]))

# fixed: whether a name of an image has a digest, or a tag other than those that move.
fixed(image) if contains(image, "@sha256:")

fixed(image) if {
	tag := regex.find_all_string_submatch_n(`:([^/:@]+)$`, image, 1)[0][1]
	not tag in {"latest", "main", "master", "stable", "edge"}
}

# Names of files and of objects that hold a secret are no secrets; an address with a password is one.
names_a_secret(name) if {
	regex.match(`(?i)(password|passwd|secret|tokens?|(secret|private|access|api)_?keys?|credentials?)$|://[^/@:\s]*:[^/@$\s]+@`, name)
}
