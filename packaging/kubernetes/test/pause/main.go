// Command pause is what holds the namespaces of a pod in the tests: it does nothing until it is told to end. The one of
// Kubernetes is in a registry, which tests do not reach.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	<-end
}
