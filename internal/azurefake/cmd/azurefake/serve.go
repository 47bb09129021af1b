package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

// files are the paths that serve reads and writes; "" is none.
type files struct {
	caCert, caKey, caOut, keytabOut, ready string
	az, azHome                             string // folders
}

func serve(args []string, stdout, stderr io.Writer) error {
	o, paths, err := serveFlags(args, stderr)
	if err != nil {
		return err
	}
	if paths.caCert != "" || paths.caKey != "" {
		if o.CACert, err = os.ReadFile(paths.caCert); err != nil {
			return err
		}
		if o.CAKey, err = os.ReadFile(paths.caKey); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	f, err := azurefake.Start(o)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := announce(f, paths, stdout); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func serveFlags(args []string, stderr io.Writer) (o azurefake.Options, paths files, err error) {
	o.Control = true
	etype := azurefake.DefaultEtype
	fs := flag.NewFlagSet("azurefake", flag.ContinueOnError)
	fs.StringVar(&o.StorageAddr, "storage", "127.0.0.1:0", "`address` of the storage accounts")
	fs.StringVar(&o.IMDSAddr, "imds", "127.0.0.1:0", "`address` of the metadata service")
	fs.StringVar(&o.ControlAddr, "control", defaultControl, "`address` of the control API")
	fs.Func("host", "canonical `host` of a storage account; may be repeated or a list with commas", func(s string) error {
		o.Hosts = append(o.Hosts, strings.Split(s, ",")...)
		return nil
	})
	fs.Func("identity", "user-assigned `CLIENT[,OBJECT[,RESOURCE]]`; may be repeated", func(s string) error {
		id, err := parseIdentity(s)
		o.Identities = append(o.Identities, id)
		return err
	})
	fs.Func("authority", "`host` of Entra in a cloud of its own; may be repeated", func(s string) error {
		o.Authorities = append(o.Authorities, s)
		return nil
	})
	fs.Func("app", "app `"+appUsage+"`; may be repeated", func(s string) error {
		a, err := parseApp(s)
		o.Apps = append(o.Apps, a)
		return err
	})
	fs.StringVar(&o.ArcAddr, "arc", "", "`address` of Azure Arc's agent; none unless given")
	fs.StringVar(&o.ArcKeyFolder, "arc-keys", azurefake.DefaultArcKeyFolder, "`folder` of the agent's key files")
	fs.BoolVar(&o.NoSystem, "no-system", false, "there is no system-assigned identity")
	fs.StringVar(&o.Realm, "realm", azurefake.DefaultRealm, "Kerberos `realm`")
	fs.StringVar(&o.Client, "client", azurefake.DefaultClient, "client `name` in tickets")
	fs.IntVar(&etype, "etype", etype, "encryption `type` of tickets: 17, 18, 19, 20 or 23")
	fs.DurationVar(&o.Lifetime, "lifetime", azurefake.DefaultLifetime, "`lifetime` of tickets")
	fs.StringVar(&o.ServiceSecret, "secret", azurefake.DefaultServiceKey, "`password` of the service keys")
	fs.StringVar(&paths.caCert, "ca-cert", "", "`file` with the authority's certificate; see azurefake ca")
	fs.StringVar(&paths.caKey, "ca-key", "", "`file` with its private key")
	fs.StringVar(&paths.caOut, "ca-out", "", "`file` to write the authority's certificate to")
	fs.StringVar(&paths.keytabOut, "keytab-out", "", "`file` to write the service keys to")
	fs.StringVar(&paths.az, "az", "", "`folder` to write a stand-in for az to")
	fs.StringVar(&paths.azHome, "az-home", "", "home `folder` of the user who is logged in to it")
	fs.StringVar(&paths.ready, "ready", "", "`file` to write the addresses to when all listen")
	err = parse(fs, args, stderr, 0)
	o.Etype = int32(etype)
	return o, paths, err
}

func parseIdentity(s string) (azurefake.ManagedIdentity, error) {
	parts := strings.Split(s, ",")
	if len(parts) > 3 || parts[0] == "" {
		return azurefake.ManagedIdentity{}, fmt.Errorf("an identity is CLIENT[,OBJECT[,RESOURCE]]")
	}
	parts = append(parts, "", "")
	return azurefake.ManagedIdentity{ClientID: parts[0], ObjectID: parts[1], ResourceID: parts[2]}, nil
}

const appUsage = "CLIENT,TENANT,SECRET[,object=ID][,authority=HOST][,cert=FILE][,federated]"

// parseApp reads what appUsage says. TENANT and SECRET may be empty.
func parseApp(s string) (a azurefake.App, err error) {
	parts := strings.Split(s, ",")
	if len(parts) < 3 || parts[0] == "" {
		return a, fmt.Errorf("an app is %s", appUsage)
	}
	a.ClientID, a.TenantID, a.Secret = parts[0], parts[1], parts[2]
	for _, part := range parts[3:] {
		switch name, value, _ := strings.Cut(part, "="); {
		case name == "object":
			a.ObjectID = value
		case name == "authority":
			a.Authority = value
		case part == "federated":
			a.Federated = true
		case name == "cert":
			if a.CertPEM, err = os.ReadFile(value); err != nil {
				return a, err
			}
		default:
			return a, fmt.Errorf("%q is not known; an app is %s", part, appUsage)
		}
	}
	return a, nil
}

// announce writes the files that were asked for, the one that tells readiness last.
func announce(f *azurefake.Fake, paths files, stdout io.Writer) error {
	if err := installAz(f, paths); err != nil {
		return err
	}
	if err := replace(paths.caOut, f.CA(), 0o644); err != nil {
		return err
	}
	if paths.keytabOut != "" {
		keytab, err := f.Keytab()
		if err != nil {
			return err
		}
		if err := replace(paths.keytabOut, keytab, 0o600); err != nil {
			return err
		}
	}
	addresses := fmt.Sprintf("storage=%s\nimds=%s\ncontrol=%s\n", f.StorageAddr(), f.IMDSAddr(), f.ControlAddr())
	if f.ArcAddr() != "" {
		addresses += "arc=" + f.ArcAddr() + "\n"
	}
	if err := replace(paths.ready, []byte(addresses), 0o644); err != nil {
		return err
	}
	_, err := fmt.Fprintln(stdout, "azurefake: ready")
	return err
}

func installAz(f *azurefake.Fake, paths files) error {
	if paths.az != "" {
		if err := f.InstallAz(paths.az); err != nil {
			return err
		}
	}
	if paths.azHome != "" {
		return f.LoginAz(paths.azHome)
	}
	return nil
}

// replace writes a file in one step, for whoever waits for it to appear must find it whole.
func replace(path string, content []byte, mode os.FileMode) error {
	if path == "" {
		return nil
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, content, mode); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func ca(args []string, _, stderr io.Writer) error {
	fs := flag.NewFlagSet("azurefake ca", flag.ContinueOnError)
	if err := parse(fs, args, stderr, 2); err != nil {
		return err
	}
	cert, key, err := azurefake.NewCA()
	if err != nil {
		return err
	}
	if err := replace(fs.Arg(0), cert, 0o644); err != nil {
		return err
	}
	return replace(fs.Arg(1), key, 0o600)
}
