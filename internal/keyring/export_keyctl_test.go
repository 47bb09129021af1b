//go:build amd64 || 386 || arm

package keyring

// Rings is every implementation that this architecture has.
func Rings() map[string]func() (Ring, error) {
	return map[string]func() (Ring, error){
		"sys":    OpenSysRing,
		"keyctl": func() (Ring, error) { return openRing(openKeyctlKeys) },
		"chosen": OpenRing,
	}
}
