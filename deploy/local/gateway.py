"""Caddy in front: one base URL, whatever service answers. It routes, limits, and says in the contract's shape when nobody answers."""

import json
from collections.abc import Callable
from pathlib import Path

from deploy.local.ports import HOST, Ports
from deploy.local.program import Program, answers
from deploy.local.state import State
from shared.errors import ApiError

BODY_BYTES_MAX = 64 * 1024 * 1024
RETRY_AFTER_SECONDS = 2
LOOK_INTERVAL = "300ms"  # twice within the time that a service says of itself that it ends, before it does

# The first that matches answers; whatever matches none is export_request's.
ROUTES: dict[str, tuple[str, ...]] = {
    "ingest": (
        "/v1/records", "/v1/leads", "/v1/leads/*", "/v1/contacts", "/v1/contacts/*", "/v1/erasures", "/v1/erasures/*", "/v1/scoring",
    ),
    "delivery": (
        "/v1/exports/*/files/*", "/v1/exports/*/manifest", "/v1/downloads/*", "/v1/destinations", "/v1/destinations/*", "/v1/deliveries", "/v1/deliveries/*",
        "/v1/notifications", "/v1/settings/alert-channels/test",
        "/v1/webhook-endpoints", "/v1/webhook-endpoints/*", "/v1/sftp-users", "/v1/sftp-users/*", "/v1/sftp-host-keys", "/v1/sftp-host-keys/*",
        "/v1/signing-keys", "/v1/signing-keys/*", "/v1/audit/checkpoints", "/v1/operator/audit/checkpoints", "/v1/operator/reconciliations",
        "/v1/operator/reconciliations/*", "/v1/operator/mail/bounces", "/.well-known/waybill-signing-keys.json",
    ),
}  # fmt: skip
# Each service's own, on its own address.
NOT_ROUTED = ("/health", "/health/*", "/metrics", "/metrics/*")


def _respond(status: int, code: str, message: str) -> str:
    body = json.dumps(ApiError(status, code, message).body(), separators=(",", ":"))
    return f"header Content-Type application/json\n\t\trespond `{body}` {status}"


def _proxy(addresses: str) -> str:
    # Dialling again for a moment makes a service's restart invisible; only what was never sent is sent again. A second process is found, and one
    # that is about to end left alone, by /health/live.
    return f"""reverse_proxy {addresses} {{
\t\t\tflush_interval -1
\t\t\tlb_policy round_robin
\t\t\thealth_uri /health/live
\t\t\thealth_interval {LOOK_INTERVAL}
\t\t\thealth_timeout 1s
\t\t\tlb_try_duration 3s
\t\t\tlb_try_interval 100ms
\t\t\ttransport http {{
\t\t\t\tdial_timeout 1s
\t\t\t\tresponse_header_timeout 5m
\t\t\t\tkeepalive 60s
\t\t\t}}
\t\t}}"""


def render(home: Path, ports: Ports) -> str:
    """The local stack's Caddyfile: each service at its address, and at that of a second process, which may run."""
    return caddyfile(
        lambda service: f"{ports.address(service)} {ports.address(f'{service}-2')}",
        ports["gateway"],
        f"\tdefault_bind {HOST}\n",
        f"{home}/data",
    )


def caddyfile(address_of: Callable[[str], str], port: int, bind: str, storage: str) -> str:
    """A Caddyfile: `address_of` says where a service is (one address or several), `bind` the line that says where the gateway listens (empty: everywhere)."""
    return f"""{_options(bind, storage)}
:{port} {{
\trequest_body {{
\t\tmax_size {BODY_BYTES_MAX}
\t}}
\t@inside path {" ".join(NOT_ROUTED)}
\thandle @inside {{
\t\t{_respond(404, "not_found", "there is nothing here; health and metrics are on each service's own address")}
\t}}
{_routes(address_of)}
{_ERRORS}}}
"""


def _options(bind: str, storage: str) -> str:
    """What holds for the whole process. Its log names no caller and no path: ids and filters are in there."""
    return f"""{{
\tadmin off
\tauto_https off
\tpersist_config off
{bind}\tstorage file_system {storage}
\tlog {{
\t\tlevel WARN
\t\tformat filter {{
\t\t\twrap json
\t\t\tfields {{
\t\t\t\trequest>uri delete
\t\t\t\trequest>headers delete
\t\t\t\trequest>remote_ip delete
\t\t\t\trequest>client_ip delete
\t\t\t}}
\t\t}}
\t}}
\tservers {{
\t\tprotocols h1
\t\ttimeouts {{
\t\t\tread_header 10s
\t\t\tread_body 5m
\t\t\tidle 2m
\t\t}}
\t}}
}}
"""


def _routes(address_of: Callable[[str], str]) -> str:
    routed = [
        f"\t@{service} path {' '.join(paths)}\n\thandle @{service} {{\n\t\t{_proxy(address_of(service))}\n\t}}\n"
        for service, paths in ROUTES.items()
    ]
    return "".join([*routed, f"\thandle {{\n\t\t{_proxy(address_of('export_request'))}\n\t}}\n"])


_ERRORS = f"""\thandle_errors 413 {{
\t\t{_respond(413, "too_large", f"the body is larger than {BODY_BYTES_MAX} bytes (64 MiB)")}
\t}}
\thandle_errors 502 503 504 {{
\t\theader Retry-After {RETRY_AFTER_SECONDS}
\t\t{_respond(503, "unavailable", "the service behind this path does not answer; try again")}
\t}}
\thandle_errors 500 501 505 {{
\t\theader Retry-After {RETRY_AFTER_SECONDS}
\t\t{_respond(503, "unavailable", "the gateway can't pass this request on; try again")}
\t}}
\thandle_errors {{
\t\t{_respond(400, "invalid_request", "the request can't be read")}
\t}}
"""


def program(state: State, ports: Ports, binary: Path) -> Program:
    """Caddy as a process."""
    home = state.directory / "gateway"
    home.mkdir(exist_ok=True)
    text = render(home, ports)
    (home / "Caddyfile").write_text(text, "utf-8")
    return Program(
        name="gateway",
        command=[str(binary), "run", "--config", str(home / "Caddyfile"), "--adapter", "caddyfile"],
        environment={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        ports=("gateway",),
        ready=lambda: answers(f"http://{ports.address('gateway')}/health", any_status=True),
        directory=home,
        fingerprint=text,
    )
