"""A subject who does not exist: the shape of the head, skin, hair, eyes and resting face."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from mien.schema import FloatArray
from mien.synthetic.rendering.head import Head

AGE_GROUPS: tuple[tuple[str, int], ...] = (
    ("child", 18),
    ("young", 35),
    ("middle", 60),
    ("old", 120),
)
"""Age groups, and the upper limit of each in years."""

SKIN_TONES: FloatArray = np.array(
    [
        (240, 205, 184),
        (228, 184, 156),
        (210, 160, 126),
        (176, 122, 86),
        (126, 82, 57),
        (82, 53, 40),
    ],
    np.float32,
)
"""sRGB of skin tones 1 (lightest) to 6 (darkest), in the order of Fitzpatrick's types."""

_HAIR = {
    "black": (22, 18, 17),
    "brown": (62, 40, 27),
    "chestnut": (94, 58, 36),
    "blond": (176, 138, 88),
    "red": (122, 58, 28),
    "gray": (152, 144, 134),
}
_IRISES = ((74, 46, 26), (96, 66, 34), (52, 34, 22), (94, 120, 140), (96, 112, 78), (120, 132, 138))
_WEIGHTS = ("minweight", "averageweight", "maxweight")
_MUSCLES = ("minmuscle", "averagemuscle", "maxmuscle")
_AGES = ("child", "young", "old")
_RESTING = ("browDown", "browInnerUp", "eyeSquint", "eyeWide", "mouthFrown", "mouthSmile",
            "mouthPress", "cheekSquint")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Subject:
    """One identity: everything that stays the same from face to face.

    ``vertices`` ``(V, 3)`` are those of the neutral head. ``age`` is in years, ``sex`` "female" or
    "male", ``skin_tone`` 1 to 6. Colors are sRGB in [0, 255]. ``resting`` are face units that the
    face always shows a little. ``liveliness`` scales all expressions (0.85 to 1.15). ``seed`` is
    for the texture of the skin.
    """

    vertices: FloatArray
    age: float
    sex: str
    skin_tone: int
    skin: FloatArray
    lips: FloatArray
    hair: FloatArray
    iris: FloatArray
    hair_style: str
    hair_volume: float
    hairline: float
    brow_weight: float
    beard: float
    freckles: float
    resting: dict[str, float]
    liveliness: float
    seed: tuple[int, int]

    @property
    def age_group(self) -> str:
        """The name of the subject's group in :data:`AGE_GROUPS`."""
        return next(name for name, limit in AGE_GROUPS if self.age < limit)


