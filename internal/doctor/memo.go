package doctor

import "sync"

// memo keeps what several checks need and is costly to read.
type memo struct {
	azure    azureMemo
	krb5     sync.Once
	krb5Conf *krb5Conf

	rules  sync.Once
	winner winner
}
