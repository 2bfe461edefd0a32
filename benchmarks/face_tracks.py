"""Whether each person of a video has one number: across hard cuts before one wall, and without any.

    python benchmarks/face_tracks.py --seed 1 [--scenes 100] [--clips FILE.npy] [--real VIDEO ...]

In each scene two rendered people stand before the same wall, in the same light and often in clothes
of the same color; they speak, smile, look around, and a third turns the head by up to 45 degrees. A
third of the videos is from a camera that moves. Videos are 2 seconds of 10 frames per second, so
that more happens from frame to frame than in most, encoded with H.264, and read as `mien predict`
reads them. FILE holds the rendered frames from one
call to the next. VIDEO are recordings of one person without a cut. Writes a part of
benchmarks/faces.md: nothing there is a result on people, except for those.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from face_page import write_part
from mien.faces.detection.follow import VideoFaceDetector
from mien.faces.tracks import track_faces
from mien.faces.video import Video
from mien.schema import Preprocessing, UInt8Array
from mien.synthetic.actions import face_units
from mien.synthetic.behavior import draw_course, draw_manner
from mien.synthetic.faces import subject_of
from mien.synthetic.rendering.render import render_face
from mien.synthetic.rendering.scene import HeadPose, draw_scene
from mien.synthetic.videos import _expression

FRAMES, FPS, SIZE, WIDTH, HEIGHT = 20, 10, 258, 480, 360
HALF, THIRD = FRAMES // 2, FRAMES // 3
Frames = list[UInt8Array]


def render(seed: int, scene: int, out: UInt8Array) -> None:
    """Two people of a scene into ``out``, ``(2, FRAMES, SIZE, SIZE, 3)``."""
    preprocessing = Preprocessing(size=SIZE, margin=0.6)
    generator = np.random.default_rng((777, seed, scene))
    fixed = draw_scene(generator)
    picture_seed = int(generator.integers(2**62))
    times = np.arange(FRAMES) / FPS
    for who in range(2):
        subject = subject_of(9000 + seed, 2 * scene + who)
        course = draw_course(draw_manner(generator), times, generator)
        glasses = "glasses" if generator.random() < 0.15 else "none"
        yaw, roll = generator.normal(0, 6), generator.normal(0, 3)
        turn = np.zeros(FRAMES)
        if generator.random() < 0.35:
            angle = generator.choice([-1, 1]) * generator.uniform(15, 45)
            since = (times - generator.uniform(0, 0.8)) / generator.uniform(0.8, 1.6)
            turn = angle * np.sin(np.pi * np.clip(since, 0, 1))
        for frame in range(FRAMES):
            yaw_now, pitch, roll_now = course.pose[frame].tolist()
            gaze = course.gaze[frame].tolist()
            shown = fixed._replace(
                pose=HeadPose(
                    float(np.clip(yaw + yaw_now + turn[frame], -60, 60)), pitch, roll + roll_now
                ),
                gaze=(gaze[0], gaze[1]),
                occlusion=glasses,
                offset=np.zeros((4, 2), np.float32),
            )
            strengths = {n: float(v[frame]) for n, v in course.actions.items() if v[frame] > 0}
            units = face_units(_expression(course.mixture[frame], strengths).actions)
            for name, values in course.extra.items():
                units[name] = units.get(name, 0.0) + float(values[frame])
            pictures = np.random.default_rng(picture_seed)
            out[who, frame] = render_face(subject, units, shown, preprocessing, pictures).crop


def rendered(path: Path, seed: int, scenes: int) -> UInt8Array:
    """The frames of all scenes, from a file where they are there already."""
    if not path.is_file():
        partial = path.with_name(f"{path.name}.partial")
        shape = (scenes, 2, FRAMES, SIZE, SIZE, 3)
        clips = np.lib.format.open_memmap(partial, "w+", np.uint8, shape)
        for scene in range(scenes):
            render(seed, scene, clips[scene])
            print(f"rendered {scene + 1} of {scenes}", flush=True)
        partial.rename(path)
    return np.load(path, mmap_mode="r")[:scenes]


def in_a_room(crops: UInt8Array, seed: tuple[int, int, int]) -> Frames:
    """Frames of WIDTH x HEIGHT pixels, in every third of which the camera moves."""
    place = np.random.default_rng(seed[:2])
    left = (WIDTH - SIZE) / 2 + place.uniform(-40, 40)
    top = (HEIGHT - SIZE) / 2 + place.uniform(-20, 20)
    shakes = place.random() < 0.3
    generator = np.random.default_rng(seed)
    speeds, starts = generator.uniform(0.2, 0.8, 2), generator.uniform(0, 2 * np.pi, 2)
    reach = generator.uniform(0, 14, 2) * ((1, 0.5) if shakes else (0, 0))
    frames = []
    for number, crop in enumerate(crops):
        x, y = reach * np.sin(2 * np.pi * speeds * number / FPS + starts)
        matrix = np.array([[1, 0, left + x], [0, 1, top + y]], np.float32)
        frame = cv2.warpAffine(
            np.ascontiguousarray(crop), matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE
        )
        frames.append(np.asarray(frame, np.uint8))
    return frames


def lights(frames: Frames) -> Frames:
    """A lamp that is turned up and down by half, once."""
    levels = 1 - 0.5 * np.sin(np.pi * np.arange(FRAMES) / FRAMES)
    return [(frame * level).astype(np.uint8) for frame, level in zip(frames, levels, strict=True)]


def flash(frames: Frames) -> Frames:
    """One frame of light, as when a photo is taken."""
    bright = [*frames]
    bright[HALF] = np.clip(frames[HALF].astype(int) + 90, 0, 255).astype(np.uint8)
    return bright


def blur(frames: Frames) -> Frames:
    """Motion blur that comes and goes."""
    blurred = []
    for number, frame in enumerate(frames):
        width = 1 + 2 * round(6 * np.sin(np.pi * number / FRAMES))
        blurred.append(np.asarray(cv2.blur(frame, (width, 1)), np.uint8))
    return blurred


def closer(frames: Frames) -> Frames:
    """Nearer by a factor of 1.5 within three frames."""
    near = []
    for number, frame in enumerate(frames):
        factor = float(np.interp(number, (HALF, HALF + 3), (1, 1.5)))
        middle = (1 - factor) * np.array([WIDTH / 2, HEIGHT / 2])
        matrix = np.array([[factor, 0, middle[0]], [0, factor, middle[1]]], np.float32)
        near.append(np.asarray(cv2.warpAffine(frame, matrix, (WIDTH, HEIGHT)), np.uint8))
    return near


def dissolve(frames: Frames) -> Frames:
    """From one moment of a person to one half a second later, within half a second."""
    mixed = [
        cv2.addWeighted(frames[8 + n], 1 - n / 6, frames[13 + n], n / 6, 0) for n in range(1, 6)
    ]
    return [*frames[:9], *(np.asarray(each, np.uint8) for each in mixed), *frames[19:]]


def numbers(path: Path, detector: VideoFaceDetector, fps: float) -> int:
    """How many persons a video is read to have."""
    detector.restart()
    with Video(path) as video:
        tracked = [one.faces for one in track_faces(video.frames(fps=fps), detector)]
    return len({number for faces in tracked for number, _ in faces})


def film(path: Path, frames: Sequence[UInt8Array]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=FPS, options={"crf": "23", "preset": "veryfast"}
        )
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


Edit = Callable[[Frames, Frames], Frames]
EDITS: dict[str, tuple[int, float, Edit]] = {
    "hard cut to the other person": (2, 5, lambda one, two: one[:HALF] + two[HALF:]),
    "hard cut, read at 2 frames per second": (2, 2, lambda one, two: one[:HALF] + two[HALF:]),
    "to the other and back": (
        2,
        5,
        lambda one, two: one[:THIRD] + two[THIRD : 2 * THIRD] + one[2 * THIRD :],
    ),
    "one person, no cut": (1, 5, lambda one, _: one),
    "no cut, read at 2 frames per second": (1, 2, lambda one, _: one),
    "light down and up": (1, 5, lambda one, _: lights(one)),
    "a flash": (1, 5, lambda one, _: flash(one)),
    "motion blur": (1, 5, lambda one, _: blur(one)),
    "nearer by half at once": (1, 5, lambda one, _: closer(one)),
    "a dissolve to half a second later": (1, 5, lambda one, _: dissolve(one)),
    "a second cut out": (1, 5, lambda one, _: one[:THIRD] + one[THIRD + HALF :]),
}
"""What is done to two people's frames: the persons that are there then, and the fps to read."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--clips", type=Path, default=None)
    parser.add_argument("--real", type=Path, nargs="*", default=[])
    given = parser.parse_args()
    lines = [
        "`python benchmarks/face_tracks.py --seed SEED` writes this part. Videos of",
        "two rendered people before one wall, in one light, often in the same clothes, 10 frames",
        "a second; nothing here is a result on people, except for recordings that are named so.",
        "Thresholds were chosen on seeds 0 and 1.",
        "",
        f"Seed {given.seed}, {given.scenes} scenes.",
        "",
        "| videos | persons in each | read as so many | as fewer | as more |",
        "|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder, VideoFaceDetector() as detector:
        clips = given.clips or Path(folder) / "clips.npy"
        scenes = rendered(clips, given.seed, given.scenes)
        counts: dict[str, list[int]] = {name: [] for name in EDITS}
        for number, scene in enumerate(scenes):
            people = [in_a_room(scene[who], (given.seed, number, who)) for who in range(2)]
            for one, two in (people, people[::-1]):
                for name, (_, fps, edit) in EDITS.items():
                    path = film(Path(folder) / "video.mp4", edit(one, two))
                    counts[name].append(numbers(path, detector, fps))
        for name, (persons, _, _) in EDITS.items():
            lines.append(_row(name, persons, np.array(counts[name])))
        if given.real:
            read = np.array([numbers(path, detector, 5) for path in given.real])
            lines.append(_row("real recordings of one person", 1, read))
    print("\n".join(lines))
    write_part("Persons across cuts", lines)


def _row(name: str, persons: int, read: np.ndarray) -> str:
    right, fewer, more = (
        int((hits).sum()) for hits in (read == persons, read < persons, read > persons)
    )
    return f"| {name} | {persons} | {right} of {len(read)} | {fewer} | {more} |"


if __name__ == "__main__":
    main()
