"""The error tree. Every message says what was wrong and what to do about it.

Raise the narrowest class that fits; catch `LifelongNavError` at process boundaries (CLI, nodes).
"""

from __future__ import annotations

import importlib
from types import ModuleType


class LifelongNavError(Exception):
    """Root of all errors this package raises on purpose.

    Args:
        what: what was wrong, with the offending value.
        fix: what the reader can do about it.
    """

    exit_code = 1

    def __init__(self, what: str, fix: str) -> None:
        self.what = what
        self.fix = fix
        super().__init__(f"{what} {fix}")


class ConfigError(LifelongNavError):
    """A parameter, YAML file or command-line value is unknown, mistyped or out of range."""

    exit_code = 2


class InputError(LifelongNavError):
    """A message, array or file from outside breaks its contract (shape, encoding, finiteness)."""

    exit_code = 3


class StorageError(LifelongNavError):
    """A file could not be written or read back whole."""

    exit_code = 4


class CheckpointError(StorageError):
    """A stored model is corrupt, of another schema, or in a format we refuse (pickle)."""


class BagError(InputError):
    """A bag is missing, corrupt, truncated, oversized or of an unknown kind."""


class SimError(LifelongNavError):
    """The simulator cannot build or step the requested world."""

    exit_code = 5


class DependencyError(LifelongNavError):
    """An optional package is needed and not installed."""

    exit_code = 6


def require_package(module: str, extra: str) -> ModuleType:
    """Import `module` or raise `DependencyError` naming the pip extra that brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DependencyError(
            f"The Python package '{module}' cannot be imported ({error}).",
            f"Install it with: pip install 'lifelong_nav[{extra}]'.",
        ) from error
