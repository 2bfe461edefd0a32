import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from toy_videos import cut_short, faceless, moving_face, write_video

from mien.errors import MienError
from mien.faces.video import Video
from mien.schema import UInt8Array

pytest.importorskip("av", reason="videos are read with PyAV")


def levels(path: Path, fps: float | None = None) -> list[int]:
    """Which of the frames of ``faceless`` were read, by their gray levels."""
    with Video(path) as video:
        return [round((float(f.pixels.mean()) - 20) / 5) for f in video.frames(fps=fps)]


def corner_picture() -> UInt8Array:
    """Red above left, on black; 160 x 120."""
    picture = np.zeros((120, 160, 3), np.uint8)
    picture[:60, :80] = (250, 0, 0)
    return picture


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("a.mp4", {}),
        ("a.mp4", {"codec": "libx264"}),
        ("a.mkv", {"codec": "libx264"}),
        ("a.webm", {"codec": "libvpx"}),
        ("a.avi", {"codec": "mjpeg", "pixels": "yuvj420p"}),
        ("gray.avi", {"codec": "rawvideo", "pixels": "gray"}),
        ("a.avi", {"codec": "libx264"}),
        ("uneven.avi", {"times": [index / 10 for index in range(30)]}),
        ("a.mov", {"sound": True}),
    ],
)
def test_every_frame_once_and_in_order(tmp_path: Path, name: str, settings: dict) -> None:
    path = write_video(tmp_path / name, faceless(30), **settings)
    with Video(path) as video:
        frames = list(video.frames())
        assert video.damage == "" and video.read == 30
    assert [frame.index for frame in frames] == list(range(30))
    assert [frame.time for frame in frames] == pytest.approx([i / 10 for i in range(30)], abs=2e-3)
    assert {frame.pixels.shape for frame in frames} == {(120, 160, 3)}
    assert {frame.pixels.dtype for frame in frames} == {np.dtype(np.uint8)}
    assert levels(path) == list(range(30))
    assert video.seconds == pytest.approx(3.0, abs=0.11)


