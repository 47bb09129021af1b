//go:build !race

package mounthelper

// bootAccounts is how many accounts a machine has.
const bootAccounts = 100
