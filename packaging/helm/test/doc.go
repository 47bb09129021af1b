// Package test renders the chart of packaging/helm/azfilesauth with helm's own engine, and holds what comes out to the
// types of the Kubernetes API, to the chart's documentation, and to the manifests of packaging/kubernetes.
package test
