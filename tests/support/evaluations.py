"""An ordinary evaluation, and a reader of its page, for the tests of reports."""

from html.parser import HTMLParser

import numpy as np

from mien.labels import LABEL_SPACES, LabelSpace
from mien.statistics.arrays import Evaluation

SPACE = LABEL_SPACES["ferplus"]


def make(n: int = 80, classes: int = 8, **changes) -> Evaluation:
    rng = np.random.default_rng(0)
    space = SPACE if classes == 8 else LabelSpace(name="few", names=SPACE.names[:classes])
    targets = rng.integers(0, classes, n)
    scores = np.exp(rng.gumbel(size=(n, classes)) + 2 * np.eye(classes)[targets])
    given = {
        "ids": [f"face-{row}" for row in range(n)],
        "targets": targets,
        "probabilities": (scores / scores.sum(1, keepdims=True)).astype(np.float32),
        "embeddings": (scores + rng.normal(size=scores.shape)).astype(np.float32),
        "subjects": np.array([f"person-{row // 2}" for row in range(n)]),
        "crops": rng.integers(0, 256, (n, 24, 24, 3), dtype=np.uint8),
        "label_space": space,
        "split": "test",
        "rule": "majority",
    }
    return Evaluation(**(given | changes))


def affect(n: int = 80) -> dict[str, np.ndarray]:
    """Valence and arousal by class, predicted with shrinkage; every tenth row is not rated."""
    rng = np.random.default_rng(1)
    turn = make(n).targets * 0.7
    truth = np.stack([np.cos(turn), np.sin(turn)], 1) * 0.7
    truth = np.round(truth + rng.normal(0, 0.1, (n, 2)), 1).clip(-1, 1)
    truth[::10] = np.nan
    said = np.nan_to_num(0.6 * truth) + rng.normal(0, 0.15, (n, 2))
    return {"valence_arousal": said.astype(np.float32), "valence_arousal_targets": truth}


class Page(HTMLParser):
    """Checks that tags close in order and collects what matters."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[dict] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.images += [found] if tag == "img" else []
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found[key] for key in ("href", "src", "xlink:href") if key in found]
        if tag not in ("img", "meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in ("img", "meta", "br"):
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text += data
