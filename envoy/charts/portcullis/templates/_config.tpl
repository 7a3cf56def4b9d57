{{- /* portcullis.yaml. What decides where things are in the pod is derived; everything else is taken over from `config`. */}}

{{- define "portcullis.listeners" -}}
{{- $any := .Values.listenAddress -}}
{{- $sidecar := include "portcullis.behindSidecar" . -}}
internal: {{ printf "%s:8081" (ternary "127.0.0.1" $any (not (empty $sidecar))) | quote }}
{{- if not $sidecar }}
internal_tls:
  certificate: tls/tls.crt
  key: tls/tls.key
  client_ca: tls/ca.crt
{{- end }}
# Not exposed, it is for `kubectl port-forward` alone.
admin: {{ printf "%s:8082" (ternary $any "127.0.0.1" (and .Values.admin.expose (empty $sidecar))) | quote }}
public: {{ printf "%s:8083" $any | quote }}
{{- if .Values.metrics.enabled }}
metrics: {{ printf "%s:9464" $any | quote }}
{{- end }}
{{- end }}

{{- /* Takes `root`, and `database`: that of the service, or that of the migration. */}}
{{- define "portcullis.store" -}}
{{- if include "portcullis.usesPostgres" .root -}}
postgres:
  {{- if .database.urlSecret.name }}
  url: { file: database-url }
  {{- else }}
  url: {{ .database.url | quote }}
  {{- end }}
  {{- if .database.passwordSecret.name }}
  password: { file: database-password }
  {{- end }}
  directory: /var/lib/portcullis
{{- else -}}
sqlite: /var/lib/portcullis/portcullis.db
{{- end }}
{{- end }}

{{- define "portcullis.config" -}}
{{- $root := .root -}}
{{- $config := deepCopy $root.Values.config -}}
{{- $_ := set $config "public_url" $root.Values.publicUrl -}}
{{- with $root.Values.admin.url }}{{ $_ := set $config "admin_url" . }}{{ end -}}
{{- $_ := set $config "listeners" (include "portcullis.listeners" $root | fromYaml) -}}
{{- $_ := set $config "store" (include "portcullis.store" . | fromYaml) -}}
{{- if $root.Values.rootKey.existingSecret }}{{ $_ := set $config "root_key" (dict "file" "root.key") }}{{ end -}}
{{- $_ := set $config "admin_token_file" "admin-token" -}}
{{- toYaml $config -}}
{{- end }}

{{- /* What a running token-service does not take up from its file: a change of it needs new pods, one of the rest does not. */}}
{{- define "portcullis.settingsOfTheProcess" -}}
{{- $config := include "portcullis.config" (dict "root" . "database" .Values.database.postgres) | fromYaml -}}
{{- omit $config "workspaces" "servers" "administrators" "issuers" "policies" "limits" "root_key" "other_root_keys" | toJson -}}
{{- end }}

{{- /* One directory of the configuration and the files that it names, at their paths. A change of any of them arrives as
       a whole. Takes what "portcullis.config" takes, and `configMap`. */}}
{{- define "portcullis.configVolume" -}}
{{- $values := .root.Values -}}
name: config
projected:
  # 0440: the files are root's, the group is that of the pod.
  defaultMode: 288
  sources:
    - configMap:
        name: {{ .configMap }}
        items:
          - { key: portcullis.yaml, path: portcullis.yaml }
    {{- with $values.rootKey }}
    {{- if .existingSecret }}
    - secret:
        name: {{ .existingSecret }}
        items:
          - { key: {{ .key | quote }}, path: root.key }
    {{- end }}
    {{- end }}
    - secret:
        name: {{ $values.adminToken.existingSecret }}
        items:
          - { key: {{ $values.adminToken.key | quote }}, path: admin-token }
    {{- if include "portcullis.usesPostgres" .root }}
    {{- with .database.urlSecret }}
    {{- if .name }}
    - secret:
        name: {{ .name }}
        items:
          - { key: {{ .key | quote }}, path: database-url }
    {{- end }}
    {{- end }}
    {{- with .database.passwordSecret }}
    {{- if .name }}
    - secret:
        name: {{ .name }}
        items:
          - { key: {{ .key | quote }}, path: database-password }
    {{- end }}
    {{- end }}
    {{- end }}
    {{- with $values.internalTls.existingSecret }}
    - secret:
        name: {{ . }}
        items:
          - { key: tls.crt, path: tls/tls.crt }
          - { key: tls.key, path: tls/tls.key }
          - { key: ca.crt, path: tls/ca.crt }
    {{- end }}
    {{- range $secret := $values.secrets }}
    - secret:
        name: {{ $secret.name }}
        items:
          {{- range $secret.keys }}
          - { key: {{ . | quote }}, path: {{ printf "secrets/%s/%s" $secret.name . | quote }} }
          {{- end }}
    {{- end }}
    {{- range $configMap := $values.configMaps }}
    - configMap:
        name: {{ $configMap.name }}
        items:
          {{- range $configMap.keys }}
          - { key: {{ . | quote }}, path: {{ printf "files/%s/%s" $configMap.name . | quote }} }
          {{- end }}
    {{- end }}
{{- end }}

{{- /* What keeps a container from doing anything but its work. */}}
{{- define "portcullis.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "portcullis.podSecurity" -}}
runAsNonRoot: true
# `nonroot` of distroless images.
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}
