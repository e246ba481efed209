"""Image files and folders of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnlite import data
from nnlite.errors import ArgumentError, DataError


def save_image(path: Path, value: int, mode: str = "L", size: tuple[int, int] = (4, 5)) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


def test_image_folder_without_test_part(tmp_path):
    for i in range(5):
        save_image(tmp_path / "cat" / f"{i}.png", 10)
        save_image(tmp_path / "dog" / f"{i}.png", 200)
    splits = data.load(tmp_path)
    assert splits.class_names == ("cat", "dog")
    assert splits.input_shape == (1, 5, 4)
    assert (len(splits.train), len(splits.test)) == (8, 2)
    for part in (splits.train, splits.test):
        np.testing.assert_array_equal(part.x[:, 0, 0, 0], np.array([10, 200], np.uint8)[part.y])


def test_image_folder_with_parts_colour_and_resize(tmp_path):
    save_image(tmp_path / "train" / "a" / "0.png", 7)
    save_image(tmp_path / "train" / "b" / "0.png", 255, "RGB", (8, 8))  # 255 in RGB: pure red
    save_image(tmp_path / "test" / "b" / "0.png", 9)
    splits = data.load(tmp_path, resize=6)
    assert splits.input_shape == (3, 6, 6)
    assert splits.train.x[1, :, 0, 0].tolist() == [255, 0, 0]
    assert splits.train.x[0, :, 0, 0].tolist() == [7, 7, 7]
    assert splits.test.y.tolist() == [1]
    assert data.load(tmp_path, resize=(3, 2), channels=1).input_shape == (1, 3, 2)


def test_image_folder_errors(tmp_path):
    with pytest.raises(
        DataError, match=r"no data found, expected images .*<class name>/\*.png, or IDX"
    ):
        data.load(tmp_path)
    for name in "ab":
        save_image(tmp_path / name / "0.png", 1)
    save_image(tmp_path / "b" / "1.png", 1, size=(7, 5))
    with pytest.raises(
        DataError, match=r"1.png: image of 7x5 pixels found, expected 4x5.*--resize"
    ):
        data.load(tmp_path)
    whole = (tmp_path / "a" / "0.png").read_bytes()
    (tmp_path / "b" / "1.png").write_bytes(whole[:45])
    with pytest.raises(DataError, match=r"1.png: broken image"):
        data.load(tmp_path)
    (tmp_path / "b" / "1.png").write_bytes(b"not an image at all")
    with pytest.raises(DataError, match=r"1.png: not a readable image"):
        data.load(tmp_path)


def test_image_folder_with_unknown_test_class(tmp_path):
    for name in ("train/a", "train/b", "test/c"):
        save_image(tmp_path / name / "0.png", 1)
    with pytest.raises(DataError, match="test class 'c' is not in the train part"):
        data.load(tmp_path)


def test_sixteen_bit_image_is_scaled_not_clipped(tmp_path):
    from PIL import Image

    Image.fromarray(np.array([[0, 32768, 65535]], np.uint16)).save(tmp_path / "a.png")
    assert data.read_image(tmp_path / "a.png")[0, 0].tolist() == [0, 128, 255]


def test_a_dark_sixteen_bit_image_is_scaled_like_the_bright_ones(tmp_path):
    from PIL import Image

    Image.fromarray(np.array([[0, 100, 255]], np.uint16)).save(tmp_path / "a.png")
    assert data.read_image(tmp_path / "a.png")[0, 0].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [([0, 0.5, 1], [0, 128, 255]), ([0, 100, 255], [0, 100, 255]), ([0, 257, 65535], [0, 1, 255])],
)
def test_float_images(tmp_path, pixels, expected):
    from PIL import Image

    Image.fromarray(np.array([pixels], np.float32)).save(tmp_path / "a.tif")
    assert data.read_image(tmp_path / "a.tif")[0, 0].tolist() == expected
    Image.fromarray(np.array([[0, np.nan]], np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a.tif: broken image: a pixel is no finite number"):
        data.read_image(tmp_path / "a.tif")


def test_transparent_pixels_show_white(tmp_path):
    from PIL import Image

    rgba = np.array([[[0, 0, 0, 0], [0, 0, 0, 255], [255, 0, 0, 255]]], np.uint8)
    Image.fromarray(rgba).save(tmp_path / "rgba.png")
    assert data.read_image(tmp_path / "rgba.png")[0, 0].tolist() == [255, 0, 76]
    colour = data.read_image(tmp_path / "rgba.png", channels=3)
    assert colour[:, 0].T.tolist() == [[255, 255, 255], [0, 0, 0], [255, 0, 0]]
    palette = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    palette.putpalette([9, 9, 9, 200, 200, 200])
    palette.save(tmp_path / "p.png", transparency=0)
    assert data.read_image(tmp_path / "p.png")[0, 0].tolist() == [255, 200]


def test_read_image_refuses_other_channels(tmp_path):
    with pytest.raises(ArgumentError, match="channels: 4 given, expected 1 or 3"):
        data.read_image(tmp_path / "a.png", channels=4)
