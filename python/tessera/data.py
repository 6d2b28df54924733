# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Data of language models, on the host: texts, tokens, and the batches that training takes.

    texts = ts.data.JSONLines("corpus.jsonl")
    tokenizer = ts.data.load_tokenizer("tokenizer.json", eos="<|endoftext|>")
    source = ts.data.Tokenized(texts, tokenizer)           # or ts.data.TokenFile("corpus")
    loader = ts.data.Loader(ts.data.Packed(source, 1024, seed=0), 64)
    for batch in loader:                                   # tokens, labels, segments, positions: i32
        ...

Sources are lists of documents, of text or of tokens; data sets make samples of them, and find each by
its position alone; the loader counts positions. So the order of samples depends on the data and the
seed, never on the mesh, and a number is enough to resume.
"""

import sys as _sys

from tessera._src.core.missing import missing as _missing
from tessera._src.data.datasets import IGNORE_INDEX, Dataset, Packed, Padded
from tessera._src.data.loader import Loader, part
from tessera._src.data.mixture import Mixture
from tessera._src.data.streaming import TextStream
from tessera._src.data.texts import JSONLines, TextFiles
from tessera._src.data.token_files import TokenFile, write_token_file
from tessera._src.data.tokenizing import ByteTokenizer, FileTokenizer, Tokenizer, load_tokenizer
from tessera._src.data.tokens import Subset, TokenArrays, Tokenized, TokenSource, split

__all__ = [
    "IGNORE_INDEX",
    "ByteTokenizer",
    "Dataset",
    "FileTokenizer",
    "JSONLines",
    "Loader",
    "Mixture",
    "Packed",
    "Padded",
    "Subset",
    "TextFiles",
    "TextStream",
    "TokenArrays",
    "TokenFile",
    "TokenSource",
    "Tokenized",
    "Tokenizer",
    "load_tokenizer",
    "part",
    "split",
    "write_token_file",
]


def __getattr__(name: str):
    raise _missing(_sys.modules[__name__], name)
