//go:build !(amd64 || 386 || arm)

package keyring

func openUserKeys() (userKeys, error) { return openSysKeys() }
