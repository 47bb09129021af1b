"""Plays the server: takes SPNEGO tokens with MIT's libgssapi and says what it learned from each.

One token in hexadecimal per line of standard input, one JSON object per line of standard output.
"""
import json
import sys

import gssapi
import gssapi.raw

SESSION_KEY = gssapi.OID.from_int_seq("1.2.840.113554.1.2.2.5.5")  # GSS_C_INQ_SSPI_SESSION_KEY
gssapi.SecurityContext.__DEFER_STEP_ERRORS__ = False  # a refusal that has a reply is an error all the same

for line in sys.stdin:
    try:
        context = gssapi.SecurityContext(usage="accept")
        context.step(bytes.fromhex(line.strip()))
        key = gssapi.raw.inquire_sec_context_by_oid(context, SESSION_KEY)[0]
        result = {
            "complete": context.complete,
            "key": key.hex(),
            "client": str(context.initiator_name),
            "server": str(context.target_name),
            "flags": int(context.actual_flags),
        }
    except gssapi.exceptions.GSSError as e:
        result = {"error": str(e)}
    print(json.dumps(result), flush=True)
