"""Executes a notebook: cells as a JSON list on standard input, what each showed as a JSON list on standard output.

    python notebook.py KERNEL SECONDS

The kernel is `python`, this interpreter's, or `fenshen`, the same under `fenshen run`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

COMMANDS = {
    "python": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
    "fenshen": [sys.executable, "-m", "fenshen", "run", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
}


def shown(output: Any) -> str:
    """What a person reads of one output: the text, the result, or the error."""
    if output.output_type == "error":
        return f"{output.ename}: {output.evalue}"
    return str(output.text if output.output_type == "stream" else output.data["text/plain"])


def execute(cells: list[str], kernel: str, seconds: float) -> list[str]:
    """The outputs of each cell, joined; what the kernel says of itself goes nowhere."""
    import nbclient
    import nbformat

    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder, "kernels", kernel)
        spec.mkdir(parents=True)
        (spec / "kernel.json").write_text(
            json.dumps({"argv": COMMANDS[kernel], "display_name": kernel, "language": "python"})
        )
        os.environ |= {"JUPYTER_PATH": folder, "HOME": folder, "IPYTHONDIR": folder}
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        client = nbclient.NotebookClient(notebook, timeout=seconds, kernel_name=kernel, allow_errors=True)
        client.execute(cwd=folder)
    return ["".join(map(shown, cell.outputs)) for cell in notebook.cells]


if __name__ == "__main__":
    outputs = execute(json.load(sys.stdin), sys.argv[1], float(sys.argv[2]))
    json.dump(outputs, sys.stdout)
