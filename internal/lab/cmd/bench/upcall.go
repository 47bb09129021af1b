package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azfiles"
	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	machine "github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

const (
	cifsUpcall = "/usr/sbin/cifs.upcall"
	logins     = 100 // of each handler
)

// measureUpcall measures logins with a ticket that is in the cache: our handler, built for keys of
// the type user and other paths, and the one of cifs-utils, in turn.
func measureUpcall(ctx context.Context, dir string) error {
	if _, err := os.Stat(cifsUpcall); err != nil {
		fmt.Printf("logins were not measured: %v; apt-get install --no-install-recommends cifs-utils\n", err)
		return nil
	}
	// What a login leaves is in memory, as /run is: on a disk each would wait for two writes.
	run, err := os.MkdirTemp("/dev/shm", "azfilesauth-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(run) }()
	if err := prepareLogins(ctx, dir, run); err != nil {
		return err
	}
	remove, err := addRules(dir)
	if err != nil {
		return err
	}
	defer remove()
	var ours, theirs series
	for range logins {
		if err := ours.login(ctx, mark(markOurs)); err != nil {
			return err
		}
		if err := theirs.login(ctx, mark(markTheirs)); err != nil {
			return err
		}
	}
	if err := ours.loginPeak(ctx, filepath.Join(dir, peakFile)); err != nil {
		return err
	}
	line("login by azfiles.upcall, ticket cached", ours, "")
	line("login by cifs.upcall, the same ticket", theirs, "")
	line(medians, ratio(ours, theirs), "at most 1.1 times cifs.upcall")
	return measureBurst(ctx, dir)
}

// prepareLogins makes our handler, its surroundings, a ticket, and what libkrb5 needs to find it.
func prepareLogins(ctx context.Context, dir, run string) error {
	in := func(name string) string { return filepath.Join(dir, name) }
	err := build(ctx, in("handler"), module+"upcall/testdata/handler",
		"-tags", "upcallbench", "-ldflags", "-s -w -X "+module+"upcall.benchDir="+dir+" -X "+module+"upcall.benchRun="+run)
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"config.yaml": "KRB5_CC_NAME: " + in("krb5cc") + "\n",
		"krb5.conf": "[libdefaults]\n\tdefault_ccache_name = FILE:" + in("krb5cc") + "\n" +
			"\tdns_lookup_kdc = false\n\tdns_lookup_realm = false\n\tdns_canonicalize_hostname = false\n\trdns = false\n",
		"mountinfo": "", "kmsg": "",
	} {
		if err := os.WriteFile(in(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return storeTicket(ctx, in("krb5cc"))
}

// storeTicket gets a ticket from a fake of Azure and puts it into the cache at path.
func storeTicket(ctx context.Context, path string) error {
	fake, err := azurefake.Start(azurefake.Options{Hosts: []string{host}})
	if err != nil {
		return err
	}
	defer fake.Close()
	ep, err := endpoint.Resolver{}.Resolve(host)
	if err != nil {
		return err
	}
	token := fake.MintToken(azurefake.MintOptions{Audience: audience, Lifetime: time.Hour})
	line := identity.Identity{Kind: identity.System}.String()
	client := azfiles.Client{Transport: fake.Transport(), Now: time.Now, Attempts: 1}
	cred, err := client.Exchange(ctx, ep, secret.FromString(token), azfiles.Caller{Identity: line})
	if err != nil {
		return err
	}
	store, err := ccache.Open(machine.Real(), path, 0)
	if err != nil {
		return err
	}
	return store.Update(ctx, func(c *ccache.Cache) error {
		c.Put(cred, ccache.Record{Identity: line, ObtainedAt: time.Now().Truncate(time.Second), Refreshable: true})
		return nil
	})
}
