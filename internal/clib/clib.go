// Command clib is libazfilesauth.so.0, the C library of AzFilesAuthenticator: the face for programs in
// C, C++ and Python that hand over an access token themselves. azfilesauth.h is its manual.
//
// It is a shared library when it is built with -buildmode=c-shared and the tag clib, which `make clib`
// does. Without the tag it has no face and needs no C compiler.
//
// It is a guest in a process that somebody else wrote. Invariants: nothing that a caller passes makes
// it abort, and what goes wrong inside is a return value; it changes neither user nor group,
// environment, working directory nor keyring of the process; no descriptor stays open after a call;
// standard output gets the list and nothing else; the environment of the process has no say; four
// functions are all that it exports.
package main

// main is what -buildmode=c-shared asks for; nobody calls it.
func main() {}
