// Package golden holds what people and programs see of azfilesauth, as it was recorded: golden files of
// what its commands print on a machine with a fake Azure, and a dump of every public name.
//
// A script is testdata/NAME.txtar: a bash script, the files that the machine has (etc/fstab and others),
// and under "want" what the script prints, where times, sizes and processes are replaced by words.
// It runs the true binary in a mount and a network namespace with an /etc, a /run and an Azure of its own.
// UPDATE_GOLDEN=1 records anew, GOLDEN_BINARY=PATH takes another binary than that of this tree: who
// changes what is printed records it and shows the difference in the commit.
//
// testdata/ids.txt lists every public name. UPDATE_GOLDEN=1 adds names to it and never removes one.
package golden
