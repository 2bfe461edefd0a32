"""How each corpus came about: what Croissant metadata of a dataset say of its origin.

Citations, years and numbers of annotators are general knowledge of the corpora's papers; where it
is not certain, nothing is said. What a dataset contains is counted when it is written.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Collection:
    """How pictures or recordings came about: in words, as a value of RAI, and what follows.

    ``kind`` is a recommended value of ``rai:dataCollectionType``; ``biases`` are what this way of
    collecting is known for.
    """

    text: str
    kind: str
    biases: tuple[str, ...] = ()


@dataclass(frozen=True)
class About:
    """The origin of a corpus. ``year`` is that of its publication, None where it has none.

    ``annotated`` says who labeled it and ``per_item`` how many labels an item has; empty where
    that is not known.
    """

    title: str
    collection: Collection
    citation: str = ""
    year: int | None = None
    annotated: str = ""
    per_item: str = ""


_WEB = Collection(
    "Pictures found on the web by searching for words of emotion; nobody asked the people in them.",
    "Web Scraping",
    (
        "Search engines return posed, frontal and adult faces first, and some countries more often "
        "than others.",
    ),
)
_WEB_VIDEO = Collection(
    "Videos found on the web; nobody asked most of the people in them.",
    "Web Scraping",
    ("Frames of one video resemble each other, so there are fewer people than frames.",),
)
_FILM = Collection(
    "Faces of actors in films and television.",
    "Secondary Data analysis",
    (
        "Actors play emotions; makeup, light and camera follow the film.",
        "Frames of one film resemble each other.",
    ),
)
_CLIPS = Collection(
    "Clips of films, television and other published videos.",
    "Secondary Data analysis",
    (
        "Most people act or know that they are filmed; makeup, light and camera follow the film.",
        "Frames of one clip resemble each other.",
    ),
)
_POSED = Collection(
    "People who agreed to it were asked to show expressions in a laboratory.",
    "Experiments",
    (
        "Posed expressions are stronger and more alike than spontaneous ones.",
        "Few people, one laboratory, one light.",
    ),
)
_SPONTANEOUS = Collection(
    "People who agreed to it were recorded in a laboratory while they watched films or did tasks.",
    "Experiments",
    ("Few people, one laboratory, one light; most frames show little movement.",),
)
_RECORDED = Collection(
    "People who agreed to it were recorded while they spoke to a computer or were interviewed.",
    "Experiments",
    (
        "Few people, recruited at a few places; scores are those of a questionnaire that people "
        "filled in themselves, and no diagnosis.",
    ),
)
_SYNTHETIC = Collection(
    "Pictures made by a generative model; they show no real person.",
    "Others",
    ("A generative model repeats the stereotypes of what it was trained on.",),
)
_YOURS = Collection("Collected by those who prepared the dataset; nothing else is known.", "Others")

_RAFDB = (
    "Li, Deng, Du: Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression "
    "Recognition in the Wild. CVPR 2017"
)
_GOODFELLOW = "Goodfellow et al.: Challenges in Representation Learning. ICONIP 2013"
_SELF_REPORT = "Scores of the Beck Depression Inventory II, which subjects filled in themselves."

ABOUT: dict[str, About] = {
    "ferplus": About(
        "FER+",
        _WEB,
        "Barsoum, Zhang, Canton Ferrer, Zhang: Training Deep Networks for Facial Expression "
        f"Recognition with Crowd-Sourced Label Distribution. ICMI 2016. Images: {_GOODFELLOW}",
        2016,
        "Taggers of a crowdsourcing platform chose one expression for each picture.",
        "10",
    ),
    "fer2013": About(
        "FER2013",
        _WEB,
        _GOODFELLOW,
        2013,
        "The word searched for, checked by hand.",
        "1",
    ),
    "rafdb": About(
        "RAF-DB",
        _WEB,
        _RAFDB,
        2017,
        "Trained annotators voted on each picture; the label is what most of them chose.",
        "about 40",
    ),
    "rafdb-compound": About(
        "RAF-DB, compound",
        _WEB,
        _RAFDB,
        2017,
        "Trained annotators voted on each picture; the label joins the two most frequent choices.",
        "about 40",
    ),
    "affectnet": About(
        "AffectNet",
        _WEB,
        "Mollahosseini, Hasani, Mahoor: AffectNet, a Database for Facial Expression, Valence, and "
        "Arousal Computing in the Wild. IEEE Transactions on Affective Computing 2019",
        2017,
        "One of twelve annotators labeled each picture.",
        "1",
    ),
    "sfew": About(
        "SFEW 2.0",
        _FILM,
        "Dhall, Goecke, Lucey, Gedeon: Static Facial Expression Analysis in Tough Conditions. "
        "ICCV Workshops 2011",
        2011,
        "Labeled by annotators.",
    ),
    "expw": About(
        "ExpW",
        _WEB,
        "Zhang, Luo, Loy, Tang: From Facial Expression Recognition to Interpersonal Relation "
        "Prediction. International Journal of Computer Vision 2018",
        2018,
        "Labeled by annotators.",
    ),
    "jaffe": About(
        "JAFFE",
        _POSED,
        "Lyons, Akamatsu, Kamachi, Gyoba: Coding Facial Expressions with Gabor Wavelets. FG 1998",
        1998,
        "The label is the expression that the subject, a Japanese woman, was asked for.",
        "1",
    ),
    "kdef": About(
        "KDEF",
        _POSED,
        "Lundqvist, Flykt, Oehman: The Karolinska Directed Emotional Faces. 1998",
        1998,
        "The label is the expression that the subject, an amateur actor, was asked for.",
        "1",
    ),
    "ckplus": About(
        "CK+",
        _POSED,
        "Lucey, Cohn, Kanade, Saragih, Ambadar, Matthews: The Extended Cohn-Kanade Dataset (CK+). "
        "CVPR Workshops 2010",
        2010,
        "Action units were coded in the last frame; the label follows from them.",
        "1",
    ),
    "oulu-casia": About(
        "Oulu-CASIA",
        _POSED,
        "Zhao, Huang, Taini, Li, Pietikainen: Facial Expression Recognition from Near-Infrared "
        "Videos. Image and Vision Computing 2011",
        2011,
        "The label is the expression that the subject was asked for.",
        "1",
    ),
    "mmi": About(
        "MMI",
        _POSED,
        "Pantic, Valstar, Rademaker, Maat: Web-Based Database for Facial Expression Analysis. "
        "ICME 2005",
        2005,
        "The label is the expression that the subject was asked for.",
        "1",
    ),
    "diffusionfer": About(
        "DiffusionFER",
        _SYNTHETIC,
        annotated="Two annotators named what they saw, whatever the picture was made for.",
        per_item="2",
    ),
    "aff-wild2": About(
        "Aff-Wild2",
        _WEB_VIDEO,
        "Kollias, Zafeiriou: Aff-Wild2, Extending the Aff-Wild Database for Affect Recognition. "
        "2018",
        2018,
        "Experts annotated the videos frame by frame.",
    ),
    "afew-va": About(
        "AFEW-VA",
        _FILM,
        "Kossaifi, Tzimiropoulos, Todorovic, Pantic: AFEW-VA Database for Valence and Arousal "
        "Estimation In-The-Wild. Image and Vision Computing 2017",
        2017,
        "Two experts annotated every frame together.",
        "1",
    ),
    "disfa": About(
        "DISFA",
        _SPONTANEOUS,
        "Mavadati, Mahoor, Bartlett, Trinh, Cohn: DISFA, a Spontaneous Facial Action Intensity "
        "Database. IEEE Transactions on Affective Computing 2013",
        2013,
        "A coder of the Facial Action Coding System coded every frame.",
        "1",
    ),
    "bp4d": About(
        "BP4D-Spontaneous",
        _SPONTANEOUS,
        "Zhang et al.: BP4D-Spontaneous, a High-Resolution Spontaneous 3D Dynamic Facial "
        "Expression Database. Image and Vision Computing 2014",
        2014,
        "Coders of the Facial Action Coding System coded the part of a task with most movement.",
        "1",
    ),
    "dfew": About(
        "DFEW",
        _FILM,
        "Jiang et al.: DFEW, a Large-Scale Database for Recognizing Dynamic Facial Expressions in "
        "the Wild. ACM Multimedia 2020",
        2020,
        "Ten trained annotators voted on each clip; a clip has a label where most agreed.",
        "10",
    ),
    "ferv39k": About(
        "FERV39k",
        _CLIPS,
        "Wang et al.: FERV39k, a Large-Scale Multi-Scene Dataset for Facial Expression Recognition "
        "in Videos. CVPR 2022",
        2022,
        "Annotators of a crowdsourcing platform voted on each clip.",
    ),
    "mafw": About(
        "MAFW",
        _CLIPS,
        "Liu et al.: MAFW, a Large-Scale, Multi-Modal, Compound Affective Database for Dynamic "
        "Facial Expression Recognition in the Wild. ACM Multimedia 2022",
        2022,
        "Eleven annotators labeled each clip.",
        "11",
    ),
    "avec2013": About(
        "AVEC2013",
        _RECORDED,
        "Valstar et al.: AVEC 2013, the Continuous Audio/Visual Emotion and Depression "
        "Recognition Challenge. ACM Multimedia Workshops 2013",
        2013,
        _SELF_REPORT,
        "1",
    ),
    "avec2014": About(
        "AVEC2014",
        _RECORDED,
        "Valstar et al.: AVEC 2014, 3D Dimensional Affect and Depression Recognition Challenge. "
        "ACM Multimedia Workshops 2014",
        2014,
        _SELF_REPORT,
        "1",
    ),
    "daic-woz": About(
        "DAIC-WOZ",
        _RECORDED,
        "Gratch et al.: The Distress Analysis Interview Corpus of Human and Computer Interviews. "
        "LREC 2014",
        2014,
        "Scores of the PHQ-8, which subjects filled in themselves.",
        "1",
    ),
    "folder": About("images of one's own", _YOURS),
    "recordings": About("recordings of one's own", _YOURS),
}
"""The origin of each corpus by its name."""
