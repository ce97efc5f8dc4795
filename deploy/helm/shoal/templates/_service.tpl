{{/*
One service of the suite: ServiceAccount, Service, Deployment, and what guards and scales them.
Takes (dict "root" . "name" "pairing"). What a service is told stands in values.yaml under its name.
*/}}
{{- define "shoal.service" -}}
{{- $root := .root -}}{{- $name := .name -}}
{{- $values := index $root.Values $name -}}
{{- if $values.enabled }}
{{- $facts := index (include "shoal.facts" $root | fromJson).services $name -}}
{{- $part := dict "root" $root "part" $name -}}
{{- $full := printf "%s-%s" (include "shoal.fullname" $root) $name -}}
{{- $shared := $root.Values.shared -}}
{{- $scales := and $facts.scales (dig "autoscaling" "enabled" false $values) (not $root.Values.stopped) -}}
{{- $replicas := ternary 0 (ternary (int $values.replicas) 1 $facts.scales) $root.Values.stopped -}}
{{- if and $scales (gt (int $values.autoscaling.min) (int $values.autoscaling.max)) }}
{{- fail (printf "%s.autoscaling.min is more than its max" $name) }}
{{- end }}
{{- $grace := add $root.Values.preStop (include "shoal.seconds" $shared.drainDelay | int) (include "shoal.seconds" $shared.drainTimeout | int) 15 -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $full }}
  labels: {{- include "shoal.labels" $part | nindent 4 }}
automountServiceAccountToken: false
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $full }}
  labels: {{- include "shoal.labels" $part | nindent 4 }}
  {{- with $values.serviceAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ default "ClusterIP" $values.serviceType }}
  selector: {{- include "shoal.selector" $part | nindent 4 }}
  ports:
    - name: http
      port: {{ $facts.port }}
      targetPort: http
      protocol: TCP
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $full }}
  labels: {{- include "shoal.labels" $part | nindent 4 }}
