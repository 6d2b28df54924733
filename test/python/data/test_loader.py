# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The loader: one order for every mesh, resuming without a gap, and its thread."""

import copy
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import tessera as ts
from refusals import check
from tessera._src.data import tokens


def dataset_of(documents=23, length=4, **options):
    """Every token of it is another number."""
    sizes = np.random.default_rng(7).integers(1, 9, documents)
    starts = np.cumsum(sizes) - sizes
    source = ts.data.TokenArrays([np.arange(a, a + n) for a, n in zip(starts, sizes)])
    return ts.data.Packed(source, length, **{"seed": 3, **options})


def take(loader, count):
    return [next(loader) for _ in range(count)]


def same(a, b):
    return len(a) == len(b) and all(
        x.keys() == y.keys() and all((x[name] == y[name]).all() for name in x) for x, y in zip(a, b))


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "tessera-prefetch"]


@pytest.fixture(autouse=True)
def no_thread_stays():
    yield
    if threads():
        gc.collect()
    assert threads() == []


@pytest.mark.quick
def test_epochs_follow_without_a_gap():
    dataset = dataset_of()
    size = len(dataset)
    assert size % 4  # A batch has samples of two epochs.
    with ts.data.Loader(dataset, 4) as loader:
        firsts = np.concatenate([batch["tokens"][:, 0] for batch in take(loader, size)])
        assert loader.epoch == 4 and loader.samples == 4 * size
    epochs = firsts.reshape(4, size).tolist()
    assert all(len(set(epoch)) == size for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


@pytest.mark.parametrize("prefetch", [0, 1, 5])
@pytest.mark.parametrize("kind", ["packed", "mixture"])
def test_resuming_anywhere_leaves_nothing_out(prefetch, kind):
    def make():
        if kind == "packed":
            return dataset_of()
        padded = ts.data.Padded(ts.data.TokenArrays([[n, n] for n in range(5)]), 4)
        return ts.data.Mixture([(dataset_of(), 2), (padded, 1)])

    expected = take(ts.data.Loader(make(), 6, prefetch=0), 40)
    for stop in np.random.default_rng(prefetch).integers(0, 30, 8).tolist():
        with ts.data.Loader(make(), 6, prefetch=prefetch) as loader:
            assert same(take(loader, stop), expected[:stop])
            if prefetch:
                time.sleep(0.002)  # Batches that are ready are not in the state.
            state = json.loads(json.dumps(loader.state()))
        with ts.data.Loader(make(), 6, prefetch=prefetch) as resumed:
            take(resumed, 2)  # Whatever it has done before.
            resumed.load_state(state)
            assert same(take(resumed, 10), expected[stop:stop + 10])


def test_resuming_with_another_batch():
    expected = np.concatenate([b["tokens"] for b in take(ts.data.Loader(dataset_of(), 6, prefetch=0), 10)])
    with ts.data.Loader(dataset_of(), 6) as loader:
        take(loader, 3)
        state = loader.state()
    with ts.data.Loader(dataset_of(), 7, parts=7, rank=0) as loader:
        loader.load_state(state)
        assert next(loader)["tokens"].tolist() == expected[18:19].tolist()
        assert loader.samples == 25


def test_start_and_batches_by_number():
    expected = take(ts.data.Loader(dataset_of(), 5, prefetch=0), 9)
    with ts.data.Loader(dataset_of(), 5, start=6) as loader:
        assert same([loader.batch_at(2)], expected[2:3])
        assert same(take(loader, 3), expected[6:])


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_ranks_have_rows_of_one_global_batch(parts):
    whole = take(ts.data.Loader(dataset_of(), 8, prefetch=0), 5)
    ranks = []
    for rank in range(parts):
        with ts.data.Loader(dataset_of(), 8, rank=rank, parts=parts) as loader:
            ranks.append(take(loader, 5))
            assert loader.samples == 40
    for number, batch in enumerate(whole):
        for name, rows in batch.items():
            joined = np.concatenate([rank[number][name] for rank in ranks])
            np.testing.assert_array_equal(joined, rows)
            cut = [ts.data.part(batch, rank, parts)[name] for rank in range(parts)]
            np.testing.assert_array_equal(np.concatenate(cut), rows)
            assert cut[-1].base is not None  # A view.


def test_parts_are_those_of_a_mesh():
    mesh = ts.make_mesh({"dp": 2, "tp": 2})
    batch = next(ts.data.Loader(dataset_of(), 6, prefetch=0))
    tokens = ts.device_put(batch["tokens"], ts.NamedSharding(mesh, ts.P("dp")))
    for shard in tokens.addressable_shards:
        rank = shard.index[0].start // 3 if shard.index[0].start else 0
        np.testing.assert_array_equal(np.asarray(shard.data), ts.data.part(batch, rank, 2)["tokens"])


@pytest.mark.parametrize("prefetch", [0, 3])
def test_epochs_end(prefetch):
    dataset = dataset_of()
    size = len(dataset)
    whole = list(ts.data.Loader(dataset, size, epochs=2, prefetch=prefetch))
    assert len(whole) == 2
    batch = next(n for n in range(2, size) if 2 * size % n)
    left = 2 * size % batch
    with pytest.raises(ts.ConfigError) as caught:
        ts.data.Loader(dataset, batch, epochs=2)
    check(caught, "TS4006", f"the last batch has {left} samples of {batch}", 'remainder="drop"')
    everything = np.concatenate([b["tokens"] for b in whole])
    for remainder, count in (("drop", 2 * size - left), ("short", 2 * size)):
        loader = ts.data.Loader(dataset, batch, epochs=2, remainder=remainder, prefetch=prefetch)
        found = [b["tokens"] for b in loader]
        assert next(loader, None) is None
        assert np.concatenate(found).tolist() == everything[:count].tolist()
        assert len(found[-1]) == (left if remainder == "short" else batch)


@pytest.mark.parametrize("change, said", [
    (dict(length=3), "length: 4 in the state, 3 here"),
    (dict(seed=9), "seed: 3 in the state, 9 here"),
    (dict(shuffle=False), "shuffle: true in the state, false here"),
    (dict(documents=24), "source.documents: 23 in the state, 24 here"),
])
def test_state_of_another_data_set_is_refused(change, said):
    loader = ts.data.Loader(dataset_of(), 4, prefetch=0)
    take(loader, 3)
    other = ts.data.Loader(dataset_of(**change), 4, prefetch=0)
    with pytest.raises(ts.DataError) as caught:
        other.load_state(loader.state())
    check(caught, "TS7006", "of another data set", said)
    assert other.samples == 0


def test_state_of_another_mixture_is_refused():
    def make(weight):
        mixture = ts.data.Mixture([(dataset_of(), weight), (dataset_of(seed=1), 1)])
        return ts.data.Loader(mixture, 4, prefetch=0)

    with pytest.raises(ts.DataError) as caught:
        make(2).load_state(make(3).state())
    check(caught, "TS7006", 'weights[0]: "3/4" in the state, "2/3" here')


def test_damaged_states_are_refused():
    loader = ts.data.Loader(dataset_of(), 4, prefetch=0)
    good = loader.state()
    for change, said in (({"kind": "x"}, "not the state of a loader"), ({"version": 2}, "another version"),
                         ({"samples": -1}, "is damaged"), ({"samples": "3"}, "is damaged"),
                         ({"samples": True}, "is damaged"), ({"dataset": None}, "data set: null")):
        with pytest.raises(ts.DataError) as caught:
            loader.load_state({**copy.deepcopy(good), **change})
        check(caught, "TS7006", said)
    with pytest.raises(ts.DataError) as caught:
        loader.load_state(json.dumps(good))
    check(caught, "TS7006", "not the state of a loader")
    with pytest.raises(ts.DataError) as caught:
        ts.data.Loader(dataset_of(), 1, epochs=1).load_state({**good, "samples": 10**6})
    check(caught, "TS7006", "1000000 samples are more than the epochs have")


@pytest.mark.parametrize("options, said", [
    (dict(batch=0), "batch is 0"), (dict(batch=2.0), "batch is 2.0"), (dict(prefetch=-1), "prefetch is -1"),
    (dict(parts=3), "batch of 8 rows is not divisible into 3 parts"), (dict(rank=1), "rank is 1"),
    (dict(start=-1), "start is -1"), (dict(epochs=0), "epochs is 0"), (dict(remainder="cut"), "'cut'"),
    (dict(dataset=[1]), "dataset is a list"),
    (dict(dataset=ts.data.Mixture([(dataset_of(), 1)]), epochs=1), "a Mixture has no epochs"),
])
def test_options_are_checked(options, said):
    with pytest.raises(ts.ConfigError) as caught:
        ts.data.Loader(**{"dataset": dataset_of(), "batch": 8, **options})
    check(caught, "TS4006", said)


def test_parts_are_checked():
    batch = {"tokens": np.zeros((6, 2)), "labels": np.zeros((6, 2))}
    for rank, parts, said in ((0, 4, "not divisible into 4 parts"), (2, 2, "rank is 2"),
                              (0, 0, "parts is 0")):
        with pytest.raises(ts.ConfigError) as caught:
            ts.data.part(batch, rank, parts)
        check(caught, "TS4006", said)
    with pytest.raises(ts.ConfigError) as caught:
        ts.data.part({**batch, "labels": np.zeros((5, 2))}, 0, 2)
    check(caught, "TS4006", "several numbers of rows")


@pytest.mark.parametrize("prefetch", [0, 2])
def test_errors_of_documents_reach_the_caller(tmp_path, prefetch, monkeypatch):
    monkeypatch.setattr(tokens, "_KEPT_BYTES", 0)  # Documents are read again.
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "good good"}\n' * 9)
    source = ts.data.Tokenized(ts.data.JSONLines(path), ts.data.ByteTokenizer())
    dataset = ts.data.Packed(source, 10, shuffle=False)
    path.write_text('{"text": "good good"}\n' * 5 + '{"text" "good good"}\n' + '{"text": "good good"}\n' * 3)
    with ts.data.Loader(dataset, 1, prefetch=prefetch) as loader:
        take(loader, 4)
        for _ in range(2):  # It stays an error.
            with pytest.raises(ts.DataError) as caught:
                next(loader)
            check(caught, "TS7003", f"{path}:6: not JSON: Expecting ':' delimiter")
        assert loader.samples == 4


