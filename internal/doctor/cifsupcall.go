package doctor

import "context"

func cifsUpcallCheck() Check {
	return Check{
		ID: "cifs-upcall", Group: Upcall, Title: "cifs.upcall", Severity: CIFSMode, Offline: true,
		Proves: "cifs.upcall of cifs-utils is there and can do with a service ticket alone, where it is what answers the kernel.",
		Why:    "Before 7.0 it demands a ticket-granting ticket, which Azure Files does not give.",
		Run:    checkCIFSUpcall,
	}
}

func checkCIFSUpcall(ctx context.Context, s *Subject) Result {
	fix := "set upcall: {mode: native} in /etc/azfilesauth/config.yaml"
	if s.stockWins() {
		fix = "azfilesauth setup"
	}
	path := s.FirstOf(stockHandler, "/sbin/cifs.upcall", "/usr/local/sbin/cifs.upcall")
	if path == "" && !s.delegates() {
		return Known("not installed, and not needed: azfiles.upcall answers by itself (upcall.mode: native)")
	}
	if path == "" {
		return Broken(s.reinstall("cifs-utils"), "%s is missing", stockHandler).And("some distributions do not package it; then: %s", fix)
	}
	switch problem, err := s.examineProgram(path); {
	case err != nil:
		return s.CannotSee(path, err)
	case problem != "":
		return Broken(s.reinstall("cifs-utils"), "%s %s", path, problem)
	}
	switch version := s.versionOf(ctx, path, "-v"); {
	case version == "":
		return Good("%s", path)
	case atLeast(version, 7, 2):
		return Good("%s %s", path, version)
	case atLeast(version, 7, 0):
		return Good("%s %s, which finds the ticket in libkrb5's default cache only", path, version)
	case !s.delegates():
		return Known("%s %s could not answer for Azure Files, and need not: azfiles.upcall answers by itself (upcall.mode: native)", path, version)
	default:
		return Broken(fix, "%s %s demands a ticket-granting ticket, which Azure Files does not give", path, version)
	}
}
