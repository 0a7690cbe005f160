"""Lazy imports."""

import importlib.util
import sys


def import_lazily(name: str) -> None:
    """Defer loading a module to the first access to one of its attributes.

    A module that is already imported stays as it is; a missing one stays missing.
    """
    spec = None if name in sys.modules else importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        return
    loader, module = spec.loader, importlib.util.module_from_spec(spec)

    def load(attribute: str) -> object:
        del vars(module)["__getattr__"]
        loader.exec_module(module)
        return getattr(module, attribute)

    # PEP 562: Python calls this for an attribute that the module does not have.
    vars(module)["__getattr__"] = load
    sys.modules[name] = module
