from hypothesis import given, settings
from hypothesis import strategies as st

from emap_core.engine.plan import Plan, tile_shape

SIZES = st.integers(1, 60)


@settings(deadline=None)
@given(SIZES, SIZES, st.integers(1, 10_000), st.integers(1, 40), st.integers(1, 40))
def test_the_pairs_that_were_measured_fit_into_the_first_tile(texts, images, pairs, a, b):
    warm_up = min(a, texts), min(b, images)
    rows, columns = tile_shape(texts, images, pairs, warm_up)
    assert warm_up[0] <= rows <= texts
    assert warm_up[1] <= columns <= images


@settings(deadline=None)
@given(SIZES, SIZES, st.integers(1, 2_000))
def test_tiles_cover_every_pair_once_and_none_is_larger_than_asked(texts, images, pairs):
    plan = Plan(texts, images, 3, *tile_shape(texts, images, pairs), 1, 1, (0, 0))
    seen = {
        (row, column)
        for tile in plan.tiles()
        for row in range(tile.rows.start, tile.rows.stop)
        for column in range(tile.columns.start, tile.columns.stop)
    }
    tiles = list(plan.tiles())
    assert len(seen) == texts * images == sum(tile.n_pairs for tile in tiles)
    assert len(tiles) == plan.n_tiles
    assert max(tile.n_pairs for tile in tiles) <= pairs
