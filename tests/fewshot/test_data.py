import numpy as np
import pytest
import torch
from PIL import Image

from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.fewshot.data import FewShotDataset, check_disjoint


def _corner():
    """One picture with a mark in its upper left corner."""
    image = np.zeros((3, 3), np.uint8)
    image[0, 0] = 9
    return image


def _rows(*numbers):
    return torch.tensor(numbers).view(1, -1)


class TestFromArrays:
    def test_groups_interleaved_labels_of_unequal_number(self):
        images = np.arange(6, dtype=np.uint8).reshape(6, 1, 1)
        data = FewShotDataset.from_arrays(images, ["b", "a", "b", "b", "a", "c"])
        assert data.names == ("a", "b", "c")
        assert data.classes.counts.tolist() == [2, 3, 1]
        assert data.images.flatten().tolist() == [1, 4, 0, 2, 3, 5]
        assert len(data) == 6

    def test_floats_become_bytes_and_colour_stays(self):
        images = torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1)
        data = FewShotDataset.from_arrays(images, torch.tensor([7]), names=["seven"])
        assert data.images.shape == (1, 3, 1, 1)
        assert data.images.dtype == torch.uint8
        assert data.images.flatten().tolist() == [0, 128, 255]
        assert data.names == ("seven",)

    @pytest.mark.parametrize(
        ("images", "labels", "names", "message"),
        [
            (np.zeros((2, 4), np.uint8), [0, 1], None, "'images'.*n, H, W"),
            (np.zeros((0, 4, 4), np.uint8), [], None, "'images'.*at least one"),
            (np.full((1, 4, 4), 2.0), [0], None, "'images'.*floats in"),
            (np.full((1, 4, 4), np.nan), [0], None, "'images'.*floats in"),
            (np.zeros((1, 4, 4), np.int64), [0], None, "'images'.*uint8"),
            (np.zeros((2, 4, 4), np.uint8), [0], None, "'labels'.*one label an image"),
            (np.zeros((2, 4, 4), np.uint8), [0, 1], ["x"], "'names'.*2 different names"),
            (np.zeros((2, 4, 4), np.uint8), [0, 1], ["x", "x"], "'names'.*2 different names"),
        ],
    )
    def test_refuses_what_does_not_fit(self, images, labels, names, message):
        with pytest.raises(InvalidParameterError, match=message):
            FewShotDataset.from_arrays(images, labels, names)


def test_a_record_made_by_hand_is_checked(numbered):
    data = numbered(2, 2)
    with pytest.raises(InvalidParameterError, match=r"'images'.*from_arrays"):
        FewShotDataset(data.images.float(), data.classes, data.names)
    with pytest.raises(InvalidParameterError, match="'names'"):
        FewShotDataset(data.images, data.classes, data.names[:1])


class TestFromFolder:
    def test_reads_inverts_and_resizes(self, tmp_path):
        for name, shade in (("light", 200), ("dark", 10)):
            (tmp_path / name).mkdir()
            for i in range(2):
                Image.new("L", (8, 6), shade).save(tmp_path / name / f"{i}.png")
        (tmp_path / "dark" / "notes.txt").write_text("passed over")
        data = FewShotDataset.from_folder(tmp_path, size=4, invert=True)
        assert data.names == ("dark", "light")
        assert data.images.shape == (4, 1, 4, 4)
        assert data.images[:, 0, 0, 0].tolist() == [245, 245, 55, 55]

    def test_keeps_colour_where_asked(self, tmp_path):
        (tmp_path / "red").mkdir()
        Image.new("RGB", (4, 4), (255, 0, 1)).save(tmp_path / "red" / "0.png")
        data = FewShotDataset.from_folder(tmp_path, size=4, color=True)
        assert data.images[0, :, 2, 2].tolist() == [255, 0, 1]

    def test_says_what_is_wrong_with_a_folder(self, tmp_path):
        with pytest.raises(InvalidParameterError, match="one folder of pictures per class"):
            FewShotDataset.from_folder(tmp_path / "missing")
        (tmp_path / "empty").mkdir()
        with pytest.raises(InvalidParameterError, match="empty folder"):
            FewShotDataset.from_folder(tmp_path)
        with pytest.raises(InvalidParameterError, match="'size'"):
            FewShotDataset.from_folder(tmp_path, size=0)

    def test_names_the_damaged_picture(self, tmp_path):
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "broken.png").write_bytes(b"no picture")
        with pytest.raises(StoreError, match=r"broken\.png is not a readable picture"):
            FewShotDataset.from_folder(tmp_path)


