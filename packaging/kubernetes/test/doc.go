// Package test holds the manifests of packaging/kubernetes to the types of the Kubernetes API, and
// runs the installation on a folder that stands for a node.
package test
