// Package packaging is the files that the packages are made of. Its tests read them, and with the tag "packages" they
// build the packages and use them as an administrator does: install, upgrade, remove and purge them in roots of Debian,
// with nothing to answer a question and no systemd that runs. The roots and what they are made of are kept in
// .cache/packages.
//
// The RPM packages go into a root of Debian, too, with a database of their own: dependences have other packages' names
// there, so --nodeps; the scriptlets run.
package packaging
