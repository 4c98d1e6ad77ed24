# All documents of production together.
package production

found contains {"rule": "production", "what": sprintf("%s %s", [one.kind, one.metadata.name])} if {
	some one in input
	one.kind in {"Deployment", "Rollout"}
	not doubled(one)
}

found contains {"rule": "production", "what": sprintf("%s %s", [one.kind, one.metadata.name])} if {
	some one in input
	one.kind in {"Deployment", "Rollout"}
	not budgeted(one)
}

found contains {"rule": "production", "what": sprintf("%s %s, image %s", [one.kind, one.metadata.name, container.image])} if {
	some one in input
	one.kind in {"Deployment", "Rollout"}
	some container in one.spec.template.spec.containers
	contains(container.image, "devops-starter")
	not contains(container.image, "@sha256:")
}

doubled(one) if one.spec.replicas >= 2

doubled(one) if {
	some scaler in input
	scaler.kind == "HorizontalPodAutoscaler"
	scaler.spec.scaleTargetRef.name == one.metadata.name
	scaler.spec.minReplicas >= 2
}

budgeted(one) if {
	some budget in input
	budget.kind == "PodDisruptionBudget"
	every label, value in budget.spec.selector.matchLabels { one.spec.template.metadata.labels[label] == value }
}
