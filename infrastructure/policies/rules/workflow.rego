# GitHub's workflows and actions.
package workflow

# YAML 1.1 reads the key `on` as true.
triggers := object.get(input, "on", object.get(input, "true", {}))

jobs := object.get(input, "jobs", {})

is_workflow if {
	is_object(input)
	jobs[_]
}

# A job that calls another workflow is a step, too.
steps contains {"where": sprintf("job %s", [name]), "step": step} if {
	is_workflow
	some name, job in jobs
	some step in array.concat([job], object.get(job, "steps", []))
}

steps contains {"where": "action", "step": step} if {
	is_object(input)
	input.runs.using == "composite"
	some step in input.runs.steps
}

found contains {"rule": "rights", "what": "permissions"} if {
	is_workflow
	not object.get(input, "permissions", "none") in [{}, {"contents": "read"}, "read-all"]
}

found contains {"rule": "rights", "what": sprintf("job %s", [name])} if {
	is_workflow
	some name, job in jobs
	object.get(job, "permissions", {}) == "write-all"
}

found contains {"rule": "untrusted-code", "what": "on"} if {
	is_workflow
	regex.match(`"(pull_request_target|issue_comment)"`, json.marshal(triggers))
}

found contains {"rule": "time-limit", "what": sprintf("job %s", [name])} if {
	is_workflow
	some name, job in jobs
	not job["timeout-minutes"]
	not job.uses
}

found contains {"rule": "secrets", "what": sprintf("job %s", [name])} if {
	is_workflow
	some name, job in jobs
	object.get(job, "secrets", "") == "inherit"
}

found contains {"rule": "images", "what": sprintf("%s uses %s", [one.where, one.step.uses])} if {
	some one in steps
	not pinned(one.step.uses)
}

found contains {"rule": "injection", "what": sprintf("%s, step %s", [one.where, object.get(one.step, "name", "without a name")])} if {
	some one in steps
	regex.match(`\$\{\{[^}]*(github\.event\.|github\.head_ref|inputs\.)`, one.step.run)
}

found contains {"rule": "downloads", "what": sprintf("%s, step %s", [one.where, object.get(one.step, "name", "without a name")])} if {
	some one in steps
	regex.match(`(curl|wget)[^|;&\n]*\|\s*(sudo )?(ba)?sh`, one.step.run)
}

pinned(uses) if regex.match(`^(\.|\$)/|@[0-9a-f]{40}$|@sha256:[0-9a-f]{64}$`, uses)
