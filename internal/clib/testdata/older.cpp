// A program written for the header of AzFilesAuthenticator, which includes <string> and <iostream>.
#include <azfilesauth.h>

int main()
{
	int (*set)(char *, char *, unsigned int *) = extern_smb_set_credential_oauth_token;
	int (*clear)(char *) = extern_smb_clear_credential;
	int (*list)(bool) = extern_smb_list_credential;
	std::string version = AZFILESAUTH_VERSION;

	if (!set || !clear || !list)
		return 1;
	std::cout << version << " " << extern_smb_version() << " " << CONFIG_FILE_PATH << std::endl;
	return 0;
}
