"""What the words on the pages mean: each in two sentences, what it is and what it is not."""

from __future__ import annotations

import streamlit as st

from emap_core import methods

TERMS = {
    "full": (
        "The score of the model as it is, on the pairs of text and image that belong together. It "
        "is not a score on recombined pairs, for which there are no labels."
    ),
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
    "verdict": (
        "What the interval of the gap allows, beside the equivalence margin: relies, helps, "
        "no meaningful use, no gain that would matter, hurts, undecided, or not measurable where "
        "all examples share one text or image. It is not a statement about the task: another "
        "model, or this one trained anew, may come to another verdict."
    ),
    "equivalence margin": (
        "The smallest gap that matters: 1 point of a share, 0.01 of a correlation, and 1% of what "
        "the best constant scores where a metric has units, unless you set it. It is not a result "
        "but a choice, best made before looking."
    ),
    "gap": (
        "What a metric loses when the model is replaced by its EMAP; positive means that "
        "interactions help. A small gap speaks of this model on this data, and does not say that "
        "the task needs no interactions."
    ),
    "interval": (
        "The range in brackets, which in 95 of 100 repetitions with new data from the population "
        "named beside it would hold the true value. It says nothing of data of another kind or of "
        "the model trained anew."
    ),
    "population": (
        "Whom an interval speaks of: new examples where each has its own text and image, new texts "
        "and new images where either repeats, or new ones of one side with the other held as it "
        "is. It is not wider than that: what is held fixed may give another number elsewhere."
    ),
    "warning": (
        "A note that a number leans on few examples: a hundredth of them carry most of a gap, few "
        "decisions differ, a class has fewer than twenty, or few texts or images were drawn. It is "
        "not an error: the number is right for these data, and its interval is rough."
    ),
    "recombination": (
        "A text of the data scored with an image of the data, whether or not they belong "
        "together. It may be a pair that the model never saw and that makes no sense, and the "
        "averages include it all the same."
    ),
    "unlikely pairs": (
        "Recombinations of a kind that hardly occurs in the data, as far as the model’s encodings "
        "tell; the gap is computed again with such pairs counting less. It is not a proof that the "
        "other pairs make sense."
    ),
    "gap on the best scale": (
        "The gap in log loss and the like after a temperature and offsets have put the model and "
        "its EMAP on the scale that suits the labels best, so that a difference in spread does "
        "not count. It is not the score of the model as it is."
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
    "linear probes": (
        "Linear models trained on a training split, on what the model’s encoders make of the text, "
        "the image and both. They are not what the encoders could do if they were trained for one "
        "side alone."
    ),
    "p": (
        "How often chance alone would make a difference as large as this one, if both did equally "
        "well: below .05 just where the interval leaves out 0, and adjusted for their number "
        "(Holm) where several are tested. It is not the probability that there is no difference, "
        "and says nothing of its size."
    ),
    **dict(one.term for one in methods.methods() if one.term is not None),
    "VQA accuracy": (
        "What answers earn where several people were asked: one for an answer that three or more "
        "others gave, a third for each otherwise. It is not accuracy against one true answer, and "
        "even people do not reach 100%."
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
    "flip": (
        "An example whose answer changes without interactions: they helped (right only with them), "
        "hurt, or changed one error into another. It compares the model with its leave-one-out "
        "EMAP, and not with another model."
    ),
    "mode": (
        "A pattern of interaction: texts and images at the same end raise the output together, "
        "those at opposite ends lower it, and its share says how much of the interaction it "
        "carries. It is not a concept that the model was taught; naming it is up to you."
    ),
    "perceptual score": (
        "The accuracy that is lost when a side is shuffled, exact over all permutations (Gat et "
        "al., 2021). It is not what EMAP measures: a model that only adds loses by shuffling, too."
    ),
    "InterSHAP": (
        "The interaction in the probability of the predicted class as a share of all three "
        "effects, averaged over examples (local) or of averaged effects (global), where "
        "interactions of opposite sign cancel (Wenderoth et al., 2024). An absent side is "
        "averaged over all others, and the empty input is the mean over all recombinations, not "
        "over matched pairs as in the paper."
    ),
    "SHAPE cooperation": (
        "The accuracy of both sides and of none, less that of each side alone, by averaging over "
        "the other side (after Hu et al., 2022). It is not a gap: what both sides say twice makes "
        "it negative."
    ),
    "MMoE types": (
        "Whether text only and image only agree and are right (redundant), agree and are wrong "
        "(synergistic), or differ (unique), as in MMoE (2023). They are not the kinds of this "
        "dashboard, which go by the model’s own prediction."
    ),
    "bits": (
        "How much text, image and both tell about the model’s answer over all recombinations, and "
        "what is left for both together. They speak of the answers, not of the logits: a softmax "
        "combines sides that logits only add."
    ),
    "whole groups": (
        "A group is right if all its examples are: the same text with several images, or the same "
        "image with several texts (genuine accuracy of MMEvalPro; Q-Acc, I-Acc and G-Acc of "
        "NaturalBench; 2024). It is not accuracy: a rule that never looks at the image can have "
        "most single answers right and hardly a group."
    ),
    "text, image and group score": (
        "Of two texts and two images, whether each image scores higher with its own text, each "
        "text with its own image, or both (Winoground, 2022). They go by order and not by a "
        "threshold, and a score that only adds has none: without interactions they are 0."
    ),
    "two towers": (
        "Where a model that compares two vectors puts texts and images: the gap between their "
        "means, how narrow each side's cone is, and what becomes of the pairs when the gap is "
        "closed (Liang et al., 2022). The gap is not a fault, and lies in the additive part of the "
        "score alone."
    ),
    "partial information": (
        "What the text-only and the image-only prediction tell about the answer: the same, each "
        "alone, and only both together (BROJA, 2014), in bits, less what chance makes of it. It is "
        "not what the model does: a label can need both sides where the model uses one."
    ),
    "attention by quadrants": (
        "What is left of a score when the weights that words or picture give to the keys of one "
        "side are replaced by their mean (QUAG, 2024), in all layers or in one. It is not EMAP: "
        "the mean of the other side still gets through, and interactions elsewhere stay."
    ),
    "blind rows": (
        "What a model scores with a picture of one colour or of noise, or with an empty text. "
        "They lie outside the data, which the rows text only and image only do not: these average "
        "over other pictures and texts."
    ),
    "words and regions": (
        "Words are left out of the text and regions of the image are covered, in many ways, and "
        "what each pair of a word and a region adds beyond either alone is averaged over them (its "
        "order-2 Banzhaf interaction; the share of words is that of MM-SHAP with these weights). "
        "The numbers do not sum to the prediction, and say nothing of what a covered region means "
        "to a model that has never seen one."
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
