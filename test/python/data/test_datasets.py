# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Packed and padded samples against plain loops over documents."""

import json

import numpy as np
import pytest

import tessera as ts
from refusals import check

NAMES = ("tokens", "labels", "segments", "positions")


def documents_of(sizes):
    """Documents whose tokens are all different: document and place are read off a token."""
    return [[100 * number + place for place in range(size)] for number, size in enumerate(sizes, 1)]


def naive_packed(documents, length, ignore_ends):
    """Packed without shuffling, token by token."""
    stream = [(token, number, place) for number, document in enumerate(documents)
              for place, token in enumerate(document)]
    rows = {name: [] for name in NAMES}
    for begin in range(0, len(stream) - length, length):
        piece = stream[begin:begin + length + 1]
        segments, positions = [], []
        for at, (_, number, _) in enumerate(piece):
            is_new = at == 0 or number != piece[at - 1][1]
            segments.append(1 if at == 0 else segments[-1] + is_new)
            positions.append(0 if is_new else positions[-1] + 1)
        labels = [b[0] if a[1] == b[1] or not ignore_ends else -100 for a, b in zip(piece, piece[1:])]
        for name, row in zip(NAMES, ([token for token, _, _ in piece][:-1], labels, segments[:-1],
                                     positions[:-1])):
            rows[name].append(row)
    return rows


@pytest.mark.parametrize("ignore_ends", [False, True])
@pytest.mark.parametrize("sizes, length", [((3, 1, 5, 2), 3), ((3, 0, 0, 1, 7), 4), ((40,), 3),
                                           ((1,) * 13, 5), ((2, 9, 2), 12), ((0, 6, 0), 5)])
def test_packed_in_order(sizes, length, ignore_ends):
    documents = documents_of(sizes)
    packed = ts.data.Packed(ts.data.TokenArrays(documents), length, shuffle=False, ignore_ends=ignore_ends)
    expected = naive_packed(documents, length, ignore_ends)
    assert len(packed) == len(expected["tokens"]) == (sum(sizes) - 1) // length
    rows = packed.rows(np.arange(2 * len(packed)))
    for name in NAMES:
        assert rows[name].dtype == np.int32 and rows[name].flags.c_contiguous
        assert rows[name].tolist() == 2 * expected[name], name


