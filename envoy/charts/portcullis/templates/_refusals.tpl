{{- /* What would not work, or would not be safe, is refused before anything is applied, with what to do about it. No
       message repeats a value that may be a secret. */}}

{{- define "portcullis.refuse" -}}
{{- $v := .Values -}}
{{- $pg := $v.database.postgres -}}
{{- $postgres := include "portcullis.usesPostgres" . -}}
{{- $sidecar := include "portcullis.behindSidecar" . -}}

{{- if not $v.publicUrl }}
{{- fail "\npublicUrl is missing: set it to the scheme, host and port by which agents call the gateway, such as https://mcp.example.com" }}
{{- end -}}
{{- if not $v.image.repository }}
{{- fail "\nimage.repository is missing: name the image that you built from envoy/image" }}
{{- end -}}
{{- if and $v.image.digest $v.image.tag }}
{{- fail "\nimage.digest and image.tag are both set: leave the tag out, the digest says which image it is" }}
{{- end -}}
{{- if not (or $v.image.digest $v.image.tag) }}
{{- fail "\nimage.digest is missing: set it to the sha256:… of the image (or, to try something out, image.tag)" }}
{{- end -}}

{{- if and $v.rootKey.existingSecret $v.config.root_key }}
{{- fail "\nrootKey.existingSecret and config.root_key are both set: keep one, the root key is in one place" }}
{{- end -}}
{{- if not (or $v.rootKey.existingSecret $v.config.root_key) }}
{{- fail (printf "\nrootKey.existingSecret is missing: make a Secret with the root key, keep a copy elsewhere, and name it here:\n  kubectl create secret generic portcullis-root-key --namespace %s --from-literal=root-key=\"$(openssl rand -base64 32)\"\n(or set config.root_key to a key in HashiCorp Vault)" .Release.Namespace) }}
{{- end -}}
{{- if not $v.adminToken.existingSecret }}
{{- fail (printf "\nadminToken.existingSecret is missing: make a Secret with the token of the admin API and name it here:\n  kubectl create secret generic portcullis-admin-token --namespace %s --from-literal=admin-token=\"pca_$(openssl rand -hex 32)\"" .Release.Namespace) }}
{{- end -}}

{{- range $section, $value := dict "public_url" "publicUrl" "admin_url" "admin.url" "listeners" "internalTls, admin, metrics and listenAddress" "store" "database" "admin_token_file" "adminToken" }}
{{- if hasKey $v.config $section }}
{{- fail (printf "\nconfig.%s cannot be set, because the chart's other objects have to agree with it: set %s" $section $value) }}
{{- end -}}
{{- end -}}
{{- include "portcullis.refuseInConfig" (dict "root" . "at" "config" "value" $v.config) -}}

{{- if and (gt (int $v.replicas) 1) (not $postgres) }}
{{- fail (printf "\nreplicas is %d, but a database of SQLite is one file for one token-service: set database.postgres.url (or urlSecret), or replicas to 1" (int $v.replicas)) }}
{{- end -}}
{{- range $of, $database := dict "database.postgres" $pg "database.migration" $v.database.migration }}
{{- if and $database.url $database.urlSecret.name }}
{{- fail (printf "\n%s.url and %s.urlSecret are both set: keep one" $of $of) }}
{{- end -}}
{{- if regexMatch "^[a-z]+://[^@/?]*:[^@?]*@|[?&]password=" $database.url }}
{{- fail (printf "\n%s.url has a password in it: leave it out and set %s.passwordSecret, or put the whole URL into a Secret and set %s.urlSecret" $of $of $of) }}
{{- end -}}
{{- range $reference := list "urlSecret" "passwordSecret" }}
{{- $secret := get $database $reference -}}
{{- if ne (empty $secret.name) (empty $secret.key) }}
{{- fail (printf "\n%s.%s needs both name and key" $of $reference) }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $pg.passwordSecret.name (not $postgres) }}
{{- fail "\ndatabase.postgres.passwordSecret is of no use without database.postgres.url: set that too" }}
{{- end -}}
{{- with $v.database.migration }}
{{- if and .job (not $postgres) }}
{{- fail "\ndatabase.migration.job is for PostgreSQL: set database.postgres.url, or leave the tables to the service" }}
{{- end -}}
{{- if and .job (not (or .url .urlSecret.name)) }}
{{- fail "\ndatabase.migration.job needs database.migration.url (or urlSecret) of the role that may change tables" }}
{{- end -}}
{{- end -}}

