"""Files of data sets: what is read, and the one clear error for each way a file can be wrong."""

from __future__ import annotations

import contextlib
import gzip
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from nnlite import data
from nnlite.errors import DataError

IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def idx_bytes(code: int, values: np.ndarray) -> bytes:
    """The IDX file of an array, written from the format's description."""
    head = struct.pack(f">BBBB{values.ndim}I", 0, 0, code, values.ndim, *values.shape)
    return head + values.astype(IDX_TYPES[code]).tobytes()


def write_mnist_like(folder: Path, train: int = 20, test: int = 10) -> Path:
    """A folder of the four IDX files, one of them gzipped."""
    rng = np.random.default_rng(1)
    for prefix, n in (("train", train), ("t10k", test)):
        images = rng.integers(0, 256, (n, 5, 4), dtype=np.uint8)
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx_bytes(0x08, images))
        labels = idx_bytes(0x08, np.arange(n) % 3)
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    return folder


@pytest.mark.parametrize("code", IDX_TYPES)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_reads_every_type_plain_and_gzip(tmp_path, code, pack):
    values = np.array([[0, 1, 2], [100, 3, 127]])
    if IDX_TYPES[code][1] != "u":
        values = -values
    path = tmp_path / "file"
    path.write_bytes(pack(idx_bytes(code, values)))
    found = data.read_idx(path)
    assert found.dtype == np.dtype(IDX_TYPES[code]).newbyteorder("=")
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, values)


WHOLE = idx_bytes(0x08, np.zeros((2, 3), np.uint8))
# Without a fixed time stamp the bytes, and so the names of the tests, would differ between workers.
PACKED = gzip.compress(WHOLE, mtime=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file: it begins with nothing"),
        (b"\x89PNG\r\n\x1a\n", "begins with 89 50 4e 47, expected 00 00"),
        (b"\0\0\x07\x01" + bytes(5), "begins with 00 00 07 01"),
        (WHOLE[:7], "header of 7 bytes found, expected 12"),
        (WHOLE[:-1], "truncated: 17 bytes found, expected 18 for uint8 values of shape (2, 3)"),
        (WHOLE + b"x", "has bytes left over: 19 bytes found, expected 18"),
        (PACKED[:-9], "broken gzip file"),
        (PACKED[:15] + b"\xff\xff\xff" + PACKED[18:], "broken gzip"),
    ],
)
def test_idx_errors_name_file_found_and_expected(tmp_path, content, message):
    path = tmp_path / "broken-idx"
    path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(message)) as error:
        data.read_idx(path)
    assert str(path) in str(error.value)


def test_idx_missing_file_and_wrong_axes(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: no such file"):
        data.read_idx(tmp_path / "nowhere")
    (tmp_path / "two").write_bytes(WHOLE)
    with pytest.raises(DataError, match=r"2 axes found, expected 3"):
        data.read_idx(tmp_path / "two", ndim=3)


def test_idx_folder(tmp_path):
    splits = data.load(write_mnist_like(tmp_path))
    assert splits.input_shape == (1, 5, 4)
    assert (len(splits.train), len(splits.test), splits.num_classes) == (20, 10, 3)
    assert splits.train.x.dtype == np.uint8
    batch, _ = splits.train[:]
    assert batch.dtype == np.float32
    np.testing.assert_allclose(batch, splits.train.x / 255, rtol=1e-6)


def test_idx_folder_with_missing_or_unequal_files(tmp_path):
    write_mnist_like(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(idx_bytes(0x08, np.zeros(19)))
    with pytest.raises(DataError, match=r"train-labels.*19 labels found, expected 20"):
        data.load(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"no file train-labels-idx1-ubyte\[.gz\] found"):
        data.load(tmp_path)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((10, 6), (6,)),
        ((10, 5, 4), (1, 5, 4)),
        ((10, 3, 5, 4), (3, 5, 4)),
        ((10, 5, 4, 3), (3, 5, 4)),
        ((10, 5, 4, 1), (1, 5, 4)),
    ],
)
def test_npz_shapes(tmp_path, shape, expected):
    x = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(10) % 2)
    splits = data.load(tmp_path / "a.npz")
    assert splits.input_shape == expected
    assert len(splits.train) + len(splits.test) == 10
    together = np.sort(np.concatenate([splits.train.x.ravel(), splits.test.x.ravel()]))
    np.testing.assert_array_equal(together, np.sort(x.ravel()))


