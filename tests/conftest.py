"""What holds for all tests."""

import signal

# A shell starts background jobs with Ctrl-C ignored, and so do some CI runners. Child processes
# inherit that, and the tests that interrupt a run would wait in vain.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
