"""What the words on the pages mean: each in two sentences, what it is and what it is not."""

from __future__ import annotations

import streamlit as st

TERMS = {
    "interaction": (
        "The part of a prediction that depends on text and image together, left over when the "
        "average contribution of each side is taken away. It is not a sign of understanding: a "
        "model may combine both sides and still be wrong."
    ),
    "EMAP": (
        "The best imitation of the model that only adds something for the text and something for "
        "the image, found by scoring every text with every image (Hessel and Lee, 2020). It is "
        "not a model that was trained without interactions; a retrained one may do better."
    ),
    "leave-one-out EMAP": (
        "EMAP with each example’s own prediction left out of the averages that imitate it, so that "
        "no example helps to predict itself. It is not the number in the published papers; that "
        "is plain EMAP, which looks a little better than it should on small data."
    ),
    "gap": (
        "What a metric loses when the model is replaced by its EMAP; positive means that "
        "interactions help. A small gap speaks of this model on this data, and does not say that "
        "the task needs no interactions."
    ),
    "interval": (
        "The range in brackets, which in 95 of 100 repetitions with new examples would hold the "
        "true value. It says nothing of data of another kind or of the model trained anew."
    ),
    "recombination": (
        "A text of the data scored with an image of the data, whether or not they belong "
        "together. It may be a pair that the model never saw and that makes no sense, and the "
        "averages include it all the same."
    ),
    "variance shares": (
        "How much of the movement of the model’s outputs over all recombinations text, image and "
        "interaction carry. They are not shares of accuracy: a small interaction can decide many "
        "answers, and a large one none."
    ),
    "text only, image only": (
        "The model’s own average prediction for a text over all other images, and for an image "
        "over all other texts. They are not separate models that were trained on one side."
    ),
    "constant": (
        "The best that can be done without looking at the input: the most common answer, or the "
        "mean. It is the floor for the other rows and not a property of the model."
    ),
    "contribution": (
        "What the text (or the image) of an example adds to a prediction, compared with the "
        "average over all texts (or images). It is not what happens when that side is removed, "
        "since models are not defined for half a pair."
    ),
    "kind": (
        "Which side the prediction follows: both agree with it (redundant), only the text does "
        "(text-led), only the image does (image-led), or neither (synergistic). It describes the "
        "model’s answers, right or wrong, and not the examples themselves."
    ),
    "margin": (
        "The lead of the predicted class over the runner-up, split into parts like any output. "
        "Where mean, text and image alone give less than zero, the interaction decides; it is "
        "not a probability."
    ),
}
"""Term to two sentences."""


def explain(*terms: str, label: str = "What do these words mean?") -> None:
    """Draw a button that opens what some terms mean, all of them by default."""
    with st.popover(label, icon=":material/help:", type="tertiary"):
        for term in terms or TERMS:
            st.markdown(f"**{term[:1].upper()}{term[1:]}.** {TERMS[term]}")
