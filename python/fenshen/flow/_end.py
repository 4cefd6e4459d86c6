"""How the parts of a pipeline tell each other that nothing more comes."""

from __future__ import annotations


class End(Exception):
    """Nothing more comes."""
