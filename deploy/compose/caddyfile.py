"""The gateway's Caddyfile for containers, from the same code as the local stack's: `python -m deploy.compose.caddyfile` writes it."""

from pathlib import Path

from deploy.local.gateway import caddyfile

PATH = Path(__file__).with_name("Caddyfile")
PORT = 8080
# The ports that services listen on in their containers.
SERVICE_PORTS = {"ingest": 8081, "lead_scoring": 8082, "export_request": 8083, "formatter": 8084, "delivery": 8086}
HEAD = "# Written by `python -m deploy.compose.caddyfile` from deploy/local/gateway.py; a test holds it to that.\n"


def render() -> str:
    return HEAD + caddyfile(lambda service: f"{service}:{SERVICE_PORTS[service]}", PORT, "", "/data/caddy")


if __name__ == "__main__":
    PATH.write_text(render(), "utf-8")