spec:
  {{- if not $scales }}
  replicas: {{ $replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  selector:
    matchLabels: {{- include "shoal.selector" $part | nindent 6 }}
  strategy:
    {{- if $facts.scales }}
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
    {{- else }}
    # It holds every connection to an instance: two at once would hold each of them twice.
    type: Recreate
    {{- end }}
  template:
    metadata:
      labels:
        {{- include "shoal.labels" $part | nindent 8 }}
        {{- with $root.Values.podLabels }}{{ toYaml . | nindent 8 }}{{ end }}
      annotations:
        shoal/credentials-revision: {{ $root.Values.credentials.revision | quote }}
        {{- if not $root.Values.credentials.existing }}
        # Pods read addresses at their start: where a server moved, they start anew.
        shoal/servers: {{ printf "%s %s" (include "shoal.databaseAt" $root) (include "shoal.natsAt" $root) | quote }}
        {{- end }}
        {{- with $root.Values.podAnnotations }}{{ toYaml . | nindent 8 }}{{ end }}
    spec:
      serviceAccountName: {{ $full }}
      automountServiceAccountToken: {{ eq $name "instance-orchestrator" }}
      enableServiceLinks: false
      # preStop, then readiness down, then requests under way, then NATS and PostgreSQL are let go of.
      terminationGracePeriodSeconds: {{ $grace }}
      securityContext: {{- include "shoal.podSecurity" 10001 | nindent 8 }}
      {{- with $root.Values.image.pullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $root.Values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $values.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.affinity }}
      affinity: {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
        {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - maxSkew: 1
          topologyKey: {{ $key }}
          whenUnsatisfiable: ScheduleAnyway
          # While pods are replaced, only the new ones count.
          matchLabelKeys: [pod-template-hash]
          labelSelector:
            matchLabels: {{- include "shoal.selector" $part | nindent 14 }}
        {{- end }}
      initContainers:
        # dbmate takes a lock in the database: of two replicas that start at once, one migrates and one waits.
        - name: migrate
          image: {{ include "shoal.image" $part }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [migrate, {{ $name }}, --wait, 5m]
          securityContext: {{- include "shoal.containerSecurity" $root | nindent 12 }}
          env:
            - name: SHOAL_DATABASE_URL_FILE
              value: /etc/shoal/admin/database-url
            - name: {{ $facts.prefix }}_DATABASE_URL_FILE
              value: /etc/shoal/secrets/database-url
            {{- include "shoal.authorityVariables" $root | indent 12 }}
          resources: {{- toYaml $root.Values.migrations.resources | nindent 12 }}
          volumeMounts:
            - {name: secrets, mountPath: /etc/shoal/secrets, readOnly: true}
            - {name: admin, mountPath: /etc/shoal/admin, readOnly: true}
            - {name: tmp, mountPath: /tmp}
            {{- include "shoal.authorityMounts" $root | indent 12 }}
            {{- with $root.Values.extraVolumeMounts }}{{ toYaml . | nindent 12 }}{{ end }}
      containers:
        - name: {{ $name }}
          image: {{ include "shoal.image" $part }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [run, {{ $name }}]
          securityContext: {{- include "shoal.containerSecurity" $root | nindent 12 }}
          ports:
            - {name: http, containerPort: {{ $facts.port }}, protocol: TCP}
          env: {{- include "shoal.environment" (dict "root" $root "name" $name "facts" $facts) | nindent 12 }}
          startupProbe:
            httpGet: {path: /healthz, port: http}
            periodSeconds: 1
            failureThreshold: 60
          # Alive needs nothing but the loop: a database that is away must not restart pods.
          livenessProbe:
            httpGet: {path: /healthz, port: http}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: {path: /readyz, port: http}
            periodSeconds: 5
            timeoutSeconds: 3
            failureThreshold: 2
          {{- if $root.Values.preStop }}
          lifecycle:
            # Load balancers hear of the end before the server does.
            preStop:
              sleep: {seconds: {{ $root.Values.preStop }}}
          {{- end }}
          resources: {{- toYaml $values.resources | nindent 12 }}
          volumeMounts:
            - {name: secrets, mountPath: /etc/shoal/secrets, readOnly: true}
            - {name: tmp, mountPath: /tmp}
            {{- include "shoal.authorityMounts" $root | indent 12 }}
            {{- if $values.workspacesClaim }}
            - {name: workspaces, mountPath: /tmp/shoal/workspaces}
            {{- end }}
            {{- with $root.Values.extraVolumeMounts }}{{ toYaml . | nindent 12 }}{{ end }}
      volumes:
        - name: secrets
          projected:
            defaultMode: 0440
            sources:
              - secret:
                  name: {{ include "shoal.secrets" $root }}-{{ $name }}
                  items:
                    {{- range $key := concat (list "database-url" "nats-url" "identity-key") $facts.secrets }}
                    - {key: {{ $key }}, path: {{ $key }}}
                    {{- end }}
              - secret:
                  name: {{ include "shoal.secrets" $root }}-shared
                  items:
                    - {key: identity-keys, path: identity-keys}
        - name: admin
          secret:
            defaultMode: 0440
            {{- include "shoal.adminSecret" $root | nindent 12 }}
        - name: tmp
          emptyDir: {sizeLimit: 256Mi}
        {{- include "shoal.authorityVolumes" $root | indent 8 }}
        {{- with $values.workspacesClaim }}
        - name: workspaces
          persistentVolumeClaim:
            claimName: {{ . }}
        {{- end }}
        {{- with $root.Values.extraVolumes }}{{ toYaml . | nindent 8 }}{{ end }}
{{- if or $scales (gt $replicas 1) }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $full }}
  labels: {{- include "shoal.labels" $part | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "shoal.selector" $part | nindent 6 }}
{{- end }}
{{- if $scales }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ $full }}
  labels: {{- include "shoal.labels" $part | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ $full }}
  minReplicas: {{ $values.autoscaling.min }}
  maxReplicas: {{ $values.autoscaling.max }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ $values.autoscaling.cpu }}
  behavior:
    # Sockets that a pod held are spread anew when it goes: shrink slowly.
    scaleDown:
      stabilizationWindowSeconds: 600
      policies:
        - {type: Pods, value: 1, periodSeconds: 120}
{{- end }}
{{- if $root.Values.serviceMonitor.enabled }}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ $full }}
  labels:
    {{- include "shoal.labels" $part | nindent 4 }}
    {{- with $root.Values.serviceMonitor.labels }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  # The labels that alerts and dashboards go by: job=shoal, service=<its name>.
  jobLabel: app.kubernetes.io/part-of
  selector:
    matchLabels: {{- include "shoal.selector" $part | nindent 6 }}
  endpoints:
    - port: http
      path: /metrics
      interval: {{ $root.Values.serviceMonitor.interval }}
      relabelings:
        - {targetLabel: service, replacement: {{ $name }}}
{{- end }}
{{- if $root.Values.networkPolicies.enabled }}
---
{{ include "shoal.servicePolicy" (dict "root" $root "name" $name "facts" $facts) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The variables of a service: what the chart decides, what all share, what is its own, what the operator adds. */}}
{{- define "shoal.environment" -}}
{{- $root := .root -}}{{- $name := .name -}}{{- $facts := .facts -}}
{{- $values := index $root.Values $name -}}
{{- $addresses := dict -}}
{{- range $peer := (include "shoal.enabled" $root | fromJsonArray) -}}
{{- $port := (index (include "shoal.facts" $root | fromJson).services $peer).port -}}
{{- $_ := set $addresses $peer (printf "%s-%s:%d" (include "shoal.fullname" $root) $peer (int $port)) -}}
{{- end -}}
{{- $told := list "SHOAL_SERVICES" "SHOAL_STATE" -}}
- name: SHOAL_SERVICES
  value: {{ toJson $addresses | quote }}
- name: SHOAL_IDENTITY_KEYS_FILE
  value: /etc/shoal/secrets/identity-keys
{{- range $key := concat (list "database-url" "nats-url" "identity-key") $facts.secrets }}
- name: {{ $facts.prefix }}_{{ $key | upper | replace "-" "_" }}_FILE
  value: /etc/shoal/secrets/{{ $key }}
{{- end }}
- name: SHOAL_STATE
  value: /tmp/shoal
{{- include "shoal.authorityVariables" $root }}
{{- if eq $name "instance-orchestrator" }}
- name: SHOAL_INSTANCE_BACKEND
  value: kubernetes
- name: INSTANCE_ORCHESTRATOR_NAMESPACE
  value: {{ include "shoal.bots" $root }}
- name: INSTANCE_ORCHESTRATOR_INSTALLATION
  value: {{ include "shoal.installation" $root | quote }}
- name: INSTANCE_ORCHESTRATOR_PUBLIC_URL
  value: {{ include "shoal.inside" $root }}
- name: SHOAL_INSTANCE_IMAGE
  value: {{ default (include "shoal.image" (dict "root" $root "part" "instance")) $root.Values.instances.image }}
{{- end }}
{{- with $root.Values.tracing.endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
- name: POD_NAME
  valueFrom:
    fieldRef: {fieldPath: metadata.name}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.namespace.name={{ $root.Release.Namespace }},k8s.pod.name=$(POD_NAME),service.version={{ $root.Chart.AppVersion }}
{{- end }}
{{- range $field := $facts.shared }}
{{- $value := index $root.Values.shared $field.key }}
{{- if not (kindIs "invalid" $value) }}
{{- $told = append $told $field.variable }}
- name: {{ $field.variable }}
  value: {{ include "shoal.text" $value | quote }}
{{- end }}
{{- end }}
{{- range $field := $facts.config }}
{{- $value := index $values.config $field.key }}
{{- if not (kindIs "invalid" $value) }}
{{- $told = append $told $field.variable }}
- name: {{ $field.variable }}
  value: {{ include "shoal.text" $value | quote }}
{{- end }}
{{- end }}
{{- range $variable, $value := $values.extraEnv }}
{{- if has $variable $told }}{{ fail (printf "%s.extraEnv.%s is said twice: `shared` or `%s.config` has a value for it" $name $variable $name) }}{{ end }}
- name: {{ $variable }}
  {{- if kindIs "map" $value }}
  valueFrom: {{- toYaml $value | nindent 4 }}
  {{- else }}
  value: {{ include "shoal.text" $value | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* A value as a variable holds it: lists separated by commas, large numbers without an exponent. */}}
{{- define "shoal.text" -}}
{{- if kindIs "slice" . }}{{ join "," . }}{{ else if kindIs "float64" . }}{{ if eq . (floor .) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}{{ else }}{{ . }}{{ end -}}
{{- end -}}
