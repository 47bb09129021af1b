"""A Python program that uses libazfilesauth as AzFilesAuthenticator's own programs do."""
import ctypes
import os
import sys

path, uri, token = sys.argv[1:]
lib = ctypes.CDLL(path)
lib.extern_smb_version.restype = ctypes.c_char_p
lib.extern_smb_list_credential.argtypes = [ctypes.c_bool]

before = (os.getresuid(), os.getresgid(), os.getcwd())
left = ctypes.c_uint(77)
code = lib.extern_smb_set_credential_oauth_token(uri.encode(), token.encode(), ctypes.byref(left))
print("set", code, 0 < left.value <= 3600, flush=True)
print("bad", lib.extern_smb_set_credential_oauth_token(None, b"\xff\xfe", ctypes.byref(left)), left.value, flush=True)
print("json", lib.extern_smb_list_credential(True), flush=True)
print("clear", lib.extern_smb_clear_credential(uri.encode()), flush=True)
print("version", lib.extern_smb_version().decode(), before == (os.getresuid(), os.getresgid(), os.getcwd()))