def test_npz_channels_last_are_moved_not_reshaped(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (10, 5, 4, 3), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=np.arange(10), x_test=x, y_test=np.arange(10))
    splits = data.load(tmp_path / "a.npz")
    assert splits.train.x[7, 2, 3, 1] == x[7, 3, 1, 2]
    assert len(splits.test) == 10


def npz(**arrays: np.ndarray) -> dict[str, np.ndarray]:
    return arrays


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (npz(images=np.zeros((4, 2))), "arrays images found, expected x and y"),
        (npz(x=np.zeros((4, 2)), y=np.zeros(3)), "y has shape (3,), expected (4,) as x"),
        (npz(x=np.zeros((4, 5, 5, 2)), y=np.zeros(4)), "shape (4, 5, 5, 2) found"),
        (npz(x=np.array([["a", "b"]] * 4), y=np.zeros(4)), "expected numbers"),
        (npz(x=np.zeros((9, 2)), y=np.zeros(9)), "only one class"),
        (npz(x=np.zeros((0, 2)), y=np.zeros(0)), "x holds no item"),
        (npz(x=[[1, 2], [3, np.nan]], y=np.zeros(2)), "x[1, 1]: nan found, expected a finite"),
        (npz(x=[[1.0, 2], [1e39, 0]], y=np.zeros(2)), "x[1, 0]: 1e+39 found, expected a finite"),
        (npz(x=np.zeros((2, 2)), y=[0, np.inf]), "y[1]: inf found, expected a finite"),
        (npz(x=np.zeros((2, 2)), y=[1j, 0]), "y has dtype complex128"),
        (npz(x_train=np.ones((4, 2)), y_train=[0, 1] * 2, x_test=np.ones((1, 2))), "expected both"),
        (npz(x=np.zeros((4, 2)), y=np.arange(4)), "no class has 5 items"),
        (
            npz(x_train=np.ones((4, 2)), y_train=[0, 1, 0, 1], x_test=[[1.0]], y_test=[1]),
            "test inputs have shape (1,), expected (2,)",
        ),
    ],
)
def test_npz_errors(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=re.escape(message)):
        data.load(tmp_path / "a.npz")


def test_npz_truncated_pickled_or_no_archive(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros((100, 3)), y=np.arange(100) % 2)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"a.npz: not a readable .npz archive"):
        data.load(path)
    np.savez(path, x=np.array([{"a": 1}] * 4), y=np.zeros(4))
    with pytest.raises(DataError, match=r"not a readable .npz archive"):
        data.load(path)
    path.write_text("hello")
    with pytest.raises(DataError, match=r"not an .npz archive: it begins with 68 65 6c 6c"):
        data.load(path)
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match=r"a single .npy array found"):
        data.load(path)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "label", "features", "labels"),
    [
        ("1,2,0\n3,4,1\n", None, [[1, 2], [3, 4]], [0, 1]),
        ("a,b,c\n1,2,0\n3,4,1\n", None, [[1, 2], [3, 4]], [0, 1]),
        ("label,p0,p1\n0,1,2\n1,3,4\n", None, [[1, 2], [3, 4]], [0, 1]),
        ("label,0,1\n0,1,2\n1,3,4\n", None, [[1, 2], [3, 4]], [0, 1]),
        ("1,2,0\n3,4,1\n", 0, [[2, 0], [4, 1]], [1, 3]),
        ("1,2,0\n3,4,1\n", "1", [[1, 0], [3, 1]], [2, 4]),
        ("1,2,0\r\n3,4,1\r\n", -2, [[1, 0], [3, 1]], [2, 4]),
        ("a,b,c\n1,2,0\n3,4,1\n", "b", [[1, 0], [3, 1]], [2, 4]),
        ("1,2,cat\n3,4,dog\n", None, [[1, 2], [3, 4]], ["cat", "dog"]),
        ('w,h,class\n1,2,"cat, big"\n\n3,4,dog\n', None, [[1, 2], [3, 4]], ["cat, big", "dog"]),
        ("1,2,20230101\n3,4,20230102\n", None, [[1, 2], [3, 4]], [20230101, 20230102]),
        (f"1,2,{2**60}\n3,4,{2**60 + 1}\n", None, [[1, 2], [3, 4]], [str(2**60), str(2**60 + 1)]),
        ("\ufeffa,b,y\n1e3,-.5,0\n3,4,1\n", None, [[1000, -0.5], [3, 4]], [0, 1]),
    ],
)
def test_csv(tmp_path, text, label, features, labels):
    x, y = data.read_csv(write(tmp_path / "t.csv", text), label=label)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, np.array(features, np.float32))
    assert y.tolist() == labels


