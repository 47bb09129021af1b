package doctor

import (
	"context"
	"net"
	"slices"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

const smbPort = "445"

func port445Check() Check {
	return Check{
		ID: "port-445", Group: Network, Title: "port 445", Severity: Fails, PerEndpoint: true, Needs: []ID{"dns"},
		Proves: "The storage account accepts connections on the port of SMB.",
		Why:    "The share is mounted over it; many networks block it towards the internet.",
		Run:    checkPort445,
	}
}

func checkPort445(ctx context.Context, s *Subject) Result {
	var f several
	for _, address := range s.Target.smbAddresses() {
		f.add(s.connect(ctx, address))
	}
	return f.result(Result{Status: OK})
}

// smbAddresses are where the mounts of the target connect: by each of its names, or where a line of
// fstab says so.
func (t *Target) smbAddresses() []string {
	var all []string
	for _, from := range t.From {
		host, port := from.plain(), smbPort
		if from.Fstab != nil {
			for _, name := range []string{"addr", "ip"} {
				if a := optionOf(*from.Fstab, name); a != "" {
					host = a
				}
			}
			if p := optionOf(*from.Fstab, "port"); p != "" {
				port = p
			}
		}
		if address := net.JoinHostPort(host, port); !slices.Contains(all, address) {
			all = append(all, address)
		}
	}
	if len(all) == 0 {
		all = []string{net.JoinHostPort(t.Endpoint.Host(), smbPort)}
	}
	return all
}

func (s *Subject) connect(ctx context.Context, address string) Result {
	began := s.Now()
	conn, err := s.Dial(ctx, "tcp", address)
	if err != nil {
		host, _, _ := net.SplitHostPort(address)
		errno := reason(err).Error()
		if ctx.Err() != nil {
			errno = "no answer in time"
		}
		return Failed(fault.New(fault.SMBUnreachable, fault.V{"host": host, "errno": errno}))
	}
	_ = conn.Close() // nothing was said
	return Good("%s accepted a connection after %s", address, s.Now().Sub(began).Round(time.Millisecond))
}
