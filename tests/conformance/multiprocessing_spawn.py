"""CPython's tests of `multiprocessing` under `spawn`, in a module that a child can import by its name."""

from test import _test_multiprocessing

_test_multiprocessing.PRELOAD = ["__main__", __name__]  # what a fork server imports for its children
_test_multiprocessing.install_tests_in_module_dict(globals(), "spawn")
