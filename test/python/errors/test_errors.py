# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bad input gets a clear error at the user's line, with the values and the valid choices."""

import numpy as np
import pytest

import tessera as ts
from refusals import check
from tessera.models.encoder import EncoderConfig, check_config

X = np.ones((2, 3), np.float32)


def lower(function, *args, **options):
    return ts.jit(function, **options).lower(*args)


def test_named_dimensions_that_do_not_unify_name_both():
    def f(x: ts.MeshTensor["B", "D"], w: ts.MeshTensor["D", "H"]):
        return x @ w

    with pytest.raises(ts.ShapeError) as caught:
        lower(f, X, np.ones((4, 5), np.float32))
    check(caught, "TS3004", "'D' does not unify", "3 (dimension 1 of argument 'x')",
          "4 (dimension 0 of argument 'w')")


def test_result_annotation_is_checked_too():
    def f(x: ts.MeshTensor["B", "D"]) -> ts.MeshTensor["D", "B"]:
        return x

    with pytest.raises(ts.ShapeError) as caught:
        lower(f, X)
    check(caught, "TS3004", "the result")


def test_annotated_rank_and_dtype():
    def f(x: ts.MeshTensor["B"]):
        return x

    def g(x: ts.MeshTensor["B", "D", ts.bf16]):
        return x

    with pytest.raises(ts.ShapeError) as caught:
        lower(f, X)
    check(caught, "TS3002")
    with pytest.raises(ts.ShapeError) as caught:
        lower(g, X)
    check(caught, "TS3003", "bf16", "f32")


def test_heads_that_do_not_divide_list_what_does():
    config = EncoderConfig(384, 1536, 12, 6, 100)
    with pytest.raises(ts.ConfigError) as caught:
        check_config(config, ts.make_mesh({"tp": 8}))
    check(caught, "TS4001", "num_heads=12", "'tp'=8", "1, 2, 3, 4, 6, 12")


def python_if(x):
    if x.sum() > 0:
        return x
    return -x


@pytest.mark.parametrize(
    "function, said",
    [
        (python_if, "ts.where"),
        (lambda x: x * int(x[0, 0]), "int()"),
        (lambda x: x * float(x[0, 0]), "float()"),
        (lambda x: np.asarray(x), "NumPy array"),
        (lambda x: np.array([x, x]), "NumPy array"),
        (lambda x: x.item(), ".item()"),
        (lambda x: x.tolist(), ".tolist()"),
        (lambda x: x.numpy(), ".numpy()"),
        (lambda x: f"{x:.3f}", "formatting by '.3f'"),
        (lambda x: max(x, x + 1), "ts.where"),
        (lambda x: [1, 2, 3][x[0, 0]], "index"),
        (lambda x: x.reshape(x[0, 0], 3), "index or a size"),
        (lambda x: x and x, "ts.where"),
    ],
)
def test_data_dependent_python_is_refused(function, said):
    with pytest.raises(ts.TraceError) as caught:
        lower(function, X)
    check(caught, "TS1009", said)


