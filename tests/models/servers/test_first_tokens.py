"""Which answers first tokens begin."""

from math import exp, log

import numpy as np
import pytest

from emap_core.errors import ModelError
from emap_core.models.servers.first_tokens import FirstTokens


def scores(answers, *tokens):
    return FirstTokens(answers).scores([(token, log(p)) for token, p in tokens])


def test_a_token_counts_for_the_answer_that_it_is_however_it_is_written():
    found, n = scores(["yes", "no"], ("Yes", 0.4), (" yes", 0.2), ("no.", 0.1), ("A", 0.1))
    assert n == 2
    np.testing.assert_allclose(found, np.log([0.6, 0.1]))


def test_the_longest_beginning_that_is_listed_counts():
    found, _ = scores(["apple", "pear"], ("a", 0.3), ("ap", 0.05), ("app", 0.2), ("▁pe", 0.1))
    np.testing.assert_allclose(found, np.log([0.2, 0.1]))


def test_capitals_count_where_they_tell_answers_apart_and_letters_are_never_articles():
    np.testing.assert_allclose(
        scores(["us", "US"], ("US", 0.5), ("us", 0.25))[0], np.log([0.25, 0.5])
    )
    np.testing.assert_allclose(
        scores(["A", "B"], ("a", 0.5), ("(A", 0.2), ("B.", 0.1))[0], np.log([0.2, 0.1])
    )


def test_what_is_not_listed_is_given_what_it_has_at_most():
    tokens = [("yes", 0.5), ("The", 0.2), ("It", 0.2)]
    found, n = scores(["yes", "no"], *tokens)
    assert n == 1 and found[1] == pytest.approx(log(0.1)), "the rest is less than the least"
    found, _ = scores(["yes", "no"], ("yes", 0.5), ("The", 0.01))
    assert found[1] == pytest.approx(log(0.01)), "the least is less than the rest"
    # vLLM's word for what cannot be.
    assert FirstTokens(["yes", "no"]).scores([("yes", 0.0), ("no", -9999.0)])[1] == 1
    assert exp(FirstTokens(["yes", "no"]).scores([("yes", 0.0)])[0][1]) < 1e-11


def test_answers_that_first_tokens_cannot_tell_apart_are_refused():
    with pytest.raises(ModelError, match=r"'no' is also how 'not sure' begins.*answers='letters'"):
        FirstTokens(["yes", "no", "not sure"])
    with pytest.raises(ModelError, match="an answer is empty"):
        FirstTokens(["yes", " "])
    door = (["dog", "door"], ("do", 0.4), ("dog", 0.3), ("door", 0.2))
    with pytest.raises(ModelError, match="several of the answers begin with"):
        scores(*door)
    found, _ = scores(["dog", "door"], ("do", 0.1), ("dog", 0.3), ("door", 0.2))
    np.testing.assert_allclose(found, np.log([0.3, 0.2]))
