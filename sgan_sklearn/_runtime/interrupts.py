"""Origin of a KeyboardInterrupt: the keyboard or a callback."""

from __future__ import annotations

import dis
import signal
from types import CodeType

__all__ = ["raised_by_statement"]


def raised_by_statement(error: KeyboardInterrupt) -> bool:
    """Return whether a ``raise`` statement raised the interrupt, and not a signal.

    Callbacks of skorch stop the training with such a statement. A signal can interrupt any
    instruction except a ``raise``, unless the program has its own signal handler.
    """
    handler: CodeType | None = getattr(signal.getsignal(signal.SIGINT), "__code__", None)
    traceback = error.__traceback__
    instruction = ""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code is handler:
            return False
        instruction = dis.opname[code.co_code[traceback.tb_lasti]]
        traceback = traceback.tb_next
    return instruction == "RAISE_VARARGS"
