"""How a face behaves over time, and how the severity of depression changes it.

The directions follow the literature on depressed people: fewer and less varied facial movements
and less gaze at the partner (Ellgring, Non-verbal Communication in Depression, 1989); fewer
smiles, more dimplers, smaller and slower head movements (Girard et al., Image and Vision Computing
32, 2014); lowered head and gaze, weaker and shorter smiles (Scherer et al., Image and Vision
Computing 32, 2014). Longer blinks stand for psychomotor slowing. All amounts are our choice and
were not fitted to real people.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.labels import EXPRESSIONS
from mien.schema import FloatArray
from mien.synthetic.actions import PROTOTYPES

MOST_SEVERE = 63
"""The top of the scale, as of the BDI-II."""

Times = NDArray[np.float64]


@dataclass(frozen=True)
class Manner:
    """The behavior of a subject, in general or on one day.

    Rates are per minute, durations in seconds, angles in degrees. ``smile_strength`` and
    ``speech_strength`` scale action units. ``slowness`` stretches all movements. ``sway`` is the
    standard deviation of the head's pose. ``pitch`` and ``gaze`` are the mean pose and gaze.
    """

    smiles: float
    smile_strength: float
    smile_length: float
    dimples: float
    others: float
    blinks: float
    blink_length: float
    sway: float
    slowness: float
    pitch: float
    gaze: float
    averted: float
    speech: float
    speech_strength: float


def draw_manner(generator: np.random.Generator) -> Manner:
    """Draw a subject's manner at severity 0; subjects differ by factors of two and more."""

    def around(value: float, spread: float = 0.4) -> float:
        return float(value * np.exp(generator.normal(0, spread)))

    return Manner(
        smiles=around(9),
        smile_strength=float(np.clip(generator.normal(0.8, 0.15), 0.4, 1)),
        smile_length=around(2.0, 0.3),
        dimples=around(2.0),
        others=around(7),
        blinks=around(17),
        blink_length=around(0.2, 0.2),
        sway=around(5.5),
        slowness=around(1.0, 0.2),
        pitch=float(generator.normal(1, 5)),
        gaze=float(generator.normal(0, 0.12)),
        averted=float(generator.uniform(0.05, 0.35)),
        speech=float(generator.uniform(0.3, 0.8)),
        speech_strength=float(generator.uniform(0.6, 1.1)),
    )


def on_a_day(usual: Manner, severity: float) -> Manner:
    """Return the manner at a severity of 0 to 63; at 0 it is unchanged.

    At 63, smiles are a fifth as frequent and 45 % as strong, movements take 1.9 times as long, and
    the head is 11 degrees lower.
    """
    share = float(np.clip(severity / MOST_SEVERE, 0, 1))
    return Manner(
        smiles=usual.smiles * (1 - 0.8 * share),
        smile_strength=usual.smile_strength * (1 - 0.55 * share),
        smile_length=usual.smile_length * (1 - 0.4 * share),
        dimples=usual.dimples * (1 + 1.5 * share),
        others=usual.others * (1 - 0.6 * share),
        blinks=usual.blinks,
        blink_length=usual.blink_length * (1 + 1.2 * share),
        sway=usual.sway * (1 - 0.7 * share),
        slowness=usual.slowness * (1 + 0.9 * share),
        pitch=usual.pitch - 11 * share,
        gaze=usual.gaze - 0.55 * share,
        averted=min(0.9, usual.averted + 0.4 * share),
        speech=usual.speech * (1 - 0.5 * share),
        speech_strength=usual.speech_strength * (1 - 0.5 * share),
    )


@dataclass(frozen=True, eq=False)
class Course:
    """A clip of ``n`` frames.

    ``mixture`` ``(n, 8)`` is the mixture of expressions, whose rows sum to one. ``actions`` maps
    action units to strengths ``(n,)``, ``extra`` further face units (blinks, speech). ``pose``
    ``(n, 3)`` is yaw, pitch and roll in degrees, ``gaze`` ``(n, 2)`` right and up.
    """

    mixture: FloatArray
    actions: dict[int, FloatArray]
    extra: dict[str, FloatArray]
    pose: FloatArray
    gaze: FloatArray


