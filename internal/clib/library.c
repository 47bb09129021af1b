//go:build cgo && clib

// The four functions that the library exports. They stay out of Go in a process that fork() made,
// where only the calling thread is left and Go's others are missing: the call would hang for ever.

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "azfilesauth.h"
#include "_cgo_export.h"

#ifndef AZFILESAUTH_VERSION
#define AZFILESAUTH_VERSION "2.0.0-dev"
#endif

static volatile sig_atomic_t forked;

static void in_child(void)
{
	forked = 1;
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, in_child);
}

static int usable(void)
{
	static const char why[] = "azfilesauth: libazfilesauth cannot be used in a process that fork() made; call exec first\n";

	if (!forked)
		return 1;
	// Nothing but system calls is safe here, so this line goes to no log.
	if (write(STDERR_FILENO, why, sizeof why - 1) < 0)
		return 0;
	return 0;
}

int azf_print(void *text, size_t length)
{
	return fwrite(text, 1, length, stdout) == length && fflush(stdout) == 0 ? 0 : -1;
}

int extern_smb_set_credential_oauth_token(char *file_endpoint_uri, char *auth_token,
					  unsigned int *credential_expires_in_seconds)
{
	if (credential_expires_in_seconds)
		*credential_expires_in_seconds = 0;
	return usable() ? azf_set(file_endpoint_uri, auth_token, credential_expires_in_seconds) : -1;
}

int extern_smb_clear_credential(char *file_endpoint_uri)
{
	return usable() ? azf_clear(file_endpoint_uri) : -1;
}

int extern_smb_list_credential(bool is_json)
{
	return usable() ? azf_list(is_json) : -1;
}

const char *extern_smb_version(void)
{
	return AZFILESAUTH_VERSION;
}
