"""Where `make test-compose` keeps what it writes: the stack's secrets and environment file, and the images of an engine started by hand."""

from deploy.local.state import ROOT

STATE_DIRECTORY = ROOT / ".local-compose"
ENGINE_DIRECTORY = ROOT / ".local-engine"
