package identity

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// userAssigned is a managed identity that an administrator assigned to the machine, by one of its
// three names.
func userAssigned() rules {
	return rules{
		oneOf:       []string{"client_id", "object_id", "resource_id"},
		takes:       []string{"resource"},
		refreshable: always,
		token: func(ctx context.Context, i Identity, o Options) (AccessToken, error) {
			return fromIMDS(ctx, i, o, managedID(i))
		},
	}
}

func managedID(i Identity) azidentity.ManagedIDKind {
	switch {
	case i.ObjectID != "":
		return azidentity.ObjectID(i.ObjectID)
	case i.ResourceID != "":
		return azidentity.ResourceID(i.ResourceID)
	}
	return azidentity.ClientID(i.ClientID)
}