@pytest.mark.parametrize(
    "function, code",
    [
        (lambda x: x + np.ones(2, np.float32), "TS3006"),
        (lambda x: x.reshape(4, -1), "TS3007"),
        (lambda x: x.reshape(5), "TS3007"),
        (lambda x: x.sum(2), "TS3005"),
        (lambda x: x.sum((0, 0)), "TS3005"),
        (lambda x: ts.concatenate([x, x.T]), "TS3009"),
        (lambda x: ts.split(x, 2, 1), "TS3010"),
        (lambda x: ts.pad(x, -1), "TS3011"),
        (lambda x: x[0, 0, 0], "TS3012"),
        (lambda x: ts.einsum("ij,jk->ik", x, x), "TS3014"),
        (lambda x: ts.einsum("ij", x, x), "TS3014"),
        (lambda x: ts.layer_norm(x, x), "TS3017"),
        (lambda x: ts.attention(x, x, x), "TS3018"),
        (lambda x: x[..., ...], "TS1018"),
        (lambda x: x.__setitem__(0, 1), "TS1026"),
        (lambda x: x.summ(), "TS1027"),
        (lambda x: np.sum(x), "TS1028"),
        (lambda x: np.add.reduce(x), "TS1028"),
        (lambda x: np.sqrt(x, dtype=np.float32), "TS1028"),
        (lambda x: np.spacing(x), "TS1028"),
        (lambda x: ts.pad(x, 1, "edge"), "TS1029"),
        (lambda x: ts.pad(x, 1, constant_values=x[0, 0]), "TS1029"),
        (lambda x: ts.pad(x, 1, constant_values=1e300), "TS1013"),
        (lambda x: ts.pad(x.astype(ts.i32), 1, constant_values=float("nan")), "TS1013"),
        (lambda x: x << 1, "TS1030"),
        (lambda x: (x > 0) - (x < 0), "TS1031"),
        (lambda x: ts.tril(x[0]), "TS3021"),
        (lambda x: ts.tensordot(x, x, 1), "TS3013"),
        (lambda x: x[:, 2:1], "TS3020"),
        (lambda x: x[x > 0], "TS1017"),
        (lambda x: x["a"], "TS1018"),
        (lambda x: x + np.ones(3), "TS1002"),
        (lambda x: x & 1, "TS1015"),
        (lambda x: x.astype(ts.i32) ** -1, "TS1016"),
        (lambda x: x.astype("complex64"), "TS1001"),
        (lambda x: "text", "TS1023"),
        (lambda x: x.astype(ts.i32) + (1 << 40), "TS1013"),
        (lambda x: ts.add(x, {"a": 1}), "TS1014"),
        (lambda x: ts.random.normal(x, (3,)), "TS3016"),
        (lambda x: ts.random.fold_in(ts.random.key(1), 0.5), "TS1020"),
        (lambda x: ts.repeat(x, -1, 0), "TS3022"),
        (lambda x: ts.zeros((2, -1)), "TS3022"),
        (lambda x: x.sum(x[0, 0].astype(ts.i32)), "TS1009"),
        (lambda x: ts.softmax(x, axis="last"), "TS1010"),
        (lambda x: ts.einsum(x, x), "TS1033"),
        (lambda x: ts.einsum("aa", x), "TS3014"),
        (lambda x: ts.diagonal(x, 3), "TS3020"),
        (lambda x: ts.diagonal(x, 0, 1, -1), "TS3008"),
        (lambda x: x[np.ones(3, bool)], "TS3012"),
        (lambda x: x[5], "TS3012"),
        (lambda x: x == None, "TS1014"),  # noqa: E711 (what a user writes)
        (lambda x: x + np.ones(3, np.int8), "TS1001"),
    ],
)
def test_misuse_is_refused_at_the_users_line(function, code):
    with pytest.raises(ts.TesseraError) as caught:
        lower(function, X)
    check(caught, code)


def test_leaked_values_are_refused():
    kept = []
    lower(lambda x: kept.append(x) or x, X)
    with pytest.raises(ts.TraceError) as caught:
        lower(lambda x: x + kept[0], X)
    check(caught, "TS1011")


def test_arguments_that_are_no_arrays_point_to_static_arguments():
    with pytest.raises(ts.TraceError) as caught:
        lower(lambda x, mode: x, X, "fast")
    check(caught, "TS1022", "static_argnames=('mode',)")


@pytest.mark.parametrize("use", [
    lambda masked: lower(lambda x: x, masked), lambda masked: lower(lambda x: x + masked, X),
    ts.array, ts.asarray, ts.device_put,
])
def test_masked_arrays_do_not_lose_their_masks_silently(use):
    with pytest.raises(ts.TraceError) as caught:
        use(np.ma.masked_array(X, mask=X > 2))
    check(caught, "TS1034", "is a masked array", "x.filled(value)")