{{- if and $sidecar $v.internalTls.existingSecret }}
{{- fail "\ninternalTls.existingSecret is of no use with istio.dataPlane sidecar, where the mesh has mutual TLS: leave it out" }}
{{- end -}}
{{- if not (or $sidecar $v.internalTls.existingSecret) }}
{{- fail "\ninternalTls.existingSecret is missing: whoever reaches the internal listener gets credentials, so it wants mutual TLS. Make a Secret with tls.crt, tls.key and ca.crt (the authority of Envoy's certificate), and name it here" }}
{{- end -}}
{{- if and (ne $v.integration "none") (not $v.gateway.name) }}
{{- fail (printf "\ngateway.name is missing: integration %s needs the Gateway that agents call" $v.integration) }}
{{- end -}}
{{- if and (eq $v.integration "istio") (eq $v.istio.dataPlane "ambient") (not $v.istio.clientCertificateSecret) }}
{{- fail "\nistio.clientCertificateSecret is missing: with istio.dataPlane ambient the gateway shows a certificate of its own; name the Secret with it, in the gateway's namespace" }}
{{- end -}}
{{- if and (eq $v.integration "envoyGateway") (not $v.envoyGateway.clientCertificateSecret) }}
{{- fail "\nenvoyGateway.clientCertificateSecret is missing: name the Secret (tls.crt, tls.key, ca.crt) with the certificate that Envoy shows to the internal listener" }}
{{- end -}}
{{- if and $v.networkPolicy.enabled (eq $v.integration "none") (not $v.gateway.peers) }}
{{- fail "\ngateway.peers is missing: say which pods or networks your Envoys are in (or set networkPolicy.enabled to false and see to it yourself)" }}
{{- end -}}

{{- if $v.admin.expose }}
{{- if not $v.admin.url }}
{{- fail "\nadmin.url is missing: with admin.expose say by which scheme, host and port browsers reach it, behind TLS of yours" }}
{{- end -}}
{{- if not $v.admin.from }}
{{- fail "\nadmin.from is missing: with admin.expose say who may connect (peers of a NetworkPolicy). The admin listener is not for everybody" }}
{{- end -}}
{{- if not $v.networkPolicy.enabled }}
{{- fail "\nadmin.expose needs networkPolicy.enabled: nothing else keeps others from the admin listener" }}
{{- end -}}
{{- if and (eq $v.integration "istio") (not $v.admin.principals) }}
{{- fail "\nadmin.principals is missing: in a mesh say which identities may call the admin listener, such as cluster.local/ns/ops/sa/console-proxy" }}
{{- end -}}
{{- end -}}
{{- if and $v.metrics.serviceMonitor.enabled (not $v.metrics.enabled) }}
{{- fail "\nmetrics.serviceMonitor.enabled needs metrics.enabled" }}
{{- end -}}
{{- if and $v.metrics.enabled $v.networkPolicy.enabled (not $v.metrics.from) }}
{{- fail "\nmetrics.from is missing: say where Prometheus is (peers of a NetworkPolicy), or set metrics.enabled to false" }}
{{- end -}}
{{- if not (or $v.serviceAccount.create $v.serviceAccount.name) }}
{{- fail "\nserviceAccount.name is missing: with serviceAccount.create false name one that is there" }}
{{- end -}}
{{- end }}

{{- /* Goes through `config`: secrets that are written into it, and files and variables that the pod will not have. */}}
{{- define "portcullis.refuseInConfig" -}}
{{- $root := .root -}}{{- $at := .at -}}
{{- if kindIs "slice" .value -}}
{{- range $index, $value := .value }}
{{- include "portcullis.refuseInConfig" (dict "root" $root "at" (printf "%s[%d]" $at $index) "value" $value) -}}
{{- end -}}
{{- else if kindIs "map" .value -}}
{{- range $key, $value := .value -}}
{{- $here := printf "%s.%s" $at $key -}}
{{- if kindIs "string" $value -}}
{{- if or (has $key (list "secret" "password" "private_key" "token")) (hasSuffix ".auth.headers" $at) }}
{{- fail (printf "\n%s is a secret, written out: put it into a Secret, name that under `secrets`, and write {file: secrets/<name>/<key>}" $here) }}
{{- end -}}
{{- if has $key (list "file" "jwks_file" "trusted_ca" "ca") }}
{{- include "portcullis.refuseFile" (dict "root" $root "at" $here "path" $value) -}}
{{- end -}}
{{- if eq $key "env" -}}
{{- $found := false -}}
{{- range $root.Values.environment }}{{ if eq .name $value }}{{ $found = true }}{{ end }}{{ end -}}
{{- if not $found }}
{{- fail (printf "\n%s names the variable %s, which the pod will not have: add it to `environment`" $here $value) }}
{{- end -}}
{{- end -}}
{{- else -}}
{{- include "portcullis.refuseInConfig" (dict "root" $root "at" $here "value" $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* Absolute paths are the image's, or what something else puts into the pod, such as Vault Agent. */}}
{{- define "portcullis.refuseFile" -}}
{{- $path := .path -}}
{{- if not (hasPrefix "/" $path) -}}
{{- $found := false -}}
{{- range $prefix, $sources := dict "secrets" .root.Values.secrets "files" .root.Values.configMaps -}}
{{- range $source := $sources }}
{{- range $source.keys }}
{{- if eq $path (printf "%s/%s/%s" $prefix $source.name .) }}{{ $found = true }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $found }}
{{- fail (printf "\n%s names the file %s, which the pod will not have: a key of a Secret under `secrets` is secrets/<name>/<key>, one of a ConfigMap under `configMaps` is files/<name>/<key>" .at $path) }}
{{- end -}}
{{- end -}}
{{- end }}
