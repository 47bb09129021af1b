//go:build cgo && clib

// Go's runtime repeats each change that Go code makes to its environment in that of C, by setenv(3)
// and unsetenv(3). This process is not ours, its environment neither, and a thread of the caller may
// be in getenv(3) at that moment. These functions take the place of libc's for all that is linked
// into this library, and for nobody else: Go's environment is a copy of its own.

__attribute__((visibility("hidden"))) int setenv(const char *name, const char *value, int overwrite)
{
	(void)name, (void)value, (void)overwrite;
	return 0;
}

__attribute__((visibility("hidden"))) int unsetenv(const char *name)
{
	(void)name;
	return 0;
}

__attribute__((visibility("hidden"))) int clearenv(void)
{
	return 0;
}
