# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What causal language models have in common: folders of weights, and generation."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import ConfigError, ShapeError
from tessera._src.functions.jit import jit
from tessera._src.meshes.mesh import Mesh, current_mesh
from tessera._src.models import configuration
from tessera._src.models.gguf import GGUFFile
from tessera._src.models.other_fields import KeptFields
from tessera._src.models.pretrained import FileWeights, write_folder
from tessera._src.nn.attention import KVCache, check_room
from tessera._src.nn.layers import Embedding, Linear
from tessera._src.nn.module import Module
from tessera._src.nn.parallel import Parallel, constrained
from tessera._src.nn.sampling import choose
from tessera._src.nn.zero import apply_layer
from tessera._src.ops import creation, lookups, rng
from tessera._src.tracing.operands import lift
from tessera._src.tracing.tracer import Tracer

M = TypeVar("M", bound="CausalModel")
_SMALLEST_BUCKET = 16


class CausalModel(Module):
    """Base of models that give the logits of each next token.

    A model of it has `config`, `parallel`, `blocks`, a stack of layers, `embed` and `head`, which are before
    and behind these, and `settings`, what each layer is given beside its input.

    Attributes:
        ignored: patterns of names of files that are no weights.
        config_class: of `config`.
        is_tied: whether head and embedding are one weight where config.json does not say it.
        table: the embedding's name.
        kept: what files that a model was read from say beside its configuration.
    """

    config: Any
    parallel: Parallel
    blocks: Any
    embed: Callable
    head: Callable
    settings: Callable
    config_class: type
    ignored: tuple[str, ...] = ()
    is_tied: bool = False
    table: str = ""
    kept: KeptFields

    @classmethod
    def from_pretrained(cls: type[M], directory: str | os.PathLike, *, dtype: Any = None,
                        mesh: Mesh | None = None, config: Mapping[str, Any] | None = None,
                        **settings: Any) -> M:
        """The model of a folder: config.json and safetensors files, one or several with an index.

        Also of a .gguf file of a Llama, Qwen 2 or Qwen 3, in f32 if no type is asked for.

        Args:
            dtype: the type of weights and activations; that of the files, if None.
            mesh: of the devices that hold the weights; that of `with mesh:` around the call, if None.
            config: fields that replace those of config.json, such as {"attn_pdrop": 0}.
            settings: further ones of the model: parallel, remat.

        Raises:
            CheckpointError: TS6001, TS6002 for files that are missing or damaged, TS6006 for names and
                shapes that are not the model's, all listed.
            ConfigError: TS4008 for a configuration that is no such model's.
        """
        directory = Path(directory)
        wanted = None if dtype is None else dtypes.canonical(dtype)
        if directory.suffix == ".gguf":
            if config:
                raise ConfigError("TS4008", f"config of {cls.__name__}.from_pretrained is given with a .gguf "
                                  "file", hint="the file's header is the configuration: leave config out")
            file = GGUFFile(directory, wanted)
            model = cls(file.config, dtype=file.dtype, **settings)
            model.kept = KeptFields.of(file.config, cls.config_class)
            model.load_state_dict(file, mesh=mesh)
            return model
        data = configuration.read_json(directory / "config.json")
        if config:
            configuration.check_changes(config, cls.config_class, f"config of {cls.__name__}.from_pretrained")
            data = {**data, **config} if isinstance(data, Mapping) else data
        described = cls.config_class.from_dict(data, str(directory / "config.json"), is_file=True)
        ignored = [*cls.ignored, *(["lm_head.weight"] if described.tie_word_embeddings else [])]
        weights = FileWeights(directory, wanted, ignored, cls.renamed)
        weights.check_tied("lm_head.weight", cls.table)
        model = cls(described, dtype=weights.dtype, **settings)
        model.kept = KeptFields.of(data, cls.config_class, directory)
        model.load_state_dict(weights, mesh=mesh)
        return model

    @staticmethod
    def renamed(name: str) -> str:
        """The model's name for a name of the files."""
        return name

    def save_pretrained(self, directory: str | os.PathLike, *, max_shard_bytes: int = 5 * 10**9) -> None:
        """Writes config.json and safetensors files, which transformers reads, too.

        Of a model that was read from a folder, further fields of its config.json, such as eos_token_id,
        and generation_config.json are written as they were.

        Args:
            max_shard_bytes: of one file; larger models have several, and an index.
        """
        state = self.state_dict()
        dtype = next(iter(state.values())).dtype
        names = {"bf16": "bfloat16", "f16": "float16", "f32": "float32", "f64": "float64"}
        config = {**self.kept.config, **self.config.to_dict(),
                  "dtype": names[dtypes.name_of(np.dtype(dtype))]}
        write_folder(directory, config, {name: np.asarray(w) for name, w in state.items()}, max_shard_bytes,
                     self.kept.files())

    def tokens_of(self, tokens: Any, most: int | None = None) -> Any:
        """Tokens that the model is given, traced; they are a batch, of at most so many positions."""
        if not isinstance(tokens, Tracer):
            given = tokens
            tokens = lift(tokens)
            lookups.check_range(given, 0, self.config.vocab_size)
        if tokens.ndim != 2 or not dtypes.is_int(tokens.dtype):
            raise ShapeError("TS3023", "the tokens of a model are no batch",
                             expected="integers [batch, length]",
                             got=f"{dtypes.name_of(tokens.dtype)} {list(tokens.shape)}",
                             hint="one row of them is tokens[None]" if tokens.ndim == 1 else None)
        if most is not None and tokens.shape[1] > most:
            raise ShapeError("TS3023", f"{tokens.shape[1]} tokens are more than the model's positions",
                             expected=f"at most {most}")
        return tokens

    def decode(self, tokens: Any, cache: KVCache, at: Any = None) -> tuple[Any, KVCache]:
        """Logits of tokens that follow those of the cache, and the cache with them.

        Args:
            at: the number of the token whose logits alone are wanted, [batch, vocabulary].
        """
        def step(block: Module, x: Any, given: tuple) -> tuple[Any, tuple]:
            x, after = block(x, cache=KVCache(*given, cache.length))
            return x, (after.keys, after.values)

        tokens = self.tokens_of(tokens)
        check_room(cache, tokens.shape[1])
        x = self.embed(tokens, creation.arange(tokens.shape[1]) + cache.length)
        x, (keys, values) = self.blocks.scan(step, x, (cache.keys, cache.values))
        x = x if at is None else lookups.dynamic_index_in_dim(x, at, 1, keepdims=False)
        return self.head(x), KVCache(keys, values, cache.length + tokens.shape[1])

    @property
    def most_of_table(self) -> int | None:
        """Positions that the model has weights for; None if it computes with any."""
        return None

    def logits(self, norm: Module, table: Linear | Embedding, x: Any) -> Any:
        """The products of the normalised `x` with the rows of a table, the head's or the embedding's."""
        def of_rows(norm: Module, table: Linear | Embedding, x: Any) -> Any:
            return table(norm(x)) if isinstance(table, Linear) else table.attend(norm(x))

        return apply_layer(self.parallel, of_rows, norm, table, x)

    def watched(self, tokens: Any, look: Callable[[Any], Any], *, positions: Any = None, segments: Any = None
                ) -> tuple[Any, Any, Any]:
        """What `look` gives of the embedding's result, of each layer's, stacked, and of the logits."""
        def step(block: Module, x: Any, _: Any) -> tuple[Any, Any]:
            after = block(x, **given)
            after = after[0] if isinstance(after, tuple) else after
            return after, look(after)

        tokens = self.tokens_of(tokens, self.most_of_table if positions is None else None)
        positions = creation.arange(tokens.shape[1]) if positions is None else positions
        x, given = self.embed(tokens, positions), self.settings(positions, segments)
        first = look(x)
        x, each = self.blocks.scan(step, x)
        return first, each, look(self.head(x))

    def empty_cache(self, batch: int, positions: int) -> KVCache:
        """A cache for so many positions, of all layers; parallel.tp splits its heads, if it divides them."""
        if self.most_of_table is not None and positions > self.most_of_table:
            raise ShapeError("TS3023", f"a cache of {positions} positions is longer than the model's table",
                             expected=f"at most {self.most_of_table}")
        shape = (len(self.blocks), batch, positions, self.config.key_heads, self.config.head_size)
        dtype, tp = self.parameters()[0].dtype, self.parallel.tp

        def empty() -> Any:
            zeros = creation.zeros(shape, dtype)
            parts = zeros.program.mesh.shape.get(tp, 1)
            return zeros if shape[3] % parts else constrained(zeros, [None, None, None, tp, None])

        return KVCache(empty(), empty(), creation.zeros((), dtypes.i32))

    def generate(self, tokens: Any, max_new_tokens: int, *, temperature: float = 0.0,
                 top_k: int | None = None, top_p: float | None = None, stop: Sequence[int] | int = (),
                 key: Any = None, mesh: Mesh | None = None,
                 on_token: Callable[[np.ndarray], Any] | None = None) -> np.ndarray:
        """Tokens [batch, length + new ones] that follow a prompt [batch, length].

        The cache is updated in place. Prompts and caches have sizes that are powers of two, so that few
        programs are compiled, whatever the lengths.

        Args:
            tokens: the prompt, integers; a list of numbers is a batch of one.
            max_new_tokens: the most that are added.
            temperature: 0 takes the most likely token; else logits are divided by it, and one is drawn.
            top_k, top_p: what is drawn from; see tessera.nn.sampling.
            stop: tokens, or one, that end a row: after one, it is filled with it, and when all rows have
                ended no more are added.
            key: of the draws; ts.random.key(0) if None.
            mesh: of the devices that compute; that of the weights, if None.
            on_token: called with each new column of tokens.
        """
        try:
            prompt = np.asarray(tokens)
        except ValueError:
            raise ShapeError("TS3023", "the prompts of a batch have different lengths",
                             expected="integers [batch, length]",
                             hint="generate from each by itself, or from those of one length") from None
        prompt = prompt[None] if prompt.ndim == 1 else prompt
        if prompt.ndim != 2 or not np.issubdtype(prompt.dtype, np.integer) or 0 in prompt.shape:
            raise ShapeError("TS3023", "the prompt is no batch of tokens",
                             expected="integers [batch, length]",
                             got=f"{prompt.dtype} {list(prompt.shape)}")
        vocabulary = self.config.vocab_size
        if prompt.min() < 0 or prompt.max() >= vocabulary:
            outside = prompt.min() if prompt.min() < 0 else prompt.max()
            raise ShapeError("TS3023", f"the prompt has token {outside}", expected=f"0 to {vocabulary - 1}")
        stop = [stop] if _is_whole(stop) else stop
        for name, value, fits, expected in (
                ("max_new_tokens", max_new_tokens, _is_whole(max_new_tokens) and max_new_tokens >= 0,
                 "a whole number of at least 0"),
                ("temperature", temperature, _is_number(temperature) and temperature >= 0,
                 "a number of at least 0, which takes the most likely token"),
                ("top_k", top_k, top_k is None or (_is_whole(top_k) and top_k >= 1),
                 "a whole number of tokens, at least 1"),
                ("top_p", top_p, top_p is None or (_is_number(top_p) and 0 < top_p <= 1),
                 "a probability above 0 and at most 1"),
                ("stop", stop, isinstance(stop, Iterable) and all(map(_is_whole, stop)),
                 "a token, or a list of them")):
            if not fits:
                raise ConfigError("TS4012", f"{name}={value!r} of generate", expected=expected)
        most = self.config.most_positions
        if prompt.shape[1] + max_new_tokens > most:
            raise ShapeError("TS3023", f"{prompt.shape[1]} tokens and {max_new_tokens} new ones are more "
                             "than the model's positions", expected=f"at most {most}")
        draw = _Draw(top_k, top_p is not None, temperature > 0)
        numbers = (rng.key(0) if key is None else key, np.float32(temperature or 1),
                   np.float32(1 if top_p is None else top_p))
        columns = [prompt.astype(np.int32)]
        for column in _columns(self, columns[0], max_new_tokens, draw, numbers, stop, mesh):
            columns.append(column[:, None])
            if on_token is not None:
                on_token(column)
        return np.concatenate(columns, 1)


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or isinstance(value, (float, np.floating))