@pytest.mark.parametrize("options, code", [
    ({"static_argnames": "modes"}, "TS4006"), ({"static_argnums": 7}, "TS4006"),
    ({"in_shardings": {"y": ts.P()}}, "TS4007"), ({"device": "gpu"}, "TS4003"),
    ({"target": "cuda:sm_91"}, "TS4002"), ({"in_shardings": ([ts.P()],)}, "TS4007"),
    ({"in_shardings": "tp"}, "TS4007"), ({"in_shardings": ("tp",)}, "TS4007"),
    ({"out_shardings": (ts.P(), ts.P())}, "TS4007"), ({"mesh": {"tp": 2}}, "TS4010"),
    ({"threads": -1}, "TS4010"), ({"options": {"forbid": []}}, "TS4010"),
    ({"options": {"forbidImplicit": ["allgather"]}}, "TS4010"),
    ({"options": {"forbidImplicit": "all_gather"}}, "TS4010"), ({"target": 90}, "TS4002"),
    ({"target": "cpu:<model>"}, "TS4002"), ({"device": ["cpu"]}, "TS4003"), ({"threads": "2"}, "TS4010"),
])
def test_unknown_options_list_the_valid_ones(options, code):
    with pytest.raises(ts.ConfigError) as caught:
        lower(lambda x, mode=1: x, X, **options)
    check(caught, code)


def test_unknown_stage_lists_the_stages():
    with pytest.raises(ts.ConfigError) as caught:
        lower(lambda x: x, X).as_text("locale")
    check(caught, "TS4004", "did you mean 'local'?")


def test_stages_of_other_targets_are_refused():
    for target, stage in (("cpu", "ptx"), ("cpu:x86-64-v3", "nvvm"), ("cuda:sm_80", "llvm")):
        with pytest.raises(ts.ConfigError) as caught:
            lower(lambda x: x, X, target=target).as_text(stage)
        check(caught, "TS4004", f"target '{target}' has no stage '{stage}'", "kernels")


@pytest.mark.parametrize("args, kwargs, said", [
    ((X,), {}, "missing a required argument: 'y'"), ((X, X, X), {}, "too many positional"),
    ((X, X), {"z": X}, "unexpected keyword argument 'z'"), ((X, X), {"x": X}, "multiple values"),
])
def test_calls_that_do_not_fit_the_signature(args, kwargs, said):
    def f(x: ts.MeshTensor["B", "D"], y):
        return x + y

    with pytest.raises(ts.TraceError) as caught:
        ts.jit(f)(*args, **kwargs)
    check(caught, "TS1025", said, "f(x, y)")


@pytest.mark.parametrize("dtype", ["u1", "i2", ">f4", "O", "S3"])
def test_arguments_of_unsupported_types_are_named(dtype):
    with pytest.raises(ts.TraceError) as caught:
        ts.jit(lambda x, y: x)(np.zeros((2, 3), dtype), X)
    check(caught, "TS1001", "argument 'x'", "f32", ".astype")


def test_complex_arguments_are_passed_in_two_parts():
    with pytest.raises(ts.TraceError) as caught:
        ts.jit(lambda x: x)(X.astype("c8"))
    check(caught, "TS1001", "argument 'x'", "pass x.real and x.imag as two arrays")


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(ts.TraceError) as caught:
        ts.jit(lambda n: n)(1 << 40)
    check(caught, "TS1013", "argument 'n'", "i32", "np.int64")


def test_devices_that_are_not_here_are_refused_before_compiling():
    for options, said in (({"device": "cuda"}, "no CUDA device"),
                          ({"target": "cuda:sm_80"}, "does not run what is compiled for")):
        with pytest.raises(ts.ConfigError) as caught:
            ts.jit(lambda x: x, **options)(X)
        check(caught, "TS4003", said)


def test_instances_that_are_no_trees_point_to_registering():
    class Model:
        @ts.jit
        def forward(self, x):
            return x

    with pytest.raises(ts.TraceError) as caught:
        Model().forward(X)
    check(caught, "TS1022", "'self' is a Model", "ts.tree.register_dataclass")


