{{/* Names, labels and images: each is made in one place. */}}

{{- define "shoal.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains "shoal" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-shoal" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods of a part; never changes between upgrades. Takes (dict "root" "part"). */}}
{{- define "shoal.selector" -}}
app.kubernetes.io/name: shoal
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{- define "shoal.labels" -}}
{{ include "shoal.selector" . }}
app.kubernetes.io/part-of: shoal
app.kubernetes.io/version: {{ .root.Chart.AppVersion | replace "+" "_" | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The image of one of our parts. Takes (dict "root" "part"). */}}
{{- define "shoal.image" -}}
{{- $image := .root.Values.image -}}
{{- $name := printf "%s-%s" $image.repository .part -}}
{{- if $image.registry }}{{ $name = printf "%s/%s" $image.registry $name }}{{ end -}}
{{- with index $image.digests .part }}{{ printf "%s@%s" $name . }}{{ else }}{{ printf "%s:%s" $name (default .root.Chart.AppVersion $image.tag) }}{{ end -}}
{{- end -}}

{{/* What stands before the name of each Secret: ours, or those that the operator made. */}}
{{- define "shoal.secrets" -}}
{{- default (include "shoal.fullname" .) .Values.credentials.existing -}}
{{- end -}}

{{/* Where PostgreSQL and NATS are, as addresses name them. */}}
{{- define "shoal.databaseAt" -}}
{{- if .Values.postgres.bundled -}}
{{- printf "%s-postgres:5432/shoal?sslmode=disable" (include "shoal.fullname" .) -}}
{{- else -}}
{{- with .Values.postgres.existing }}{{ printf "%s:%d/%s?%s" (required "postgres.existing.host is needed where postgres.bundled is false" .host) (int .port) .database .parameters | trimSuffix "?" }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "shoal.natsAt" -}}
{{- if .Values.nats.bundled -}}
{{- printf "%s-nats:4222" (include "shoal.fullname" .) -}}
{{- else -}}
{{- with .Values.nats.existing }}{{ printf "%s:%d" (required "nats.existing.host is needed where nats.bundled is false" .host) (int .port) }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* The Secret with PostgreSQL's address for whoever migrates and saves, as a volume source. */}}
{{- define "shoal.adminSecret" -}}
{{- $existing := .Values.postgres.existing -}}
{{- if and (not .Values.postgres.bundled) $existing.secret -}}
secretName: {{ $existing.secret }}
items:
  - {key: {{ $existing.secretKey }}, path: database-url}
{{- else -}}
secretName: {{ include "shoal.secrets" . }}-admin
items:
  - {key: database-url, path: database-url}
{{- end -}}
{{- end -}}

{{/*
Private authorities who signed the certificates of servers of one's own: variables, mount and volume of whoever speaks
with these servers; nothing where none is named. libpq, asyncpg and dbmate know PGSSLROOTCERT.
*/}}
{{- define "shoal.authorities" -}}
{{- $named := dict -}}
{{- range $server := list "postgres" "nats" -}}
{{- $values := index $.Values $server -}}
{{- with $values.existing.authority -}}
{{- if and .configMap .secret }}{{ fail (printf "%s.existing.authority names both a ConfigMap and a Secret" $server) }}{{ end -}}
{{- if and (or .configMap .secret) (not $values.bundled) }}{{ $_ := set $named $server . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- toJson $named -}}
{{- end -}}

{{- define "shoal.authorityVariables" -}}
{{- $variables := dict "postgres" "PGSSLROOTCERT" "nats" "SHOAL_NATS_CA" -}}
{{- range $server, $_ := include "shoal.authorities" . | fromJson }}
- {name: {{ index $variables $server }}, value: /etc/shoal/authorities/{{ $server }}.crt}
{{- end -}}
{{- end -}}

{{- define "shoal.authorityMounts" -}}
{{- if include "shoal.authorities" . | fromJson }}
- {name: authorities, mountPath: /etc/shoal/authorities, readOnly: true}
{{- end -}}
{{- end -}}

{{- define "shoal.authorityVolumes" -}}
{{- with include "shoal.authorities" . | fromJson }}
- name: authorities
  projected:
    sources:
      {{- range $server, $one := . }}
      - {{ ternary "configMap" "secret" (ne $one.configMap "") }}:
          name: {{ default $one.secret $one.configMap }}
          items:
            - {key: {{ $one.key }}, path: {{ $server }}.crt}
      {{- end }}
{{- end -}}
{{- end -}}

{{/* The namespace of instances. */}}
{{- define "shoal.bots" -}}
{{- default (printf "%s-bots" .Release.Namespace) .Values.instances.namespace -}}
{{- end -}}

{{/* What stands before the name of each object there: releases of one name may share it. No namespace has a dot. */}}
{{- define "shoal.namedInBots" -}}
{{- printf "%s.%s" .Release.Namespace (include "shoal.fullname" .) -}}
{{- end -}}

{{/* The label by which its instances are known: where the release is, and its name. */}}
{{- define "shoal.installation" -}}
{{- $name := printf "%s.%s" .Release.Namespace .Release.Name -}}
{{- $short := printf "%s-%s" (trunc 54 $name) (trunc 8 (sha256sum $name)) -}}
{{- default (ternary $name $short (le (len $name) 63)) .Values.instances.installation -}}
{{- end -}}

{{/* Where instances find the gateway: inside the cluster, whatever the outside calls it. */}}
{{- define "shoal.inside" -}}
{{- printf "http://%s-gateway.%s.svc:8080" (include "shoal.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* The facts about services that their code states: ports, secrets, who calls whom. Rendered by deploy/render.py. */}}
{{- define "shoal.facts" -}}
{{- .Files.Get "files/services.json" -}}
{{- end -}}

{{/* Services that are enabled, as a JSON list, in the order of their ports. */}}
{{- define "shoal.enabled" -}}
{{- $root := . -}}{{- $names := list -}}
{{- range $name := (include "shoal.facts" . | fromJson).order -}}
{{- if (index $root.Values $name).enabled }}{{ $names = append $names $name }}{{ end -}}
{{- end -}}
{{- toJson $names -}}
{{- end -}}

{{/* Seconds of a duration such as 10s, 2m or 1h. */}}
{{- define "shoal.seconds" -}}
{{- $units := dict "s" 1 "m" 60 "h" 3600 -}}
{{- $text := toString . -}}
{{- mul (int (trimSuffix (substr (sub (len $text) 1 | int) (len $text) $text) $text)) (index $units (substr (sub (len $text) 1 | int) (len $text) $text)) -}}
{{- end -}}

{{/* Pod Security "restricted", for a pod and for a container. */}}
{{- define "shoal.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "shoal.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
