/*
 * libazfilesauth: Kerberos tickets for Azure Files SMB shares.
 *
 * A caller that has an access token of Entra for https://storage.azure.com hands it over, and the
 * library stores the service ticket of the storage account where mount.cifs with sec=krb5 finds it:
 * in the credential cache that /etc/azfilesauth/config.yaml names. The library and the commands
 * azfilesauth and azfilesauthmanager share that cache, and may use it at the same time.
 *
 * All functions
 *   - return 0 when they did what they are for, and -1 otherwise. Why is in the log that
 *     LOG_DESTINATION in the configuration names, as syslog's azfilesauth by default, with the
 *     command that mends it; on standard error when there is no such log.
 *   - may be called by any number of threads at once.
 *   - must run as root. They do not change the process's user, unlike AzFilesAuthenticator's.
 *   - take NULL for a text, which counts as an empty one. A text ends with a NUL byte; of a longer one
 *     no more than 1 KiB (URIs) or 64 KiB (tokens) is read.
 *   - end within CURL_TOTAL_TIMEOUT of the configuration, 30 s by default.
 *   - ignore the process's environment: proxies, certificates and caches are those of the
 *     configuration and of the system. Only TZ counts, as it was when the library was loaded.
 *
 * Limits
 *   - The library is written in Go and brings Go's runtime, which has threads of its own. In a process
 *     that fork() made after the library was loaded the functions return -1, with a line on standard
 *     error; extern_smb_version works. Load the library after fork(), or call exec.
 *   - The runtime sets handlers for SIGSEGV, SIGBUS, SIGFPE, SIGPIPE and SIGURG when the library is
 *     loaded. What happens outside of it goes to the handlers that were there, and does what it did
 *     before where there were none. A handler that the program sets later must have SA_ONSTACK and
 *     should hand on what it does not know; SIGPIPE must not be set back to SIG_DFL, or a storage
 *     account that closes its connection ends the process (SIG_IGN is all right).
 *   - The library stays in memory when it is closed with dlclose(3).
 *   - It needs glibc 2.34 or newer.
 *   - Tokens, tickets and keys pass through the memory of the process, and parts of them can stay in it until
 *     it ends. The library does not keep them out of a core dump of the caller's process, which would be a
 *     change of that process: a caller that wants none calls prctl(PR_SET_DUMPABLE, 0), or
 *     setrlimit(RLIMIT_CORE) with 0.
 */
#ifndef AZFILESAUTH_H
#define AZFILESAUTH_H

#include <stdbool.h>

/* What programs written for AzFilesAuthenticator's header find there. */
#ifdef __cplusplus
#include <iostream>
#include <string>
#endif
#include "azfilesauthversion.h"

#define CONFIG_FILE_PATH "/etc/azfilesauth/config.yaml"
#define KRB5_CLIENT_PRINCIPAL "AzureFileClient"
#define USER_UID_LOCAL_SENTINEL "local"
#define DEFAULT_CURL_CONNECT_TIMEOUT 10L
#define DEFAULT_CURL_TOTAL_TIMEOUT 30L
#define USER_AGENT "AzureFilesSmbAuth"
#define ACCEPT_TYPES "Accept: */*"
#define API_VERSION "x-ms-version: 2024-05-04"
#define AUTHORIZATION_HEADER "Authorization: Bearer "
#define X_MS_DATE_HEADER "x-ms-date: "

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Exchanges an access token for a ticket, which takes the place of the endpoint's earlier one, and
 * sets *credential_expires_in_seconds to the seconds that it lasts, 0 on failure. An earlier ticket
 * stays when this fails. It fails while the share is mounted with another identity.
 *
 * file_endpoint_uri: https://<account>.file.core.windows.net
 * auth_token: the access token; it is not kept. A token of the identity that obtained the earlier ticket
 *   keeps that identity on record, so that the ticket is refreshed as before; with another one the
 *   ticket ends when nobody sets a new one
 * credential_expires_in_seconds: must not be NULL
 */
int extern_smb_set_credential_oauth_token(char *file_endpoint_uri, char *auth_token,
					  unsigned int *credential_expires_in_seconds);

/* Erases the ticket of an endpoint. It succeeds also when there is none. */
int extern_smb_clear_credential(char *file_endpoint_uri);

/*
 * Prints the tickets on stdout and flushes it: for people, or as a JSON array. The array is printed,
 * empty, when there are no tickets and also on failure.
 */
int extern_smb_list_credential(bool is_json);

/* The version, such as "2.0.0". The text is the library's and stays. */
const char *extern_smb_version(void);

#ifdef __cplusplus
}
#endif

#endif
