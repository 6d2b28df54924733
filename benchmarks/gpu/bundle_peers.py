# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What Tessera's times are held against: PyTorch, on the same data and GPU."""

from __future__ import annotations

import time

import numpy as np

from bundle_runtime import median_ms


class Peers:
    """PyTorch on the same data; `why` says why it is not used.

    Beside the emulator and the null device it computes on the CPU, to rehearse.
    """

    def __init__(self, device: str):
        self.torch, self.why = None, ""
        try:
            import torch
        except ImportError as error:
            self.why = f"PyTorch is not installed: {error}"
            return
        if device == "cuda" and not torch.cuda.is_available():
            self.why = "PyTorch sees no GPU"
            return
        self.place = "cuda" if device == "cuda" else "cpu"
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        self.torch = torch

    def tensor(self, array: np.ndarray, dtype: str):
        torch = self.torch
        if dtype == "bfloat16":
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16).to(self.place)
        return torch.from_numpy(array).to(self.place)

    def function(self, name: str):
        F = self.torch.nn.functional
        return {
            "matmul_nt": lambda x, y: x @ y.T,
            "linear_gelu": lambda x, w, b: F.gelu(F.linear(x, w, b)),
            "attention": lambda q, k, v: F.scaled_dot_product_attention(
                *(t.transpose(1, 2) for t in (q, k, v))).transpose(1, 2),
            "layer_norm": lambda x, w, b: F.layer_norm(x, x.shape[-1:], w, b),
            "softmax": lambda x: self.torch.softmax(x, -1),
            "add": lambda x, y: x + y,
            "transpose": lambda x: (x.T * 1.5).contiguous(),
            "sum_columns": lambda x: x.sum(0),
        }[name]

    def wait(self) -> None:
        if self.place == "cuda":
            self.torch.cuda.synchronize()

    def time(self, function, repeats: int) -> float:
        """Wall time of a call and the wait for it, as the runtime's own times are."""
        for _ in range(3):
            function()
        self.wait()
        seconds = []
        for _ in range(repeats):
            begin = time.perf_counter()
            function()
            self.wait()
            seconds.append(time.perf_counter() - begin)
        return median_ms(seconds)

    def encoder(self, model: dict):
        """A model of the same sizes by transformers, with random weights."""
        import transformers

        torch = self.torch
        config = transformers.BertConfig(
            vocab_size=model["vocab_size"], hidden_size=model["hidden_size"],
            intermediate_size=model["intermediate_size"],
            num_attention_heads=model["num_attention_heads"],
            num_hidden_layers=model["num_hidden_layers"])
        bert = transformers.BertModel(config, add_pooling_layer=False).eval().to(self.place)
        if model["dtype"] != "float32":
            bert = bert.to(getattr(torch, model["dtype"]))
        shape = (model["batch"], model["length"])
        ids = torch.randint(0, model["vocab_size"], shape, device=self.place)
        mask = torch.ones(shape, dtype=torch.long, device=self.place)

        def forward():
            hidden = bert(input_ids=ids, attention_mask=mask).last_hidden_state
            return torch.nn.functional.normalize(hidden.mean(1), dim=1)

        return forward
