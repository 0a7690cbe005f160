"""Imports that cost nothing until they are used."""

import importlib.util
import sys


def import_lazily(name: str) -> None:
    """Let imports of a module succeed without running it; the first look at a member runs it.

    One that has been imported already stays as it is, and one that cannot be found stays missing.
    """
    spec = None if name in sys.modules else importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        return
    loader, module = spec.loader, importlib.util.module_from_spec(spec)

    def load(member: str) -> object:
        del vars(module)["__getattr__"]
        loader.exec_module(module)
        return getattr(module, member)

    # PEP 562: what a module has no member for is asked of this.
    vars(module)["__getattr__"] = load
    sys.modules[name] = module
