# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The loss on data that are not trained on, and samples of text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tessera._src.data.datasets import IGNORE_INDEX, Dataset
from tessera._src.data.tokenizing import Tokenizer
from tessera._src.ops import rng
from tessera._src.training.vocabulary import check_batch


def batches_of(dataset: Dataset, rows: int, limit: int | None, vocabulary: int
               ) -> Iterator[dict[str, np.ndarray]]:
    """Each sample of the first epoch once, in batches of `rows`; what the last one lacks is rows without a
    label, which no loss counts. A data set without epochs needs a limit.

    Raises: DataError (TS7004): a token outside of the vocabulary.
    """
    first, count = 0, 0
    while (dataset.size is None or first < dataset.size) and (limit is None or count < limit):
        last = first + rows if dataset.size is None else min(first + rows, dataset.size)
        batch = dataset.rows(np.arange(first, last, dtype=np.int64))
        check_batch(batch, vocabulary, dataset, first)
        if last - first < rows:
            missing = rows - (last - first)
            batch = {name: np.concatenate([array, np.repeat(array[-1:], missing, 0)])
                     for name, array in batch.items()}
            batch["labels"][-missing:] = IGNORE_INDEX
        yield batch
        first, count = last, count + 1


def evaluate(program: Callable, model: Any, datasets: Sequence[Dataset], rows: int, limit: int | None,
             names: Sequence[str], vocabulary: int) -> dict[str, float]:
    """The mean loss over all labels, and its perplexity.

    Args:
        program: gives the sum of the losses of a batch, and the number of its labels.
        limit: batches in all, shared out to the data sets; None for all of them.
        names: the arrays of a batch that the program takes.
        vocabulary: the model's, which tokens are checked against.
    """
    total, count = 0.0, 0
    share = None if limit is None else max(1, limit // max(1, len(datasets)))
    for dataset in datasets:
        for batch in batches_of(dataset, rows, share, vocabulary):
            loss, labels = program(model, {name: batch[name] for name in names})
            total, count = total + float(loss), count + int(labels)
    loss = total / count if count else math.nan
    return {"loss": loss, "perplexity": math.inf if loss >= 700 else math.exp(loss), "tokens": count}


def sample(model: Any, tokenizer: Tokenizer, prompt: str, count: int, temperature: float, seed: int,
           step: int, **options: Any) -> str:
    """The prompt and what the model goes on with."""
    tokens = tokenizer.encode(prompt)
    stop = () if tokenizer.eos is None else (tokenizer.eos,)
    key = np.asarray(rng.key(seed)) ^ np.int32(step)
    made = model.generate(tokens[None], count, temperature=temperature, stop=stop, key=key, **options)[0]
    # Ids that no token has, as of a vocabulary which was made larger to divide, have no text.
    return tokenizer.decode([token for token in made.tolist() if token < tokenizer.vocab_size])