def _attention(x, bias):
    q = ts.ones((1, 2, 2, 4), x.dtype)
    k = ts.ones((1, 3, 2, 4), x.dtype)
    return ts.attention(q, k, k, bias)


@pytest.mark.parametrize("function, said", [
    (lambda x: x[5], ["index 5 is out of range for dimension 0 of size 2", "-2 to 1"]),
    (lambda x: np.mean(x), ["np.mean works on host arrays", "use ts.mean"]),
    (lambda x: np.spacing(x), ["np.spacing works", "there is no ts function of this name"]),
    (lambda x: np.linalg.norm(x), ["np.linalg.norm works", "there is no ts function of this name"]),
    (lambda x: np.exp(x, where=True), ["np.exp has options"]),
    (lambda x: np.add.reduce(x), ["np.add.reduce works", "use ts.add"]),
    (lambda x: __import__("math").exp(x[0, 0]), ["the module math", "ts.exp"]),
    (lambda x: x.permute(1, 0), ["no attribute 'permute'", "x.transpose"]),
    (lambda x: x.reshap(6), ["no attribute 'reshap'", "did you mean 'reshape'?"]),
    (lambda x: x.device, ["no attribute 'device'", "on no device"]),
    (lambda x: x.gelu(), ["no attribute 'gelu'", "use ts.gelu"]),
    (lambda x: x == None, ["is None"]),  # noqa: E711
    (lambda x: ts.zeros(x[0, 0].astype(ts.i32)), ["index or a size", "static_argnames"]),
    (lambda x: ts.with_sharding_constraint(x, ts.P("tp")), ["the function has no mesh"]),
    (lambda x: x + np.ones(3, np.int8), ["int8", ".astype(np.int32)"]),
    (lambda x: x + np.ones(3, np.float128), ["float128", ".astype(np.float32)"]),
    (lambda x: x + np.ones(3, np.complex64), ["complex64", "x.real and x.imag"]),
    (lambda x: x[:0], ["zero-size tensor", "use a fixed size and a mask"]),
    (lambda x: x[:, [1.0]], ["indices are integers", "got: f32", ".astype(ts.i32)"]),
    (lambda x: x[x > 0], ["got: bool", "ts.where(mask, x, 0)"]),
    (lambda x: x[::0], ["a slice has step 0", "slice(None, None, 0)"]),
    (lambda x: x[1.0:], ["bounds of a slice are integers", "got: 1.0"]),
    (lambda x: ts.nn.embedding(x[0, 0], [0]), ["table has at least one dimension", "got: ()"]),
    (lambda x: x[:, [0, 9]], ["index 9 is out of range", "size 3", "-3 to 2"]),
    (lambda x: x[np.array([-3]), 0], ["index -3 is out of range", "size 2", "-2 to 1"]),
    (lambda x: ts.take(x, [[0, 6]]), ["index 6 is out of range", "size 6"]),
    (lambda x: ts.take_along_axis(x, np.array([[3], [0]]), 1), ["index 3 is out of range", "size 3"]),
    (lambda x: ts.embedding(x, np.array([1, 2])), ["index 2 is out of range", "size 2", "0 to 1"]),
    (lambda x: ts.embedding(x, [-1]), ["index -1 is out of range", "0 to 1"]),
    (lambda x: x[[x[0, 0].astype(ts.i32), 2]], ["index 2 is out of range", "-2 to 1"]),
    (lambda x: np.ones(3)[x[0, 0].astype(ts.i32)], ["indexing one", "ts.asarray(array)[i]"]),
    (lambda x: np.ones(3)[x[0] > 0], ["indexing one", "ts.asarray(array)[i]"]),
    (lambda x: [1.0, 2.0][x[0, 0].astype(ts.i32)], ["ts.asarray(array)[i]"]),
    (lambda x: _attention(x, x > 0), ["expected: a bias of floats", "got: bool[2, 3]",
                                      "ts.where(mask, 0., -float('inf'))"]),
    (lambda x: _attention(x, True), ["expected: a bias of floats", "got: bool[]"]),
    (lambda x: _attention(x, np.ones(3, bool)), ["got: bool[3]"]),
    (lambda x: _attention(x, x.astype(ts.i32)), ["got: i32[2, 3]", ".astype(ts.f32)"]),
    (lambda x: ts.nn.Attention(4, 2, window=1).init(ts.random.key(0))(ts.ones((1, 3, 4)), bias=x > 0),
     ["expected: a bias of floats", "got: bool[2, 3]"]),
])
def test_errors_name_what_to_write_instead(function, said):
    with pytest.raises(ts.TesseraError) as caught:
        lower(function, X)
    check(caught, caught.value.code, *said)


