{{- define "ds.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- /* The release's name, unless it says already what is installed. No Service's name may have a dot. */ -}}
{{- define "ds.fullname" -}}
{{- $release := contains (include "ds.name" .) .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name (include "ds.name" .)) -}}
{{- .Values.fullnameOverride | default $release | replace "." "-" | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- /* Labels that select pods, so they never change: (list CONTEXT COMPONENT). */ -}}
{{- define "ds.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "ds.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "ds.labels" -}}
{{- $root := index . 0 -}}
{{ include "ds.selector" . }}
app.kubernetes.io/part-of: {{ include "ds.name" $root }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/version: {{ $root.Values.image.tag | default $root.Chart.AppVersion | trunc 63 | trimAll "-_." | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "ds.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "ds.fullname" $root }}-{{ index . 1 }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "ds.labels" . | nindent 2 }}
{{- end }}

{{- define "ds.image" -}}
{{ .Values.image.repository }}{{ with .Values.image.digest }}@{{ . }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* The Secret with the service's secrets. */ -}}
{{- define "ds.secret" -}}
{{- .Values.existingSecret | default (include "ds.fullname" .) -}}
{{- end }}

{{- define "ds.tlsSecret" -}}
{{- if .Values.tls.existingSecret }}{{ .Values.tls.existingSecret }}{{ else if .Values.tls.issuer }}{{ include "ds.fullname" . }}-tls{{ end -}}
{{- end }}

{{- /* A Service's full name: nginx knows no search domains, and libc asks for one name, not eight. */ -}}
{{- define "ds.host" -}}
{{- $root := index . 0 -}}
{{ include "ds.fullname" $root }}-{{ index . 1 }}.{{ $root.Release.Namespace }}.svc.{{ $root.Values.clusterDomain }}
{{- end }}

{{- /* Pod Security "restricted", with a user ID that no host has. No image needs the one it names. */ -}}
{{- define "ds.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "ds.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
terminationMessagePolicy: FallbackToLogsOnError
{{- end }}

{{- /* Where pods go: (list CONTEXT COMPONENT). Off a dead node in 30 s instead of 300; spread over the
nodes that take pods, which a cordoned or dead one does not, and over zones where possible. */ -}}
{{- define "ds.placement" -}}
{{- $root := index . 0 -}}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
tolerations:
  - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 30}
  - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 30}
  {{- with $root.Values.tolerations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: {{ eq . "kubernetes.io/hostname" | ternary "DoNotSchedule" "ScheduleAnyway" }}
    nodeTaintsPolicy: Honor
    labelSelector: {matchLabels: {{ include "ds.selector" $ | fromYaml | toJson }}}
    matchLabelKeys: [pod-template-hash, rollouts-pod-template-hash]
  {{- end }}
dnsConfig:
  options: [{name: timeout, value: "1"}, {name: attempts, value: "2"}, {name: ndots, value: "1"}]
{{- end }}

{{- /* Seconds from SIGTERM's announcement to SIGKILL: preStop, the drain, the last requests, a margin. */ -}}
{{- define "ds.webGrace" -}}
{{- add .Values.preStopSeconds (int (.Values.config.DRAIN_SECONDS | default 2)) (int (.Values.config.GRACEFUL_TIMEOUT_SECONDS | default 30)) 3 -}}
{{- end }}

{{- define "ds.redisUrl" -}}
{{- if eq .Values.redis.mode "external" -}}
{{ .Values.redis.url }}
{{- else -}}
redis://{{ eq .Values.redis.mode "sentinel" | ternary "primary" (printf "%s.:6379" (include "ds.host" (list . "redis"))) }}/0
{{- end -}}
{{- end }}

{{- /* The service's settings: the chart's own, then config. */ -}}
{{- define "ds.webEnvironment" -}}
{{- $own := dict
  "APP_ENV" "production"
  "SECRET_KEY_FILE" "/etc/devops-starter/secrets/secret_key"
  "API_TOKENS_FILE" "/etc/devops-starter/secrets/api_tokens"
  "REDIS_URL" (include "ds.redisUrl" .)
  "WEB_CONCURRENCY" "2"
-}}
{{- if ne .Values.redis.mode "external" -}}
{{- $_ := set $own "REDIS_USERNAME" "app" -}}
{{- end -}}
{{- if eq .Values.redis.mode "sentinel" -}}
{{- $_ := set $own "REDIS_SENTINELS" (include "ds.redisPods" . | replace " " ".:26379," | printf "%s.:26379") -}}
{{- $_ := set $own "REDIS_WAIT_REPLICAS" "1" -}}
{{- end -}}
{{- if or (ne .Values.redis.mode "external") .Values.redis.passwordKey -}}
{{- $_ := set $own "REDIS_PASSWORD_FILE" "/etc/devops-starter/secrets/redis_password" -}}
{{- end -}}
{{- /* Behind nginx only nginx can connect (networkpolicy.yaml), and it sets the headers itself. */ -}}
{{- $proxies := ternary (list "10.0.0.0/8" "172.16.0.0/12" "192.168.0.0/16") .Values.trustedProxies .Values.edge.enabled -}}
{{- $_ := set $own "FORWARDED_ALLOW_IPS" (join "," $proxies) -}}
{{- merge (deepCopy .Values.config) $own | toYaml -}}
{{- end }}

{{- /* Limits that would kill: (list NAME VALUE LIMIT'S-NAME LIMIT BYTES-NEEDED WHY). */ -}}
{{- define "ds.needsMemory" -}}
{{- $unit := regexFind "[A-Za-z]*$" (index . 3) -}}{{- $needed := index . 4 | int64 -}}
{{- $factors := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- if and (index . 3) (lt (mulf (trimSuffix $unit (index . 3) | float64) (get $factors $unit)) (float64 $needed)) -}}
{{- fail (printf "%s=%v needs %s of %dMi or more, %s; it is %s" (index . 0) (index . 1) (index . 2) (div (add $needed 1048575) 1048576) (index . 5) (index . 3)) -}}
{{- end -}}
{{- end }}

{{- /* As docker/init does: each worker reads one body of the largest size at a time, which takes 30 times as much. */ -}}
{{- define "ds.refuseBodiesBeyondMemory" -}}
{{- $largest := .Values.config.MAX_CONTENT_LENGTH | default 1048576 | int64 -}}{{- $workers := .Values.config.WEB_CONCURRENCY | int | default 2 -}}
{{- include "ds.needsMemory" (list "config.MAX_CONTENT_LENGTH" $largest "resources.limits.memory" (((.Values.resources).limits).memory | default "" | toString) (mul 30 $largest $workers) (printf "30 times as much for each of %d workers" $workers)) -}}
{{- end }}

{{- /* What stands as ${NAME} in docker/nginx: names, addresses, and settings as docker/init checks them. A map
takes four words for its own parameters unless a backslash stands before them. */ -}}
{{- define "ds.edgeSettings" -}}
{{- $config := .Values.config -}}
{{ include "ds.pools" . }}
RESOLVER: "{{ .Values.edge.resolver }} ipv6=off"
STATUS_HOST: "127.0.0.1"
KEEPALIVE_MIN_SECONDS: "15"
CLIENT_REQUESTS_PER_SECOND: "{{ .Values.edge.clientRequestsPerSecond }}"
CLIENT_BURST: "{{ .Values.edge.clientBurst }}"
CLIENT_CONNECTIONS: "{{ .Values.edge.clientConnections }}"
MAX_CONTENT_LENGTH: "{{ $config.MAX_CONTENT_LENGTH | default 1048576 | int64 }}"
READ_TIMEOUT: "{{ add ($config.REQUEST_TIMEOUT_SECONDS | default 30 | int) 5 }}"
HTTPS_REDIRECT: {{ .Values.edge.httpsRedirect | quote }}
HTTPS_PORT: "443"
IPV6: "# "
APP_ENV: {{ $config.APP_ENV | default "production" | quote }}
REAL_IP: {{ if .Values.trustedProxies }}"{{ range .Values.trustedProxies }}set_real_ip_from {{ . }};\n{{ end }}real_ip_header X-Forwarded-For;\nreal_ip_recursive on;\n"{{ else }}""{{ end }}
{{- $hosts := $config.TRUSTED_HOSTS | default "" | lower | replace "," " " | splitList " " | compact | uniq }}
HOSTS: "    default \"{{ ternary "yes" "" (gt (len $hosts) 0) }}\";\n{{ range $hosts }}{{ if not (has (print "." .) $hosts) }}    {{ regexReplaceAll "^(default|hostnames|include|volatile)$" . "\\\\$1" }} \"\";\n{{ end }}{{ end }}"
{{- end }}

{{- /* A file of docker/nginx with these settings in it: (list TEXT SETTINGS). Some mount a token in /run/secrets. */ -}}
{{- define "ds.edgeFile" -}}
{{- $text := index . 0 -}}{{- range $name, $value := index . 1 }}{{ $text = replace (printf "${%s}" $name) (toString $value) $text }}{{ end -}}
{{ $text | replace "/run/secrets" "/etc/nginx/tls" }}
{{- end }}

{{- /* The Services of Redis' pods, by their full names. */ -}}
{{- define "ds.redisPods" -}}
{{- range $number := until 3 }}{{ if $number }} {{ end }}{{ include "ds.fullname" $ }}-redis-{{ $number }}.{{ $.Release.Namespace }}.svc.{{ $.Values.clusterDomain }}{{ end -}}
{{- end }}

{{- /* The beginning of a NetworkPolicy: (list CONTEXT NAME PODS). */ -}}
{{- define "ds.policy" }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "ds.metadata" . | nindent 2 }}
spec:
  {{- index . 2 | toYaml | nindent 2 }}
  policyTypes: [Ingress, Egress]
{{- end }}

{{- /* A pod that asks the service: (list CONTEXT HOST:PORT TEST...), with the tests of scripts/helm_test.py. */ -}}
{{- define "ds.testPod" -}}
{{- $root := index . 0 -}}
backoffLimit: 0
activeDeadlineSeconds: 60
template:
  metadata:
    labels:
      {{- include "ds.selector" (list $root "test") | nindent 6 }}
  spec:
    restartPolicy: Never
    {{- include "ds.podSecurity" $root | nindent 4 }}
    {{- with $root.Values.image.pullSecrets }}
    imagePullSecrets: {{ toYaml . | nindent 6 }}
    {{- end }}
    containers:
      - name: test
        image: {{ include "ds.image" $root | quote }}
        imagePullPolicy: {{ $root.Values.image.pullPolicy }}
        {{- include "ds.containerSecurity" $root | nindent 8 }}
        {{- with $root.Values.config.TRUSTED_HOSTS }}
        env: [{name: HOST, value: {{ regexFind "[^.,\\s][^,\\s]*" . | quote }}}]
        {{- end }}
        command: {{ concat (list "python" "-Bc" ($root.Files.Get "scripts/helm_test.py") (printf "http://%s" (index . 1))) (slice . 2) | toJson }}
        resources: {requests: {cpu: 10m, memory: 32Mi}, limits: {memory: 64Mi, ephemeral-storage: 8Mi}}
        volumeMounts: [{name: secret, mountPath: /secret, readOnly: true}]
    volumes:
      - name: secret
        secret: {secretName: {{ include "ds.secret" $root }}, defaultMode: 0440, items: [{key: api_token, path: api_token}]}
{{- end }}
