# Each of cases.yaml is refused by its rule, and by that one alone; what is good by none.
package rules_test

import data.main

test_no_good_one_is_refused if {
	every one in data.good { main.kinds == set() with input as one }
}

test_every_bad_one_is_refused if {
	every number, case in data.cases {
		kinds := main.kinds with input as made(case)
		refused_by({one.rule | some one in kinds}, case, number)
	}
}

refused_by(found, case, _) if case.rule in found

refused_by(found, case, number) if {
	not case.rule in found
	print("not refused:", number, case, found)
	false
}

test_each_rule_refuses_one if {
	every rule, _ in data.rules {
		rule in ({case.rule | some case in data.cases} | {"production"})
	}
}

test_there_are_sixty if count(data.cases) >= 60

made(case) := json.patch(data.good[case.of], [{"op": "remove", "path": case.at}]) if case.set == "removed"

made(case) := json.patch(data.good[case.of], [{"op": operation(case), "path": case.at, "value": case.set}]) if case.set != "removed"

# An element of a list is replaced, all else is added.
operation(case) := "replace" if regex.match(`/[0-9]+$`, case.at)

operation(case) := "add" if not regex.match(`/[0-9]+$`, case.at)

production := [data.good.deployment, data.good.budget]

refused(documents) := rules if {
	input_files := [{"path": "production.yaml", "contents": one} | some one in documents]
	found := main.findings with input as input_files
	rules := {one.rule | some one in found}
}

test_production_needs_two_replicas_a_budget_and_a_digest if {
	refused(production) == set()
	"production" in refused([data.good.deployment])
	"production" in refused(json.patch(production, [{"op": "replace", "path": "0/spec/replicas", "value": 1}]))
	"production" in refused(json.patch(production, [{"op": "replace", "path": "0/spec/template/spec/containers/0/image", "value": "example.org/devops-starter:1.2.3"}]))
}

test_an_autoscaler_counts_as_two_replicas if {
	scaled := json.patch(production, [{"op": "remove", "path": "0/spec/replicas"}])
	scaler := {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"}, "spec": {"scaleTargetRef": {"name": "web"}, "minReplicas": 2}}
	refused(array.concat(scaled, [scaler])) == set()
}

bad := [{"path": "a/compose.yaml", "contents": json.patch(data.good.compose, [{"op": "remove", "path": "services/web/logging"}])}]

said(exceptions) := concat("\n", messages) if {
	messages := main.deny with input as bad with data.exceptions as exceptions
}

exception := {"file": "compose.yaml", "rule": "logs", "what": "service web", "reason": "it says nothing", "owner": "ops", "expires": "2100-01-01"}

test_a_message_names_file_object_rule_reason_and_remedy if {
	every word in ["a/compose.yaml: service web: logs. Why: ", " Do: "] { contains(said([]), word) }
}

test_an_exception_holds_until_it_expires if {
	said([exception]) == ""
	contains(said([object.union(exception, {"expires": "2020-01-01"})]), "has expired: ask ops")
	contains(said([object.union(exception, {"expires": "soon"})]), "has expired")
	contains(said([object.union(exception, {"owner": ""})]), "has no owner")
	contains(said([exception, object.union(exception, {"what": "service none"})]), "nothing needs the exception")
}