def make_subject(head: Head, seed: int, number: int) -> Subject:
    """Make subject ``number`` of a seed; the same two numbers always give the same subject.

    Ages are 8 to 80. Sexes and skin tones are equally frequent, and skin tone is independent of
    the shape of the head, so that neither predicts the other.
    """
    generator = np.random.default_rng((seed, number, 1))
    sex = ("female", "male")[int(generator.integers(2))]
    group = generator.choice(4, p=(0.12, 0.38, 0.30, 0.20))
    low, high = ((8, 18), (18, 35), (35, 60), (60, 80))[group]
    age = float(generator.uniform(low, high))
    tone = int(generator.integers(1, 7))
    vertices = _shape(head, generator, male=sex == "male", age=age)

    skin = SKIN_TONES[tone - 1] * generator.uniform(0.92, 1.05)
    skin = skin * np.array([1.0, generator.uniform(0.96, 1.03), generator.uniform(0.92, 1.04)])
    flush = generator.uniform(0.25, 0.55) * (0.6 if tone > 4 else 1.0)
    lips = skin * (1 - flush) + flush * np.array([168, 62, 66]) * (0.55 + 0.45 * skin[0] / 255)
    if sex == "female" and age > 16 and generator.random() < 0.35:
        lips = 0.35 * lips + 0.65 * np.array(
            [(150, 30, 45), (178, 74, 84), (120, 40, 50)][int(generator.integers(3))]
        )
    dark = tone >= 4
    colors = ["black", "brown"] if dark else ["black", "brown", "chestnut", "blond", "red"]
    hair = np.array(_HAIR[str(generator.choice(colors))], np.float64)
    gray = np.clip((age - 40) / 30 + generator.normal(0, 0.25), 0, 1) if age > 35 else 0.0
    hair = (1 - gray) * hair + gray * np.array(_HAIR["gray"]) * generator.uniform(0.8, 1.3)
    bald = sex == "male" and generator.random() < np.clip((age - 25) / 70, 0, 0.5)
    styles = ("short", "full", "long") if sex == "female" else ("shaved", "short", "full")
    chances = (0.2, 0.3, 0.5) if sex == "female" else (0.2, 0.5, 0.3)
    style = "bald" if bald else str(generator.choice(styles, p=chances))
    iris = _IRISES[int(generator.integers(3 if dark else len(_IRISES)))]
    beard = 0.0
    if sex == "male" and age > 17:
        beard = float(
            generator.choice([0.0, generator.uniform(0.15, 0.4), generator.uniform(0.6, 1)])
        )
    resting = {}
    for name in generator.choice(_RESTING, 2, replace=False):
        amount = float(abs(generator.normal(0, 0.12)))
        for side in ("",) if name == "browInnerUp" else ("Left", "Right"):
            resting[f"{name}{side}"] = amount
    return Subject(
        vertices=vertices,
        age=age,
        sex=sex,
        skin_tone=tone,
        skin=skin.astype(np.float32),
        lips=np.clip(lips, 0, 255).astype(np.float32),
        hair=np.clip(hair, 0, 235).astype(np.float32),
        iris=np.array(iris, np.float32) * np.float32(generator.uniform(0.8, 1.2)),
        hair_style=style,
        hair_volume=float(generator.uniform(0.7, 1.4)),
        hairline=float(generator.normal(0, 0.04) + (0.05 if sex == "male" and age > 40 else 0)),
        brow_weight=float(generator.uniform(0.6, 1.2) * (1.15 if sex == "male" else 0.9)),
        beard=beard,
        freckles=float(generator.uniform(0.3, 1) if generator.random() < 0.25 and tone < 4 else 0),
        resting=resting,
        liveliness=float(generator.uniform(0.85, 1.15)),
        seed=(seed, number),
    )


def _shape(head: Head, generator: np.random.Generator, *, male: bool, age: float) -> FloatArray:
    """Shape the neutral vertices by MakeHuman's macro targets and random local changes."""
    sexes = {"male": np.clip((1.0 if male else 0.0) + generator.normal(0, 0.12), 0, 1)}
    sexes["female"] = 1 - sexes["male"]
    races = dict(
        zip(("african", "asian", "caucasian"), generator.dirichlet((0.6, 0.6, 0.6)), strict=True)
    )
    # MakeHuman's child is about 10 years old, its young adult 25, its old adult 90.
    ages = dict.fromkeys(_AGES, 0.0)
    if age < 25:
        grown = np.clip((age - 10) / 15, 0, 1)
        ages |= {"child": 1 - grown, "young": grown}
    else:
        old = (age - 25) / 65
        ages |= {"young": 1 - old, "old": old}
    muscles = _between(_MUSCLES, float(generator.uniform(0.2, 0.8)))
    weights = _between(_WEIGHTS, float(generator.uniform(0.15, 0.85)))
    vertices = head.vertices.astype(np.float64)
    for (race, r), (sex, s), (name, a) in product(races.items(), sexes.items(), ages.items()):
        if r * s * a > 1e-4:
            vertices += r * s * a * head.macros[f"{race}-{sex}-{name}"]
    for (sex, s), (name, a), (muscle, m), (weight, w) in product(
        sexes.items(), ages.items(), muscles.items(), weights.items()
    ):
        key = f"universal-{sex}-{name}-{muscle}-{weight}"
        if s * a * m * w > 1e-4 and key in head.macros:
            vertices += s * a * m * w * head.macros[key]
    for name, (negative, positive) in head.shapes.items():
        # Most faces differ from the mean in a few ways; changes of the outline are subtle.
        amount = float(np.clip(generator.normal(0, 0.24), -0.6, 0.6))
        if name.startswith(("neck", "measure", "head-trans", "head-angle", "ear-shape")):
            amount *= 0.3
        vertices += abs(amount) * (positive if amount > 0 else negative)
    return vertices.astype(np.float32)


def _between(names: tuple[str, str, str], value: float) -> dict[str, float]:
    """Weights that interpolate three targets at 0, 0.5 and 1."""
    low, high = max(0.0, 1 - 2 * value), max(0.0, 2 * value - 1)
    return dict(zip(names, (low, 1 - low - high, high), strict=True))