class Broken:
    length, size = 1, 10

    def __init__(self, error):
        self.error = error

    def rows(self, positions):
        if positions[0] >= 2:
            raise self.error
        return {"tokens": positions.reshape(-1, 1)}

    def fingerprint(self):
        return {}


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("error, kind", [(KeyError("k"), KeyError), (StopIteration(), RuntimeError),
                                         (MemoryError(), MemoryError)])
def test_other_errors_reach_the_caller_with_their_place(prefetch, error, kind):
    loader = ts.data.Loader(Broken(error), 1, prefetch=prefetch)
    take(loader, 2)
    with pytest.raises(kind) as caught:
        next(loader)
    names = [entry.name for entry in (caught.value.__cause__ and [] or caught.traceback)]
    assert kind is RuntimeError or "rows" in names
    loader.close()


def test_closing_ends_the_thread():
    loader = ts.data.Loader(dataset_of(), 2, prefetch=2)
    next(loader)
    assert len(threads()) == 1
    state = loader.state()
    loader.close()
    loader.close()
    assert threads() == [] and loader.state() == state
    with pytest.raises(ts.DataError) as caught:
        next(loader)
    check(caught, "TS7008", "the loader is closed")


def test_forgetting_a_loader_ends_its_thread():
    loader = ts.data.Loader(dataset_of(), 2)
    next(loader)
    del loader
    gc.collect()
    assert threads() == []


