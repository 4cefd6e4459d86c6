"""Programs that must come out under `fenshen run` exactly as they do under `python`."""

PROGRAMS = {
    "hello": "print('hello')",
    "names": """
        print(__name__, __file__, __spec__, __doc__, __package__, __cached__, type(__loader__).__name__, __builtins__)
        """,
    "space": "print(sorted(globals()))",
    "doc": "'about'\nprint(__doc__)",
    "argv": "import sys; print(sys.argv, sys.path[0], sys.flags)",
    "main module": """
        import sys
        m = sys.modules['__main__']
        print(m.__dict__ is globals(), m.__file__, m.__spec__)
        """,
    "exit 3": "raise SystemExit(3)",
    "exit text": "import sys; sys.exit('no good')",
    "exit none": "import sys; sys.exit()",
    "exit in a function": "import sys\ndef f(): sys.exit(4)\nf()",
    "os._exit": "import os; print('x', flush=True); os._exit(5)",
    "abort": "import os; os.abort()",
    "error": "def f(x):\n    return 1 / x\n\nprint('before')\nf(0)",
    "chained": """
        try:
            {}['k']
        except KeyError as e:
            raise ValueError('v') from e
        """,
    "context": """
        try:
            {}['k']
        except KeyError:
            [][1]
        """,
    "group": """
        import sys
        if sys.version_info >= (3, 11):
            raise ExceptionGroup('g', [ValueError(1), TypeError(2)])
        """,
    "notes": """
        e = ValueError('x')
        e.add_note('a note') if hasattr(e, 'add_note') else None
        raise e
        """,
    "syntax": "x = 1\nif x\n    pass",
    "tabs": "if 1:\n\tx = 1\n        y = 2",
    "encoding": "# coding: latin-1\nprint(len('\u00e9'))",
    "keyboard": "raise KeyboardInterrupt",
    "keyboard handled": """
        import atexit
        atexit.register(print, 'atexit')
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            print('caught')
        """,
    "base exception": "class Mine(BaseException): pass\nraise Mine('x')",
    "excepthook": """
        import sys, traceback
        def hook(k, v, t):
            print('hook', k.__name__, v)
            traceback.print_tb(t)
        sys.excepthook = hook
        1/0
        """,
    "atexit": """
        import atexit
        atexit.register(print, 'last')
        atexit.register(lambda: print('first'))
        print('body')
        """,
    "atexit after error": "import atexit\natexit.register(print, 'at exit')\n1/0",
    "last traceback": """
        import sys, atexit, traceback
        atexit.register(lambda: traceback.print_tb(sys.last_traceback))
        1/0
        """,
    "threads at exit": """
        import threading, time
        threading.Thread(target=lambda: (time.sleep(.1), print('thread done'))).start()
        print('main done')
        """,
    "thread error": """
        import threading
        t = threading.Thread(target=lambda: 1/0, name='worker')
        t.start()
        t.join()
        """,
    "daemon": """
        import threading, time
        threading.Thread(target=time.sleep, args=(9,), daemon=True).start()
        print('over')
        """,
    "closed stdout": "import sys\nprint('x')\nsys.stdout.close()",
    "warning": """
        import warnings
        def f(): warnings.warn('careful', stacklevel=1)
        f()
        f()
        """,
    "deprecated": "import warnings\nwarnings.warn('old', DeprecationWarning)",
    "resource": "import warnings; warnings.simplefilter('always')\nopen(__file__)\n",
    "source": """
        import inspect
        def f():
            return 'its own text'
        print(inspect.getsource(f), inspect.getsourcefile(f))
        """,
    "annotations": "x: int = 1\nprint(__annotations__)",
    "pickle": """
        import pickle
        class C: pass
        def f(): pass
        print(type(pickle.loads(pickle.dumps(C()))) is C, pickle.loads(pickle.dumps(f)) is f, C)
        """,
    "logging": """
        import logging
        logging.basicConfig(format='%(pathname)s %(lineno)d %(message)s')
        logging.warning('w')
        """,
    "import of main": "import __main__\nv = 1\nprint(__main__.v)",
    "globals deleted": """
        import sys
        for k in list(globals()):
            if not k.startswith('__'):
                del globals()[k]
        """,
    "unraisable": "class C:\n    def __del__(self): 1/0\nC()",
    "fork": """
        import os, sys
        pid = os.fork()
        if pid == 0:
            print('child', flush=True)
            sys.exit(3)
        print('parent', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """,
    "asyncio": """
        import asyncio
        async def main():
            await asyncio.sleep(0)
            return 5
        print(asyncio.run(main()))
        """,
    "exit in a coroutine": """
        import asyncio
        async def main():
            await asyncio.sleep(0)
            raise SystemExit(9)
        asyncio.run(main())
        """,
}
# Not "here": a program that looks at the frames below its own sees the launcher there, as one under `python -m` sees
# runpy; and only the interpreter's own reader words a few syntax errors as it does.
PROGRAMS_BELOW = {
    "stack": "import traceback\ndef f(): traceback.print_stack()\nf()",
    "stack depth": "import inspect\nprint(len(inspect.stack()))",
    "stack info": "import logging\nlogging.warning('w', stack_info=True)",
    "faulthandler": "import faulthandler\nfaulthandler.dump_traceback()",
    "all stacks": """
        import sys, traceback
        for f in sys._current_frames().values():
            traceback.print_stack(f)
        """,
    "pdb": "import pdb\npdb.Pdb().set_trace()\nx = 1\n",
    "trace": """
        import trace
        t = trace.Trace(count=1, trace=0)
        t.runfunc(lambda: 1)
        print(len(t.results().counts))
        """,
    "recursion": "def f(): f()\nf()",
    "recursion limit": """
        import sys
        def f(n): return n and f(n - 1)
        print(f(sys.getrecursionlimit() - 60))
        """,
    "excepthook that fails": """
        import sys
        def hook(k, v, t): {}['k']
        sys.excepthook = hook
        1/0
        """,
    "null byte": "x = 1\0",
    "bad coding": "# coding: nonsense\nx = 1",
    "no excepthook": "import sys\nsys.excepthook = None\n1/0",
}
