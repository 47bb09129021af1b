// A program of somebody else that uses libazfilesauth: its arguments are what it does, in their order.
#define _GNU_SOURCE
#include <dirent.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <azfilesauth.h>

extern char **environ;

static void die(const char *what)
{
	perror(what);
	exit(99);
}

static int set(char *uri, char *token)
{
	unsigned int left = 77;
	int code = extern_smb_set_credential_oauth_token(uri, token, &left);

	if (code == 0 ? left == 0 || left == 77 : left != 0) {
		printf("set gave %d and %u s\n", code, left);
		exit(99);
	}
	return code;
}

// heap has a copy with nothing behind it, so that the sanitizer sees a read that goes too far.
static char *heap(char c, size_t length)
{
	char *s = malloc(length + 1);

	if (!s)
		die("malloc");
	memset(s, c, length);
	s[length] = 0;
	return s;
}

static void nulls(char *uri, char *token)
{
	printf("nulls %d %d %d %d %d %d %d\n", set(NULL, NULL), set(uri, NULL), set(NULL, token), set(uri, ""), set("", token),
	       extern_smb_set_credential_oauth_token(uri, token, NULL), extern_smb_clear_credential(NULL));
}

static void hostile(char *uri, char *token)
{
	static const size_t sizes[] = { 1, 255, 1023, 1024, 1025, 65535, 65536, 65537, 10 << 20 };
	static const char fill[] = { 'a', '/', '\xff', '\n', '%', '\x01' };

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		for (size_t j = 0; j < sizeof fill; j++) {
			char *s = heap(fill[j], sizes[i]);

			// A short token of letters may pass the library and be refused by Azure.
			if (set(s, token) != -1 || set(uri, s) != -1 || set(s, s) != -1 || extern_smb_clear_credential(s) != -1) {
				printf("%zu times %d was accepted\n", sizes[i], fill[j]);
				exit(99);
			}
			free(s);
		}
	puts("hostile -1");
}

struct task {
	pthread_t thread;
	char **uris, *token;
	int number, failures;
};

static void *work(void *arg)
{
	struct task *t = arg;

	for (int i = 0; i < 5; i++) {
		t->failures += set(t->uris[(t->number + i) % 4], t->token) != 0;
		t->failures += extern_smb_list_credential(i % 2) != 0;
		t->failures += extern_smb_version()[0] != '2';
	}
	return NULL;
}

static void threads(char **uris, char *token)
{
	struct task tasks[8];
	int failures = 0;

	for (int i = 0; i < 8; i++) {
		tasks[i] = (struct task){ .uris = uris, .token = token, .number = i };
		if (pthread_create(&tasks[i].thread, NULL, work, &tasks[i]))
			die("pthread_create");
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(tasks[i].thread, NULL);
		failures += tasks[i].failures;
	}
	printf("threads %d\n", failures);
}

static int descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	if (!d)
		die("/proc/self/fd");
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static long resident(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%*d %ld", &pages) != 1)
		die("/proc/self/statm");
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void many(int rounds, char *uri, char *token)
{
	long memory = 0;
	int files = 0, failures = 0;

	for (int i = 0; i < rounds; i++) {
		if (i == rounds / 2) {
			memory = resident();
			files = descriptors();
		}
		failures += set(uri, token) != 0;
		failures += set(uri, "no token") != -1;
		failures += extern_smb_list_credential(true) != 0;
		failures += extern_smb_clear_credential(uri) != 0;
		failures += extern_smb_clear_credential(uri) != 0;
	}
	// The last connection is closed by a thread of its own.
	for (int i = 0; i < 500 && descriptors() > files; i++)
		usleep(10000);
	printf("many %d failures, %d more descriptors, %ld more KiB\n", failures, descriptors() - files, resident() - memory);
}

// state is all of the process that the library must leave alone.
static void state(char *text, size_t size)
{
	gid_t groups[64];
	uid_t r, e, s;
	gid_t gr, ge, gs;
	char cwd[4096];
	mode_t mask = umask(0);
	int n = getgroups(64, groups);

	umask(mask);
	if (getresuid(&r, &e, &s) || getresgid(&gr, &ge, &gs) || !getcwd(cwd, sizeof cwd))
		die("state");
	int at = snprintf(text, size, "%u %u %u %u %u %u %d %o %s", r, e, s, gr, ge, gs, n, mask, cwd);
	for (char **v = environ; *v; v++)
		at += snprintf(text + at, at < (int)size ? size - at : 0, "|%p%s", (void *)*v, *v);
}

static void forked(char *uri, char *token)
{
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		alarm(20); // rather than hang
		int code = set(uri, token) == -1 && extern_smb_clear_credential(uri) == -1 && extern_smb_list_credential(true) == -1 && extern_smb_version()[0] == '2';
		_exit(code ? 0 : 1);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		die("fork");
	printf("fork %d, then %d\n", status, set(uri, token));
}

// broken_pipe prints a list that nobody reads, and then a byte of its own.
static void broken_pipe(void)
{
	int ends[2];

	if (pipe(ends) || close(ends[0]))
		die("pipe");
	fflush(stdout);
	int out = dup(STDOUT_FILENO);
	dup2(ends[1], STDOUT_FILENO);
	fprintf(stderr, "list %d\n", extern_smb_list_credential(false));
	if (write(STDOUT_FILENO, "x", 1) == -1)
		perror("write");
	dup2(out, STDOUT_FILENO);
}

int main(int argc, char **argv)
{
	char before[65536], after[65536];

	state(before, sizeof before);
	for (char **a = argv + 1; a < argv + argc; a++) {
		if (!strcmp(*a, "set")) {
			printf("set %d\n", set(a[1], a[2]));
			a += 2;
		} else if (!strcmp(*a, "clear")) {
			printf("clear %d\n", extern_smb_clear_credential(*++a));
		} else if (!strcmp(*a, "list") || !strcmp(*a, "json")) {
			int code = extern_smb_list_credential(**a == 'j');

			printf("%s %d\n", *a, code);
		} else if (!strcmp(*a, "version")) {
			puts(extern_smb_version());
		} else if (!strcmp(*a, "nulls")) {
			nulls(a[1], a[2]);
			a += 2;
		} else if (!strcmp(*a, "hostile")) {
			hostile(a[1], a[2]);
			a += 2;
		} else if (!strcmp(*a, "threads")) {
			threads(a + 1, a[5]);
			a += 5;
		} else if (!strcmp(*a, "many")) {
			many(atoi(a[1]), a[2], a[3]);
			a += 3;
		} else if (!strcmp(*a, "fork")) {
			forked(a[1], a[2]);
			a += 2;
		} else if (!strcmp(*a, "pipe")) {
			broken_pipe();
		} else if (!strcmp(*a, "nosigpipe")) {
			signal(SIGPIPE, SIG_IGN);
		} else if (!strcmp(*a, "drop")) {
			if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
				die("drop");
			state(before, sizeof before);
		} else {
			fprintf(stderr, "what is %s?\n", *a);
			return 99;
		}
	}
	state(after, sizeof after);
	if (strcmp(before, after)) {
		printf("the process was\n%s\nand is\n%s\n", before, after);
		return 99;
	}
	return 0;
}
