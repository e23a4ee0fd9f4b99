from __future__ import annotations

import numpy as np
import pytest

from emap_core.inference import holm


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    kept = holm([0.5, float("nan"), 0.6])
    assert kept[0] == kept[2] == 1.0
    assert np.isnan(kept[1])
    assert holm([]) == []
