# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""An encoder of which only the query and the first MLP weight are annotated is split as Megatron-LM's.

Programs are written as text, so that head counts and sizes may be uneven over the mesh.
"""

import re
from dataclasses import dataclass, field

import pytest

pytestmark = pytest.mark.quick

SHARDING = ("--tessera-propagate-layouts", "--tessera-insert-reshards", "--canonicalize", "--cse",
            "--tessera-partition", "--canonicalize", "--cse", "--dist-simplify-collectives")
COLLECTIVES = ("all_reduce", "all_gather", "all_slice", "reduce_scatter", "all_to_all", "permute")


@dataclass
class EncoderText:
    """Builds `layers` post-norm encoder layers; heads are a dimension of the weights."""

    layers: int
    mesh: dict[str, int]
    heads: int = 4
    columns: int = 10
    batch: int = 4
    length: int = 3
    head_size: int = 2
    arguments: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def type_of(self, shape, layout=""):
        sizes = "x".join(map(str, (*shape, "f32")))
        return f"!tessera.mesh_tensor<{sizes}, @mesh{', ' + layout if layout else ''}>"

    def argument(self, name, shape, layout=""):
        number = len(self.arguments)
        kind = self.type_of(shape, layout)
        self.arguments.append(f'%a{number}: {kind} {{tessera.name = "{name}"}}')
        return f"%a{number}", shape, kind

    def op(self, text, shape, *operands):
        kind = self.type_of(shape)
        name = f"%{len(self.lines)}"
        names, types = (", ".join(o[i] for o in operands) for i in (0, 2))
        self.lines.append(f"{name} = tessera.{text.format(names)} : {types} -> {kind}")
        return name, shape, kind

    def elementwise(self, op, x, y):
        return self.op_of_list(f"{op} {x[0]}, {y[0]}", x[1], x, y)

    def op_of_list(self, text, shape, *operands):
        kind = self.type_of(shape)
        name = f"%{len(self.lines)}"
        self.lines.append(f"{name} = tessera.{text} : ({', '.join(o[2] for o in operands)}) -> {kind}")
        return name, shape, kind

    def affine(self, x, name, spec, weight, shape, bias, layout=""):
        w = self.argument(f"{name}", weight, layout)
        y = self.op(f'contract {{}} "{spec}"', shape, x, w)
        b = self.argument(f"{name}_bias", bias)
        dims = list(range(len(shape) - len(bias), len(shape)))
        return self.elementwise("add", y, self.op(f"broadcast {{}} dims {dims}", shape, b))

    def norm(self, x, name):
        size = x[1][-1:]
        scale, bias = self.argument(f"{name}_scale", size), self.argument(f"{name}_bias", size)
        return self.op("layer_norm {} epsilon 1.0e-5", x[1], x, scale, bias)

    def layer(self, x, i):
        b, s, n, d, f = self.batch, self.length, self.heads, self.head_size, self.columns
        h = n * d
        heads = [self.affine(x, f"l{i}_w{which}", "bsh,hnd->bsnd", (h, n, d), (b, s, n, d), (n, d),
                             "[{}, {tp}, {}]" if which == "q" else "") for which in "qkv"]
        attended = self.op("attention {} scale 0.5", (b, s, n, d), *heads)
        out = self.affine(attended, f"l{i}_wo", "bsnd,ndh->bsh", (n, d, h), (b, s, h), (h,))
        x = self.norm(self.elementwise("add", x, out), f"l{i}_n1")
        up = self.affine(x, f"l{i}_w1", "bsh,hf->bsf", (h, f), (b, s, f), (f,), "[{}, {tp}]")
        up = self.op("gelu {} approximation none", up[1], up)
        down = self.affine(up, f"l{i}_w2", "bsf,fh->bsh", (f, h), (b, s, h), (h,))
        return self.norm(self.elementwise("add", x, down), f"l{i}_n2")

    def text(self):
        layout = "[{dp}, {?}, {?}]" if "dp" in self.mesh else ""
        x = self.argument("x", (self.batch, self.length, self.heads * self.head_size), layout)
        for i in range(self.layers):
            x = self.layer(x, i)
        axes = ", ".join(f"{name} = {size}" for name, size in self.mesh.items())
        return "\n".join([
            f"dist.mesh @mesh <[{axes}]>",
            f"func.func @main({', '.join(self.arguments)}) -> {x[2]} {{",
            *self.lines, f"return {x[0]} : {x[2]}", "}",
        ])


def rows(local):
    """Every collective of a program: (kind, axes, bytes, origins)."""
    found = re.findall(r"dist\.(\w+) (?:sum )?%\S+ over @mesh \{(.*?)\} "
                       r"\{why = #dist\.why<rule = .*?origins = \[(.*?)\], bytes = (\d+)", local)
    assert len(found) == sum(local.count(f"dist.{kind} ") for kind in COLLECTIVES), local
    return [(kind, axes, int(size), origins) for kind, axes, origins, size in found]


@pytest.mark.parametrize("mesh", [{"tp": 2}, {"tp": 4}, {"dp": 2, "tp": 2}, {"tp": 4, "dp": 2}])
@pytest.mark.parametrize("heads, columns", [(4, 16), (6, 10), (3, 7)])
def test_six_layers_have_two_all_reduces_each_of_the_fewest_bytes(opt, mesh, heads, columns):
    program = EncoderText(6, mesh, heads, columns)
    found = rows(opt(program.text(), *SHARDING))
    assert [row[:2] for row in found] == [("all_reduce", "tp")] * 12
    tp, dp = mesh["tp"], mesh.get("dp", 1)
    activation = program.batch // dp * program.length * heads * program.head_size * 4
    assert {row[2] for row in found} == {2 * activation * (tp - 1) // tp}


@pytest.mark.parametrize("mesh", [{"tp": 4}, {"dp": 2, "tp": 2}])
def test_every_all_reduce_names_the_annotation_it_comes_from(opt, mesh):
    found = rows(opt(EncoderText(6, mesh, 6).text(), *SHARDING))
    wanted = [f"annotated: dimension 1 of argument 'l{i}_{w}' is split by 'tp'"
              for i in range(6) for w in ("wq", "w1")]
    for row, annotation in zip(found, wanted, strict=True):
        assert annotation in row[3]
        # Of this layer's weight only, and of no other axis than the one that is summed over.
        assert set(re.findall(r"annotated: [^\"]*", row[3])) == {annotation}


@pytest.mark.parametrize("mesh", [{"tp": 2}, {"tp": 4}, {"dp": 2, "tp": 2}])
@pytest.mark.parametrize("heads, columns", [(4, 8), (3, 7)])
def test_the_split_encoder_computes_what_the_whole_one_does(opt, mesh, heads, columns):
    text = EncoderText(2, mesh, heads, columns).text()
    pipeline = ",".join(p[2:] for p in SHARDING)
    opt(text, f"--tessera-check-equivalence=pipeline={pipeline}")
