# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Text of tokens that come one by one."""

from __future__ import annotations

from tessera._src.data.tokenizing import Tokenizer

_INCOMPLETE = "\ufffd"


class TextStream:
    """Makes text of tokens as they are generated: each token's part, once its characters are whole.

    A character may be several tokens, whose bytes are no text by themselves. Together the parts are
    what `tokenizer.decode` gives of all tokens.
    """

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        # Decoders may treat the first token in another way, so the ones before go through them, too.
        self._before: list[int] = []
        self._pending: list[int] = []

    def add(self, token: int) -> str:
        """The text that this token completes; may be empty."""
        self._pending.append(token)
        text = self._text()
        if text.endswith(_INCOMPLETE):
            return ""
        self._before, self._pending = self._pending, []
        return text

    def rest(self) -> str:
        """The text of what is not complete, with replacement characters."""
        text = self._text() if self._pending else ""
        self._before, self._pending = [], []
        return text

    def _text(self) -> str:
        before = self.tokenizer.decode(self._before) if self._before else ""
        return self.tokenizer.decode([*self._before, *self._pending])[len(before):]
