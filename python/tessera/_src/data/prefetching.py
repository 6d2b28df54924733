# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A thread that makes what comes next."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any

from tessera._src.core import source


class Prefetcher:
    """Calls make(first), make(first + 1), ... on a thread, up to `ahead` results in advance.

    The thread ends at `last`, with the first error, or when it is closed.
    """

    def __init__(self, make: Callable[[int], Any], first: int, last: int | None, ahead: int,
                 location: source.Location | None):
        self.process = os.getpid()  # A forked process has no such thread.
        self._results: deque[tuple[Any, BaseException | None]] = deque()
        self._changed = threading.Condition()
        self._is_closed = self._is_ended = False
        self._trace: TracebackType | None = None  # Of the error, on the thread.
        self._thread = threading.Thread(target=self._work, args=(make, first, last, ahead, location),
                                        name="tessera-prefetch", daemon=True)
        self._thread.start()

    def take(self) -> Any:
        """The next result, once it is there; raises the error that making it ended with."""
        with self._changed:
            self._changed.wait_for(lambda: self._results or self._is_ended)
            if not self._results:
                raise RuntimeError("the thread that makes batches has ended")
            result, error = self._results[0]
            if error is not None:
                # It stays, as nothing comes after it. Raised again, it has grown no longer.
                raise error.with_traceback(self._trace)
            self._results.popleft()
            self._changed.notify_all()
        return result

    def close(self) -> None:
        """Ends the thread and waits for it; what was made is forgotten."""
        if self.process != os.getpid():
            return  # The lock may be that of a thread which is not here.
        with self._changed:
            self._is_closed = True
            self._results.clear()
            self._changed.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _work(self, make: Callable[[int], Any], first: int, last: int | None, ahead: int,
              location: source.Location | None) -> None:
        source.work_for(location)
        number = first
        while (last is None or number < last) and self._has_room(ahead):
            result, error = None, None
            try:
                result = make(number)
            except BaseException as caught:  # noqa: BLE001 Whatever it is, the caller gets it.
                error, self._trace = caught, caught.__traceback__
            with self._changed:
                if not self._is_closed:
                    self._results.append((result, error))
                    self._changed.notify_all()
            if error is not None:
                break
            number += 1
        with self._changed:
            self._is_ended = True
            self._changed.notify_all()

    def _has_room(self, ahead: int) -> bool:
        """Waits until something may be made; False if it has been closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or len(self._results) < ahead)
            return not self._is_closed
