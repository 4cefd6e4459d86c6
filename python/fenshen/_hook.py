"""The start-up hook: a line in `fenshen_start.pth`, which lies in site-packages and lets an interpreter start with
us installed.
"""

from __future__ import annotations

import os
import sys

FILE = "fenshen_start.pth"


def present() -> bool:
    """Whether this interpreter, started again, would run the hook."""
    site = sys.modules.get("site")
    if site is None or sys.flags.no_site:
        return False
    folders = list(site.getsitepackages())
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return any(os.path.exists(os.path.join(folder, FILE)) for folder in folders)
