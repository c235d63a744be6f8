"""Whether a KeyboardInterrupt comes from the keyboard."""

from __future__ import annotations

import dis
import signal
from types import CodeType

__all__ = ["raised_by_statement"]


def raised_by_statement(error: KeyboardInterrupt) -> bool:
    """Whether a ``raise`` statement raised an interrupt, and not a signal.

    skorch's callbacks end a training in this way. A signal interrupts whatever instruction is
    running, but never that of a ``raise``, except in a handler of the program's own.
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
