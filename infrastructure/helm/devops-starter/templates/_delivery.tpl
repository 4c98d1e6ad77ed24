{{- /* What runs the service: apiVersion, kind, replicas unless an autoscaler starts with one, and `former`: the other
kind, if the strategy has just changed. It stays until the new kind serves; the next upgrade ends it. */ -}}
{{- define "ds.workload" -}}
{{- $deployment := list "apps/v1" "Deployment" -}}{{- $rollout := list "argoproj.io/v1alpha1" "Rollout" -}}
{{- $rolling := eq .Values.delivery.strategy "rolling" -}}
{{- $kind := ternary $deployment $rollout $rolling -}}
{{- $live := include "ds.live" (list . $kind) | fromYaml -}}
{{- $former := include "ds.live" (list . (ternary $rollout $deployment $rolling)) | fromYaml -}}
apiVersion: {{ first $kind }}
kind: {{ last $kind }}
{{- if not (or .Values.autoscaling.enabled .Values.autoscaling.external) }}
replicas: {{ .Values.replicaCount }}
{{- /* The number that runs, as long as it is Helm's own: left out, it would become 1. The autoscaler's would be a conflict: for
a rollback, or when it changes meanwhile. */ -}}
{{- else if and (or $live $former) (not $live.scaled) }}
replicas: {{ (default $former $live).spec.replicas }}
{{- end }}
{{- if and $former (lt (dig "status" "availableReplicas" 0 $live | int) (int $former.spec.replicas)) }}
former: {{ pick $former "apiVersion" "kind" "metadata" "spec" | toJson }}
{{- end }}
{{- end }}

{{- /* The workload as it runs, without what the API server adds; `scaled`, if their number is not Helm's:
(list CONTEXT (list APIVERSION KIND)). */ -}}
{{- define "ds.live" -}}
{{- $root := index . 0 -}}{{- $kind := index . 1 -}}
{{- if $root.Capabilities.APIVersions.Has (join "/" $kind) -}}
{{- with lookup (first $kind) (last $kind) $root.Release.Namespace (printf "%s-web" (include "ds.fullname" $root)) -}}
{{- /* Without server-side apply (Helm 3), whatever a template leaves out is removed. */ -}}
{{- $applied := false -}}{{- $owners := list -}}
{{- range .metadata.managedFields -}}
{{- $applied = or $applied (eq .operation "Apply") -}}
{{- if hasKey (dig "fieldsV1" "f:spec" dict .) "f:replicas" }}{{ $owners = append $owners (.subresource | default "") }}{{ end -}}
{{- end -}}
{{- $scaled := and $applied (or (not $owners) (has "scale" $owners)) -}}
{{- merge (dict "metadata" (pick .metadata "name" "namespace" "labels") "scaled" $scaled) (omit . "metadata") | toYaml -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* Resources as the API server writes quantities: Argo Rollouts' controller rewrites others, and then owns the field, so that
the next helm upgrade is refused. */ -}}
{{- define "ds.canonical" -}}
{{- pick . "claims" | toYaml | replace "{}" "" }}
{{- range $kind, $amounts := omit . "claims" }}
{{ $kind }}:
  {{- range $name, $amount := $amounts }}
  {{- /* A number in a file of values: a million would become 1e+06. */ -}}
  {{- $whole := and (kindIs "float64" $amount) (eq (toString $amount) (toString (floor $amount))) }}
  {{- $text := ternary (int64 $amount) $amount $whole | toString }}
  {{- $steps := list (list "Ti" "Gi" 1024) (list "Gi" "Mi" 1024) (list "Mi" "Ki" 1024) (list "T" "G" 1000) (list "G" "M" 1000) (list "M" "k" 1000) (list "k" "" 1000) (list "" "m" 1000) }}
  {{- /* Down to whole numbers, then up as far as they stay whole. */ -}}
  {{- range $step := $steps }}
  {{- if regexMatch (printf "^[0-9]*\\.[0-9]+%s$" (first $step)) $text }}
  {{- $text = printf "%d%s" (mulf ($text | trimSuffix (first $step) | float64) (last $step) | int64) (index $step 1) }}
  {{- end }}
  {{- end }}
  {{- range $step := reverse $steps }}
  {{- $number := $text | trimSuffix (index $step 1) }}
  {{- if and (regexMatch (printf "^[0-9]+%s$" (index $step 1)) $text) (ne $number "0") (eq 0 (mod ($number | int64) (last $step))) }}
  {{- $text = printf "%d%s" (div ($number | int64) (last $step)) (first $step) }}
  {{- end }}
  {{- end }}
  {{ $name }}: {{ $text | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "ds.strategy" -}}
{{- $delivery := .Values.delivery -}}
{{- $args := list (dict "name" "new" "valueFrom" (dict "podTemplateHashValue" "Latest")) (dict "name" "old" "valueFrom" (dict "podTemplateHashValue" "Stable")) -}}
{{- $analysis := dict "templates" (list (dict "templateName" (printf "%s-web" (include "ds.fullname" .)))) "args" $args -}}
{{- if eq $delivery.strategy "rolling" -}}
strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
{{- else -}}
progressDeadlineAbort: true
revisionHistoryLimit: 3
strategy:
  {{- if eq $delivery.strategy "canary" }}
  canary:
    stableService: {{ include "ds.fullname" . }}-serving
    canaryService: {{ include "ds.fullname" . }}-candidate
    maxUnavailable: 0
    maxSurge: 1
    # Of the pods. The share of requests stays what nginx or the gateway sends there.
    steps:
      - setWeight: {{ $delivery.percent }}
      - analysis: {{ toJson $analysis }}
  {{- else }}
  blueGreen:
    activeService: {{ include "ds.fullname" . }}-serving
    previewService: {{ include "ds.fullname" . }}-candidate
    prePromotionAnalysis: {templates: [{templateName: {{ include "ds.fullname" . }}-preview}]}
    postPromotionAnalysis: {{ toJson $analysis }}
    scaleDownDelaySeconds: {{ add $delivery.stepSeconds 120 }}
  {{- end }}
{{- end -}}
{{- end }}

