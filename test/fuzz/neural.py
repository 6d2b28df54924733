# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Steps of the generator that make softmax, norms, losses and attention."""

from __future__ import annotations

from random_program import INTEGERS, Trust, Value


class NeuralSteps:
    """A part of Generator."""

    def softmax(self) -> None:
        x = self.pick_wide(1)
        self.emit(f"softmax <0> dim {self.rng.randrange(len(x.shape))} : <t0>", x.shape, x.element, x,
                  trust=Trust.SUMMED)  # fmt: skip

    def layer_norm(self) -> None:
        x = self.pick_wide(1)
        scale, bias = (self.like(x.shape[-1:], x.element) for _ in range(2))
        self.emit("layer_norm <0>, <1>, <2> epsilon 1.0e-1 : <t0>, <t1>, <t2>", x.shape, x.element,
                  x, scale, bias, trust=Trust.SUMMED)  # fmt: skip

    def rms_norm(self) -> None:
        x = self.pick_wide(1)
        scale = self.like(x.shape[-1:], x.element)
        self.emit("rms_norm <0>, <1> epsilon 1.0e-1 : <t0>, <t1>", x.shape, x.element, x, scale,
                  trust=Trust.SUMMED)  # fmt: skip

    def logsumexp(self) -> None:
        x = self.pick_wide(1)
        dim = self.rng.randrange(len(x.shape))
        self.totals(f"logsumexp <0> dim {dim} : <t0>", x.shape[:dim] + x.shape[dim + 1 :], x)

    def totals(self, text: str, shape: tuple[int, ...], *operands: Value) -> None:
        """An op whose results are wide, and these in the type of the first operand."""
        element = operands[0].element
        wide = "f64" if element == "f64" else "f32"
        value = self.emit(text, shape, wide, *operands, trust=Trust.SUMMED)
        if element != wide:
            self.values.remove(value)
            self.emit("convert <0> : <t0>", shape, element, value)

    def cross_entropy(self) -> None:
        x = self.pick_wide(1)
        if x.shape[-1] == 1:
            return  # The loss is zero, and what is computed the rounding of that.
        rows, element = x.shape[:-1], self.rng.choice(INTEGERS)
        labels = self.like(rows, element)
        # Another label is no class: NaN would spread.
        for op, bound in (("max", 0), ("min", x.shape[-1] - 1)):
            labels = self.elementwise(op, labels, self.splat(rows, element, bound))
        smoothing, z_loss = self.rng.choice(["0.0", "0.1", "1.0"]), self.rng.choice(["0.0", "0.1"])
        options = f"smoothing {smoothing} z_loss {z_loss}"
        if self.rng.random() < 0.5:
            options += f" ignore {self.rng.randint(-1, x.shape[-1] - 1)}"
        self.totals(f"cross_entropy <0>, <1> {options} : <t0>, <t1>", rows, x, labels)

    def norm_tangent(self) -> None:
        x = self.pick_wide(1)
        d = self.like(x.shape, x.element)
        made = self.emit(f"norm_tangent <0> at <1> epsilon 1.0e-1{self.rng.choice(['', ' centred'])} : "
                         "<t0>, <t1>", x.shape, x.element, d, x, trust=Trust.SUMMED)  # fmt: skip
        # Where d is constant, or rows are summed, it is zero, and what is computed the rounding of that.
        self.values.remove(made)
        self.elementwise("add", made, self.like(x.shape, x.element), trust=Trust.SUMMED)

    def attention(self) -> None:
        while True:
            b, s, t, k, g, d, e = (self.rng.choice(self.sizes[:5]) for _ in range(7))
            # What the emulated device multiplies in a second or two.
            if b * s * t * k * g * (d + e) <= 20 * self.elements:
                break
        q, key = self.like((b, s, k * g, d), self.wide), self.like((b, t, k, d), self.wide)
        value = (b, t, k, e)
        operands = [q, key, self.term(value, self.wide, "sum") if self.rng.random() < 0.2 else
                    self.like(value, self.wide)]  # fmt: skip
        text = "attention <0>, <1>, <2>"
        if self.rng.random() < 0.5:
            sizes = [n if self.rng.random() < 0.5 else 1 for n in (b, k * g, s)]
            operands.append(self.like((*sizes, t), self.wide))
            text += " bias <3>"
        text += " scale 0.5" + (" causal" if self.rng.random() < 0.4 else "")
        types = ", ".join(f"<t{i}>" for i in range(len(operands)))
        self.emit(f"{text} : {types}", (b, s, k * g, e), self.wide, *operands, trust=Trust.SUMMED)
        self.attention_gradient(operands, text.partition(" scale ")[2])

    def attention_gradient(self, operands: list[Value], scale: str) -> None:
        """A gradient of the attention on `operands`: query, key, value and perhaps a bias."""
        (b, s, h, _), e = operands[0].shape, operands[2].shape[3]
        (q, key, _), bias = operands[:3], operands[3:]
        # Attention takes partial values, which this would make whole for both.
        value = self.argument(operands[2].shape, self.wide)
        given, wide = [q, key, *bias], "f64" if self.wide == "f64" else "f32"
        text = "attention_logsumexp <0>, <1>" + (" bias <2>" if bias else "") + f" scale {scale}"
        types = ", ".join(f"<t{i}>" for i in range(len(given)))
        sums = self.emit(f"{text} : {types}", (b, h, s), wide, *given, trust=Trust.SUMMED)
        # -inf in rows without a visible key: for the gradient alone.
        self.values.remove(sums)
        of, like = self.rng.choice([("query", q), ("key", key), ("value", value)])
        given = [q, key, value, sums, self.like((b, h, s), wide), self.like((b, s, h, e), self.wide),
                 *bias]
        text = ", ".join(f"<{i}>" for i in range(6)) + (" bias <6>" if bias else "") + f" scale {scale}"
        types = ", ".join(f"<t{i}>" for i in range(len(given)))
        sums = self.emit(f"attention_gradient of {of} {text} : {types}", like.shape, wide, *given,
                         trust=Trust.SUMMED)
        if wide != self.wide:
            self.emit("convert <0> : <t0>", sums.shape, self.wide, sums)
