# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""tessera.demo.train removes nothing but an earlier run of its own."""

import pytest

import tessera as ts
from tessera.demo import train


def test_a_fresh_start_keeps_what_is_not_a_run(tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.yaml").write_text("{}")
    assert train.main(["--folder", str(tmp_path), "--fresh", "train.batch=7"]) == 1
    assert "train.batch" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").exists() and (tmp_path / "run/config.yaml").exists()
    (tmp_path / "run/notes.md").write_text("mine")
    assert train.main(["--folder", str(tmp_path), "--fresh"]) == 1
    assert "it has 'notes.md', which no training wrote" in capsys.readouterr().err
    assert (tmp_path / "run/config.yaml").exists()


def test_a_run_is_removed(tmp_path):
    for name in ("step-00000004", ".step-00000008.0123456789ab.tmp"):
        (tmp_path / name).mkdir()
    for name in ("config.yaml", "loss.png", "metrics.jsonl", "metrics.jsonl.cut", ".lock", ".training.lock"):
        (tmp_path / name).write_text("")
    train.remove_run(tmp_path)
    assert not tmp_path.exists()
    train.remove_run(tmp_path)
    tmp_path.mkdir()
    (tmp_path / "folder").mkdir()
    with pytest.raises(ts.ConfigError, match="'folder', which no training wrote"):
        train.remove_run(tmp_path)
