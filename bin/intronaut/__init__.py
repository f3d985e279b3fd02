"""What the tools of bin/ share: manners, sequences, features, statistics and the two neural models."""

import importlib
import sys
from importlib.machinery import ModuleSpec

__version__ = "0.1.0"

# modules by the names that they had before the library had rooms, by which scripts of users import them
FORMER_NAMES = {
    "intronaut.claims": "intronaut.paper.claims",
    "intronaut.evaluation": "intronaut.stats.metrics",
    "intronaut.store": "intronaut.io.h5ad",
}


class _FormerNames:
    """Import hook that finds the modules of FORMER_NAMES."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        return ModuleSpec(name, _FormerNames) if name in FORMER_NAMES else None

    @staticmethod
    def create_module(spec):
        module = importlib.import_module(FORMER_NAMES[spec.name])
        spec.loader_state = module.__spec__
        return module

    @staticmethod
    def exec_module(module):
        """Give the module, which has run under its own name, its own spec back."""
        module.__spec__ = module.__spec__.loader_state


if _FormerNames not in sys.meta_path:
    sys.meta_path.append(_FormerNames)
