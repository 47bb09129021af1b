package doctor

import (
	"context"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

func ccacheContentCheck() Check {
	return Check{
		ID: "ccache-content", Group: Cache, Title: "credential cache content", Severity: Fails, Offline: true, Needs: []ID{"ccache-file"},
		Proves: "The credential cache can be read from its beginning to its end and holds the tickets of Azure Files alone.",
		Why:    "A damaged cache is set aside with its tickets; libkrb5 finds no ticket of another client than the cache's own.",
		Run:    checkCCacheContent,
	}
}

func checkCCacheContent(_ context.Context, s *Subject) Result {
	var f several
	for _, uid := range s.cruids() {
		f.add(s.examineContent(s.cacheOf(uid)))
	}
	return f.result(Result{Status: OK})
}

// ticketClient is the client that Azure Files names in its tickets; the realm may stand behind it.
const ticketClient = "AzureFileClient"

func (s *Subject) examineContent(c *cacheFile) Result {
	switch {
	case c.err != nil:
		return s.CannotSee(c.path, c.err)
	case c.damage != nil:
		r := Failed(c.fault(fault.CCacheDamaged, c.damage.Error()))
		r.Status = Warning // the next new ticket begins another file
		return s.mending(c, r)
	case c.cache == nil:
		return Good("%s: nothing to read", c.path)
	}
	client := c.cache.Principal.String()
	if len(c.cache.Tickets()) == 0 && len(c.cache.Credentials) > 0 && !strings.HasPrefix(client, ticketClient) {
		return Failed(c.fault(fault.CCachePrincipal, "its client is "+client))
	}
	return Good("%s holds %d tickets for %s", c.path, len(c.cache.Tickets()), client)
}
