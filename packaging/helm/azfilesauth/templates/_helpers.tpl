{{- define "azfilesauth.labels" -}}
app.kubernetes.io/name: azfilesauth
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "azfilesauth.selector" -}}
app.kubernetes.io/name: azfilesauth
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "azfilesauth.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* Where a pod may run, and how its image is fetched. */ -}}
{{- define "azfilesauth.place" -}}
nodeSelector:
  {{- merge (dict "kubernetes.io/os" "linux") (default dict .Values.nodeSelector) | toYaml | nindent 2 }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
tolerations:
  {{- toYaml .Values.tolerations | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* What every pod is: on the node's network, because the machine's identity service answers the machine. */ -}}
{{- define "azfilesauth.pod" -}}
automountServiceAccountToken: false
hostNetwork: true
dnsPolicy: Default
priorityClassName: {{ .Values.priorityClassName }}
terminationGracePeriodSeconds: 10
securityContext:
  seccompProfile: {type: RuntimeDefault}
{{ include "azfilesauth.place" . }}
{{- end }}

{{- /* Owner and mode of files and caches; the daemon needs no more. Where SELinux is enforced, other types may not touch the host's files. */ -}}
{{- define "azfilesauth.security" -}}
seLinuxOptions: {type: spc_t}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsUser: 0
capabilities:
  drop: [ALL]
  add: [CHOWN, DAC_OVERRIDE, FOWNER]
{{- end }}

{{- define "azfilesauth.node.mounts" -}}
- {name: usr, mountPath: /host/usr}
- {name: etc, mountPath: /host/etc}
- {name: opt, mountPath: /host/opt}
- {name: lib, mountPath: /host/var/lib}
- {name: sbin, mountPath: /host/sbin, readOnly: true}
{{- end }}

{{- define "azfilesauth.node.volumes" -}}
- {name: usr, hostPath: {path: /usr, type: Directory}}
- {name: etc, hostPath: {path: /etc, type: Directory}}
- {name: opt, hostPath: {path: /opt, type: DirectoryOrCreate}}
- {name: lib, hostPath: {path: /var/lib, type: Directory}}
- {name: sbin, hostPath: {path: /sbin, type: Directory}}
{{- end }}