@pytest.mark.parametrize(
    ("text", "label", "message"),
    [
        ("1,2,0\n3,x,1\n", None, "line 2, column 2: 'x' found, expected a finite number"),
        ("a,b,c\n1,2,0\n3,,1\n", None, "line 3, column 2 (b): '' found"),
        ("1,2,0\n3,nan,1\n", None, "line 2, column 2: 'nan' found"),
        ("1,,0\n3,4,1\n", None, "line 1, column 2: '' found"),
        ("1,NA,0\n3,4,1\n", None, "line 1, column 2: 'NA' found"),
        ("1,2,cat\n3,4,\n", None, "line 2, column 3: the label is missing"),
        ("1,2,0\n3,4, \n", None, "line 2, column 3: the label is missing"),
        ("\n1,2,0\n3,x,1\n", None, "line 3, column 2: 'x' found"),
        ("1;2\n3;4\n", None, "one column found, expected features and a label, separated by comma"),
        ("1,2,0\n1e39,4,1\n", None, "line 2, column 1: '1e39' found"),
        ("1,2,0\n3,4\n", None, "line 2 has 2 columns, expected 3"),
        ("1,2,0\n3,4,inf\n", None, "line 2, column 3: the label is not finite"),
        ("", None, "no line of data found"),
        ("a,b,c\n", None, "no line of data found"),
        ("1\n2\n", None, "one column found"),
        ("1,2\n3,4\n", 5, "label column 5 given, expected -2 to 1"),
        ("a,b\n3,4\n", "z", "label column 'z' not found, expected one of a, b"),
        ("1,2\n3,4\n", "z", "as the file has no header"),
    ],
)
def test_csv_errors_name_line_and_column(tmp_path, text, label, message):
    path = write(tmp_path / "t.csv", text)
    with pytest.raises(DataError, match=re.escape(message)) as error:
        data.read_csv(path, label=label)
    assert str(path) in str(error.value)


def test_npz_with_any_byte_changed_gives_arrays_or_one_error(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.zeros((20, 3)), y=np.arange(20))
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with contextlib.suppress(DataError):
            data.open_npz(path)


def test_csv_header_of_numbers_after_an_empty_line(tmp_path):
    path = write(tmp_path / "t.csv", "\n\n0,1,2\n5,6,0\n7,8,1\n")
    x, y = data.read_csv(path, header=True)
    assert x.tolist() == [[5, 6], [7, 8]]
    assert y.tolist() == [0, 1]


@pytest.mark.parametrize(
    "text", ["1,2\n3,4\n", "a,b\n1,2\n3,4\n", "a,b,kind\n1,2,cat\n3,4,\n", '"1",2\n3,4\n']
)
def test_csv_inputs_with_or_without_labels(tmp_path, text):
    path = write(tmp_path / "t.csv", text)
    label = "kind" if "kind" in text else None
    assert data.csv_inputs(path, 2, label).tolist() == [[1, 2], [3, 4]]
    with pytest.raises(DataError, match=r"columns found, the model expects 7 features"):
        data.csv_inputs(path, 7)


def test_suffixes_in_capitals(tmp_path):
    write(tmp_path / "T.CSV", "".join(f"{i},{i % 2}\n" for i in range(20)))
    assert data.load(tmp_path / "T.CSV").name == "T"
    np.savez(tmp_path / "a.npz", x=np.ones((20, 2)), y=np.arange(20) % 2)
    (tmp_path / "a.npz").rename(tmp_path / "A.NPZ")
    assert data.load(tmp_path / "A.NPZ").input_shape == (2,)


def test_csv_that_is_no_text(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00\x01" * 9)
    with pytest.raises(DataError, match="not a CSV text file"):
        data.read_csv(tmp_path / "t.csv")


def test_load_refuses_what_it_does_not_know(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="no such file or folder, and no built-in data set"):
        data.load("mnist")
    (tmp_path / "a.txt").write_text("1")
    with pytest.raises(DataError, match=r"unknown format, expected .npz, .csv"):
        data.load(tmp_path / "a.txt")
    with pytest.raises(DataError, match="option resize=8 does not apply"):
        data.load("digits", resize=8)
    (tmp_path / "sets" / "mine").mkdir(parents=True)
    write_mnist_like(tmp_path / "sets" / "mine")
    monkeypatch.setenv("NNLITE_DATA", str(tmp_path / "sets"))
    assert data.load("mine").name == "mine"
