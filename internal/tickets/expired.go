package tickets

import (
	"context"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
)

// DropExpired erases the tickets of a cache that have ended, unless keep names them by their service
// principal, cifs/<canonical host>. A cache that is not there is not made. Its errors are faults.
func (m *Manager) DropExpired(ctx context.Context, cruid int, keep func(spn string) bool) error {
	return m.erase(ctx, cruid, func(c *ccache.Cache, _ string) error {
		c.DropExpired(m.Now(), keep)
		return nil
	})
}
