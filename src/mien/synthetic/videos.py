"""Video number v of a seed: a subject on a day of some severity, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from mien.data.dataset import SEVERITY_FIELD
from mien.labels import EXPRESSIONS
from mien.synthetic.actions import RENDERED_UNITS, Expression, face_units
from mien.synthetic.behavior import MOST_SEVERE, draw_course, draw_manner, on_a_day
from mien.synthetic.faces import FIELDS, Shot, labels_of, split_of, subject_of
from mien.synthetic.rendering.scene import HeadPose, draw_scene

VIDEOS_PER_SUBJECT = 2
FPS = 10
VIDEO_FIELDS: tuple[pa.Field, ...] = (*FIELDS, SEVERITY_FIELD)
"""Columns of rendered videos beyond those of every dataset."""

_LEAST_SHARE = 0.25  # an expression below this share of the mixture is labeled neutral


def draw_severity(seed: int, video: int) -> int:
    """Draw the severity of a video, 0 to 63; low ones are more frequent, as in studies.

    The two videos of a subject are of two days, about ten points apart.
    """
    generator = np.random.default_rng((seed, video // VIDEOS_PER_SUBJECT, 4))
    usual = MOST_SEVERE * generator.beta(0.9, 1.6)
    changes = generator.normal(0, 7, VIDEOS_PER_SUBJECT)
    return round(float(np.clip(usual + changes[video % VIDEOS_PER_SUBJECT], 0, MOST_SEVERE)))


def video_shots(seed: int, seconds: float, video: int) -> Iterator[Shot]:
    """Yield the frames of a video, ten per second, which depend on these three numbers only.

    Light, camera and background are fixed; only the face moves. ``label`` is the expression of
    the frame, neutral where none is strong. There are no votes.
    """
    number = video // VIDEOS_PER_SUBJECT
    subject = subject_of(seed, number)
    severity = draw_severity(seed, video)
    manner = on_a_day(draw_manner(np.random.default_rng((seed, number, 5))), severity)
    generator = np.random.default_rng((seed, video, 6))
    times = np.arange(max(1, round(seconds * FPS))) / FPS
    course = draw_course(manner, times, generator)
    fixed_scene = draw_scene(generator)
    glasses = "glasses" if generator.random() < 0.15 else "none"
    yaw, roll = generator.normal(0, 5), generator.normal(0, 2)
    picture_seed = int(generator.integers(2**62))
    for frame, time in enumerate(times.tolist()):
        yaw_now, pitch_now, roll_now = course.pose[frame].tolist()
        scene = fixed_scene._replace(
            pose=HeadPose(yaw + yaw_now, pitch_now, roll + roll_now),
            gaze=(float(course.gaze[frame, 0]), float(course.gaze[frame, 1])),
            occlusion=glasses,
        )
        expression = _expression(
            course.mixture[frame],
            {n: float(values[frame]) for n, values in course.actions.items() if values[frame] > 0},
        )
        units = face_units(expression.actions)
        for name, values in course.extra.items():
            units[name] = units.get(name, 0.0) + float(values[frame])
        row = {
            "id": f"video-{video:05d}-{frame:05d}",
            "source": f"rendered/seed-{seed}/video-{video:05d}",
            "split": split_of(number),
            "subject": f"subject-{number:06d}",
            "video": f"video-{video:05d}",
            "frame": frame,
            "time": time,
            "label": expression.label,
            **labels_of(expression, subject, scene, units),
            "severity": severity,
        }
        # The same background and clothes in every frame.
        yield Shot(row, subject, units, scene, np.random.default_rng(picture_seed))


def _expression(mixture: np.ndarray[tuple[int], np.dtype[np.float32]],
                strengths: dict[int, float]) -> Expression:  # fmt: skip
    strongest = 1 + int(mixture[1:].argmax())
    share = float(mixture[strongest])
    label = EXPRESSIONS[strongest] if share >= _LEAST_SHARE else "neutral"
    actions = {n: (strengths[n], strengths[n]) for n in RENDERED_UNITS if n in strengths}
    return Expression(label, share if label != "neutral" else 0.0, mixture, actions)