class TestSubset:
    def test_keeps_the_order_and_shares_the_images(self, numbered):
        data = numbered(2, 3, 4)
        part = data.subset([2, 0])
        assert part.names == ("2", "0")
        assert part.images is data.images
        assert part.classes.starts.tolist() == [5, 0]
        assert data.subset(["2", "0"]).names == part.names
        assert data.subset(torch.tensor([1])).classes.counts.tolist() == [3]

    @pytest.mark.parametrize("classes", [[], [0, 0], [3], [-1], ["unknown"]])
    def test_refuses_unknown_and_repeated_classes(self, numbered, classes):
        with pytest.raises(InvalidParameterError, match="distinct indices"):
            numbered(2, 3, 4).subset(classes)

    def test_with_at_least_drops_small_classes(self, numbered):
        assert numbered(2, 3, 4).with_at_least(3).names == ("1", "2")


class TestRotations:
    def test_class_4c_plus_r_is_class_c_turned_r_times(self):
        data = FewShotDataset.from_arrays(np.stack([_corner(), 2 * _corner()]), ["a", "b"])
        turned = data.with_rotations()
        assert turned.names == tuple(f"{n}@{d}" for n in "ab" for d in (0, 90, 180, 270))
        assert turned.images is data.images
        for c in range(8):
            entry = turned.classes[torch.tensor([c])]
            (image,) = turned.pictures(entry.starts.unsqueeze(1), entry.turns).numpy()
            expected = np.rot90((1 + c // 4) * _corner(), c % 4)
            assert (image[0, 0] == expected).all()

    def test_every_channel_turns(self):
        images = np.stack([_corner(), 3 * _corner()])[None]
        data = FewShotDataset.from_arrays(images, [0]).with_rotations()
        image = data.pictures(_rows(0), torch.tensor([1]))[0, 0]
        assert (image.numpy() == np.rot90(images[0], 1, (1, 2))).all()

    def test_refuses_to_turn_twice_or_oblong(self, numbered):
        with pytest.raises(InvalidParameterError, match="square images without rotations"):
            numbered(2, 2).with_rotations().with_rotations()
        oblong = FewShotDataset.from_arrays(np.zeros((1, 2, 3), np.uint8), [0])
        with pytest.raises(InvalidParameterError, match="square images"):
            oblong.with_rotations()


class TestDisjoint:
    def test_refuses_a_shared_class(self, numbered):
        data = numbered(2, 3, 4)
        check_disjoint(data.subset([0, 1]), data.subset([2]))
        with pytest.raises(InvalidParameterError, match="3 images in both"):
            check_disjoint(data.subset([0, 1]), data.subset([1, 2]))

    def test_refuses_a_character_and_its_rotation(self, numbered):
        turned = numbered(2, 3).with_rotations()
        with pytest.raises(InvalidParameterError, match="Split before rotating"):
            check_disjoint(turned.subset(["0@0"]), turned.subset(["0@90"]))

    def test_compares_pictures_where_nothing_is_shared(self, numbered):
        data = numbered(2, 3)
        again = numbered(2, 3)
        check_disjoint(data.subset([0]), again.subset([1]))
        with pytest.raises(InvalidParameterError, match="2 images in both"):
            check_disjoint(data.subset([0]), again.subset([0]))
