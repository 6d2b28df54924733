# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""tessera serve-metrics: the newest numbers of logs that grow."""

import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest
from command_process import tessera
from prometheus_client.parser import text_string_to_metric_families as parse

import tessera as ts
from tessera._src.monitoring.following import Follower, LogFolder


def write(path, first, last):
    log = ts.monitor.JSONLWriter(path)
    log.on_start(ts.monitor.RunInfo(path.parent, steps=50, first_step=first - 1, parameters=7))
    for step in range(first, last + 1):
        log.on_step({"event": "step", "step": step, "loss": 10.0 / step, "tokens_total": 8 * step})
    return log


@pytest.fixture
def serve():
    """serve(path, *words) -> (process, url); the process is ended with the test."""
    started = []

    def start(path, *words):
        command = [sys.executable, "-m", "tessera", "serve-metrics", str(path), "--port", "0", *words]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(child)
        line = child.stdout.readline()
        found = re.fullmatch(r"serving (.*) at (http://127\.0\.0\.1:\d+/metrics)\n", line)
        assert found, line + (child.stderr.read() if not line else "")
        return child, found[2]

    yield start
    for child in started:
        if child.poll() is None:
            child.kill()
        child.wait(timeout=20)
        child.stdout.close()
        child.stderr.close()


def values_of(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        families = list(parse(answer.read().decode()))
    return {(sample.name, sample.labels.get("run")): sample.value for f in families for sample in f.samples}


@pytest.mark.quick
def test_log_is_followed_while_it_grows(tmp_path, serve):
    path = tmp_path / "tiny" / "metrics.jsonl"
    log = write(path, 1, 3)
    child, url = serve(path)
    assert values_of(url)[("tessera_training_loss", "tiny")] == pytest.approx(10 / 3)
    log.on_step({"event": "step", "step": 4, "loss": 2.5, "tokens_total": 32})
    values = values_of(url)
    assert values[("tessera_training_loss", "tiny")] == 2.5
    assert values[("tessera_training_tokens_total", "tiny")] == 32
    assert values[("tessera_training_running", "tiny")] == 1
    log.on_end({"event": "end", "reason": "done", "step": 4})
    assert values_of(url)[("tessera_training_running", "tiny")] == 0
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=20) == 0 and child.stderr.read() == ""


def test_runs_below_a_folder_have_labels(tmp_path, serve):
    write(tmp_path / "a" / "metrics.jsonl", 1, 2)
    write(tmp_path / "b" / "inner" / "metrics.jsonl", 1, 5)
    child, url = serve(tmp_path)
    values = values_of(url)
    assert values[("tessera_training_step", "a")] == 2 and values[("tessera_training_step", "b/inner")] == 5
    write(tmp_path / "c" / "metrics.jsonl", 1, 7)  # Begins later.
    assert values_of(url)[("tessera_training_step", "c")] == 7
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=20) == 0


def test_follower_of_a_log_that_is_cut(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write(path, 1, 20)
    follower = Follower(path)
    follower.update()
    assert follower.numbers.values()["tessera_training_step"] == 20
    size = path.stat().st_size
    log = write(path, 11, 12)  # Resumed at step 10: the log is shorter now.
    follower.update()
    assert follower.numbers.values()["tessera_training_step"] == 12
    log = write(path, 6, 7)
    while path.stat().st_size < size:  # Cut, and grown beyond where it was.
        log.on_step({"event": "step", "step": 7, "loss": 0.5, "lr": 3})
    follower.update()
    assert follower.numbers.values()["tessera_training_loss"] == 0.5 and not follower.unreadable


def test_follower_reads_whole_lines_and_counts_bad_ones(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"event": "step", "step": 1}\nnonsense\n{"event": "step", "st')
    follower = Follower(path)
    follower.update()
    assert follower.numbers.values()["tessera_training_step"] == 1 and follower.unreadable == 1
    with open(path, "ab") as file:
        file.write(b'ep": 2}\n')
    follower.update()
    assert follower.numbers.values()["tessera_training_step"] == 2 and follower.unreadable == 1


def test_runs_that_go_are_forgotten(tmp_path):
    write(tmp_path / "a" / "metrics.jsonl", 1, 2)
    write(tmp_path / "b" / "metrics.jsonl", 1, 2)
    folder = LogFolder(tmp_path)
    assert set(folder.runs()) == {"a", "b"}
    (tmp_path / "a" / "metrics.jsonl").unlink()
    assert set(folder.runs()) == {"b"}


def test_what_cannot_be_served(tmp_path):
    done = tessera("serve-metrics", tmp_path / "missing")
    assert done.returncode == 1 and "[TS7009]" in done.stderr and "does not exist" in done.stderr
    done = tessera("serve-metrics", tmp_path)
    assert done.returncode == 1 and "has no metrics.jsonl" in done.stderr
    write(tmp_path / "metrics.jsonl", 1, 2)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = tessera("serve-metrics", tmp_path, "--port", taken.getsockname()[1])
    assert done.returncode == 1 and "[TS4042]" in done.stderr and "in use" in done.stderr
    assert "Traceback" not in done.stderr and "\n  at " not in done.stderr
    assert tessera("serve-metrics").returncode == 2
