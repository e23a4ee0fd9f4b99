"""scikit-learn estimators on the features of both sides, for your own factories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emap_core.errors import ModelError
from emap_core.models.base import Output


class EstimatorModel:
    """A fitted estimator that was trained on [text features, image features].

    Parameters
    ----------
    estimator : object
        With ``decision_function`` (its values are the logits) or ``predict_proba``.
    text_features, image_features : callable or fitted transformer
        Takes B texts (or B PIL images) and returns an array of shape (B, D), dense or sparse; for a
        transformer, ``transform`` is called.
    classes : sequence of str, optional
        Names of the classes; the estimator's own by default.
    fingerprint : str, optional
        Changes whenever the outputs would; without one, runs cannot resume automatically.

    Raises
    ------
    ModelError
        If the estimator has neither method.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> fitted = LogisticRegression().fit([[0.0, 1.0], [1.0, 0.0]], ["no", "yes"])
    >>> model = EstimatorModel(fitted, lambda texts: [[len(t)] for t in texts],
    ...                        lambda images: [[image.width] for image in images])
    >>> model.classes, model.output
    (['no', 'yes'], 'logits')
    """

    def __init__(
        self,
        estimator: Any,
        text_features: Any,
        image_features: Any,
        classes: Sequence[str] | None = None,
        fingerprint: str | None = None,
    ) -> None:
        methods = ("decision_function", "predict_proba")
        found = [name for name in methods if hasattr(estimator, name)]
        if not found:
            raise ModelError(
                f"{type(estimator).__name__} has neither {' nor '.join(methods)}; expected one"
            )
        self.output: Output = "logits" if found[0] == methods[0] else "probabilities"
        names = getattr(estimator, "classes_", None) if classes is None else classes
        self.classes = None if names is None else [str(name) for name in names]
        self.fingerprint = fingerprint
        self.description = {"estimator": type(estimator).__name__, "settings": str(estimator)}
        self._outputs: Callable[[NDArray[Any]], Any] = getattr(estimator, found[0])
        self._text_features = getattr(text_features, "transform", text_features)
        self._image_features = getattr(image_features, "transform", image_features)

    def encode_texts(self, texts: list[str]) -> NDArray[Any]:
        """Return the features of B texts, shape (B, D)."""
        return _dense(self._text_features(texts))

    def encode_images(self, images: list[Any]) -> NDArray[Any]:
        """Return the features of B images, shape (B, D)."""
        return _dense(self._image_features(images))

    def score(self, text_encodings: NDArray[Any], image_encodings: NDArray[Any]) -> NDArray[Any]:
        """Return the outputs of B aligned pairs, shape (B, C)."""
        outputs = np.asarray(self._outputs(np.hstack([text_encodings, image_encodings])))
        # One logit for two classes is their difference.
        return np.stack([-outputs / 2, outputs / 2], axis=1) if outputs.ndim == 1 else outputs


def _dense(features: Any) -> NDArray[Any]:
    return np.asarray(features.toarray() if hasattr(features, "toarray") else features)
