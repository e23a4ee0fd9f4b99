from emap_core.presentation.run_titles import run_title, run_titles


def manifest(**changes):
    return {"model": "clip", "dataset": "photos", "n_examples": 50, "method": "exact"} | changes


def test_a_run_alone_has_a_short_label():
    assert run_titles({"a": manifest()}) == {"a": "clip on photos"}
    assert run_title(manifest(name="best so far")) == "best so far"


def test_runs_of_one_title_say_first_what_differs():
    runs = {
        "a": manifest(provenance={"model": {"spec": "hf:clip", "arguments": {"seed": 1}}}),
        "b": manifest(provenance={"model": {"spec": "hf:clip", "arguments": {"seed": 2}}}),
        "c": manifest(n_examples=200),
    }
    labels = run_titles(runs)
    assert labels["a"] == "seed=1, hf:clip · clip on photos" or labels["a"].startswith("seed=1")
    assert labels["b"].startswith("seed=2")
    assert len(set(labels.values())) == 3


def test_settings_weights_dates_and_at_last_the_id_tell_runs_apart():
    by_method = run_titles({"a": manifest(), "b": manifest(method="sampled")})
    assert by_method == {"a": "exact · clip on photos", "b": "sampled · clip on photos"}
    by_weights = run_titles(
        {i: manifest(fingerprints={"model": i * 20}) for i in ("a", "b")},
    )
    assert by_weights["a"] == "weights aaaaaaaa · clip on photos"
    assert run_titles({"a": manifest(), "b": manifest()}) == {
        "a": "clip on photos · a",
        "b": "clip on photos · b",
    }


def test_runs_of_one_name_are_told_apart_too():
    labels = run_titles({i: manifest(name="mine", created=f"2026-01-0{i}T10:00") for i in "12"})
    assert labels == {"1": "2026-01-01 10:00 · mine", "2": "2026-01-02 10:00 · mine"}
