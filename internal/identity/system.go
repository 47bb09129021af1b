package identity

import "context"

// system is the machine's own managed identity: IMDS knows it, or outside of Azure the agent of Arc.
// Which of them a machine has is told by the agent's program, as azidentity does it too.
func system() rules {
	return rules{
		takes:       []string{"resource"},
		refreshable: always,
		token: func(ctx context.Context, i Identity, o Options) (AccessToken, error) {
			if o.arc.installed() {
				return fromArc(ctx, i, o)
			}
			return fromIMDS(ctx, i, o, nil)
		},
	}
}
