package identity

// SamePrincipal reports whether two identities, in their text form, are the same to Azure. Where a
// secret or token is does not tell: the Azure Files CSI driver gives every volume a token file of its
// own, and whose token that is nobody knows before it is used. Text that cannot be read is compared
// as it stands.
func SamePrincipal(a, b string) bool { return principal(a) == principal(b) }

func principal(text string) string {
	id, err := Parse(text)
	if err != nil {
		return text
	}
	id.TokenFile, id.SecretFile, id.CertificateFile = "", "", ""
	return id.String()
}
