"""What is installed here."""

import importlib.metadata
import importlib.util


def importable(module: str) -> bool:
    """Whether there is a module of that name; the packages that it lies in are imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def version(module: str) -> str:
    """The version of the package that a module lies in; an empty string where it does not say."""
    try:
        return importlib.metadata.version(module.partition(".")[0])
    except importlib.metadata.PackageNotFoundError:
        return ""
