"""The protocols by name: how published results on a corpus are compared."""

from __future__ import annotations

from functools import partial

from mien.corpora.protocols.folds import (
    FIVE_STORED_FOLDS,
    TEN_FOLDS,
    leave_one_subject_out,
    official,
    subject_disjoint,
)
from mien.corpora.protocols.protocol import Protocol
from mien.errors import MienError, did_you_mean
from mien.labels import LABEL_SPACES

__all__ = ["PROTOCOLS", "Protocol", "protocol_of"]

_TENTH = "a tenth of the corpus's train, by subject, else by video or picture, selects the epoch"
_PUBLISHED = "the corpus's own part valid selects the epoch"
_NEXT = "the subjects of the next fold select the epoch"
_VALID = partial(official, tested="valid")
_EXPRESSION = ("accuracy", "mean_class_accuracy", "macro_f1")

_EVERY = (
    Protocol(
        "rafdb",
        "rafdb",
        "RAF-DB, basic: 7 classes, train and test as published",
        "expression",
        _EXPRESSION,
        official,
        _TENTH,
        "12,271 and 3,068 faces. Published code that was read selects the epoch on test; results "
        "selected on valid are lower, and comparable with each other only.",
        LABEL_SPACES["rafdb"],
    ),
    Protocol(
        "affectnet-7",
        "affectnet",
        "AffectNet: 7 classes, tested on its validation part, whose test part is not published",
        "expression",
        _EXPRESSION,
        _VALID,
        _TENTH,
        "3,500 faces in test, 500 of each class, so accuracy and mean-class accuracy agree.",
        LABEL_SPACES["affectnet7"],
    ),
    Protocol(
        "affectnet-8",
        "affectnet",
        "AffectNet: 8 classes, tested on its validation part, whose test part is not published",
        "expression",
        _EXPRESSION,
        _VALID,
        _TENTH,
        "4,000 faces in test, 500 of each class.",
        LABEL_SPACES["affectnet8"],
    ),
    Protocol(
        "ferplus",
        "ferplus",
        "FER+: 8 classes by the majority of votes, parts as published",
        "expression",
        _EXPRESSION,
        official,
        _PUBLISHED,
        "Rules for ties, unknown and single votes differ between papers; the recipe's rule is in "
        "the summary.",
        LABEL_SPACES["ferplus"],
    ),
    Protocol(
        "fer2013",
        "fer2013",
        "FER2013: 7 classes, PublicTest selects and PrivateTest is test",
        "expression",
        _EXPRESSION,
        official,
        _PUBLISHED,
        "28,709, 3,589 and 3,589 faces, with near duplicates across the parts.",
        LABEL_SPACES["fer2013"],
    ),
    Protocol(
        "ckplus-10fold",
        "ckplus",
        "CK+: 7 classes without neutral, last three frames, ten folds of subjects",
        "expression",
        _EXPRESSION,
        TEN_FOLDS,
        _NEXT,
        "327 sequences of 118 subjects. Folds and classes differ widely between papers.",
        LABEL_SPACES["ckplus7"],
    ),
    Protocol(
        "oulu-10fold",
        "oulu-casia",
        "Oulu-CASIA: 6 classes, visible light, strong, last three frames, ten folds of subjects",
        "expression",
        _EXPRESSION,
        TEN_FOLDS,
        _NEXT,
        "480 sequences of 80 subjects; general knowledge.",
        LABEL_SPACES["oulu"],
    ),
    Protocol(
        "mmi-10fold",
        "mmi",
        "MMI: 6 classes, three frames of the peak, ten folds of subjects",
        "expression",
        _EXPRESSION,
        TEN_FOLDS,
        _NEXT,
        "About 205 sequences of 30 subjects; general knowledge.",
        LABEL_SPACES["mmi"],
    ),
    Protocol(
        "jaffe-loso",
        "jaffe",
        "JAFFE: 7 classes, leave one subject out",
        "expression",
        _EXPRESSION,
        leave_one_subject_out,
        _NEXT,
        "213 pictures of 10 subjects.",
        LABEL_SPACES["jaffe"],
    ),
    Protocol(
        "sfew",
        "sfew",
        "SFEW 2.0: 7 classes, tested on its validation part, whose test labels are not published",
        "expression",
        _EXPRESSION,
        _VALID,
        _TENTH,
        "958 and 436 stills; general knowledge.",
        LABEL_SPACES["sfew"],
    ),
    Protocol(
        "abaw-va",
        "aff-wild2",
        "ABAW, valence and arousal: mean concordance over all frames of the validation part",
        "valence_arousal",
        ("mean_ccc", "ccc_valence", "ccc_arousal"),
        partial(official, tested="valid", column="split_va"),
        _TENTH,
        "Concordance over all frames at once, never a mean over batches or videos.",
    ),
    Protocol(
        "abaw-expr",
        "aff-wild2",
        "ABAW, expression: macro F1 over 8 classes of the validation part",
        "expression",
        ("macro_f1", "accuracy", "mean_class_accuracy"),
        partial(official, tested="valid", column="split_expr"),
        _TENTH,
        "Eight classes with other, as from 2022 on; frames marked -1 are left out.",
        LABEL_SPACES["abaw"],
    ),
    Protocol(
        "abaw-au",
        "aff-wild2",
        "ABAW, action units: mean F1 of 12 units over the validation part",
        "action_units",
        ("mean_unit_f1", "mean_unit_auc"),
        partial(official, tested="valid", column="split_au"),
        _TENTH,
        "F1 of presence at probability 0.5; frames marked -1 are left out.",
    ),
    Protocol(
        "dfew-5fold",
        "dfew",
        "DFEW: 7 classes of clips, five folds as published; WAR is accuracy, UAR mean-class",
        "expression",
        ("mean_class_accuracy", "accuracy"),
        FIVE_STORED_FOLDS,
        "a tenth of the clips of the train lists selects the epoch",
        "Public code that was read copies the test list to valid, so selects on test.",
        LABEL_SPACES["dfew"],
    ),
    Protocol(
        "ferv39k",
        "ferv39k",
        "FERV39k: 7 classes of clips, all scenes; WAR is accuracy, UAR mean-class accuracy",
        "expression",
        ("mean_class_accuracy", "accuracy"),
        official,
        "a tenth of the clips of the train list selects the epoch",
        "38,935 clips. Public code that was read selects on test.",
        LABEL_SPACES["ferv39k"],
    ),
    Protocol(
        "mafw-5fold",
        "mafw",
        "MAFW: 11 classes of clips, five folds as published; WAR is accuracy, UAR mean-class",
        "expression",
        ("mean_class_accuracy", "accuracy"),
        FIVE_STORED_FOLDS,
        "a tenth of the clips of the train lists selects the epoch",
        "9,172 clips with a single label. Public code that was read selects on test.",
        LABEL_SPACES["mafw"],
    ),
    Protocol(
        "avec2013",
        "avec2013",
        "AVEC2013: errors of a recording's BDI-II score, parts as published",
        "severity",
        ("mae", "rmse", "pcc", "ccc"),
        official,
        _PUBLISHED,
        "50 recordings in each part; some subjects are in more than one.",
    ),
    Protocol(
        "avec2014",
        "avec2014",
        "AVEC2014: errors of a recording's BDI-II score, parts as published",
        "severity",
        ("mae", "rmse", "pcc", "ccc"),
        official,
        _PUBLISHED,
        "100 recordings in each part, two tasks of a session; subjects are in more than one part.",
    ),
    Protocol(
        "avec2014-subject-disjoint",
        "avec2014",
        "AVEC2014: errors of a recording's BDI-II score, no subject in two parts",
        "severity",
        ("mae", "rmse", "pcc", "ccc"),
        subject_disjoint,
        "a fifth of the subjects selects the epoch",
        "Ours: three of five subjects in train, by a hash of their names. Not comparable with "
        "results on the published parts.",
    ),
)

PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in _EVERY}


def protocol_of(name: str) -> Protocol:
    """Return the protocol called ``name``; :class:`MienError` lists the names for another."""
    if name not in PROTOCOLS:
        raise MienError(
            f"expected a protocol ({', '.join(PROTOCOLS)}), got {name!r}: name one of them"
            f"{did_you_mean(name, PROTOCOLS)}"
        )
    return PROTOCOLS[name]
