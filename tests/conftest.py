"""What every test may take for granted."""

import signal

# A shell that starts the tests in the background has the interrupt ignored, by them and by what they start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
