"""Other papers' measures by name: what each counts, over what, and how it differs from EMAP.

Sources: shuffled accuracy and the perceptual score (Gat, Schwartz & Schwing 2021, arXiv
2110.14375); InterSHAP (Wenderoth et al. 2024, arXiv 2412.14063); SHAPE (Hu, Li & Zhou 2022, arXiv
2205.00302); the interaction types of MMoE (Yu et al. 2023, arXiv 2311.09580).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Measure:
    """A number that a paper reports, and what it is.

    Attributes
    ----------
    name : str
        In records.
    title : str
        For people.
    counts : str
        What it counts, in a few words.
    over : str
        What it counts over.
    differs : str
        How it differs from EMAP.
    unit : {"points", "share", "bits"}
        A difference in points, which are hundredths; a share of 1; or bits.
    needs : {"labels", "grid", "both"}
        What it needs besides the predictions: labels, the answers over the whole grid.
    drawn : bool
        Whether it is on the figure's scale from 0 to 1.
    range : (float, float)
        The lowest and the highest value that it can have.
    """

    name: str
    title: str
    counts: str
    over: str
    differs: str
    unit: Literal["points", "share", "bits"] = "points"
    needs: Literal["labels", "grid", "both"] = "both"
    drawn: bool = True
    range: tuple[float, float] = (0.0, 1.0)


_EXAMPLES = "the examples"
_ROWS = "the examples, by rows of the table of scores"
_AVERAGED = "the examples, an absent side averaged over all others"
_RECOMBINED = "all recombinations, weighted by how often text and image occur"

_SHUFFLED = (
    "Shuffling also takes away what a side says by itself, which EMAP keeps, so even a model that "
    "only adds loses accuracy."
)
_SHAPLEY = (
    "It uses decisions of one-sided means instead of the additive fit, so whatever both sides say "
    "counts against cooperation."
)
_TYPES = "It depends on whether one-sided decisions agree, whatever the model itself decides."
_BITS = (
    "It is about answers, not logits: a softmax combines sides that logits only add, so a model "
    "without interactions can have some."
)


def _permuted(what: str) -> str:
    return f"the examples, {what} in every order"


MEASURES = {
    one.name: one
    for one in (
        Measure(
            "perceptual_text",
            "Perceptual score of the text",
            "accuracy lost when texts are shuffled",
            _permuted("texts"),
            _SHUFFLED,
            range=(-1.0, 1.0),
        ),
        Measure(
            "perceptual_image",
            "Perceptual score of the image",
            "accuracy lost when images are shuffled",
            _permuted("images"),
            _SHUFFLED,
            range=(-1.0, 1.0),
        ),
        Measure(
            "intershap_local",
            "InterSHAP, local",
            "interaction’s share of each prediction",
            _AVERAGED,
            "It uses probabilities instead of decisions; an absent side is averaged over all "
            "others.",
            unit="share",
            needs="grid",
        ),
        Measure(
            "intershap_global",
            "InterSHAP, global",
            "the same, with effects averaged first",
            _AVERAGED,
            "Interactions that raise some examples and lower others cancel.",
            unit="share",
            needs="grid",
        ),
        Measure(
            "shape_cooperation",
            "SHAPE cooperation, by averaging",
            "accuracy beyond that of each side alone",
            _ROWS,
            _SHAPLEY,
            needs="labels",
            range=(-2.0, 2.0),
        ),
        Measure(
            "shape_text",
            "SHAPE, the text’s part of accuracy",
            "Shapley value of the text in accuracy",
            _ROWS,
            _SHAPLEY,
            needs="labels",
            range=(-1.0, 1.0),
        ),
        Measure(
            "shape_image",
            "SHAPE, the image’s part of accuracy",
            "Shapley value of the image in accuracy",
            _ROWS,
            _SHAPLEY,
            needs="labels",
            range=(-1.0, 1.0),
        ),
        Measure(
            "mmoe_synergistic",
            "MMoE type: synergistic",
            "one-sided answers agree and are wrong",
            _EXAMPLES,
            _TYPES,
            unit="share",
            needs="labels",
        ),
        Measure(
            "mmoe_unique",
            "MMoE type: unique",
            "one-sided answers differ",
            _EXAMPLES,
            _TYPES,
            unit="share",
            needs="labels",
        ),
        Measure(
            "mmoe_redundant",
            "MMoE type: redundant",
            "one-sided answers agree and are right",
            _EXAMPLES,
            _TYPES,
            unit="share",
            needs="labels",
        ),
        Measure(
            "bits_together_share",
            "Bits from both together, share",
            "information that neither side gives alone",
            _RECOMBINED,
            _BITS,
            unit="share",
            needs="grid",
        ),
        *(
            Measure(
                name,
                title,
                counts,
                _RECOMBINED,
                _BITS,
                "bits",
                "grid",
                drawn=False,
                range=(0.0, np.inf),
            )
            for name, title, counts in (
                ("bits_both", "Bits of both", "what text and image tell about the answer"),
                ("bits_text", "Bits of the text", "what the text alone tells about the answer"),
                ("bits_image", "Bits of the image", "what the image alone tells about the answer"),
                (
                    "bits_together",
                    "Bits from both together",
                    "what both tell beyond the two of them",
                ),
                ("bits_answers", "Bits in the answers", "entropy of the answers over all pairs"),
            )
        ),
        *(
            Measure(name, title, counts, over, _SHUFFLED, "share", drawn=False, range=(-1.0, 1.0))
            for name, title, counts, over in (
                (
                    "accuracy_texts_shuffled",
                    "Accuracy, texts shuffled",
                    "mean over all permutations",
                    _permuted("texts"),
                ),
                (
                    "accuracy_images_shuffled",
                    "Accuracy, images shuffled",
                    "mean over all permutations",
                    _permuted("images"),
                ),
                (
                    "accuracy_both_shuffled",
                    "Accuracy, both shuffled",
                    "mean over all recombinations",
                    _permuted("texts and images"),
                ),
                (
                    "accuracy_texts_replaced",
                    "Accuracy, texts replaced",
                    "the same without the example’s own text",
                    "the examples, each with every other text",
                ),
                (
                    "accuracy_images_replaced",
                    "Accuracy, images replaced",
                    "the same without the example’s own image",
                    "the examples, each with every other image",
                ),
                (
                    "perceptual_text_relative",
                    "Perceptual score of the text, of accuracy",
                    "divided by the accuracy of the model",
                    _permuted("texts"),
                ),
                (
                    "perceptual_image_relative",
                    "Perceptual score of the image, of accuracy",
                    "divided by the accuracy of the model",
                    _permuted("images"),
                ),
            )
        ),
    )
}
"""Measures by name, with those that the figure draws first."""
