package doctor

// azureChecks are those of the identity, Azure, the credential cache and the surroundings.
func azureChecks() []Check {
	return []Check{
		fstabCheck(), hostFormCheck(),
		identityChoiceCheck(), identityCollisionsCheck(), imdsCheck(), identityCheck(), identitySystemCheck(),
		dnsCheck(), httpsCheck(), clockCheck(), port445Check(),
		exchangeCheck(), serverSideCheck(),
		ccacheFileCheck(), ccacheContentCheck(), ccachePathCheck(), ccacheTicketCheck(),
		lastFaultCheck(), daemonCheck(), fstabCIFSCheck(), incumbentCheck(), kubernetesCheck(),
	}
}
