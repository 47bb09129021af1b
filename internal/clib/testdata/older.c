/* A program in C that reads the version's header alone, too. */
#include <azfilesauthversion.h>
#include <azfilesauth.h>
#include <stdio.h>

int main(void)
{
	printf("%s %s %s\n", AZFILESAUTH_VERSION, extern_smb_version(), CONFIG_FILE_PATH);
	return 0;
}
