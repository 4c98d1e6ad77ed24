# Services as `docker compose config` prints them.
package compose

import data.kubernetes.fixed
import data.kubernetes.harmless

# Their whole purpose is to be reached from outside.
public := {"nginx"}

found contains {"rule": rule, "what": sprintf("service %s", [name])} if {
	is_object(input)
	some name, service in input.services
	some rule in demands
	not holds(rule, service)
	not allowed(rule, name)
}

# What is missing or odd does not hold.
demands := {
	"privilege", "capabilities", "non-root", "read-only", "host-namespaces", "host-paths", "images", "resources", "secrets",
	"exposure", "logs",
}

allowed("exposure", name) if name in public

holds("privilege", service) if {
	object.get(service, "privileged", false) == false
	object.get(service, "devices", []) == []
	some option in service.security_opt
	regex.match(`^no-new-privileges(:true)?$`, option)
}

holds("capabilities", service) if {
	"ALL" in service.cap_drop
	object.get(service, "cap_add", []) == []
}

holds("non-root", service) if not regex.match(`^(root|0)(:|$)`, object.get(service, "user", "the image's own"))

holds("read-only", service) if service.read_only == true

holds("host-namespaces", service) if {
	every field in ["network_mode", "pid", "ipc", "userns_mode"] { object.get(service, field, "") != "host" }
}

holds("host-paths", service) if {
	every volume in object.get(service, "volumes", []) { not of_the_host(volume) }
}

holds("images", service) if fixed(service.image)

holds("resources", service) if {
	object.get(service, "mem_limit", object.get(service, ["deploy", "resources", "limits", "memory"], "")) != ""
	object.get(service, "pids_limit", object.get(service, ["deploy", "resources", "limits", "pids"], "")) != ""
}

holds("secrets", service) if {
	every key, value in object.get(service, "environment", {}) { harmless(key, value) }
}

holds("exposure", service) if {
	every port in object.get(service, "ports", []) { port.host_ip in {"127.0.0.1", "::1"} }
}

holds("logs", service) if service.logging.options["max-size"]

of_the_host(volume) if {
	volume.type == "bind"
	regex.match(`^/((etc|proc|sys|root|boot|dev|(var/)?run|var/lib/docker)(/.*)?)?$`, volume.source)
}
