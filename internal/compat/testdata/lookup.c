/*
 * lookup CCACHE THREADS PRINCIPAL...
 *
 * Looks the principals' tickets up in the cache, as cifs.upcall does, in THREADS threads with a
 * context of their own each, until its standard input ends. Prints "look-ups N failures M" and the
 * first failure.
 */
#include <krb5.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *name;
static char **principals;
static int count;
static atomic_int stop;
static atomic_long lookups, failures;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char first[256];

static krb5_error_code look(krb5_context ctx, const char *principal)
{
	krb5_ccache cc = NULL;
	krb5_creds in, *out = NULL;
	krb5_error_code err;

	memset(&in, 0, sizeof in);
	if ((err = krb5_cc_resolve(ctx, name, &cc)) == 0 &&
	    (err = krb5_cc_get_principal(ctx, cc, &in.client)) == 0 &&
	    (err = krb5_parse_name(ctx, principal, &in.server)) == 0)
		err = krb5_get_credentials(ctx, KRB5_GC_CACHED, cc, &in, &out);
	if (err == 0 && (out->ticket.length == 0 || out->keyblock.length != 32))
		err = KRB5_CC_FORMAT;
	if (out)
		krb5_free_creds(ctx, out);
	krb5_free_principal(ctx, in.client);
	krb5_free_principal(ctx, in.server);
	if (cc)
		krb5_cc_close(ctx, cc);
	return err;
}

static void *reader(void *arg)
{
	krb5_context ctx;
	long i = (long)arg;

	if (krb5_init_context(&ctx) != 0)
		abort();
	for (; !atomic_load(&stop); i++) {
		krb5_error_code err = look(ctx, principals[i % count]);
		atomic_fetch_add(&lookups, 1);
		if (err == 0)
			continue;
		if (atomic_fetch_add(&failures, 1) == 0) {
			const char *text = krb5_get_error_message(ctx, err);
			pthread_mutex_lock(&lock);
			snprintf(first, sizeof first, "%s: %s", principals[i % count], text);
			pthread_mutex_unlock(&lock);
			krb5_free_error_message(ctx, text);
		}
	}
	krb5_free_context(ctx);
	return NULL;
}

int main(int argc, char **argv)
{
	int n = argc > 3 ? atoi(argv[2]) : 0;
	pthread_t threads[64];
	char byte;

	if (n < 1 || n > 64)
		return 2;
	name = argv[1];
	principals = argv + 3;
	count = argc - 3;
	for (long i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, reader, (void *)i) != 0)
			return 2;
	while (read(0, &byte, 1) > 0)
		;
	atomic_store(&stop, 1);
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	printf("look-ups %ld failures %ld\n%s\n", atomic_load(&lookups), atomic_load(&failures), first);
	return 0;
}