class Counting(Broken):
    def __init__(self):
        self.most = 0

    def rows(self, positions):
        self.most = max(self.most, int(positions[-1]))
        return {"tokens": positions.reshape(-1, 1)}


def test_no_more_is_made_in_advance_than_asked_for():
    dataset = Counting()
    with ts.data.Loader(dataset, 2, prefetch=3) as loader:
        next(loader)
        deadline = time.monotonic() + 10
        while dataset.most < 7 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.02)
        assert dataset.most == 7  # Batches 1, 2 and 3 are ready.


def test_forked_processes_go_on_alike():
    with ts.data.Loader(dataset_of(), 2) as loader:
        take(loader, 3)
        # More than were ready when it was forked.
        expected = [loader.batch_at(number)["tokens"].tolist() for number in range(3, 11)]
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            signal.alarm(30)  # It is not left behind, should it wait for ever.
            try:
                found = [batch["tokens"].tolist() for batch in take(loader, 8)]
                os.write(writer, json.dumps(found).encode())
                loader.close()
                os._exit(0)
            finally:
                os._exit(1)
        os.close(writer)
        with os.fdopen(reader) as file:
            assert json.loads(file.read()) == expected
        assert os.waitpid(child, 0)[1] == 0
        assert [batch["tokens"].tolist() for batch in take(loader, 8)] == expected


def test_names_of_other_libraries_lead_here():
    for name, place in (("DataLoader", "ts.data.Loader"), ("AutoTokenizer", "ts.data.load_tokenizer")):
        with pytest.raises(AttributeError) as caught:
            getattr(ts, name)
        check(caught, "TS1027", f"use {place}")
    with pytest.raises(AttributeError) as caught:
        ts.data.Loder
    check(caught, "TS1027", "did you mean ts.data.Loader?")


def test_data_is_imported_when_it_is_named():
    program = ("import sys, tessera as ts; assert 'tessera._src.data' not in sys.modules; ts.data.Packed; "
               "assert 'data' in ts.__all__; assert 'tokenizers' not in sys.modules")
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
