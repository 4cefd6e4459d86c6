"""The rows, by what goes wrong. Importing this enters them all."""

from . import deaths, endings, forking, limits, locks, pickles, programs_at_fault, soaks, templates

__all__ = ["deaths", "endings", "forking", "limits", "locks", "pickles", "programs_at_fault", "soaks", "templates"]
