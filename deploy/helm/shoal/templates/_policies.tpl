{{/*
Who may talk to whom: exactly the arrows of ARCHITECTURE.md. A pod that a policy selects may do nothing that no policy
allows; every pod of ours is selected by one for both directions.
*/}}

{{/* Pods of these parts. Takes (dict "root" "parts"). */}}
{{- define "shoal.peers" -}}
podSelector:
  matchLabels:
    app.kubernetes.io/name: shoal
    app.kubernetes.io/instance: {{ .root.Release.Name }}
  matchExpressions:
    - key: app.kubernetes.io/component
      operator: In
      values: {{ toJson .parts }}
{{- end -}}

{{/* Instances of this installation, and nobody else's that may be in their namespace. */}}
{{- define "shoal.ownInstances" -}}
namespaceSelector:
  matchLabels:
    kubernetes.io/metadata.name: {{ include "shoal.bots" . }}
podSelector:
  matchLabels:
    shoal/installation: {{ include "shoal.installation" . | quote }}
{{- end -}}

{{- define "shoal.dnsRule" -}}
- to:
    - namespaceSelector: {}
      podSelector:
        matchLabels: {{- toYaml .Values.networkPolicies.dnsPodLabels | nindent 10 }}
    {{- range .Values.networkPolicies.dnsCidrs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end -}}

{{- define "shoal.databaseRule" -}}
{{- if .Values.postgres.bundled }}
- to:
    - {{- include "shoal.peers" (dict "root" . "parts" (list "postgres")) | nindent 6 }}
  ports:
    - {port: 5432, protocol: TCP}
{{- else }}
- ports:
    - {port: {{ .Values.postgres.existing.port }}, protocol: TCP}
  {{- with .Values.postgres.existing.peers }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "shoal.natsRule" -}}
{{- if .Values.nats.bundled }}
- to:
    - {{- include "shoal.peers" (dict "root" . "parts" (list "nats")) | nindent 6 }}
  ports:
    - {port: 4222, protocol: TCP}
{{- else }}
- ports:
    - {port: {{ .Values.nats.existing.port }}, protocol: TCP}
  {{- with .Values.nats.existing.peers }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Anywhere outside: not the cluster's own networks, not the cloud's metadata. */}}
{{- define "shoal.outside" -}}
- ipBlock:
    cidr: 0.0.0.0/0
    except: {{- toYaml .Values.networkPolicies.privateNetworks | nindent 6 }}
- ipBlock:
    cidr: ::/0
    except: {{- toYaml .Values.networkPolicies.privateNetworks6 | nindent 6 }}
{{- end -}}

{{/* The policy of one service. Takes (dict "root" "name" "facts"). */}}
{{- define "shoal.servicePolicy" -}}
{{- $root := .root -}}{{- $name := .name -}}{{- $facts := .facts -}}
{{- $services := (include "shoal.facts" $root | fromJson).services -}}
{{- $policies := $root.Values.networkPolicies -}}
{{- $part := dict "root" $root "part" $name -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "shoal.fullname" $root }}-{{ $name }}
  labels: {{- include "shoal.labels" $part | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "shoal.selector" $part | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- with $facts.callers }}
    - from:
        - {{- include "shoal.peers" (dict "root" $root "parts" .) | nindent 10 }}
      ports:
        - {port: http, protocol: TCP}
    {{- end }}
    {{- if eq $name "gateway" }}
    # The front door: from wherever browsers and agents come.
    - ports:
        - {port: http, protocol: TCP}
      {{- with $policies.gatewayFrom }}
      from:
        {{- toYaml . | nindent 8 }}
        - {{- include "shoal.ownInstances" $root | nindent 10 }}
      {{- end }}
    {{- end }}
    {{- with $policies.metricsFrom }}
    - from: {{- toYaml . | nindent 8 }}
      ports:
        - {port: http, protocol: TCP}
    {{- end }}
  egress:
    {{- include "shoal.dnsRule" $root | nindent 4 }}
    {{- include "shoal.databaseRule" $root | nindent 4 }}
    {{- include "shoal.natsRule" $root | nindent 4 }}
    {{- range $callee := $facts.calls }}
    - to:
        - {{- include "shoal.peers" (dict "root" $root "parts" (list $callee)) | nindent 10 }}
      ports:
        - {port: {{ (index $services $callee).port }}, protocol: TCP}
    {{- end }}
    {{- if $root.Values.tracing.endpoint }}
    - ports:
        - {port: {{ $root.Values.tracing.port }}, protocol: TCP}
      {{- with $root.Values.tracing.peers }}
      to: {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- end }}
    {{- if eq $name "instance-orchestrator" }}
    # The Kubernetes API, wherever it is: its address is nobody's pod.
    - ports:
        {{- range $policies.kubernetesApi.ports }}
        - {port: {{ . }}, protocol: TCP}
        {{- end }}
      to:
        {{- range $policies.kubernetesApi.cidrs }}
        - ipBlock: {cidr: {{ . | quote }}}
        {{- end }}
    {{- end }}
    {{- if eq $name "ssh-manager" }}
    - to:
        - {{- include "shoal.ownInstances" $root | nindent 10 }}
      ports:
        - {port: 2222, protocol: TCP}
    {{- end }}
    {{- if eq $name "agent-runtime" }}
    # Models and tools: the internet, and what the operator names (a model server of his own).
    - ports:
        - {port: 443, protocol: TCP}
      to: {{- include "shoal.outside" $root | nindent 8 }}
    {{- with $policies.agentRuntimeTo }}
    - to: {{- toYaml . | nindent 8 }}
    {{- end }}
    {{- end }}
{{- end -}}
