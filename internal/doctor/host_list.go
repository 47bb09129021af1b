package doctor

// hostChecks are those of the configuration, the machine, the upcall and Kerberos on the host, in the
// order of the chain within each group.
func hostChecks() []Check {
	return []Check{
		configCheck(), userUIDCheck(), stateFoldersCheck(),
		linksCheck(), mountCIFSCheck(), cifsModuleCheck(), gcm256Check(), fipsCheck(), upcallTargetCheck(), keyForgeryCheck(),
		usermodeHelperCheck(), requestKeyCheck(), ruleFilesCheck(), ruleCheck(), handlerCheck(), ruleTiesCheck(),
		spnegoConfCheck(), cifsUpcallCheck(), dnsResolverCheck(), negativeKeysCheck(),
		krb5ConfCheck(), defaultRealmCheck(), domainRealmCheck(), enctypesCheck(), defaultCacheCheck(),
		namespacesCheck(), selinuxCheck(), kernelLogCheck(),
	}
}
