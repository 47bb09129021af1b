package identity

import "github.com/azfilesauth/azfilesauth/internal/fault"

// entraCode is one error of Entra: what it means to us, and what it says in words that its own text does not
// always have.
type entraCode struct {
	number   int
	fault    func(entra) *fault.Fault
	sentence string
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
//   - 900021 and 5000811: reports only ("Tenant identifiers may not be an empty GUID"; "The signing key identifier does
//     not match any valid registered keys")
//
// What only a person at a browser meets, and what only on-behalf-of requests meet, is left out. Entra's own
// text is shown with each.
var entraCodes = []entraCode{
	{700016, entra.app, "the application is not in the tenant"},
	{700011, entra.app, "the application is not in the tenant"},
	{70001, entra.app, "the application is not in the tenant or disabled there"},
	{7000229, entra.app, "the application has no service principal in the tenant"},

	{7000112, entra.disabled, "the application is disabled"},
	{1000031, entra.disabled, "the application cannot be used at this time"},

	{90002, entra.tenant, "there is no such tenant, or not in this cloud"},
	{900023, entra.tenant, "the tenant's name cannot be one"},
	{900021, entra.tenant, "the tenant's id is not valid, such as an empty GUID"},
	{90019, entra.tenant, "the request names no tenant"},
	{50059, entra.tenant, "the request names no tenant"},
	{50128, entra.tenant, "the domain is not known"},
	{50029, entra.tenant, "the domain has characters that it cannot have"},
	{50107, entra.tenant, "the realm is not known"},
	{50169, entra.tenant, "the realm is not known"},
	{50194, entra.tenant, "the application is for one tenant, which must be named"},
	{9001023, entra.tenant, "an application must name its tenant"},
	{90124, entra.tenant, "the resource needs the tenant to be named"},
	{90130, entra.tenant, "the application needs the tenant to be named"},
	{9002332, entra.tenant, "the application is for users of Entra only"},

	{90038, entra.cloud, "the tenant is in another cloud"},
	{90043, entra.cloud, "the tenant is in another cloud"},
	{90051, entra.cloud, "the name of the cloud is not valid"},
	{900382, entra.cloud, "an application cannot log in across clouds"},
	{900432, entra.cloud, "an application cannot log in across clouds"},
	{1000104, entra.cloud, "the tenant does not allow the resource's cloud"},
	{50049, entra.cloud, "the authority is not known"},

	{500011, entra.noResource, "the resource is not in the tenant"},
	{500014, entra.noResource, "the resource is disabled in the tenant"},
	{50001, entra.noResource, "the resource is disabled or does not exist"},
	{1002012, entra.noResource, "what is asked for is no resource"},
	{70011, entra.noResource, "what is asked for is no resource"},
	{28002, entra.noResource, "what is asked for is no resource"},
	{700022, entra.noResource, "more than one resource is asked for"},
	{650052, entra.noResource, "the tenant has no subscription for the resource"},
	{650054, entra.noResource, "the resource was removed"},
	{650057, entra.noResource, "the resource is not among those of the application"},
	{90009, entra.noResource, "the application asks for a token for itself"},

	{7000215, entra.wrongSecret, "the secret is wrong: it must be the secret's value, not its id"},
	{7000222, entra.wrongSecret, "the secret has expired"},
	{70002, entra.wrongSecret, "the secret is wrong"},

	{700027, entra.wrongCertificate, "the certificate is not one of the application's, or its key is another's"},
	{700030, entra.wrongCertificate, "the certificate's subject is not authorized"},
	{1000502, entra.wrongCertificate, "the certificate has expired or is not yet valid"},
	{7000214, entra.wrongCertificate, "the certificate was revoked"},
	{7000277, entra.wrongCertificate, "the certificate was revoked"},
	{50012, entra.wrongCertificate, "the certificate or its chain is not accepted"},
	{50017, entra.wrongCertificate, "the certificate's chain cannot be verified"},
	{50032, entra.wrongCertificate, "the certificate's key is too weak"},
	{220501, entra.wrongCertificate, "the certificate's revocation list cannot be read"},
	{50003, entra.wrongCertificate, "the application has no key to verify the signature with"},

	{70021, entra.notTrusted, "no federated credential fits"},
	{70025, entra.notTrusted, "the application has no federated credential"},
	{700211, entra.notTrusted, "no federated credential has the token's issuer"},
	{700212, entra.notTrusted, "no federated credential has the token's audience"},
	{700213, entra.notTrusted, "no federated credential has the token's subject"},
	{700222, entra.notTrusted, "a token of Entra cannot be used as a federated credential there"},
	{700229, entra.notTrusted, "only a token of an application can be used as a federated credential"},
	{700226, entra.notTrusted, "only a token of a managed identity can be used as a federated credential there"},
	{700236, entra.notTrusted, "the tenant takes no tokens of another tenant as a federated credential"},
	{7002138, entra.notTrusted, "no federated credential has the token's subject, upper and lower case included"},
	{7002381, entra.notTrusted, "the tenant takes tokens of this issuer only with a claim that this one lacks"},

	{700024, entra.assertionTime, "the assertion has expired or is not yet valid"},
	{500133, entra.assertionTime, "the assertion has expired or is not yet valid"},
	{50013, entra.assertion, "the assertion is not valid"},
	{50027, entra.assertion, "the assertion cannot be read"},
	{50120, entra.assertion, "the assertion's header cannot be read"},
	{50006, entra.assertion, "the assertion's signature is not valid"},
	{50099, entra.assertion, "the assertion's signature is not valid"},
	{5000811, entra.assertion, "no key of the issuer fits the assertion's signature"},
	{900384, entra.assertion, "the assertion's signature is not valid"},
	{7000274, entra.assertion, "the assertion's signature is not valid"},
	{50048, entra.assertion, "the assertion's subject and issuer do not belong together"},
	{50010, entra.assertion, "the assertion is for another audience"},
	{700021, entra.assertion, "the assertion is for another application"},
	{700023, entra.assertion, "the assertion is for another authority"},
	{90016, entra.assertion, "the assertion lacks a claim"},
	{70000, entra.assertion, "the assertion is not valid"},

	{53003, entra.policy, "a Conditional Access policy blocks it"},
	{530032, entra.policy, "a security policy of the tenant blocks it"},
	{530034, entra.policy, "it was blocked for suspicious activity"},
	{530035, entra.policy, "the security defaults of the tenant block it"},
	{53000, entra.policy, "a Conditional Access policy wants a compliant device"},
	{53001, entra.policy, "a Conditional Access policy wants a domain-joined device"},
	{53002, entra.policy, "a Conditional Access policy wants an approved application"},
	{53011, entra.policy, "it was blocked for a risk"},
	{50131, entra.policy, "a Conditional Access policy blocks it"},
	{50005, entra.policy, "a Conditional Access policy does not know this platform"},
	{50053, entra.policy, "this network's address was blocked for malicious activity"},
	{50097, entra.policy, "a policy wants a device to log in"},
	{50158, entra.policy, "a policy wants a further proof"},
	{700020, entra.policy, "a policy wants a person"},
	{50002, entra.policy, "the proxy's tenant restriction does not list the tenant"},
	{500021, entra.policy, "the proxy's tenant restriction does not list the tenant"},
	{500022, entra.policy, "the proxy's tenant restriction does not list the tenant"},
	{500212, entra.policy, "the outbound access policy of the home tenant blocks it"},
	{500213, entra.policy, "the cross-tenant access policy of the tenant blocks it"},
	{5000224, entra.blocked, "the tenant is not available: it was deactivated or deleted"},
	{5000225, entra.blocked, "the tenant was not used for long and is blocked"},
	{51000, entra.policy, "the feature is disabled in the tenant"},

	{65001, entra.consent, "nobody has consented to the application"},
	{65002, entra.consent, "the application is not preauthorized for the resource"},
	{65005, entra.consent, "the application has not asked for the resource"},
	{650056, entra.consent, "the application has not asked for the resource, or nobody has consented"},
	{90008, entra.consent, "nobody has consented to the application"},
	{90093, entra.consent, "the application lacks a permission"},
	{90094, entra.consent, "an administrator has to consent"},
	{90095, entra.consent, "an administrator has to consent"},
	{90099, entra.consent, "the application is not authorized in the tenant"},
	{50105, entra.consent, "the application is not assigned to the resource"},
	{501051, entra.consent, "the application is not assigned to the resource"},

	{700025, entra.publicClient, "the application is a public client, which has no credential"},

	{7000216, entra.request, "the request has no credential"},
	{7000218, entra.request, "the request has no credential"},
	{900144, entra.request, "the request lacks a parameter"},
	{90014, entra.request, "the request lacks a field"},
	{90004, entra.request, "the request is not well formed"},
	{90013, entra.request, "the request is not valid"},
	{90015, entra.request, "the request is too long"},
	{90023, entra.request, "the request is not valid"},
	{9002313, entra.request, "the request is malformed"},
	{90100, entra.request, "a parameter is empty or not valid"},
	{90102, entra.request, "a parameter is no absolute URL"},
	{90117, entra.request, "the request is not valid"},
	{90056, entra.request, "the endpoint does not take the request"},
	{165900, entra.request, "the request is not valid"},
	{90121, entra.request, "the request is empty"},
	{901002, entra.request, "the parameter resource is not supported there"},
	{900561, entra.request, "the endpoint takes other requests only"},
	{70003, entra.request, "the grant is not supported there"},
	{100007, entra.request, "a regional authority takes managed identities only"},
	{50050, entra.request, "the request is malformed"},

	{90033, entra.later, "the directory is not available"},
	{90006, entra.later, "a service is not available"},
	{90012, entra.later, "the request timed out"},
	{90024, entra.later, "a passing failure"},
	{90036, entra.later, "the directory fails"},
	{90055, entra.later, "the tenant has too many requests"},
	{90090, entra.later, "the directory is not available"},
	{90091, entra.later, "the directory cannot be reached"},
	{50000, entra.later, "the sign-in service fails"},
	{50033, entra.later, "a passing failure"},
	{50196, entra.later, "too many of the same request"},
	{70012, entra.later, "a server fails"},
}
