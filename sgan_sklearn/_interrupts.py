"""Whether a KeyboardInterrupt comes from the keyboard."""

from __future__ import annotations

import dis

__all__ = ["raised_by_statement"]


def raised_by_statement(error: KeyboardInterrupt) -> bool:
    """Whether a ``raise`` statement raised an interrupt, and not a signal.

    skorch's callbacks end a training in this way. A signal interrupts whatever instruction is
    running, but never that of a ``raise``.
    """
    traceback = error.__traceback__
    if traceback is None:
        return False
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    instruction = traceback.tb_frame.f_code.co_code[traceback.tb_lasti]
    return dis.opname[instruction] == "RAISE_VARARGS"
