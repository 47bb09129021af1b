/* The version of azfilesauth.h: make install-clib writes that of the library here. */
#ifndef AZFILESAUTH_VERSION_H
#define AZFILESAUTH_VERSION_H

#ifndef AZFILESAUTH_VERSION
#define AZFILESAUTH_VERSION "@VERSION@"
#endif

#endif
