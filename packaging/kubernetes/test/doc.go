// Package test holds the manifests of packaging/kubernetes to the types of the Kubernetes API, and
// applies the component for the CSI driver to the driver's own.
package test
