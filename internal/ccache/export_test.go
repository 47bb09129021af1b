package ccache

// OpenIn is Open with another folder than /run/azfilesauth.
func OpenIn(run, name string, owner Owner) (*Store, error) { return openIn(run, name, owner) }

// TempName is a name for a temporary file, as a killed Update leaves it behind.
func (s *Store) TempName() string { return s.tempName() }
