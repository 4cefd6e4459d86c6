"""What `fenshen run --advise` makes of its measurements.

| file | what it does |
|---|---|
| `hooks.py` | puts the measuring around what is handed to threads and pools |
| `functions.py` | which function that is, and how it is shown |
| `pickling.py` | what processes would have to be sent |
| `evidence.py` | the measurements, and how sure they are |
| `verdict.py` | what kind of work it is, and what fits it |
| `remote.py`, `remote_verdict.py`, `remote_report.py` | the same for what pools of processes call |
| `machine.py` | how many CPUs there are to use |
| `report.py` | the text |
| `words.py` | numbers in it |
"""