{{- /* By which strategy requests are sent: all pods get them while both kinds run. */ -}}
{{- define "ds.sent" -}}
{{- ternary "rolling" .Values.delivery.strategy (hasKey (include "ds.workload" . | fromYaml) "former") -}}
{{- end }}

{{- /* Where nginx sends requests: to all pods, to those that serve, or a part of them to a canary; those to previewHost to what
is not in service yet. Then to all pods: in a change of the strategy by Argo CD the former kind serves until the new one is
ready. */ -}}
{{- define "ds.pools" -}}
{{- $sent := include "ds.sent" . }}
{{- $pools := get (dict "rolling" (list "pods" "pods") "blueGreen" (list "serving" "candidate") "canary" (list "serving" "candidate")) $sent }}
WEB_HOST: {{ include "ds.host" (list . (first $pools)) }}
WEB_NEXT_HOST: {{ include "ds.host" (list . (last $pools)) }}
WEB_BACKUP: {{ include "ds.host" (list . "pods") }}
WEB_NEXT_BACKUP: {{ include "ds.host" (list . "pods") }}
{{- $canary := printf "split_clients $request_id $split_pool {\n    %v%% careful;\n    * web;\n}\n" .Values.delivery.percent }}
{{- $preview := printf "map $host $split_pool {\n    %s web_next;\n    default web;\n}\n" .Values.delivery.previewHost }}
{{- $split := get (dict "canary" $canary "blueGreen" (ternary $preview "" (ne .Values.delivery.previewHost ""))) $sent }}
POOL: {{ ternary "web" "$split_pool" (empty $split) }}
SPLIT: {{ $split | quote }}
{{- end }}
