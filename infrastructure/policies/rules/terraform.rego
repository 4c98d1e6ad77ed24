# HCL, as conftest's parser reads it: resource, type and name, each a list of blocks.
package terraform

import data.kubernetes.names_a_secret

is_terraform if {
	is_object(input)
	some field in ["resource", "module", "terraform", "provider", "variable"]
	input[field]
}

# Keys for ever, where a workload's or GitHub's own identity would do.
credentials := {
	"aws_iam_access_key", "aws_iam_user", "google_service_account_key", "azuread_application_password",
	"azuread_service_principal_password", "aws_key_pair", "digitalocean_ssh_key",
}

# What holds data that nothing else has.
stateful := {
	"aws_elasticache_replication_group", "aws_elasticache_serverless_cache", "azurerm_managed_redis", "azurerm_redis_cache", "google_kms_crypto_key",
	"google_redis_instance", "google_memorystore_instance", "digitalocean_database_cluster",
}

resources contains {"type": type, "name": name, "body": body} if {
	is_terraform
	some type, named in input.resource
	some name, blocks in named
	some body in blocks
}

found contains {"rule": rule, "what": sprintf("%s.%s", [one.type, one.name])} if {
	some one in resources
	some rule in broken_by(one)
}

broken_by(one) := {rule |
	some rule, bad in {
		"long-lived-credentials": one.type in credentials,
		"commands": count(object.get(one.body, "provisioner", {})) > 0,
		"lost-data": unprotected(one),
		"exposure": open(one.body),
		"encryption": plain(one.body),
	}
	bad
}

default unprotected(_) := false

unprotected(one) if {
	one.type in stateful
	every rule in object.get(one.body, "lifecycle", []) { object.get(rule, "prevent_destroy", false) == false }
}

default open(_) := false

# Firewall rules that deny are for everybody.
open(body) if {
	not body.deny
	regex.match(`"(cidr_blocks|ipv6_cidr_blocks|source_addresses|source_address_prefix(es)?|source_ranges|cidr_ipv4)":(\[[^\]]*)?"(0\.0\.0\.0/0|::/0|\*|Internet)"`, json.marshal(body))
}

open(body) if regex.match(`"(acl|public_network_access|access)":"(public-read|public-read-write|public)"|"publicly_accessible":true`, json.marshal(body))

default plain(_) := false

plain(body) if regex.match(`"(transit_encryption_enabled|at_rest_encryption_enabled|encrypted|storage_encrypted|enable_https_traffic_only)":false`, json.marshal(body))

found contains {"rule": "images", "what": sprintf("module %s", [name])} if {
	some name, blocks in input.module
	some module in blocks
	not regex.match(`^\.\.?/|\?ref=[0-9a-f]{40}$`, module.source)
}

found contains {"rule": "images", "what": sprintf("provider %s", [name])} if {
	some block in input.terraform
	some required in block.required_providers
	some name, provider in required
	not regex.match(`^=? ?[0-9]+(\.[0-9]+){2}$`, object.get(provider, "version", ""))
}

found contains {"rule": "secrets", "what": sprintf("variable %s", [name])} if {
	some name, blocks in input.variable
	names_a_secret(name)
	some variable in blocks
	object.get(variable, "default", null) != null
}
