# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""An artefact is called as the function that it was made of."""

import numpy as np
import pytest
from conftest import needs_runtime
from refusals import check

import tessera as ts

X = np.arange(6, dtype=np.float32).reshape(2, 3)
PARAMS = {"w": X + 1, "b": np.ones(3, np.float32)}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    path = tmp_path_factory.mktemp("artefact") / "f.tsa"
    function = ts.jit(lambda params, x, scale: (x * params["w"] * scale, params["b"]))
    function.lower(PARAMS, X, 2.0).compile().save(path)
    return ts.load_artefact(path)


@needs_runtime
def test_trees_names_and_single_leaves_are_taken(loaded):
    want = X * PARAMS["w"] * 2
    for args, kwargs in [((PARAMS, X, 2.0), {}), ((PARAMS["b"], PARAMS["w"], X, np.float32(2)), {}),
                         ((PARAMS,), {"x": X, "scale": 2}), ((X, 2.0), {"params": PARAMS}),
                         ((), {"scale": ts.array(2.0), "params": PARAMS, "x": ts.array(X)})]:
        got = loaded(*args, **kwargs)
        assert isinstance(got, tuple) and len(got) == 2
        np.testing.assert_array_equal(got[0], want)
        np.testing.assert_array_equal(got[1], PARAMS["b"])


@needs_runtime
@pytest.mark.parametrize("args, kwargs, fragments", [
    ((PARAMS, X), {}, ["wrong number of inputs", "4: params.b: f32[3], params.w: f32[2, 3], x: f32[2, 3], "
                       "scale: f32[]", "got: 3, in ({'b': array, 'w': array}, array)"]),
    ((PARAMS, X, 2.0), {"scael": 1.0}, ["no input 'scael'", "did you mean 'scale'?"]),
    (({"b": X, "v": X}, X, 2.0), {}, ["argument 0 has 'v' for input 'params.w'"]),
    ((PARAMS, X.astype(np.float64), 2.0), {}, ["input 'x' does not fit", "f32[2, 3]", "f64[2, 3]"]),
    ((PARAMS, X.T.copy(), 2.0), {}, ["input 'x' does not fit", "f32[3, 2]"]),
])
def test_what_does_not_fit_is_named(loaded, args, kwargs, fragments):
    with pytest.raises(ts.ConfigError) as caught:
        loaded(*args, **kwargs)
    check(caught, "TS4005", *fragments)
