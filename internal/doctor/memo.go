package doctor

import (
	"sync"

	"github.com/azfilesauth/azfilesauth/internal/krb5conf"
)

// memo keeps what several checks need and is costly to read.
type memo struct {
	azure    azureMemo
	krb5     sync.Once
	krb5Conf *krb5conf.Profile

	rules  sync.Once
	winner winner
}
