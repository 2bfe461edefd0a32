"""Which rows are clips, and which recordings share a batch."""

import numpy as np
import pytest

from mien.data.clips import (
    Clips,
    clip_rows,
    even_clips,
    random_offsets,
    stratified_batches,
    videos_of,
)
from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.preparation.prepare import prepare
from mien.schema import Preprocessing
from mien.synthetic.drawn import write_toy_folder, write_toy_videos


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_toy_videos(tmp_path_factory.mktemp("clips") / "videos", videos=20, size=16)


def test_recordings_are_the_dataset_s(dataset):
    videos = videos_of(dataset, "valid")
    assert videos.names.tolist() == ["video-006", "video-007", "video-016", "video-017"]
    assert videos.starts.tolist() == [72, 84, 192, 204] and set(videos.counts) == {12}
    assert videos.subjects[0] == videos.subjects[1] != videos.subjects[2]
    assert (videos.scores == dataset.severity[videos.starts]).all()
    assert videos.rows.tolist() == [*range(72, 96), *range(192, 216)]


def test_faces_are_no_recordings(tmp_path):
    write_toy_folder(tmp_path / "faces", faces=30, size=32)
    result = prepare(
        "folder",
        tmp_path / "faces",
        tmp_path / "out",
        preprocessing=Preprocessing(size=32),
        tight=True,
    )
    with pytest.raises(MienError, match="rows without a video"):
        videos_of(result.dataset, "train")


def test_frames_out_of_order_are_refused(dataset):
    opened = Dataset.open(dataset.folder)
    frames = opened.column("frame").astype(float)
    read = Dataset.column

    def column(self, name):
        return frames if name == "frame" else read(self, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dataset, "column", column)
        videos_of(opened, "train")
        frames[:] = np.nan  # frames without numbers are in the order of their rows
        videos_of(opened, "train")
        frames[3:5] = 8, 7
        with pytest.raises(MienError, match="in the order of its frames"):
            videos_of(opened, "train")


def test_a_clip_strides_and_is_filled_up_by_its_last_frame():
    clips = Clips(length=4, stride=3)
    rows = clip_rows(np.array([100, 0]), np.array([20, 5]), np.array([2, 0]), clips)
    assert rows.tolist() == [[102, 105, 108, 111], [0, 3, 4, 4]]
    assert clips.span == 10


def test_even_clips_reach_from_beginning_to_end(dataset):
    rows, owners = even_clips(videos_of(dataset, "valid"), Clips(length=4, stride=2, per_video=3))
    assert owners.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert rows[:3, 0].tolist() == [72, 74, 77] and rows[2, -1] == 83
    # A recording as short as a clip has one, not three of the same.
    rows, owners = even_clips(videos_of(dataset, "valid"), Clips(length=12, stride=1, per_video=3))
    assert owners.tolist() == [0, 1, 2, 3]


def test_random_clips_fit(dataset):
    clips = Clips(length=4, stride=2)
    drawn = random_offsets(np.array([12] * 200 + [3]), clips, np.random.default_rng(0))
    assert set(drawn[:200]) == set(range(6)) and drawn[200] == 0


def test_a_batch_has_different_recordings_from_all_over_the_scale():
    scores = np.random.default_rng(0).uniform(0, 63, 40)
    batches = stratified_batches(scores, 8, seed=1, epoch=2, passes=3)
    assert len(batches) == 15
    for batch in batches:
        assert len(set(batch.tolist())) == len(batch) == 8
        assert scores[batch].min() < np.quantile(scores, 0.25)
        assert scores[batch].max() > np.quantile(scores, 0.75)
    for turn in range(3):
        clips_of_turn = np.concatenate(batches[5 * turn : 5 * turn + 5])
        assert sorted(clips_of_turn.tolist()) == list(range(40))
    again = stratified_batches(scores, 8, seed=1, epoch=2, passes=3)
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))
    other = stratified_batches(scores, 8, seed=1, epoch=3, passes=3)
    assert not all(np.array_equal(a, b) for a, b in zip(batches, other, strict=True))


@pytest.mark.parametrize(("count", "size"), [(33, 32), (40, 32), (50, 32), (100, 32), (180, 32)])
def test_no_batch_is_left_over(count, size):
    """A small last batch would hold low scores only, and one of a single recording no pair."""
    scores = np.linspace(0, 63, count)
    for epoch in range(5):
        batches = stratified_batches(scores, size, seed=0, epoch=epoch)
        sizes = [len(batch) for batch in batches]
        assert max(sizes) <= size and max(sizes) - min(sizes) <= 1
        assert sorted(np.concatenate(batches)) == list(range(count))
        for batch in batches:
            assert scores[batch].min() < 10 and scores[batch].max() > 53
            gaps = np.diff(np.sort(scores[batch]))
            assert gaps.max() <= 63 * 2 * len(batches) / (count - 1) + 1e-9


def test_recordings_of_one_score_are_shared_out_at_random():
    batches = stratified_batches(np.zeros(20), 5, seed=0, epoch=0, passes=2)
    assert not np.array_equal(batches[0], batches[4])
    assert sorted(np.concatenate(batches[:4])) == list(range(20))


def test_few_recordings_make_one_batch():
    assert [len(batch) for batch in stratified_batches(np.arange(5.0), 32, seed=0, epoch=0)] == [5]
