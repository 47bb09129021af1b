// Command handler is azfiles.upcall alone, for the tests.
package main

import (
	"os"

	"github.com/azfilesauth/azfilesauth/upcall"
)

func main() { os.Exit(upcall.Main(os.Args, "test")) }
