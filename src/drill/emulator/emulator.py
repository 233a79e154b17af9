"""The drill's emulator: MiniStack on one loopback port, our CloudTrail event history on another, in one process.

Both ports are bound here (port 0) and written to the file named by DRILL_READY, so that two drills at once cannot take
each other's. The process ends when its standard input does, so that no emulator outlives a drill that was killed;
the line "keep" on standard input says that it shall, and then `POST /_drill/stop` with the token ends it.

Environment: DRILL_READY, DRILL_EVENTS (what CloudTrail answers from), DRILL_TOKEN, AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY (the one root key), MINISTACK_ACCOUNT_ID, MINISTACK_REGION, LOG_LEVEL. Never: any other interface.
"""
import asyncio
import contextvars
import hmac
import json
import os
import re
import signal
import socket
import sys
import threading
import time

GRACE_SECONDS = 4.0


def bind():
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


def stop():
    """Let MiniStack end its function processes, and do not wait for ever."""
    def force():
        time.sleep(GRACE_SECONDS)
        if os.getpgid(0) == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=force, daemon=True).start()
    os.kill(os.getpid(), signal.SIGTERM)


def watch():
    """Standard input is held open by the drill; its end is the drill's end."""
    for line in sys.stdin:
        if line.strip() == "keep":
            return
    stop()


def stop_request(token):
    def extra(method, path, headers):
        if path != "/_drill/stop":
            return None
        if method != "POST" or not hmac.compare_digest(headers.get("x-drill-token", "").encode(), token.encode()):
            return 403, {"stopped": False}
        threading.Timer(0.1, stop).start()
        return 200, {"stopped": True}
    return extra


def iam_gate():
    """MiniStack's own signature and IAM checks, for requests to the CloudTrail port."""
    from ministack.core import iam_evaluator as iam
    from ministack.core.responses import set_request_account_id, set_request_region
    from ministack.core.router import extract_access_key_id

    from cloudtrail import Refused

    def check(method, path, headers, body, operation, region):
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        key = extract_access_key_id({name.lower(): value for name, value in headers}, {}) or ""
        owner = iam.find_iam_access_key_account(key)
        set_request_account_id(owner or key)
        set_request_region(region)
        iam.pin_request_origin("127.0.0.1", False)
        iam.pin_signed_request(method, path, {}, raw)
        iam.pin_signed_body(body)
        action = f"cloudtrail:{operation}"
        denied = iam.enforce(key, action, "cloudtrail", region, resource_arn=asked_about(operation, body))
        if denied is None:
            return
        if isinstance(denied, iam.AuthError):
            raise Refused(denied.code, denied.message)
        why = ("with an explicit deny in an identity-based policy" if denied.decision == "Deny"
               else f"because no identity-based policy allows the {action} action")
        raise Refused("AccessDeniedException", f"User: {denied.principal_arn} is not authorized to perform: {action} {why}")

    def asked_about(operation, body):
        # Reads of one trail are authorised on it, the others on everything.
        member = {"GetTrailStatus": b"Name", "GetEventSelectors": b"TrailName", "GetInsightSelectors": b"TrailName",
                  "GetEventConfiguration": b"TrailName"}.get(operation)
        named = re.search(b'"%s"\\s*:\\s*"(arn:aws:cloudtrail:[^"]+)"' % member, body or b"") if member else None
        return named[1].decode("latin-1") if named else "*"

    def authorize(*asked):
        # A fresh context per request: MiniStack keeps what it knows of a request in context variables.
        contextvars.Context().run(check, *asked)

    return authorize


def main():
    # Taken out of the environment, which functions inherit.
    told = {name: os.environ.pop(name) for name in ("DRILL_READY", "DRILL_EVENTS", "DRILL_TOKEN")}
    listener = bind()
    # Read by MiniStack when it is imported.
    os.environ.update(GATEWAY_PORT=str(listener.getsockname()[1]), AUTH="true", BIND_HOST="127.0.0.1",
                      MINISTACK_HOST="127.0.0.1", IOT_MTLS_ENABLED="0", SFTP_ENABLED="0", LAMBDA_EXECUTOR="local",
                      CLOUDTRAIL_RECORDING="0", PERSIST_STATE="0", S3_PERSIST="0")

    import cloudtrail
    import fidelity
    import sources
    import unused
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    fidelity.apply(os.environ["AWS_ACCESS_KEY_ID"])
    sources.apply()
    history = cloudtrail.listen(
        cloudtrail.CloudTrail(told["DRILL_EVENTS"], iam_gate()),
        stop_request(told["DRILL_TOKEN"]))
    threading.Thread(target=history.serve_forever, daemon=True).start()
    threading.Thread(target=watch, daemon=True).start()

    ready = told["DRILL_READY"]
    with open(ready + ".new", "w", encoding="utf-8") as f:
        json.dump({"pid": os.getpid(), "endpoint": f"http://127.0.0.1:{listener.getsockname()[1]}",
                   "cloudtrail_endpoint": f"http://127.0.0.1:{history.server_address[1]}"}, f)
    os.replace(ready + ".new", ready)

    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.loglevel = os.environ.get("LOG_LEVEL", "INFO")
    place = os.environ["MINISTACK_ACCOUNT_ID"], os.environ["MINISTACK_REGION"]
    asyncio.run(serve(unused.before(app, *place), config))
    # Function processes that MiniStack left to find out by themselves.
    if os.getpgid(0) == os.getpid():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)


if __name__ == "__main__":
    main()
