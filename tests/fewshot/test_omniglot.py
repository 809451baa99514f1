import shutil

import numpy as np
import pytest
import torch

from automl_meta import _resources
from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.fewshot import omniglot
from automl_meta.fewshot.data import FewShotDataset
from automl_meta.fewshot.omniglot import Split, load_omniglot, split_alphabets, split_characters


def _zip(folder):
    for part in omniglot.PARTS:
        shutil.make_archive(str(folder / part), "zip", folder, part)
        shutil.rmtree(folder / part)


def _named(n_background, n_evaluation):
    names = [f"images_background/A{i // 3:02}/character{i % 3}" for i in range(n_background)]
    names += [f"images_evaluation/B{i // 3:02}/character{i % 3}" for i in range(n_evaluation)]
    images = np.arange(len(names), dtype=np.uint8).reshape(-1, 1, 1)
    return FewShotDataset.from_arrays(images, names)


class TestOfficialLayout:
    def test_extracted_folders_with_ink_bright(self, tmp_path, tiny_omniglot):
        data = load_omniglot(tiny_omniglot(tmp_path), image_size=105)
        assert data.names == (
            "images_background/Greek/character01",
            "images_background/Greek/character02",
            "images_background/Latin/character01",
            "images_background/Latin/character02",
            "images_evaluation/Kannada/character01",
            "images_evaluation/Kannada/character02",
        )
        assert data.classes.counts.tolist() == [3] * 6
        first = data.images[0, 0]
        assert (first[:30, :10] == 255).all()  # ink
        assert first.sum() == 255 * 300  # and nothing else
        # Drawers in their order: each draws one column more.
        assert [int(image.sum()) // (255 * 30) for image in data.images[:3]] == [10, 11, 12]

    def test_zip_files_give_the_same(self, tmp_path, tiny_omniglot):
        extracted = load_omniglot(tiny_omniglot(tmp_path))
        _zip(tmp_path)
        zipped = load_omniglot(tmp_path)
        assert zipped.names == extracted.names
        assert torch.equal(zipped.images, extracted.images)
        assert zipped.images.shape == (18, 1, 28, 28)

    def test_a_damaged_zip_file_is_named(self, tmp_path, tiny_omniglot):
        _zip(tiny_omniglot(tmp_path))
        (tmp_path / "images_evaluation.zip").write_bytes(b"not a zip")
        with pytest.raises(StoreError, match=r"images_evaluation\.zip is damaged"):
            load_omniglot(tmp_path)


class TestPackedLayout:
    def _packed(self, folder, n=4):
        rng = np.random.default_rng(0)
        bits = (rng.random((n, 105, 105)) < 0.1).astype(np.uint8)
        np.savez(
            folder / omniglot.PACKED_105,
            images=np.packbits(bits.reshape(n, -1), axis=1),
            shape=np.array([n, 105, 105]),
            alphabet_names=np.array(["Zulu", "Alpha"]),
            alphabet_split=np.array([0, 1], np.uint8),
            alphabet_id=np.array([1, 1, 0, 0]),
            char_names=np.array(["character01", "character01"]),
            char_id=np.array([1, 1, 0, 0]),
        )
        return bits

    def test_bits_are_unpacked_and_named(self, tmp_path):
        bits = self._packed(tmp_path)
        data = load_omniglot(tmp_path, image_size=105)
        # Background first whatever the order in the file.
        assert data.names == (
            "images_background/Zulu/character01",
            "images_evaluation/Alpha/character01",
        )
        assert (data.images[:2, 0].numpy() == 255 * bits[2:]).all()
        assert load_omniglot(tmp_path, image_size=14).images.shape == (4, 1, 14, 14)

    def test_a_damaged_file_is_named(self, tmp_path):
        (tmp_path / omniglot.PACKED_28).write_bytes(b"no arrays")
        with pytest.raises(StoreError, match=omniglot.PACKED_28):
            load_omniglot(tmp_path)
        np.savez(tmp_path / omniglot.PACKED_28, something=np.zeros(3))
        with pytest.raises(StoreError, match="not a packed Omniglot file"):
            load_omniglot(tmp_path)


class TestWhereToLook:
    def test_folder_then_variable(self, tmp_path, tiny_omniglot, monkeypatch):
        tiny_omniglot(tmp_path / "named" / "omniglot")
        tiny_omniglot(tmp_path / "variable")
        assert len(load_omniglot(tmp_path / "named", image_size=4)) == 18
        monkeypatch.setenv(_resources.DATA_VARIABLE, str(tmp_path / "variable"))
        assert len(load_omniglot(image_size=4)) == 18

    def test_missing_data_say_what_to_do(self, tmp_path):
        with pytest.raises(StoreError, match=r"No Omniglot in .*download_omniglot.*--data"):
            load_omniglot(tmp_path)
        with pytest.raises(InvalidParameterError, match="image_size"):
            load_omniglot(tmp_path, image_size=0)


class TestSplits:
    def test_characters_are_shuffled_by_the_seed(self):
        data = _named(12, 9)
        split = split_characters(data, seed=3, train=14, validation=4)
        assert [len(p.names) for p in (split.train, split.validation, split.test)] == [10, 4, 7]
        everything = split.train.names + split.validation.names + split.test.names
        assert sorted(everything) == list(data.names)
        again = split_characters(data, seed=3, train=14, validation=4)
        assert again.test.names == split.test.names
        assert split_characters(data, seed=4, train=14, validation=4).test.names != split.test.names
        assert any(name.startswith("images_background") for name in split.test.names)

    def test_rotations_stay_on_one_side(self):
        split = split_characters(_named(12, 9), train=14, validation=4).with_rotations()
        assert len(split.train.names) == 40
        characters = [
            {name.partition("@")[0] for name in part.names}
            for part in (split.train, split.validation, split.test)
        ]
        assert sum(map(len, characters)) == len(set.union(*characters)) == 21

    def test_alphabets_follow_the_official_parts(self):
        split = split_alphabets(_named(12, 9), validation=1)
        assert all(name.startswith("images_evaluation") for name in split.test.names)
        assert len(split.test.names) == 9
        learn = {name.split("/")[1] for name in split.train.names}
        held_out = {name.split("/")[1] for name in split.validation.names}
        assert (len(learn), len(held_out)) == (3, 1)
        assert not learn & held_out

    def test_overlapping_parts_are_refused(self):
        data = _named(6, 3)
        with pytest.raises(InvalidParameterError, match="share no image"):
            Split(data.subset([0, 1]), data.subset([2]), data.subset([1, 3]))

    def test_moving_keeps_one_copy(self):
        split = split_characters(_named(12, 9), train=14, validation=4).to("cpu")
        assert split.train.images is split.test.images

    @pytest.mark.parametrize(("train", "validation"), [(21, 4), (14, 14), (14, 0)])
    def test_no_part_may_be_empty(self, train, validation):
        with pytest.raises(InvalidParameterError, match="0 < validation < train < 21"):
            split_characters(_named(12, 9), train=train, validation=validation)
        with pytest.raises(InvalidParameterError, match="from 1 to 3"):
            split_alphabets(_named(12, 9), validation=4)
        with pytest.raises(InvalidParameterError, match="both official parts"):
            split_alphabets(_named(12, 0), validation=1)


@pytest.mark.data
class TestAllOfOmniglot:
    def test_numbers_of_the_paper(self, shared_data):
        data = load_omniglot(shared_data)
        assert data.images.shape == (32460, 1, 28, 28)
        assert len(data.names) == 1623
        assert set(data.classes.counts.tolist()) == {20}
        assert data.images.max() == 255
        assert data.images.float().mean() < 64  # mostly paper, which is dark
        split = split_characters(data)
        assert [len(p.names) for p in (split.train, split.validation, split.test)] == [
            1100,
            100,
            423,
        ]
        alphabets = split_alphabets(data)
        assert len(alphabets.test.names) == 659
        assert len(alphabets.train.names) + len(alphabets.validation.names) == 964

    def test_bits_resize_to_the_packed_28(self, shared_data, tmp_path):
        (tmp_path / omniglot.PACKED_105).symlink_to(shared_data / "omniglot" / omniglot.PACKED_105)
        resized, packed = load_omniglot(tmp_path), load_omniglot(shared_data)
        assert resized.names == packed.names
        assert torch.equal(resized.images, packed.images)
