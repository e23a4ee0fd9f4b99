import subprocess
import sys

import pytest

from emap_core import methods
from emap_core.methods.method_settings import SETTINGS
from emap_core.option_names import BOXES


@pytest.mark.parametrize("name", methods.NAMES)
def test_a_method_goes_by_the_name_that_it_is_stored_under(name):
    method = methods.method(name)
    assert method.name == name
    assert method.why_no_grid.endswith(".")
    assert f"{name} {method.summary}" == f"{name} {method.summary}".strip(" .")


def test_one_method_scores_all_pairs_and_is_the_usual_one():
    assert [one.name for one in methods.methods() if one.scores_all_pairs] == [methods.DEFAULT]


def test_every_setting_of_a_method_changes_what_it_comes_to_and_has_a_label_where_it_has_a_box():
    for setting in SETTINGS:
        assert setting.name in methods.method(setting.method).identity
        assert (setting.box is None) != (setting.name in BOXES)


@pytest.mark.process
def test_the_names_of_methods_cost_nothing_to_know():
    code = "import sys, emap_core.methods.method_settings; print('numpy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
