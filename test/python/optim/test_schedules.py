# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Learning rates by the step are those of PyTorch's schedulers, on the host and in a trace."""

import math

import numpy as np
import pytest
from conftest import needs_runtime

import tessera as ts

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
lr_scheduler = pytest.importorskip("torch.optim.lr_scheduler", reason="PyTorch is the oracle")

PEAK, COUNT = 0.3, 40
STEPS = np.arange(COUNT, dtype=np.int32)


def rates(make):
    """What a scheduler of PyTorch gives, update by update."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], PEAK)
    scheduler, result = make(optimizer), []
    for _ in range(COUNT):
        result.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return np.array(result)


def by_lambda(factor):
    return rates(lambda optimizer: lr_scheduler.LambdaLR(optimizer, factor))


def cosine_with_warmup(k):
    """As get_cosine_schedule_with_warmup of transformers."""
    return k / 7 if k < 7 else max(0.0, 0.5 * (1 + math.cos(math.pi * min(k - 7, 23) / 23)))


def stable_then_decay(k):
    if k < 4:
        return 0.1 + 0.9 * k / 4
    return 1.0 if k < 20 else 1 - 0.8 * min(1, (k - 20) / 10)


CASES = {
    "cosine": (ts.optim.cosine(PEAK, total=30, final=0.2), lambda: np.concatenate([
        rates(lambda o: lr_scheduler.CosineAnnealingLR(o, 30, eta_min=0.2 * PEAK))[:30],
        np.full(COUNT - 30, 0.2 * PEAK)])),
    "cosine, warm-up": (ts.optim.cosine(PEAK, warmup=7, total=30), lambda: by_lambda(cosine_with_warmup)),
    "linear": (ts.optim.linear(PEAK, total=25, final=0.5), lambda: rates(
        lambda o: lr_scheduler.LinearLR(o, 1.0, 0.5, 25))),
    "linear, warm-up": (ts.optim.linear(PEAK, warmup=5, total=30), lambda: by_lambda(
        lambda k: k / 5 if k < 5 else max(0, (30 - k) / 25))),
    "constant": (ts.optim.constant(PEAK), lambda: np.full(COUNT, PEAK)),
    "constant, warm-up": (ts.optim.constant(PEAK, warmup=8, start=0.25), lambda: rates(
        lambda o: lr_scheduler.LinearLR(o, 0.25, 1.0, 8))),
    "wsd": (ts.optim.wsd(PEAK, warmup=4, total=30, decay=10, final=0.2, start=0.1),
            lambda: by_lambda(stable_then_decay)),
    "wsd, sqrt": (ts.optim.wsd(PEAK, total=30, decay=10, shape="sqrt"), lambda: by_lambda(
        lambda k: 1.0 if k < 20 else 1 - math.sqrt(min(1, (k - 20) / 10)))),
    "wsd, cosine": (ts.optim.wsd(PEAK, total=30, shape="cosine"), lambda: by_lambda(
        lambda k: 1.0 if k < 27 else 0.5 * (1 + math.cos(math.pi * min(1, (k - 27) / 3))))),
}


@needs_runtime
@pytest.mark.parametrize("schedule, oracle", CASES.values(), ids=CASES)
def test_rates_are_those_of_pytorch(schedule, oracle):
    wanted = oracle()
    # PyTorch's own schedulers multiply the last rate: their roundings add up.
    np.testing.assert_allclose(schedule(STEPS), wanted, rtol=1e-13, atol=1e-16)
    compiled = ts.jit(lambda step: (schedule(step), schedule(step, ts.f64)))
    narrow, wide = zip(*[compiled(k) for k in STEPS])
    assert len(compiled._compiled) == 1 and narrow[0].dtype == np.float32 and wide[0].dtype == np.float64
    np.testing.assert_allclose(np.array(wide, np.float64), schedule(STEPS), rtol=1e-14)
    np.testing.assert_allclose(np.array(narrow, np.float64), schedule(STEPS), rtol=5e-7)


def test_rates_of_single_steps_are_numbers():
    schedule = ts.optim.wsd(PEAK, warmup=4, total=30)
    assert schedule(2) == PEAK / 2 and isinstance(schedule(2), float) and schedule(np.int32(4)) == PEAK
    assert schedule(ts.array(2)) == PEAK / 2
    assert ts.optim.constant(PEAK)(7) == PEAK and ts.optim.constant(PEAK)(STEPS).shape == (COUNT,)


@pytest.mark.parametrize("call, text", [
    (lambda: ts.optim.cosine(1e-3, warmup=30, total=30), "total=30, warmup=30"),
    (lambda: ts.optim.wsd(1e-3, warmup=25, total=30, decay=6), "decay=6"),
    (lambda: ts.optim.linear("1e-3", total=30), "peak of ts.optim.linear is no number"),
    (lambda: ts.optim.linear(-1.0, total=30), "peak of ts.optim.linear is out of range"),
    (lambda: ts.optim.linear(1.0, total=30.0), "total of ts.optim.linear is no number of updates"),
    (lambda: ts.optim.constant(1.0, warmup=-1), "an integer of at least 0"),
    (lambda: ts.optim.constant(1.0, warmup=4, start=1.5), "a number from 0 to 1"),
    (lambda: ts.optim.wsd(1.0, total=9, shape="cosin"), "did you mean 'cosine'?"),
    (lambda: ts.optim.cosine(math.nan, total=9), "a finite number"),
])
def test_schedules_that_make_no_sense_are_refused(call, text):
    with pytest.raises(ts.ConfigError, match="TS4013") as caught:
        call()
    assert text in str(caught.value)