@pytest.mark.parametrize("use", [lambda v: v + 1, lambda v: 2 * v, lambda v: -v, lambda v: v.T,
                                 lambda v: v[0], lambda v: ts.exp(v), lambda v: np.exp(v)],
                         ids=["v + 1", "2 * v", "-v", "v.T", "v[0]", "ts.exp(v)", "np.exp(v)"])
def test_leaked_values_are_named_outside_of_any_trace(use):
    kept = []
    lower(lambda x: kept.append(x) or x, X)
    with pytest.raises(ts.TraceError) as caught:
        use(kept[0])
    check(caught, "TS1011", "Tracer(f32[2, 3])", "return it from the traced function")


def test_results_of_another_type_than_annotated():
    def f(x) -> ts.MeshTensor["B", "D", ts.bf16]:
        return x

    with pytest.raises(ts.ShapeError) as caught:
        lower(f, X)
    check(caught, "TS3003", "the result has another element type", "return it as .astype(ts.bf16)")


def test_a_wanted_type_of_booleans_is_written_as_in_python():
    def annotated(x) -> ts.MeshTensor["B", "D", ts.bool_]:
        return x

    def loop(x):
        return ts.fori_loop(0, 2, lambda i, c: c.astype(ts.i32) + 1, x > 0)

    for function in (annotated, loop):
        with pytest.raises(ts.TesseraError, match=r"\.astype\(ts\.bool_\)"):
            lower(function, X)


def test_dimensions_of_any_size_need_one_to_be_lowered():
    def f(x: ts.MeshTensor["B", None]):
        return x

    with pytest.raises(ts.ShapeError) as caught:
        ts.jit(f).lower_annotated({"B": 2})
    check_code(caught, "TS3019", "dimension 1 of parameter 'x' has no size", "with a name")
    f.__annotations__ = {"x": ts.MeshTensor["B", 7, "D", "E"]}
    with pytest.raises(ts.ShapeError) as caught:
        ts.jit(f).lower_annotated({"D": 2})
    check_code(caught, "TS3019", "sizes of 'B', 'E' of parameter 'x' are unknown")


def check_code(caught, code, *fragments):
    """Of errors that point at the function's definition."""
    assert caught.value.code == code and all(f in str(caught.value) for f in fragments), caught.value


def test_structures_are_shown_as_values():
    tree_of = {"w": X, "layers": [X, (X, None)]}
    compiled = ts.jit(lambda p, x, y=None: x).lower(tree_of, X).compile()
    with pytest.raises(ts.ConfigError) as caught:
        compiled(tree_of)
    shown = "{'layers': [array, (array, None)], 'w': array}"
    check(caught, "TS4005", f"expected: ({shown}, array): p.layers.0, p.layers.1.0, p.w, x",
          f"got: ({shown})")
    with pytest.raises(ts.ConfigError) as caught:
        compiled(tree_of, x=X)
    check(caught, "TS4005", f"got: ({shown}, x=array)")


@pytest.mark.parametrize("options, said", [
    ({"static_argnums": "1"}, "static_argnums is '1'"), ({"static_argnums": 1.0}, "positions of parameters"),
    ({"static_argnums": True}, "static_argnums is True"), ({"static_argnames": 3}, "static_argnames is 3"),
    ({"static_argnames": (0,)}, "names of parameters")], ids=str)
