"""What sentences call the sides of a run, their items and the cells of their grid."""

import pytest

from emap_core.modalities import TEXT_AND_IMAGE, Side
from emap_core.modalities.side_names import cell_of, cells_of, grid_of

TEXTS = (Side("premise", "text"), Side("hypothesis", "text"))
DIGITS = (Side("question", "text"), Side("written", "image"), Side("spoken", "audio"))


@pytest.mark.parametrize(
    ("sides", "sizes", "said"),
    [
        (TEXT_AND_IMAGE, (107, 1000), "107 texts × 1,000 images"),
        (TEXTS, (6, 9), "6 premises × 9 hypotheses"),
        # Names that are adjectives have no plural, so the number stands behind the name.
        (DIGITS, (6, 1000, 50), "question (6) × written (1,000) × spoken (50)"),
    ],
)
def test_the_size_of_a_grid_reads_well_for_any_names(sides, sizes, said):
    assert grid_of(sides, sizes) == said


def test_a_cell_of_two_sides_is_a_pair_and_of_more_a_combination():
    assert (cell_of(2), cells_of(2)) == ("pair", "pairs")
    assert (cell_of(3), cells_of(4)) == ("combination", "combinations")
