# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fields of Hugging Face's config.json beside those of our configurations: accepted, refused, or kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tessera._src.core.errors import ConfigError, did_you_mean
from tessera._src.models.configuration import read_json

# What any model's config.json may have, and what computes nothing, such as settings of generation.
_COMMON = frozenset("""
    _attn_implementation _name_or_path architectures attn_implementation auto_map chunk_size_feed_forward
    cross_attention_hidden_size dtype finetuning_task id2label is_decoder label2id model_type num_labels
    output_attentions output_hidden_states prefix problem_type pruned_heads return_dict
    task_specific_params tie_encoder_decoder tokenizer_class torch_dtype torchscript transformers_version
    use_bfloat16 use_cache
    bos_token_id cls_token_id decoder_start_token_id eos_token_id pad_token_id sep_token_id
    bad_words_ids begin_suppress_tokens diversity_penalty do_sample early_stopping
    encoder_no_repeat_ngram_size exponential_decay_length_penalty forced_bos_token_id
    forced_eos_token_id length_penalty max_length max_new_tokens min_length no_repeat_ngram_size
    num_beam_groups num_beams num_return_sequences output_scores remove_invalid_values
    repetition_penalty return_dict_in_generate suppress_tokens temperature top_k top_p typical_p
""".split())
# Those that change what any model computes, by the values at which it is what ours compute.
_FIXED: dict[str, tuple] = {
    "add_cross_attention": (False, None), "is_causal": (True, None), "is_encoder_decoder": (False, None),
    "partial_rotary_factor": (1, None), "quantization_config": (None,),
    "use_bidirectional_attention": (False, None),
}
# Of a folder that is written, these are made anew.
_NOT_KEPT = frozenset(("auto_map", "dtype", "layer_types", "max_window_layers", "quantization_config",
                       "rope_parameters", "rope_scaling", "torch_dtype", "use_sliding_window"))
_GENERATION = "generation_config.json"


def check_others(cls: type, data: Any, where: str, *, is_file: bool, free: Iterable[str] = (),
                 fixed: Mapping[str, tuple] | None = None) -> None:
    """Raises for fields that are none of a configuration's and change what its model computes.

    Args:
        cls: the configuration's class.
        is_file: whether the data are of a file, which may have fields that nobody knows.
        free: further names of Hugging Face's configuration of this model, which change nothing.
        fixed: further names that do, by the values at which the model computes what ours does.

    Raises:
        ConfigError: TS4008 for a name that is not known, or a value that stands for another model.
    """
    if not isinstance(data, Mapping):
        return
    own = [f.name for f in dataclasses.fields(cls)]
    wanted = {**_FIXED, **(fixed or {})}
    known = {*own, *_COMMON, *wanted, *free}
    for name, value in data.items():
        if name not in known and not is_file:
            raise ConfigError("TS4008", f"{where} has '{name}', which is no field of {cls.__name__}",
                              choices=own, hint=did_you_mean(str(name), sorted(known)))
        if name in wanted and name not in own and value not in wanted[name]:
            raise ConfigError("TS4008", f"{where} has {name} = {value!r}", expected=repr(wanted[name][0]),
                              hint=f"ts.models.{cls.__name__.removesuffix('Config')} computes nothing else")


@dataclass(frozen=True, eq=False, repr=False)
class KeptFields:
    """What the files of a folder say beside what a model computes, such as the token that ends a text.

    All are equal: models that differ in these alone are of one structure, and are one to a compiled function.

    Attributes:
        config: of config.json.
        generation: of generation_config.json; None where there is none.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    generation: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, data: Any, config: type, directory: Path | None = None) -> KeptFields:
        """Those of the contents of a config.json, and of the files beside it.

        Args:
            config: the class of the model's configuration, whose fields the model itself has.
        """
        own = {f.name for f in dataclasses.fields(config)}
        path = None if directory is None else directory / _GENERATION
        generation = read_json(path) if path is not None and path.exists() else None
        return cls({name: value for name, value in data.items() if name not in own | _NOT_KEPT},
                   generation if isinstance(generation, Mapping) else None)

    def files(self) -> dict[str, Mapping[str, Any]]:
        """What is written beside config.json, by the files' names."""
        return {} if self.generation is None else {_GENERATION: self.generation}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeptFields)

    def __hash__(self) -> int:
        return hash(KeptFields)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(['config.json', *self.files()])})"
