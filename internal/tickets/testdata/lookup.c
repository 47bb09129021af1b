/*
 * lookup CACHE KEYTAB HOST MINIMUM
 *
 * Asks libkrb5 for the ticket of cifs/HOST in CACHE, and for nothing else, over and over: at least
 * MINIMUM times, then prints a line, then on until the end of its input. Each new ticket is opened with
 * KEYTAB, which tells whether ticket and session key belong together. At the end it prints how many
 * look-ups it has made and how many tickets it has seen. It ends with 1 at the first failure.
 */
#include <krb5.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static krb5_context ctx;

static void check(krb5_error_code err, const char *doing)
{
	if (err == 0)
		return;
	printf("%s: %s\n", doing, krb5_get_error_message(ctx, err));
	exit(1);
}

static int same_key(const krb5_keyblock *a, const krb5_keyblock *b)
{
	return a->length == b->length && memcmp(a->contents, b->contents, a->length) == 0;
}

/* Opens the ticket, and compares its session key with the one beside it. */
static void open_ticket(krb5_keytab keytab, const krb5_creds *cred)
{
	krb5_ticket *ticket;

	check(krb5_decode_ticket(&cred->ticket, &ticket), "decode");
	check(krb5_server_decrypt_ticket_keytab(ctx, keytab, ticket), "decrypt");
	if (!same_key(ticket->enc_part2->session, &cred->keyblock)) {
		puts("the session key is another ticket's");
		exit(1);
	}
	krb5_free_ticket(ctx, ticket);
}

/* Looks up once, puts the ticket into last, and returns whether it is another than was there. */
static int look_up(krb5_ccache cache, krb5_keytab keytab, krb5_creds *want, krb5_creds **last)
{
	krb5_creds *cred;
	int changed;

	check(krb5_cc_get_principal(ctx, cache, &want->client), "principal");
	check(krb5_get_credentials(ctx, KRB5_GC_CACHED, cache, want, &cred), "look up");
	krb5_free_principal(ctx, want->client);
	changed = *last == NULL || !same_key(&cred->keyblock, &(*last)->keyblock);
	if (changed)
		open_ticket(keytab, cred);
	krb5_free_creds(ctx, *last);
	*last = cred;
	return changed;
}

int main(int argc, char **argv)
{
	krb5_ccache cache;
	krb5_keytab keytab;
	krb5_creds want = {0}, *last = NULL;
	struct pollfd in = {.fd = 0, .events = POLLIN};
	long minimum, count, seen = 0;

	if (argc != 5)
		return 2;
	nice(10); /* the one that writes is to have its turn between so many */
	minimum = atol(argv[4]);
	check(krb5_init_context(&ctx), "context");
	check(krb5_cc_resolve(ctx, argv[1], &cache), "cache");
	check(krb5_kt_resolve(ctx, argv[2], &keytab), "keytab");
	check(krb5_sname_to_principal(ctx, argv[3], "cifs", KRB5_NT_SRV_HST, &want.server), "service");
	for (count = 0; count < minimum || poll(&in, 1, 0) == 0; count++) {
		seen += look_up(cache, keytab, &want, &last);
		if (count + 1 == minimum) {
			puts("enough");
			fflush(stdout);
		}
	}
	printf("%ld %ld\n", count, seen);
	return 0;
}
