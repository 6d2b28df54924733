# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tokenizers: the bytes of UTF-8, and what a tokenizer.json of Hugging Face or a GGUF file defines."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tessera._src.core.errors import ConfigError, DataError, did_you_mean
from tessera._src.data.chat_templates import render
from tessera._src.data.gguf_tokenizer import read_tokenizer


class Tokenizer(Protocol):
    """What the other parts of ts.data ask of a tokenizer."""

    vocab_size: int  # Ids are from 0 to vocab_size - 1.
    eos: int | None  # Ends a document; None if there is no such token.
    bos: int | None  # Begins a document.

    def encode(self, text: str) -> np.ndarray: ...  # noqa: E704
    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]: ...  # noqa: E704
    def decode(self, ids: Iterable[int]) -> str: ...  # noqa: E704
    def fingerprint(self) -> dict[str, Any]: ...  # noqa: E704


class ByteTokenizer:
    """Each byte of the UTF-8 text is a token; `eos` = 256 follows the bytes.

    Any text goes through it and comes back, and there is no file to keep: for tests, for small
    models, and where no tokenizer.json is at hand. 257 tokens.
    """

    vocab_size = 257
    eos = 256
    bos = None

    def encode(self, text: str) -> np.ndarray:
        """The text's bytes as i32 [length].

        Raises: DataError (TS7003): a lone surrogate, which no Unicode text has.
        """
        return np.frombuffer(_utf8(text), np.uint8).astype(np.int32)

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Each text's tokens."""
        return [self.encode(text) for text in texts]

    def decode(self, ids: Iterable[int], errors: str = "replace") -> str:
        """The text of tokens; `eos` is left out.

        Args:
            errors: what becomes of bytes that are not UTF-8, as with bytes.decode. A model's output may
                be cut inside of a character.

        Raises: DataError (TS7004): an id that is none of the 257.
        """
        tokens = _ids(ids)
        _check_ids(tokens, self.vocab_size)
        return tokens[tokens < self.eos].astype(np.uint8).tobytes().decode("utf-8", errors)

    def fingerprint(self) -> dict[str, Any]:
        """What tells it from other tokenizers."""
        return {"kind": "bytes"}


class FileTokenizer:
    """The tokenizer of a tokenizer.json or a GGUF file; ts.data.load_tokenizer makes it.

    Attributes: vocab_size (one more than the largest id, so that it is the least number of rows of
    an embedding), eos and bos (ids, or None), path, library (the object of `tokenizers`, whose
    truncation and padding are off), chat_template (Jinja, or None).
    """

    def __init__(self, path: str, library: Any, bos: int | None, eos: int | None,
                 fingerprint: Mapping[str, Any], chat_template: str | None = None):
        self.path, self.library, self.bos, self.eos = path, library, bos, eos
        self.vocab_size = max(library.get_vocab(with_added_tokens=True).values(), default=-1) + 1
        self.chat_template, self._fingerprint = chat_template, dict(fingerprint)

    def encode(self, text: str, *, special: bool = False) -> np.ndarray:
        """The tokens of a text, i32 [length].

        Args:
            special: adds what the file's post-processor puts around a text ([CLS], <s>).

        Raises: DataError (TS7003): a lone surrogate, which no Unicode text has.
        """
        return self.encode_batch([text], special=special)[0]

    def encode_batch(self, texts: Sequence[str], *, special: bool = False) -> list[np.ndarray]:
        """Each text's tokens; the library encodes them on all cores."""
        for text in texts:
            _utf8(text)
        # Newer versions of the library have one that does not track where in the text a token was.
        encode = getattr(self.library, "encode_batch_fast", self.library.encode_batch)
        encoded = encode(list(texts), add_special_tokens=special)
        return [np.array(item.ids, np.int32) for item in encoded]

    def decode(self, ids: Iterable[int], *, skip_special: bool = True) -> str:
        """The text of tokens.

        Args:
            skip_special: leaves out special tokens such as `eos`.

        Raises: DataError (TS7004): an id outside of the vocabulary.
        """
        tokens = _ids(ids)
        _check_ids(tokens, self.vocab_size)
        return self.library.decode(tokens.tolist(), skip_special_tokens=skip_special)

    def chat_text(self, messages: Sequence[Mapping[str, str]], *, answer: bool = True) -> str:
        """A conversation as the text that the model was trained on, by the file's chat template.

            tokenizer.encode(tokenizer.chat_text([{"role": "user", "content": "Where is Oslo?"}]))

        Args:
            messages: each with a "role" ("system", "user", "assistant") and its "content".
            answer: ends with what comes before an answer of the model.

        Raises:
            ConfigError (TS4006): the file has no template, jinja2 is not installed, messages have
                another form.
            DataError (TS7002): the template is not valid, or refuses the messages.
        """
        if self.chat_template is None:
            raise ConfigError("TS4006", f"{self.path} has no chat template",
                              hint="write the prompt out and call tokenizer.encode")
        ends = {f"{name}_token": "" if number is None else self.library.id_to_token(number)
                for name, number in (("bos", self.bos), ("eos", self.eos))}
        return render(self.chat_template, messages, self.path, add_generation_prompt=answer, **ends)

    def fingerprint(self) -> dict[str, Any]:
        """What tells it from other tokenizers: a checksum of the file, or of what a GGUF file says of it."""
        return {**self._fingerprint, "vocab_size": self.vocab_size}


