# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tokenizers of GGUF files: the tokens and merges of a byte-level BPE (Sennrich et al., Neural Machine
Translation of Rare Words with Subword Units, 2016; on bytes as in GPT-2)."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tessera._src.core.errors import ConfigError, DataError
from tessera._src.core.gguf_header import read_header

_LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
           r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


class _Cutting(NamedTuple):
    """How text is cut before pairs are merged; no merge goes across a cut.

    Attributes:
        pattern: of the pieces; None is GPT-2's.
        cuts_digits: whether each digit is a piece.
        whole_tokens: whether a piece that is a token is not cut, whatever the merges say.
        composes: whether Unicode text is brought to form C before.
    """

    pattern: str | None = None
    cuts_digits: bool = False
    whole_tokens: bool = False
    composes: bool = False


# By tokenizer.ggml.pre, as llama.cpp's src/llama-vocab.cpp has them; Qwen's form C is of its tokenizer.json.
_CUTTINGS = {
    "gpt2": _Cutting(),
    "gpt-2": _Cutting(),
    "smollm": _Cutting(cuts_digits=True),
    "llama-bpe": _Cutting(_LLAMA3, whole_tokens=True),
    "llama3": _Cutting(_LLAMA3, whole_tokens=True),
    "llama-v3": _Cutting(_LLAMA3, whole_tokens=True),
    "qwen2": _Cutting(_QWEN2, composes=True),
}
_CONTROL, _USER_DEFINED = 3, 4  # Kinds of tokens that are found in text as they are.


class GGUFTokens(NamedTuple):
    """What a file says of its tokenizer.

    Attributes:
        library: the object of `tokenizers`.
        bos, eos: the texts of the tokens that begin and end a document, or None.
        chat_template: Jinja, or None.
    """

    library: Any
    bos: str | None
    eos: str | None
    chat_template: str | None


def read_tokenizer(file: Path, tokenizers: Any) -> GGUFTokens:
    """The tokenizer in a GGUF file.

    Args:
        tokenizers: the library.

    Raises:
        DataError: the file is missing (TS7001), damaged or without a tokenizer (TS7002).
        ConfigError (TS4006): a kind of tokenizer that is not built here.
    """
    try:
        fields = read_header(file).fields
    except OSError as error:
        raise DataError("TS7001", f"{file} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise DataError("TS7002", f"{file} is no GGUF file, or damaged: {error}",
                        hint="download it again") from None
    kind, cutting = fields.get("tokenizer.ggml.model"), fields.get("tokenizer.ggml.pre", "gpt2")
    way_out = "pass the tokenizer.json of the model that the file was made from"
    if kind != "gpt2":
        raise ConfigError("TS4006", f"the tokenizer of {file} is of the kind {kind!r}",
                          expected="'gpt2', byte-level BPE", hint=way_out)
    if cutting not in _CUTTINGS:
        raise ConfigError("TS4006", f"the tokenizer of {file} cuts text by {cutting!r} (tokenizer.ggml.pre)",
                          choices=_CUTTINGS, hint=way_out)
    tokens, merges = (_strings(fields, key, file) for key in ("tokens", "merges"))
    library = _build(tokenizers, tokens, merges, _CUTTINGS[cutting], file)
    kinds = fields.get("tokenizer.ggml.token_type", ())
    for number, is_special in ((_CONTROL, True), (_USER_DEFINED, False)):
        library.add_tokens([tokenizers.AddedToken(token, normalized=False, special=is_special)
                            for token, found in zip(tokens, kinds) if found == number])
    ends = [_token(fields, f"{name}_token_id", tokens, file) for name in ("bos", "eos")]
    if fields.get("tokenizer.ggml.add_bos_token", cutting.startswith("llama")) and ends[0] is not None:
        library.post_processor = tokenizers.processors.TemplateProcessing(
            single=f"{ends[0]} $A", special_tokens=[(ends[0], tokens.index(ends[0]))])
    template = fields.get("tokenizer.chat_template")
    return GGUFTokens(library, *ends, template if isinstance(template, str) else None)


def _build(tokenizers: Any, tokens: list[str], merges: list[str], cutting: _Cutting, file: Path) -> Any:
    pairs = [tuple(merge.split(" ")) for merge in merges]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    try:
        model = tokenizers.models.BPE(vocabulary, pairs, ignore_merges=cutting.whole_tokens)
    except Exception as error:  # The library raises bare Exceptions.
        raise DataError("TS7002", f"the merges of {file} do not fit its tokens: {error}",
                        hint="download it again") from None
    library, pre = tokenizers.Tokenizer(model), tokenizers.pre_tokenizers
    bytes_of = pre.ByteLevel(add_prefix_space=False, use_regex=cutting.pattern is None)
    before = []
    if cutting.cuts_digits:
        before.append(pre.Digits(individual_digits=True))
    if cutting.pattern is not None:
        before.append(pre.Split(tokenizers.Regex(cutting.pattern), behavior="isolated"))
    library.pre_tokenizer = pre.Sequence([*before, bytes_of])
    library.decoder = tokenizers.decoders.ByteLevel()
    if cutting.composes:
        library.normalizer = tokenizers.normalizers.NFC()
    return library


def _strings(fields: Mapping[str, Any], name: str, file: Path) -> list[str]:
    found = fields.get(f"tokenizer.ggml.{name}")
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise DataError("TS7002", f"{file} has no tokenizer.ggml.{name}", expected="a list of strings",
                        hint="a file with weights alone has no tokenizer: pass a tokenizer.json")
    return found


def _token(fields: Mapping[str, Any], name: str, tokens: list[str], file: Path) -> str | None:
    number = fields.get(f"tokenizer.ggml.{name}")
    if number is None:
        return None
    try:
        number = operator.index(number)
    except TypeError:
        number = -1
    if not 0 <= number < len(tokens):
        raise DataError("TS7002", f"{file} has tokenizer.ggml.{name} = {fields[f'tokenizer.ggml.{name}']!r}",
                        expected=f"a number from 0 to {len(tokens) - 1}")
    return tokens[number]