def draw_course(manner: Manner, times: Times, generator: np.random.Generator) -> Course:
    """Draw the behavior of a person who listens and speaks, at ``times`` ``(n,)`` in seconds."""
    count, slow = len(times), manner.slowness
    shown = np.zeros((count, len(EXPRESSIONS)), np.float32)
    actions: dict[int, FloatArray] = {}
    events = [("happiness", manner.smiles, manner.smile_strength, manner.smile_length)]
    events += [("contempt", manner.dimples, 0.5, 1.2)]
    others = [name for name in EXPRESSIONS if name not in ("neutral", "happiness", "contempt")]
    events += [(name, manner.others / len(others), 0.55, 1.0) for name in others]
    for name, per_minute, strength, length in events:
        for start in _moments(per_minute, times, generator):
            variants = PROTOTYPES[name]
            variant = variants[int(generator.integers(len(variants)))]
            amount = min(1.0, strength * float(np.exp(generator.normal(0, 0.2))))
            onset, offset = 0.45 * slow, 0.7 * slow
            apex = length * float(np.exp(generator.normal(0, 0.3)))
            course = amount * _rise_and_fall(times - start, onset, apex, offset)
            column = EXPRESSIONS.index(name)
            shown[:, column] = np.maximum(shown[:, column], course)
            for number, value in variant.items():
                current = actions.get(number, np.zeros(count, np.float32))
                actions[number] = np.maximum(current, np.float32(value) * course)
    total = shown.sum(axis=1, keepdims=True)
    shown /= np.maximum(total, 1)
    shown[:, 0] = np.maximum(0, 1 - shown[:, 1:].sum(axis=1))

    blink = np.zeros(count, np.float32)
    for start in _moments(manner.blinks, times, generator):
        third = manner.blink_length / 3
        blink = np.maximum(blink, _rise_and_fall(times - start, third, third, third))
    extra = {"eyeBlinkLeft": blink, "eyeBlinkRight": blink}
    extra |= _speech(manner, times, generator)

    pose = np.stack([_wander(times, 2.2 * slow, generator) for _ in range(3)], axis=1)
    pose = pose * manner.sway * np.array([1.0, 0.6, 0.5]) + np.array([0.0, manner.pitch, 0.0])
    away = np.clip(_wander(times, 2.0 * slow, generator) + manner.averted * 2 - 1, 0, 1)
    side = generator.choice([-1.0, 1.0])
    gaze = np.stack([0.6 * side * away, manner.gaze - 0.3 * away], axis=1)
    gaze += 0.06 * np.stack([_wander(times, 0.4, generator) for _ in range(2)], axis=1)
    return Course(
        mixture=shown,
        actions=actions,
        extra=extra,
        pose=np.clip(pose, -50, 50).astype(np.float32),
        gaze=np.clip(gaze, -1, 1).astype(np.float32),
    )


def _moments(per_minute: float, times: Times, generator: np.random.Generator) -> Times:
    """Onsets of events that come ``per_minute``; some precede the clip."""
    lead = 3.0
    first, last = float(times[0]) - lead, float(times[-1])
    count = int(generator.poisson(per_minute * (last - first) / 60))
    return generator.uniform(first, last, count)


def _rise_and_fall(since: Times, onset: float, apex: float, offset: float) -> FloatArray:
    """Rise from 0 to 1 in ``onset`` seconds, stay for ``apex``, fall in ``offset``; smoothly."""
    up = np.clip(since / onset, 0, 1)
    down = np.clip((since - onset - apex) / offset, 0, 1)
    course = 0.5 * (np.cos(np.pi * down) - np.cos(np.pi * up))
    return np.asarray(course, np.float32)


def _wander(times: Times, period: float, generator: np.random.Generator) -> Times:
    """A smooth random curve of unit variance: sines with periods around ``period`` seconds."""
    periods = period * np.exp(generator.normal(0.4, 0.5, 6))
    phases = generator.uniform(0, 2 * np.pi, 6)
    waves = np.sin(2 * np.pi * times[:, None] / periods + phases)
    return np.asarray(waves.sum(axis=1) / np.sqrt(3.0), np.float64)


def _speech(manner: Manner, times: Times, generator: np.random.Generator) -> dict[str, FloatArray]:
    """Jaw and lips of a person who speaks for a share ``manner.speech`` of the time."""
    turn = _wander(times, 3.0, generator)
    talking = np.clip((turn - np.quantile(turn, 1 - min(0.95, manner.speech))) / 0.3, 0, 1)
    syllables = 0.5 - 0.5 * np.cos(
        2 * np.pi * np.cumsum(np.gradient(times) * 3.3 / manner.slowness)
        + 0.8 * _wander(times, 0.7, generator)
    )
    opening = talking * syllables * manner.speech_strength
    rounding = talking * np.clip(_wander(times, 0.5, generator), 0, 1) * manner.speech_strength
    return {
        "jawOpen": (0.30 * opening).astype(np.float32),
        "mouthLowerDownLeft": (0.3 * opening).astype(np.float32),
        "mouthLowerDownRight": (0.3 * opening).astype(np.float32),
        "mouthPucker": (0.45 * rounding).astype(np.float32),
        "mouthFunnel": (0.25 * rounding).astype(np.float32),
    }