@pytest.mark.parametrize(
    ("aspect", "shape"),
    [
        (Fraction(16, 11), (120, 233)),
        (Fraction(1, 2), (240, 160)),
        (Fraction(1), (120, 160)),
        (Fraction(90), (120, 160)),
    ],
)
def test_frames_have_the_size_that_is_displayed(
    tmp_path: Path, aspect: Fraction, shape: tuple[int, int]
) -> None:
    path = write_video(tmp_path / "a.mkv", [corner_picture()] * 3, codec="libx264", aspect=aspect)
    with Video(path) as video:
        for frame in video.frames():
            assert frame.pixels.shape[:2] == shape
            red = frame.pixels[..., 0] > 120
            assert red.mean() == pytest.approx(0.25, abs=0.02)
            assert red[: shape[0] // 2 - 2, : shape[1] // 2 - 2].all()


def test_times_are_the_files_own(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.08, 0.5, 0.52, 1.3, 1.31, 3.0]
    path = write_video(tmp_path / "uneven.mkv", faceless(8), times=times)
    with Video(path) as video:
        assert [frame.time for frame in video.frames()] == pytest.approx(times, abs=1e-3)


def test_times_begin_at_zero_and_rise(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    whole = write_video(tmp_path / "part.ts", faceless(40), codec="mpeg2video", rate=25)
    # Two parts joined byte by byte: the second begins where the first began.
    (tmp_path / "joined.ts").write_bytes(whole.read_bytes() * 2)
    with av.open(str(tmp_path / "joined.ts")) as raw:
        stated = [frame.time for frame in raw.decode(video=0)]
    assert stated[0] > 0 and min(np.diff(stated)) < 0
    with Video(tmp_path / "joined.ts") as video:
        times = [frame.time for frame in video.frames()]
    assert len(times) == 80 and times[0] == 0 and min(np.diff(times)) > 0
    assert len(levels(tmp_path / "joined.ts", fps=12.5)) == 40


def test_times_that_go_back_a_little_rise(tmp_path: Path) -> None:
    with Video(write_video(tmp_path / "a.mp4", faceless(2))) as video:
        times, origin = [0.0], 0.0
        for stated in [0.3, 0.1, 0.5, None, 0.6, 0.7]:
            time, origin = video._next(times[-1], stated, origin)
            times.append(time)
    assert times == pytest.approx([0.0, 0.3, 0.301, 0.5, 0.6, 0.601, 0.7])


@pytest.mark.parametrize(
    ("fps", "expected"),
    [
        (10, list(range(20))),
        (5, list(range(0, 20, 2))),
        (1, [0, 10]),
        (3, [0, 4, 7, 10, 14, 17]),
        (1000, list(range(20))),
        (0.5, [0]),
    ],
)
def test_sampled_by_time(tmp_path: Path, fps: float, expected: list[int]) -> None:
    path = write_video(tmp_path / "a.mp4", faceless(20))
    with Video(path) as video:
        assert [frame.index for frame in video.frames(fps=fps)] == expected
        assert video.read == 20
    assert levels(path, fps) == expected


def test_uneven_frames_are_sampled_by_their_times(tmp_path: Path) -> None:
    times = [0.0, 0.01, 0.02, 0.03, 1.05, 1.06, 1.99, 2.0, 5.4]
    path = write_video(tmp_path / "a.mkv", faceless(9), times=times)
    assert levels(path, fps=1) == [0, 4, 7, 8]


@pytest.mark.parametrize("turned", [0, 90, 180, -90])
def test_frames_are_upright(tmp_path: Path, turned: int) -> None:
    # What a camera that was turned has recorded, and the note of it in the file.
    recorded = np.ascontiguousarray(np.rot90(corner_picture(), -turned // 90))
    path = write_video(tmp_path / "a.mp4", [recorded] * 3, codec="libx264", rotation=turned)
    with Video(path) as video:
        first = next(iter(video.frames())).pixels
    assert first.shape == (120, 160, 3)
    assert first[10:50, 10:70, 0].min() > 200 and first[70:, :, 0].max() < 60
    assert first[:, 90:, 0].max() < 60


def test_a_size_that_changes(tmp_path: Path) -> None:
    small = write_video(tmp_path / "a.ts", faceless(6), codec="libx264", rate=25)
    large = write_video(tmp_path / "b.ts", faceless(6, (320, 240)), codec="libx264", rate=25)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    with Video(joined) as video:
        shapes = [frame.pixels.shape for frame in video.frames()]
    assert shapes == [(120, 160, 3)] * 6 + [(240, 320, 3)] * 6


@pytest.mark.parametrize(
    ("name", "settings", "least"),
    [
        ("a.webm", {"codec": "libvpx"}, 10),
        ("a.avi", {}, 10),
        ("a.mkv", {"codec": "libx264"}, 10),
        ("a.mp4", {"movflags": "faststart"}, 10),
        ("gray.avi", {"codec": "rawvideo", "pixels": "gray"}, 19),
    ],
)
def test_a_file_cut_short_gives_its_frames_and_a_reason(
    tmp_path: Path, name: str, settings: dict, least: int
) -> None:
    path = cut_short(write_video(tmp_path / name, moving_face(40), **settings))
    with Video(path) as video:
        frames = list(video.frames())
        assert least <= len(frames) < 30 and video.read == len(frames)
        assert "it ends after " in video.damage or "it is damaged after " in video.damage


def test_the_last_frames_are_missed_where_they_are_counted(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", moving_face(40), movflags="faststart", codec="libx264")
    content = path.read_bytes()
    for cut in range(100, len(content), 100):
        path.write_bytes(content[:-cut])
        with Video(path) as video:
            count = len(list(video.frames()))
            if count < 39:
                break
    assert 30 < count < 39
    assert video.damage.endswith("of 4.00 seconds") or "damaged" in video.damage


def test_damage_in_the_middle_is_told(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", moving_face(40), codec="libx264")
    content = bytearray(path.read_bytes())
    noise = np.random.default_rng(0).integers(0, 256, 1500, np.uint8).tobytes()
    content[len(content) // 2 : len(content) // 2 + 1500] = noise
    path.write_bytes(bytes(content))
    with Video(path) as video:
        count = len(list(video.frames()))
    assert 5 < count <= 40
    assert "damaged" in video.damage


def test_no_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "none.avi", [], codec="rawvideo", pixels="gray")
    with Video(path) as video:
        assert list(video.frames()) == [] and video.read == 0


def test_what_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"expected a video, got no file at '.*none.mp4'"):
        Video(tmp_path / "none.mp4")
    with pytest.raises(MienError, match="got no file"):
        Video(tmp_path)
    for name, content in [("a.mp4", b""), ("b.mp4", b"no video at all"), ("c.txt", b"text\n" * 99)]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(MienError, match=r"^expected a video in .*, got .*$"):
            Video(tmp_path / name)
    cut = cut_short(write_video(tmp_path / "cut.mp4", faceless(30)))
    with pytest.raises(MienError, match="check that it is a complete video file"):
        Video(cut)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.mp3"), "w") as container:
        voice = container.add_stream("mp3", rate=44100)
        silence = av.AudioFrame.from_ndarray(
            np.zeros((2, 1152), np.float32), format="fltp", layout="stereo"
        )
        silence.sample_rate = 44100
        container.mux(voice.encode(silence))
        container.mux(voice.encode(None))
    with pytest.raises(MienError, match="got a file without pictures"):
        Video(tmp_path / "a.mp3")


def test_wrong_use(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", faceless(3))
    with Video(path) as video:
        with pytest.raises(ValueError, match="fps above 0, got 0"):
            next(video.frames(fps=0))
        assert len(list(video.frames())) == 3
        with pytest.raises(ValueError, match="not been read yet"):
            next(video.frames())


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MienError, match=r'pip install "mien\[video\]"$'):
        Video(tmp_path / "a.mp4")


def test_nothing_is_printed(tmp_path: Path) -> None:
    path = cut_short(write_video(tmp_path / "a.webm", moving_face(20), codec="libvpx"))
    program = "from mien.faces.video import Video; import sys; v = Video(sys.argv[1]); "
    program += "print(len(list(v.frames())), v.damage)"
    ended = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert ended.stderr == "" and "it ends after" in ended.stdout
