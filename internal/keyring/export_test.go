package keyring

// What the tests of package keyring_test reach into.
var (
	Forget           = forget
	ParseDescription = parseDescription
	ErrRejectTime    = errRejectTime
	ErrTable         = errTable
)

const (
	Prefix    = prefix
	EntryPerm = entryPerm
	MaxTable  = maxTable
)

// Rings is the implementation that this build has; the tag syskeys chooses the other one.
func Rings() map[string]func() (Ring, error) {
	return map[string]func() (Ring, error){"chosen": OpenRing}
}
