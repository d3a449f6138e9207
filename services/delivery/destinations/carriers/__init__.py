"""The carriers, a module each, named after its type, with `make(settings) -> Carrier`. They are made and used in one event loop."""

import importlib
import pkgutil

from services.delivery.destinations.carrier import Carrier
from services.delivery.settings import Settings


def all_carriers(settings: Settings) -> dict[str, Carrier]:
    """Type → carrier."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}").make(settings) for name in names}