@pytest.mark.quick
def test_packed_is_a_cut_of_all_documents():
    sizes = np.random.default_rng(5).integers(0, 12, 40)
    documents = documents_of(sizes)
    packed = ts.data.Packed(ts.data.TokenArrays(documents), 7, seed=3)
    assert packed.left_over == sizes.sum() - 1 - 7 * len(packed)
    orders = []
    for epoch in range(3):
        rows = packed.rows(np.arange(len(packed)) + epoch * len(packed))
        tokens = rows["tokens"].ravel()
        assert len(set(tokens.tolist())) == tokens.size  # Nothing twice.
        # Each row's last label begins the next row of the stream, which joins documents whole.
        after = {row[0]: row for row in np.concatenate([rows["tokens"], rows["labels"][:, -1:]], 1).tolist()}
        (first,) = set(after) - {row[-1] for row in after.values()}
        stream = [first]
        while stream[-1] in after:
            stream += after[stream[-1]][1:]
        assert len(stream) == 7 * len(packed) + 1
        order = [token // 100 for token in stream]
        runs = [number for at, number in enumerate(order) if at == 0 or number != order[at - 1]]
        assert len(set(runs)) == len(runs)
        full = [token for number in runs for token in documents[number - 1]]
        assert full[:len(stream)] == stream
        orders.append((runs, rows["tokens"][:, 0].tolist()))
        assert [row[0] for row in after.values()] != [stream[7 * k] for k in range(len(packed))]
    assert orders[0][0] != orders[1][0] != orders[2][0]  # Documents,
    assert orders[0][1] != orders[1][1] != orders[2][1]  # and rows.


@pytest.mark.parametrize("kind", [ts.data.Packed, ts.data.Padded])
def test_order_is_of_seed_and_epoch(kind):
    source = ts.data.TokenArrays(documents_of(range(1, 9)))

    def rows(seed, first):
        dataset = kind(source, 8, seed=seed)
        return dataset.rows(np.arange(len(dataset)) + first * len(dataset))["tokens"].tolist()

    assert rows(1, 0) == rows(1, 0)
    assert rows(1, 0) != rows(2, 0)
    assert rows(1, 0) != rows(1, 1)


@pytest.mark.parametrize("kind", [ts.data.Packed, ts.data.Padded])
def test_rows_come_one_by_one_and_out_of_order(kind):
    dataset = kind(ts.data.TokenArrays(documents_of([3, 5, 6, 2, 4])), 5)
    positions = np.random.default_rng(1).permutation(4 * len(dataset))
    together = dataset.rows(positions)
    for at, position in enumerate(positions):
        for name, array in dataset.rows(np.array([position])).items():
            assert array[0].tolist() == together[name][at].tolist()
    assert all(array.shape == (0, 5) for array in dataset.rows(np.arange(0)).values())


def test_padded_row_by_row():
    documents = documents_of([1, 3, 5, 6])
    padded = ts.data.Padded(ts.data.TokenArrays(documents), 5, shuffle=False, pad=9, ignore_index=-1)
    rows = padded.rows(np.arange(4))
    assert rows["tokens"].tolist() == [[100, 9, 9, 9, 9], [200, 201, 202, 9, 9],
                                       [300, 301, 302, 303, 304], [400, 401, 402, 403, 404]]
    assert rows["labels"].tolist() == [[-1] * 5, [201, 202, -1, -1, -1],
                                       [301, 302, 303, 304, -1], [401, 402, 403, 404, 405]]
    assert rows["segments"].tolist() == [[1, 0, 0, 0, 0], [1, 1, 1, 0, 0], [1] * 5, [1] * 5]
    assert rows["positions"].tolist() == [[0, 0, 0, 0, 0], [0, 1, 2, 0, 0], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]
    assert all(rows[name].dtype == np.int32 for name in NAMES)


def test_padded_goes_through_all_documents():
    padded = ts.data.Padded(ts.data.TokenArrays(documents_of([2] * 30)), 3, seed=4)
    firsts = padded.rows(np.arange(60))["tokens"][:, 0].reshape(2, 30)
    assert sorted(firsts[0]) == sorted(firsts[1]) == [100 * n for n in range(1, 31)]
    assert firsts[0].tolist() != firsts[1].tolist()


def test_long_documents_are_cut_when_asked():
    source = ts.data.TokenArrays(documents_of([2, 9, 6]))
    with pytest.raises(ts.DataError) as caught:
        ts.data.Padded(source, 4)
    check(caught, "TS7005", "2 of 3 documents are longer", "at most 5 tokens", "9 at document 1", "cut=True")
    rows = ts.data.Padded(source, 4, cut=True, shuffle=False).rows(np.arange(3))
    assert rows["labels"].tolist() == [[101, -100, -100, -100], [201, 202, 203, 204], [301, 302, 303, 304]]


def test_ignored_labels_leave_torch_losses_alone():
    torch = pytest.importorskip("torch")
    padded = ts.data.Padded(ts.data.TokenArrays([[1, 2, 3], [4, 2]]), 5, shuffle=False, pad=6)
    rows = padded.rows(np.arange(2))
    logits = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor(rows["labels"]).long().ravel()
    loss = torch.nn.functional.cross_entropy(logits.reshape(-1, 7), labels)
    chosen = torch.log_softmax(logits, -1)[[0, 0, 1], [0, 1, 0], [2, 3, 2]]
    assert abs(float(loss + chosen.mean())) < 1e-6


@pytest.mark.parametrize("make, code, said", [
    (lambda s: ts.data.Packed(s, 7), "TS7005", "7 tokens are too few for a sample of 7"),
    (lambda s: ts.data.Packed(s, 0), "TS4006", "length is 0"),
    (lambda s: ts.data.Packed(s, 2.5), "TS4006", "length is 2.5"),
    (lambda s: ts.data.Packed(s, 2, seed=-1), "TS4006", "seed is -1"),
    (lambda s: ts.data.Packed(s, 2, seed=True), "TS4006", "seed is True"),
    (lambda s: ts.data.Packed(s, 2, shuffle=3), "TS4006", "shuffle is 3"),
    (lambda s: ts.data.Packed([[1, 2]], 2), "TS4006", "source is a list"),
    (lambda s: ts.data.Padded(s, 7), "TS7005", "document 1 has no tokens, as 1 of 3"),
    (lambda s: ts.data.Padded(ts.data.TokenArrays([[1]], 5), 7, pad=5), "TS4006", "pad is 5"),
    (lambda s: ts.data.TokenArrays([]), "TS7005", "there are no documents"),
    (lambda s: ts.data.TokenArrays([[1], 2]), "TS7005", "document 1 is not a row"),
    (lambda s: ts.data.TokenArrays([[1]], vocab_size=0), "TS4006", "vocab_size is 0"),
])
def test_options_are_checked(make, code, said):
    with pytest.raises(ts.TesseraError) as caught:
        make(ts.data.TokenArrays([[1, 2, 3], [], [4, 5, 6, 7]]))
    check(caught, code, said)


def test_fingerprints_tell_data_sets_apart():
    def arrays(*documents):
        return ts.data.TokenArrays(documents)

    first = arrays([1, 2, 3], [4, 5, 6])
    datasets = [ts.data.Packed(first, 2), ts.data.Packed(first, 3), ts.data.Packed(first, 2, seed=1),
                ts.data.Packed(first, 2, shuffle=False), ts.data.Packed(first, 2, ignore_ends=True),
                ts.data.Packed(first, 2, ignore_index=-1), ts.data.Padded(first, 2),
                ts.data.Padded(first, 2, pad=1), ts.data.Padded(first, 2, cut=True),
                *(ts.data.Packed(source, 2)
                  for source in (arrays([1, 2, 4], [4, 5, 6]), arrays([1, 2], [3, 4, 5, 6]),
                                 ts.data.Subset(first, [1, 0]), ts.data.Subset(first, [0, 1])))]
    prints = [json.dumps(dataset.fingerprint()) for dataset in datasets]
    assert len(set(prints)) == len(datasets)
    assert ts.data.Packed(arrays([1, 2, 3], [4, 5, 6]), 2).fingerprint() == datasets[0].fingerprint()


def test_where_a_token_of_a_sample_is_from():
    """A token's document is told by its value here."""
    rows = [np.full(3 + i % 4, i) for i in range(20)]
    source = ts.data.TokenArrays(rows)
    packed, padded = ts.data.Packed(source, 7, seed=2), ts.data.Padded(source, 7, seed=2)
    mixture = ts.data.Mixture([(packed, 2), (padded, 1)])
    for dataset in (packed, padded, mixture):
        for position in range(50):
            sample = dataset.rows(np.array([position]))
            for column in np.flatnonzero(sample["segments"][0]).tolist():
                assert dataset.where(position, column) == f"document {sample['tokens'][0, column]}"
