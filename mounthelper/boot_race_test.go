//go:build race

package mounthelper

// bootAccounts is less than without the race detector, with which all processes in one take longer than locks are waited for.
const bootAccounts = 10
