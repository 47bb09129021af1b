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

// OpenSysRing is OpenRing by golang.org/x/sys on every architecture.
func OpenSysRing() (Ring, error) { return openRing(openSysKeys) }

func openRing(open func() (userKeys, error)) (Ring, error) {
	keys, err := open()
	if err != nil {
		return nil, err
	}
	return ring{keys}, nil
}