def load_tokenizer(path: str | os.PathLike, *, eos: str | None = None,
                   bos: str | None = None) -> FileTokenizer:
    """The tokenizer of a tokenizer.json, of the folder that holds one, or of a .gguf file.

    In a GGUF file it is byte-level BPE that cuts text as GPT-2, SmolLM, Llama 3 or Qwen 2 do.

    Args:
        eos, bos: the tokens that end and begin a document. If not given they are those of the
            tokenizer_config.json beside the file, if there is one that names them, or of the GGUF file.

    Raises:
        DataError: the file is missing (TS7001) or damaged (TS7002).
        ConfigError (TS4006): the vocabulary has no such token, the library `tokenizers` is not
            installed, a GGUF file has another kind of tokenizer.
    """
    file = Path(path)
    file = file / "tokenizer.json" if os.path.isdir(file) else file
    is_gguf = file.suffix == ".gguf"
    try:
        data = b"" if is_gguf and os.path.exists(file) else file.read_bytes()
    except FileNotFoundError:
        raise DataError("TS7001", f"{file} does not exist",
                        expected="a tokenizer.json, a folder that holds one, or a .gguf file",
                        hint="ts.data.ByteTokenizer() needs no file") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte.
        reason = getattr(error, "strerror", None) or error
        raise DataError("TS7001", f"{file} cannot be read: {reason}") from None
    try:
        import tokenizers
    except ImportError:
        raise ConfigError("TS4006", f"the library 'tokenizers', which {file.name} is read by, is not "
                          "installed", hint='pip install "tessera[models]"') from None
    named: Mapping[str, str | None]
    if is_gguf:
        found = read_tokenizer(file, tokenizers)
        library, template = found.library, found.chat_template
        named = {"bos_token": found.bos, "eos_token": found.eos}
        data = library.to_str().encode()
    else:
        try:
            library = tokenizers.Tokenizer.from_buffer(data)
        except Exception as error:  # The library raises bare Exceptions.
            raise DataError("TS7002", f"{file} is not a tokenizer: {error}",
                            expected="a tokenizer.json as the library tokenizers writes it") from None
        named = _named_tokens(file.with_name("tokenizer_config.json"))
        template = named.get("chat_template")
    library.no_padding()
    library.no_truncation()
    ids = [_id_of(library, file, option, given if given is not None else named.get(f"{option}_token"))
           for option, given in (("bos", bos), ("eos", eos))]
    kind = "gguf" if is_gguf else "tokenizer.json"
    return FileTokenizer(str(file), library, *ids, {"kind": kind, "crc32": zlib.crc32(data)}, template)


def _named_tokens(path: Path) -> dict[str, str]:
    """The texts of the special tokens that a tokenizer_config.json names, and its chat template."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DataError("TS7001", f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise DataError("TS7002", f"{path} is not valid JSON: {error}") from None
    if not isinstance(config, dict):
        raise DataError("TS7002", f"{path} is not an object of JSON")
    tokens = {name: config.get(name) for name in ("bos_token", "eos_token", "chat_template")}
    # A token is its text, or an object with the text and how it is matched.
    tokens = {name: token.get("content") if isinstance(token, dict) else token
              for name, token in tokens.items()}
    return {name: token for name, token in tokens.items() if isinstance(token, str)}


def _id_of(library: Any, file: Path, option: str, token: str | None) -> int | None:
    if token is None:
        return None
    found = library.token_to_id(token)
    if found is None:
        raise ConfigError("TS4006", f"{option} is {token!r}, which is no token of {file}",
                          hint=did_you_mean(token, library.get_vocab(with_added_tokens=True)))
    return found


def _utf8(text: str) -> bytes:
    if not isinstance(text, str):
        raise DataError("TS7003", f"a {type(text).__name__} is not a text", got=repr(text)[:80],
                        expected="a string")
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError("TS7003", f"the text has a lone surrogate at character {error.start}",
                        got=ascii(text[max(error.start - 20, 0):error.start + 20]),
                        expected="Unicode text", hint="text.encode('utf-16', 'surrogatepass')"
                        ".decode('utf-16', 'replace') mends it") from None


def _ids(ids: Iterable[int]) -> np.ndarray:
    tokens = np.asarray(ids if hasattr(ids, "__array__") else list(ids))
    if tokens.size and (tokens.ndim != 1 or tokens.dtype.kind not in "iu"):
        raise DataError("TS7004", "tokens to decode are one row of integers",
                        got=f"shape {list(tokens.shape)} of {tokens.dtype}")
    return tokens.reshape(-1).astype(np.int64)


def _check_ids(tokens: np.ndarray, vocab_size: int) -> None:
    wrong = np.flatnonzero((tokens < 0) | (tokens >= vocab_size))
    if wrong.size:
        raise DataError("TS7004", f"token {tokens[wrong[0]]} at {wrong[0]} is outside of the vocabulary",
                        expected=f"ids from 0 to {vocab_size - 1}")
