package identity

import "github.com/azfilesauth/azfilesauth/internal/fault"

// entraCode is an error of Entra: what it means to us, what it says in words that its own text does not
// always have, and its numbers.
type entraCode struct {
	fault    func(entra) *fault.Fault
	sentence string
	numbers  []int
}

// passes reports whether the same request may succeed in a moment.
func (c entraCode) passes() bool { return c.fault(entra{wire: new(wire)}).ID() == fault.EntraBusy.ID }

// entraCodes are the errors that the token request of an application, an assertion or a managed identity can
// meet, by "Microsoft Entra authentication and authorization error codes" (MicrosoftDocs/entra-docs,
// docs/identity-platform/reference-error-codes.md). Codes that are not on that page have another source, with the
// text of Entra's that it quotes:
//
//   - 7000214: "Technical deep dive: certificate-based authentication" of the same documentation, and with 700024,
//     700027, 1000502, 7000274 and 7000277 the table of certificate errors of AzureAD/microsoft-identity-web
//   - 7000229: "Authentication troubleshooting" of Microsoft's Teams SDK
//   - 5000224 and 5000225: "Tenant inaccessible due to inactivity" of the same documentation
//   - 700222: MicrosoftDocs/azure-docs pull request 90321; 700226 and 700236: Microsoft Q&A, question 2139753, and reports beside it
//   - 70021 and 700211: Azure/azure-workload-identity issues 340 and 1200; 7002138: Azure/login issue 517; 700212 and 700213: reports of
//     the kind, as 7002381, which quotes a claim that the tenant's policy asks for
//   - 700223 and 700238: "Troubleshoot an Azure Resource Manager workload identity service connection" (MicrosoftDocs/azure-devops-docs)
//   - 70023: MicrosoftDocs/azure-docs issue 116275; 90061: Azure/azure-workload-identity issue 605, with the text of 501661
//   - 501661: GitLab's documentation of OpenID Connect in Azure; 50166, which the page has for throttling alone, with the same text
//     ("Request to External OIDC endpoint failed"); 7000272 ("used to sign the federated credential could not be found in the metadata
//     of identity provider"), 700231, 7000226, 7002131 and those of expressions: reports
//   - 900021 and 5000811: reports only ("Tenant identifiers may not be an empty GUID"; "The signing key identifier does
//     not match any valid registered keys")
//
// What only a person at a browser meets, and what only on-behalf-of requests meet, is left out. Entra's own
// text is shown with each.
var entraCodes = []entraCode{
	{entra.app, "the application is not in the tenant", []int{700016, 700011}},
	{entra.app, "the application is not in the tenant or disabled there", []int{70001}},
	{entra.app, "the application has no service principal in the tenant", []int{7000229}},

	{entra.disabled, "the application is disabled", []int{7000112}},
	{entra.disabled, "the application cannot be used at this time", []int{1000031}},

	{entra.tenant, "there is no such tenant, or not in this cloud", []int{90002}},
	{entra.tenant, "the tenant's name cannot be one", []int{900023}},
	{entra.tenant, "the tenant's id is not valid, such as an empty GUID", []int{900021}},
	{entra.tenant, "the request names no tenant", []int{90019, 50059}},
	{entra.tenant, "the domain is not known", []int{50128}},
	{entra.tenant, "the domain has characters that it cannot have", []int{50029}},
	{entra.tenant, "the realm is not known", []int{50107, 50169}},
	{entra.tenant, "the application is for one tenant, which must be named", []int{50194}},
	{entra.tenant, "an application must name its tenant", []int{9001023}},
	{entra.tenant, "the resource needs the tenant to be named", []int{90124}},
	{entra.tenant, "the application needs the tenant to be named", []int{90130}},
	{entra.tenant, "the application is for users of Entra only", []int{9002332}},

	{entra.cloud, "the tenant is in another cloud", []int{90038, 90043, 900439, 900440}},
	{entra.cloud, "the name of the cloud is not valid", []int{90051}},
	{entra.cloud, "an application cannot log in across clouds", []int{900382, 900432}},
	{entra.cloud, "the tenant does not allow the resource's cloud", []int{1000104}},
	{entra.cloud, "the authority is not known", []int{50049}},

	{entra.noResource, "the resource is not in the tenant", []int{500011}},
	{entra.noResource, "the resource is disabled in the tenant", []int{500014}},
	{entra.noResource, "the resource is disabled or does not exist", []int{50001}},
	{entra.noResource, "what was requested is not a resource", []int{1002012, 70011, 28002}},
	{entra.noResource, "more than one resource is asked for", []int{700022}},
	{entra.noResource, "the tenant has no subscription for the resource", []int{650052}},
	{entra.noResource, "the resource was removed", []int{650054}},
	{entra.noResource, "the resource is not among those of the application", []int{650057}},
	{entra.noResource, "the application asks for a token for itself", []int{90009}},

	{entra.wrongSecret, "the secret is wrong: it must be the secret's value, not its id", []int{7000215}},
	{entra.wrongSecret, "the secret has expired", []int{7000222}},
	{entra.wrongSecret, "the secret is wrong", []int{70002}},

	{entra.wrongCertificate, "the certificate is not one of the application's, or its key is another's", []int{700027}},
	{entra.wrongCertificate, "the certificate's subject is not authorized", []int{700030}},
	{entra.wrongCertificate, "the certificate has expired or is not yet valid", []int{1000502}},
	{entra.wrongCertificate, "the certificate was revoked", []int{7000214, 7000277}},
	{entra.wrongCertificate, "the certificate or its chain is not accepted", []int{50012}},
	{entra.wrongCertificate, "the certificate's chain cannot be verified", []int{50017}},
	{entra.wrongCertificate, "the certificate's key is too weak", []int{50032}},
	{entra.wrongCertificate, "the certificate's revocation list cannot be read", []int{220501}},
	{entra.wrongCertificate, "the application has no key to verify the signature with", []int{50003}},

	{entra.notTrusted, "no federated credential fits", []int{70021}},
	{entra.notTrusted, "the application has no federated credential", []int{70025, 7000226}},
	{entra.notTrusted, "no federated credential has the token's issuer", []int{700211}},
	{entra.notTrusted, "no federated credential has the token's audience", []int{700212}},
	{entra.notTrusted, "no federated credential has the token's subject", []int{700213}},
	{entra.notTrusted, "a token of Entra cannot be used as a federated credential there", []int{700222}},
	{entra.notTrusted, "only a token of an application can be used as a federated credential", []int{700229}},
	{entra.notTrusted, "only a token of a managed identity can be used as a federated credential there", []int{700226}},
	{entra.notTrusted, "the tenant takes no tokens of another tenant as a federated credential", []int{700236}},
	{entra.notTrusted, "no federated credential has the token's subject, upper and lower case included", []int{7002138}},
	{entra.notTrusted, "no federated credential has the token's subject, nor an expression that fits it", []int{7002131}},
	{entra.notTrusted, "the expression of the federated credential is not valid or not possible there", []int{700233, 700234, 700235, 700237, 7002241}},
	{entra.notTrusted, "a token that was obtained by a federated credential cannot be used as another one", []int{700231}},
	{entra.notTrusted, "the tenant takes tokens of this issuer only with a claim that this one lacks", []int{7002381}},

	{entra.assertionTime, "the assertion has expired or is not yet valid", []int{700024, 500133}},
	{entra.wrongAssertion, "the assertion is not valid", []int{50013, 70000}},
	{entra.wrongAssertion, "the assertion cannot be read", []int{50027}},
	{entra.wrongAssertion, "the assertion's header cannot be read", []int{50120}},
	{entra.wrongAssertion, "the assertion's signature is not valid", []int{50006, 50099, 900384, 7000274}},
	{entra.issuerUnread, "none of the issuer's keys that Entra has read fits the assertion's signature", []int{5000811, 7000272}},
	{entra.issuerUnread, "Entra cannot read the keys of the assertion's issuer", []int{50166, 501661, 90061}},
	{entra.wrongAssertion, "the assertion's subject and issuer do not belong together", []int{50048}},
	{entra.wrongAssertion, "the assertion is for another audience", []int{50010}},
	{entra.wrongAssertion, "the assertion is for another application", []int{700021}},
	{entra.wrongAssertion, "the assertion is for another authority", []int{700023}},
	{entra.wrongAssertion, "the assertion is valid for more than a day, as that of /var/run/secrets/kubernetes.io/serviceaccount is", []int{70023}},
	{entra.wrongAssertion, "the assertion lacks a claim", []int{90016}},

	{entra.policy, "a Conditional Access policy blocks it", []int{53003, 50131}},
	{entra.policy, "a security policy of the tenant blocks it", []int{530032}},
	{entra.policy, "it was blocked for suspicious activity", []int{530034}},
	{entra.policy, "the security defaults of the tenant block it", []int{530035}},
	{entra.policy, "a Conditional Access policy wants a compliant device", []int{53000}},
	{entra.policy, "a Conditional Access policy wants a domain-joined device", []int{53001}},
	{entra.policy, "a Conditional Access policy wants an approved application", []int{53002}},
	{entra.policy, "it was blocked for a risk", []int{53011}},
	{entra.policy, "a Conditional Access policy does not know this platform", []int{50005}},
	{entra.policy, "this network's address was blocked for malicious activity", []int{50053}},
	{entra.policy, "a policy wants a device to log in", []int{50097}},
	{entra.policy, "a policy wants a further proof", []int{50158}},
	{entra.policy, "a policy wants a person", []int{700020}},
	{entra.policy, "the tenant does not allow federated credentials", []int{700223, 700238}},
	{entra.policy, "the proxy's tenant restriction does not list the tenant", []int{50002, 500021, 500022}},
	{entra.policy, "the outbound access policy of the home tenant blocks it", []int{500212}},
	{entra.policy, "the cross-tenant access policy of the tenant blocks it", []int{500213}},
	{entra.blocked, "the tenant is not available: it was deactivated or deleted", []int{5000224}},
	{entra.blocked, "the tenant was not used for long and is blocked", []int{5000225}},
	{entra.policy, "the feature is disabled in the tenant", []int{51000}},

	{entra.consent, "consent to the application is missing", []int{65001, 90008}},
	{entra.consent, "the application is not preauthorized for the resource", []int{65002}},
	{entra.consent, "the application has not asked for the resource", []int{65005}},
	{entra.consent, "the application has not asked for the resource, or consent is missing", []int{650056}},
	{entra.consent, "the application lacks a permission", []int{90093}},
	{entra.consent, "an administrator has to consent", []int{90094, 90095}},
	{entra.consent, "the application is not authorized in the tenant", []int{90099}},
	{entra.consent, "the application is not assigned to the resource", []int{50105, 501051}},

	{entra.publicClient, "the application is a public client, which has no credential", []int{700025}},

	{entra.request, "the request has no credential", []int{7000216, 7000218}},
	{entra.request, "the request lacks a parameter", []int{900144}},
	{entra.request, "the request lacks a field", []int{90014}},
	{entra.request, "the request is not well formed", []int{90004}},
	{entra.request, "the request is not valid", []int{90013, 90023, 90117, 165900}},
	{entra.request, "the request is too long", []int{90015}},
	{entra.request, "the request is malformed", []int{9002313, 50050}},
	{entra.request, "a parameter is empty or not valid", []int{90100}},
	{entra.request, "a parameter is not an absolute URL", []int{90102}},
	{entra.request, "the endpoint does not take the request", []int{90056}},
	{entra.request, "the request is empty", []int{90121}},
	{entra.request, "the parameter resource is not supported there", []int{901002}},
	{entra.request, "the endpoint takes other requests only", []int{900561}},
	{entra.request, "the grant is not supported there", []int{70003}},
	{entra.request, "a regional authority takes managed identities only", []int{100007}},

	{entra.later, "the directory is not available", []int{90033, 90090}},
	{entra.later, "a service is not available", []int{90006}},
	{entra.later, "the request timed out", []int{90012}},
	{entra.later, "a passing failure", []int{90024, 50033}},
	{entra.later, "the directory fails", []int{90036}},
	{entra.later, "the tenant has too many requests", []int{90055}},
	{entra.later, "the directory cannot be reached", []int{90091}},
	{entra.later, "the sign-in service fails", []int{50000}},
	{entra.later, "too many of the same request", []int{50196}},
	{entra.later, "a server fails", []int{70012}},
}