def test_static_arguments_are_positions_and_names(options, said):
    with pytest.raises(ts.ConfigError) as caught:
        ts.jit(lambda x, n: x, **options)
    check(caught, "TS4006", said)


@pytest.mark.parametrize("value", [[1, 2], 3.0, "text", None], ids=str)
def test_what_does_not_speak_dlpack_is_refused(value):
    with pytest.raises(ts.TraceError) as caught:
        ts.from_dlpack(value)
    check(caught, "TS1014", "does not speak DLPack", "ts.array")


def test_results_that_are_no_arrays_point_at_the_function():
    def f(x):
        return {"a": x, "b": "text"}

    with pytest.raises(ts.TraceError) as caught:
        lower(f, X)
    check(caught, "TS1023", "result 'b' is a str")
    assert caught.value.location.line == f.__code__.co_firstlineno


@pytest.mark.parametrize("items", [(ts.f32, "B"), ("B", ts.f32, ts.f64), ("B", ts.P(), ts.P()), (-1,), (2.5,),
                                   (..., "B")], ids=str)
def test_malformed_annotations(items):
    with pytest.raises(ts.TraceError) as caught:
        ts.MeshTensor[items]
    check(caught, "TS1006", "expected: names, sizes or None", 'MeshTensor["B", "D", ts.f32')


def test_trees_for_annotated_tensors_are_refused():
    def f(x: ts.MeshTensor["B", "D"]):
        return x

    with pytest.raises(ts.ShapeError) as caught:
        lower(f, [X, X])
    check(caught, "TS3002", "argument 'x' is a list", "in_shardings")


@pytest.mark.parametrize("shape", [-1, (2, -1), (2.5,), ("B",), (True,)], ids=str)
def test_shapes_of_no_tensor_are_refused(shape):
    with pytest.raises(ts.ShapeError) as caught:
        ts.ShapeDtypeStruct(shape)
    check(caught, "TS3022")


def test_lists_that_are_no_arrays_are_refused():
    for value in ([[1, 2], [3]], "abc", {"a": 1}):
        with pytest.raises(ts.TraceError) as caught:
            ts.array(value)
        check(caught, caught.value.code, "valid: " if value == "abc" else "array")


def test_every_result_annotation_is_checked():
    def f(x: ts.MeshTensor["B", "D"]) -> tuple[ts.MeshTensor["B", "D"], ts.MeshTensor["D", "B"]]:
        return x, x

    with pytest.raises(ts.ShapeError) as caught:
        lower(f, X)
    check(caught, "TS3004", "result '1'")


def test_names_of_functions_outside_of_a_trace():
    for function, name in ((lambda: ts.zeros(None), "ts.zeros"),
                           (lambda: ts.nn.norm(3, "n", X, 0), "ts.nn.norm"),
                           (lambda: ts.triu(X, "k"), "ts.triu"),
                           (lambda: ts.random.normal(ts.random.key(1), None), "ts.random.normal")):
        with pytest.raises(ts.TraceError) as caught:
            function()
        check(caught, "TS1045", f"{name} does not take these arguments")
    with pytest.raises(ts.TraceError) as caught:
        ts.softmax(X, dim=1)
    check(caught, "TS1025", "ts.softmax has no parameter 'dim'", "did you mean 'axis'?")
    with pytest.raises(ts.ShapeError) as caught:
        ts.reshape(X, (7,))
    check(caught, "TS3007", "does not reshape")


def test_errors_survive_pickling():
    import pickle

    with pytest.raises(ts.ShardingError) as caught:
        ts.P("a", "a")
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.code == "TS2004" and str(again) == str(caught.value)


def test_families_share_a_base_and_fit_pythons():
    assert issubclass(ts.ShapeError, (ts.TesseraError, ValueError))
    assert issubclass(ts.TraceError, TypeError) and issubclass(ts.CompileError, RuntimeError)