@dataclass(frozen=True)
class _Draw:
    """What a program for drawing tokens depends on."""

    top_k: int | None
    has_top_p: bool
    is_random: bool

    def __call__(self, logits: Any, number: Any, key: Any, temperature: Any, top_p: Any) -> Any:
        return choose(logits, rng.fold_in(key, number) if self.is_random else None, temperature, self.top_k,
                      top_p if self.has_top_p else None)


@functools.lru_cache(maxsize=64)
def _programs(mesh: Mesh | None, draw: _Draw) -> tuple[Callable, Callable, Callable]:
    """An empty cache; the first token after a prompt that is padded; the next one after a token."""
    def empty(model: Any, batch: int, positions: int) -> KVCache:
        return model.empty_cache(batch, positions)

    def first(model: Any, tokens: Any, length: Any, cache: KVCache, numbers: tuple) -> tuple[Any, KVCache]:
        logits, cache = model.decode(tokens, cache, at=length - 1)
        # The keys of the padding are behind the end, and are written over.
        return draw(logits, 0, *numbers), cache._replace(length=length)

    def following(model: Any, token: Any, number: Any, cache: KVCache, numbers: tuple
                  ) -> tuple[Any, KVCache]:
        logits, cache = model.decode(token[:, None], cache, at=0)
        return draw(logits, number, *numbers), cache

    return (jit(empty, mesh=mesh, static_argnames=("batch", "positions")),
            *(jit(function, mesh=mesh, donate_argnames="cache") for function in (first, following)))


def _columns(model: CausalModel, prompt: np.ndarray, count: int, draw: _Draw, numbers: tuple,
             stop: Sequence[int], mesh: Mesh | None) -> Iterator[np.ndarray]:
    """The new tokens of all rows, one position after the other."""
    batch, length = prompt.shape
    layout = getattr(model.parameters()[0], "sharding", None)
    empty, first, following = _programs(mesh or getattr(layout, "mesh", None) or current_mesh(), draw)
    most = model.config.most_positions
    padded = np.zeros((batch, min(_bucket(length), most)), np.int32)
    padded[:, :length] = prompt
    cache = empty(model, batch, max(padded.shape[1], min(_bucket(length + count), most)))
    ended, column = np.zeros(batch, bool), prompt[:, -1]
    for i in range(count):
        if i == 0:
            token, cache = first(model, padded, np.int32(length), cache, numbers)
        else:
            token, cache = following(model, column, np.int32(i), cache, numbers)
        column = np.where(ended, column, np.asarray(token))
        yield column
        ended = ended | np.isin(column, list(stop))
        if ended.all():
            return


def _bucket(size: int) -> int:
    """The power of two that a prompt or a cache of this size has."""
    return max(_SMALLEST_BUCKET, 1 << (size - 1).bit_length())
