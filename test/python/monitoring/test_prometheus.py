# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Numbers for Prometheus, as its own parser reads them over HTTP."""

import math
import re
import socket
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from refusals import check
from runs import END, play, run_info, step_record

import tessera as ts


def scrape(port, accept=None):
    url = f"http://127.0.0.1:{port}/metrics"
    request = urllib.request.Request(url, headers={"Accept": accept} if accept else {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode(), answer.headers["Content-Type"]


def values_of(text):
    return {sample.name: sample.value for family in parse(text) for sample in family.samples}


@pytest.fixture
def exporter(tmp_path):
    made = ts.monitor.PrometheusExporter(0)
    made.on_start(run_info(tmp_path))
    yield made
    made.on_end(END)


@pytest.mark.quick
def test_numbers_are_scraped(exporter):
    exporter.on_step(step_record(3, skipped=1, loss_scale=1024.0))
    exporter.on_event({"event": "evaluation", "step": 3, "loss": 2.5, "perplexity": math.exp(2.5)})
    exporter.on_event({"event": "save", "step": 3, "folder": "f", "seconds": 0.5, "bytes": 4096})
    text, content_type = scrape(exporter.port)
    assert content_type.startswith("text/plain")
    families = {family.name: family for family in parse(text)}
    values = values_of(text)
    expected = {"loss": 7 / 3, "gradient_norm": 4.5, "learning_rate": 1e-3 / 3, "tokens_total": 288,
                "tokens_per_second": 384, "step_duration_seconds": 0.25, "data_wait_seconds": 0.01,
                "model_flops_utilization_ratio": 0.0288, "skipped_steps_total": 1, "loss_scale": 1024,
                "step": 3, "planned_steps": 20, "parameters": 1_234_567, "devices": 2, "running": 1,
                "evaluation_loss": 2.5, "saved_step": 3, "saved_bytes": 4096, "save_duration_seconds": 0.5,
                "peak_flops_per_second": 1e11, "flops_per_token": 7.5e6, "epoch": 0}
    for name, value in expected.items():
        assert values[f"tessera_training_{name}"] == pytest.approx(value), name
    assert all(family.documentation and family.name.startswith("tessera_") for family in families.values())
    assert families["tessera_training_tokens"].type == "counter"
    assert families["tessera_training_loss"].type == "gauge"


def test_what_is_exported_is_what_is_documented(exporter):
    exporter.on_step(step_record(1, loss_scale=2.0))
    exporter.on_event({"event": "evaluation", "step": 1, "loss": 2.5, "perplexity": 3.0})
    exporter.on_event({"event": "save", "step": 1, "folder": "f", "seconds": 0.5, "bytes": 4096})
    names = set(values_of(scrape(exporter.port)[0]))
    assert names == {metric.name for metric in ts.monitor.METRICS} | {"tessera_training_running"}
    for name in names:  # https://prometheus.io/docs/practices/naming: base units.
        assert not re.search(r"_(ms|milliseconds|minutes|percent|kilobytes)(_|$)", name)


def test_rules_of_the_documentation_are_about_numbers_that_there_are():
    page = Path(__file__).resolve().parents[3] / "docs" / "monitoring.md"
    used = set(re.findall(r"tessera_training_\w+", page.read_text()))
    known = {metric.name for metric in ts.monitor.METRICS} | {"tessera_training_running"}
    assert len(used) > 5 and used <= known


def test_openmetrics_is_served_to_who_asks(exporter):
    exporter.on_step(step_record(1))
    text, content_type = scrape(exporter.port, "application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    samples = {sample.name for family in parse_openmetrics(text) for sample in family.samples}
    assert "tessera_training_tokens_total" in samples


def test_infinite_and_missing_numbers(exporter):
    exporter.on_step(step_record(1, loss=math.inf, grad_norm=math.nan, mfu=None))
    values = values_of(scrape(exporter.port)[0])
    assert values["tessera_training_loss"] == math.inf
    assert math.isnan(values["tessera_training_gradient_norm"])
    assert "tessera_training_model_flops_utilization_ratio" not in values


def test_two_exporters_in_one_process_and_not_in_the_global_registry(tmp_path):
    before = [family.name for family in REGISTRY.collect()]
    both = [ts.monitor.PrometheusExporter(0), ts.monitor.PrometheusExporter(0)]
    for step, exporter in enumerate(both, 1):
        exporter.on_start(run_info(tmp_path))
        exporter.on_step(step_record(step))
    assert both[0].port != both[1].port
    for step, exporter in enumerate(both, 1):
        assert values_of(scrape(exporter.port)[0])["tessera_training_step"] == step
        exporter.on_end(END)
    assert [family.name for family in REGISTRY.collect()] == before


def test_port_in_use_is_one_error_with_a_way_out(exporter, tmp_path):
    second = ts.monitor.PrometheusExporter(exporter.port)
    with pytest.raises(ts.ConfigError) as error:
        second.on_start(run_info(tmp_path))
    check(error, "TS4042", f"port {exporter.port} of 127.0.0.1 is in use", "choose another port")


@pytest.mark.parametrize("port", [-1, 65536, "9400", 9400.0, True])
def test_port_that_is_none(port):
    with pytest.raises(ts.ConfigError) as error:
        ts.monitor.PrometheusExporter(port)
    check(error, "TS4040", "port is", "0 takes any free one")


def test_address_of_another_machine(tmp_path):
    with pytest.raises(ts.ConfigError) as error:
        ts.monitor.PrometheusExporter(0, "192.0.2.1").on_start(run_info(tmp_path))
    check(error, "TS4042", "192.0.2.1", "127.0.0.1")


def test_end_frees_the_port_and_the_thread(tmp_path):
    exporter = ts.monitor.PrometheusExporter(0)
    exporter.on_start(run_info(tmp_path))
    port = exporter.port
    # A client that asks nothing does not hold up the end.
    with socket.create_connection(("127.0.0.1", port)):
        exporter.on_end(END)
    assert not [t for t in threading.enumerate() if t.name == "tessera metrics"]
    with pytest.raises(urllib.error.URLError):
        scrape(port)
    again = ts.monitor.PrometheusExporter(port)
    again.on_start(run_info(tmp_path))
    assert again.port == port
    again.on_end(END)


def test_scrapes_during_steps(exporter):
    """Many scrapes at once, while numbers change, are whole each."""
    failures, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            try:
                values = values_of(scrape(exporter.port)[0])
                if "tessera_training_step" in values:
                    assert values["tessera_training_tokens_total"] == 96 * values["tessera_training_step"]
            except Exception as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for step in range(1, 400):
        exporter.on_step(step_record(step))
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures


def test_file_for_node_exporter(tmp_path):
    path = tmp_path / "out" / "run.prom"
    play([ts.monitor.PrometheusFile(path)], tmp_path)
    values = values_of(path.read_text())
    assert values["tessera_training_step"] == 20 and values["tessera_training_running"] == 0
    assert [file.name for file in path.parent.iterdir()] == ["run.prom"]


def test_without_the_library(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    for make in (lambda: ts.monitor.PrometheusExporter(0),
                 lambda: ts.monitor.PrometheusFile(tmp_path / "a.prom")):
        with pytest.raises(ts.ConfigError) as error:
            make()
        check(error, "TS4041", "needs the library prometheus-client", "pip install prometheus-client")
