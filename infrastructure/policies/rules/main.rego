# What conftest says: every rule over every file, without what exceptions.yaml allows.
#
# `conftest test --combine` gives all documents at once, each as {path, contents}; `found` of the other
# packages judges one of them. rules.yaml says of each rule why it is there and what to do.
package main

findings contains object.union(one, {"file": file.path}) if {
	some file in input
	some one in kinds with input as file.contents
}

# Two documents together: what production must have besides its Deployment.
findings contains object.union(one, {"file": file.path}) if {
	some file in input
	contains(file.path, "production")
	together := [other.contents | some other in input; other.path == file.path]
	some one in data.production.found with input as together
}

kinds := ((data.kubernetes.found | data.compose.found) | (data.dockerfile.found | data.workflow.found)) | data.terraform.found

deny contains message if {
	some one in findings
	not excepted(one)
	text := data.rules[one.rule]
	message := sprintf("%s: %s: %s. Why: %s. Do: %s.", [one.file, one.what, one.rule, text.why, text.do])
}

deny contains message if {
	some exception in data.exceptions
	some field in ["file", "rule", "what", "reason", "owner", "expires"]
	object.get(exception, field, "") == ""
	message := sprintf("exceptions.yaml: an exception has no %s: %v", [field, exception])
}

deny contains message if {
	some exception in data.exceptions
	expired(exception)
	message := sprintf("exceptions.yaml: the exception from %s of %s in %s has expired: ask %s, then mend it or give another date", [exception.rule, exception.what, exception.file, exception.owner])
}

deny contains message if {
	some exception in data.exceptions
	not used(exception)
	message := sprintf("exceptions.yaml: nothing needs the exception from %s of %s in %s: remove it", [exception.rule, exception.what, exception.file])
}

excepted(one) if {
	some exception in data.exceptions
	covers(exception, one)
	not expired(exception)
}

used(exception) if {
	some one in findings
	covers(exception, one)
}

covers(exception, one) if {
	exception.rule == one.rule
	exception.what == one.what
	glob.match(concat("", ["**", exception.file]), ["/"], one.file)
}

# A date that is none counts as past.
expired(exception) if not lasts(exception)

lasts(exception) if time.parse_ns("2006-01-02", exception.expires) > time.now_ns()
