"""A model behind a server of the chat-completions protocol."""

import contextlib
import json
import math
import threading

import numpy as np
import pytest
from chat_server import Served, read, serving
from PIL import Image
from samples import make_examples, picture, score_pair

import emap_core as emap
from emap_core.access import Policy
from emap_core.cli import main
from emap_core.errors import AccessError, ModelError, SettingError, SpecError
from emap_core.models import load_model

NAMES = ["zero", "one", "two"]
KEY = "sk-very-secret-0123456789"


def told(text, image):
    """Return the logits of `samples.score_pair` as log-probabilities of three answers."""
    logits = score_pair(text.partition("\n")[0], image)
    values = logits - np.logaddexp.reduce(logits)
    return [(f" {name.title()}", float(value)) for name, value in zip(NAMES, values, strict=True)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EMAP_CACHE", str(tmp_path / "cache"))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "EMAP_FETCH"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def served():
    with serving(Served(told)) as found:
        yield found


@pytest.fixture
def no_waiting(monkeypatch):
    """Let no try wait for the one before."""
    waits = []

    def wait(event, seconds=None):
        waits.append(seconds)
        return event.is_set()

    monkeypatch.setattr("emap_core.models.servers.server.threading", FakeThreading(wait))
    return waits


class FakeThreading:
    def __init__(self, wait):
        self.Event = type(
            "Event",
            (),
            {
                "__init__": lambda one: setattr(one, "own", threading.Event()),
                "set": lambda one: one.own.set(),
                "clear": lambda one: one.own.clear(),
                "wait": lambda one, seconds: wait(one.own, seconds),
            },
        )


def choice_of(*tokens):
    return {"choices": [{"logprobs": {"content": [{"top_logprobs": list(tokens)}]}}]}


def small(**changes):
    labels = [NAMES[i % 3] for i in range(12)]
    return make_examples(12, 4, 6, **({"labels": labels} | changes))


def test_a_run_has_the_probabilities_of_the_server_and_asks_for_each_pair_once(served, tmp_path):
    data = small()
    spec = f"openai:{served.url}"
    before = []
    run = emap.compute(spec, data, out=tmp_path / "run", keep="grid", preview=before.append)
    texts = list(dict.fromkeys(data.texts))
    expected = [
        [[value for _, value in told(t, picture(w))] for w in dict.fromkeys(data.image_keys)]
        for t in texts
    ]
    order = [NAMES.index(name) for name in run.classes]
    np.testing.assert_allclose(run.grid.load(), np.array(expected)[..., order], atol=1e-6)
    # A few pairs are asked twice on purpose, to see whether the answers differ.
    assert len(served.asked) == 24
    assert sorted(served.asked.values())[-5:-4] == [1] and max(served.asked.values()) == 2
    assert served.most_at_once <= 9
    (note,) = [one for one in before[0].notes if one.startswith("Each pair is a request: 24")]
    assert "of about 100 tokens each" in note
    assert any("log-probability with which tiny on 127.0.0.1" in note for note in run.notes)
    assert run.manifest["model"] == "tiny"
    # The same answers serve another run of the same pairs.
    n = sum(served.asked.values())
    again = emap.compute(spec, data, out=tmp_path / "again", keep="grid")
    assert sum(served.asked.values()) == n
    np.testing.assert_array_equal(again.grid.load(), run.grid.load())


def test_a_run_that_was_cut_off_asks_for_nothing_twice(served, tmp_path):
    data = small()
    calls = []

    def cancelled():
        calls.append(1)
        return len(calls) > 2

    spec, work = f"openai:{served.url}", {"model_args": {"at_once": 1}, "batch_size": 4}
    with pytest.raises(emap.errors.Cancelled):
        emap.compute(spec, data, out=tmp_path / "run", cancelled=cancelled, **work)
    before = sum(served.asked.values())
    assert before < 24
    run = emap.compute(spec, data, out=tmp_path / "run", **work)
    assert run.manifest["status"] == "finished"
    # Before the start a few are asked twice, to see whether the answers differ.
    assert len(served.asked) == 24 and sum(served.asked.values()) <= 24 + 4
    assert served.most_at_once == 1


def test_a_server_that_is_busy_is_asked_again_and_one_that_says_no_is_not(served, no_waiting):
    model = load_model(f"openai:{served.url}", classes=NAMES)
    served.faults = [(429, {"Retry-After": "7"}, {}), (503, {}, b"<html>"), (500, {}, {})]
    found = model(["red 1"], [picture(0)])
    np.testing.assert_allclose(found[0], [value for _, value in told("red 1", picture(0))])
    assert no_waiting[0] == 7.0 and all(0.5 <= one <= 4.0 for one in no_waiting[1:])
    served.faults = [(400, {}, {"error": {"message": "images are not\nfor me"}})]
    with pytest.raises(ModelError, match=r"answers 400: images are not for me") as caught:
        model(["red 2"], [picture(0)])
    assert "\n" not in str(caught.value)
    served.faults = [(429, {}, {"error": {"message": "x", "code": "insufficient_quota"}})]
    with pytest.raises(ModelError, match="insufficient_quota"):
        model(["red 2"], [picture(0)])
    assert len(no_waiting) == 3
    served.faults = [(503, {}, {})] * 8
    with pytest.raises(ModelError, match=r"answers 503.*, 8 times"):
        model(["red 2"], [picture(0)])
    assert model(["red 2"], [picture(0)]).shape == (1, 3)


def test_letters_stand_before_the_classes_and_are_what_is_read():
    def letters(text, _):
        assert text.endswith("?\nA. a cat\nB. a dog\nAnswer with the letter alone.")
        return [("B", math.log(0.7)), ("A", math.log(0.2)), ("a", math.log(0.05))]

    with serving(Served(letters)) as served:
        model = load_model(
            f"openai:{served.url}", classes="a cat, a dog", answers="letters", system="Be short."
        )
        found = model(["what is {answers}?"], [picture(0)])
        np.testing.assert_allclose(found, [np.log([0.2, 0.7])])
        (body,) = served.bodies
        assert body["messages"][0] == {"role": "system", "content": "Be short."}
        assert body["max_tokens"] == 1 and body["logprobs"] is True
        assert "what is {answers}?" in json.dumps(body), "a text is no pattern"
        many = load_model(f"openai:{served.url}", answers="letters")
        with pytest.raises(ModelError, match="has 27 classes, but there are only 26 letters"):
            many.with_classes([str(i) for i in range(27)])


def test_what_a_request_holds_can_be_changed(served):
    extra = {"max_tokens": None, "max_completion_tokens": 1, "seed": 0}
    model = load_model(f"openai:{served.url}", classes=NAMES, extra=extra)
    model(["red 1"], [picture(0)])
    assert "max_tokens" not in served.bodies[0] and served.bodies[0]["seed"] == 0
    plain = load_model(f"openai:{served.url}", classes=NAMES)
    assert plain.fingerprint != model.fingerprint
    same = load_model(f"openai:{served.url}", classes=NAMES, at_once=3, max_requests=5)
    assert plain.fingerprint == same.fingerprint


def test_more_requests_than_are_allowed_are_refused_before_the_start(served):
    with pytest.raises(ModelError, match=r"24 pairs need as many requests .*max_requests.*\(23\)"):
        emap.compute(f"openai:{served.url}", small(), model_args={"max_requests": 23})
    assert sum(served.asked.values()) <= 8 + 4


def test_a_key_goes_to_the_server_that_it_is_for_and_is_written_nowhere(monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving(Served(told, key=KEY)) as served:
        with pytest.raises(ModelError, match="OPENAI_BASE_URL: the key is sent nowhere else") as e:
            load_model(f"openai:{served.url}")
        assert KEY not in str(e.value) and "None" in str(e.value), "it was not sent"
        monkeypatch.setenv("OPENAI_BASE_URL", served.url)
        monkeypatch.setenv("EMAP_RUNS", str(tmp_path / "runs"))
        emap.compute(f"openai:{served.url}", small(), out=tmp_path / "runs" / "run")
        written = [file for file in tmp_path.rglob("*") if file.is_file()]
        assert len(written) > 5
        assert not [file for file in written if KEY.encode() in file.read_bytes()]
        served.key = "another"
        with pytest.raises(ModelError, match="no such key: Bearer …") as e:
            load_model(f"openai:{served.url}")
        assert KEY not in str(e.value)


def test_a_server_that_leads_elsewhere_is_not_followed(served, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", served.url)
    model = load_model(f"openai:{served.url}", classes=NAMES)
    with serving(Served(told)) as other:
        served.faults = [(307, {"Location": f"{other.url}/chat/completions"}, {})]
        with pytest.raises(ModelError, match="answers 307"):
            model(["red 1"], [picture(0)])
        assert not other.asked


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"sorry", "is not JSON"),
        ({"choices": [{"logprobs": None}]}, "without log-probabilities.*vLLM, SGLang"),
        ({"choices": []}, "without log-probabilities"),
        ([], "is not an object"),
        (choice_of({"token": "x", "logprob": -(10**400)}), "without log-probabilities"),
    ],
)
def test_an_answer_that_is_none_is_one_line(answer, words, served):
    model = load_model(f"openai:{served.url}", classes=NAMES)
    served.faults = [(200, {}, answer)]
    with pytest.raises(ModelError, match=words):
        model(["red 1"], [picture(0)])


def test_what_a_server_says_beside_its_answer_may_be_anything(served):
    listed = [{"token": name, "logprob": -1.0 - k} for k, name in enumerate(NAMES)]
    for n_read in (2**70, -1, "many", None):
        model = load_model(f"openai:{served.url}", classes=NAMES)
        served.faults = [(200, {}, choice_of(*listed) | {"usage": {"prompt_tokens": n_read}})]
        np.testing.assert_array_equal(model([f"red {n_read}"], [picture(0)]), [[-1, -2, -3]])
        assert model.cost(1)
    for data in (5, None, "tiny", {"id": "tiny"}, [5, {"name": "tiny"}]):
        served.list_of_models = {"data": data}
        assert load_model(f"openai:{served.url}", model="tiny", classes=NAMES)


def test_a_model_that_answers_otherwise_is_told_with_what_it_says():
    with serving(Served(lambda *_: [("<think>", -0.1), ("The", -3.0)])) as served:
        model = load_model(f"openai:{served.url}", classes=NAMES)
        with pytest.raises(ModelError, match=r"with '<think>', 'The'.*answers='letters'"):
            model(["red 1"], [picture(0)])
        model = load_model(f"openai:{served.url}", classes=NAMES, answers="letters")
        with pytest.raises(ModelError, match=r"how to answer$"):
            model(["red 1"], [picture(0)])


def test_answers_that_differ_each_time_are_found_out(tmp_path):
    rng = np.random.default_rng(0)

    def noisy(text, image):
        return [(token, value - rng.uniform(0, 0.5)) for token, value in told(text, image)]

    with serving(Served(noisy)) as served:
        with pytest.raises(ModelError, match="differ if the same pairs are scored twice"):
            emap.compute(f"openai:{served.url}", small(), out=tmp_path / "run")
        run = emap.compute(f"openai:{served.url}", small(), out=tmp_path / "run", allow_noise=True)
        assert any("Noise makes up" in note for note in run.notes)


@pytest.mark.parametrize("cut_off", [False, True])
def test_pairs_with_an_answer_that_is_not_listed_are_counted_in_the_whole_run(cut_off, tmp_path):
    def rare(text, image):
        return told(text, image)[: 2 if "red" in text else 3]

    data, calls = small(), []

    def cancelled():
        calls.append(1)
        return cut_off and len(calls) > 2

    work = {"out": tmp_path / "run", "batch_size": 4, "model_args": {"at_once": 1}}
    with serving(Served(rare)) as served:
        spec = f"openai:{served.url}"
        with contextlib.suppress(emap.errors.Cancelled):
            emap.compute(spec, data, cancelled=cancelled, **work)
        asked = len(served.asked)
        run = emap.compute(spec, data, **work)
    assert (asked < 24) == cut_off
    n_texts, n_images = len(set(data.texts)), len(set(data.image_keys))
    n_red = sum("red" in text for text in set(data.texts)) * n_images
    assert 0 < n_red < n_texts * n_images == 24
    counted = f"In {n_red} of 24 scored pairs, an answer was not among the 20 likeliest"
    assert any(counted in one for one in run.notes)
    # Another run of the same server counts its own.
    with serving(Served(told)) as served:
        other = emap.compute(f"openai:{served.url}", data, out=tmp_path / "other")
    assert not any("likeliest" in one for one in other.notes)


def test_large_images_are_sent_smaller_and_others_to_the_last_bit(served):
    rng = np.random.default_rng(0)
    small_one = Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8))
    model = load_model(f"openai:{served.url}", classes=NAMES)
    model(["red 1", "red 1"], [small_one, picture(0).resize((3000, 1500))])
    sent = sorted((read(body)[1] for body in served.bodies), key=lambda image: image.width)
    assert sent[0].tobytes() == small_one.tobytes()
    assert sent[1].size == (1024, 512)
    assert any("more than 1,024 pixels per side smaller" in one for one in model.notes([]))
    whole = load_model(f"openai:{served.url}", classes=NAMES, max_image_side=4000)
    assert whole.fingerprint != model.fingerprint
    whole(["red 1"], [picture(0).resize((3000, 1500))])
    assert read(served.bodies[-1])[1].size == (3000, 1500)


def test_the_model_is_named_where_there_are_several():
    with serving(Served(told, models=["a/one", "a/two"])) as served:
        with pytest.raises(ModelError, match="has a/one, a/two; name one with model="):
            load_model(f"openai:{served.url}")
        with pytest.raises(ModelError, match="has no model 'three'; it has a/one, a/two"):
            load_model(f"openai:{served.url}", model="three")
        assert load_model(f"openai:{served.url}", model="a/two").description["served_model"] == (
            "a/two"
        )


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:8000/v1", "does not name a server's address"),
        ("file:///etc/passwd", "does not name a server's address"),
        ("http://user:secret@host/v1", "more in its address than a host"),
        ("http://host/v1?key=secret", "more in its address than a host"),
        ("http://user:secret#1@host/v1", "does not name a server's address"),
        ("http://user:secret@host:port/v1", "does not name a server's address"),
    ],
)
def test_what_is_no_address_is_refused_and_a_secret_in_it_not_repeated(url, words):
    with pytest.raises(SpecError, match=words) as caught:
        load_model(f"openai:{url}")
    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_is_one_line(capsys):
    code = main(["run", "--model=openai:http://127.0.0.1:9/v1", "--data=demo:easy-vqa"])
    assert code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: the server 127.0.0.1:9 does not answer properly")
    assert main(["run", "--model=http://127.0.0.1:9/v1", "--data=demo:easy-vqa"]) == 2
    assert "openai:URL" in capsys.readouterr().err


def test_settings_are_checked(served):
    for settings, words in (
        ({"answers": "both"}, "expected 'words' or 'letters'"),
        ({"prompt": "hello"}, r"expected \{text\} in it"),
        ({"at_once": 0}, "at_once is 0"),
        ({"max_requests": "many"}, "max_requests is 'many'"),
        ({"max_image_side": 0}, "max_image_side is 0"),
        ({"extra": "seed=0"}, "expected an object"),
        ({"key": "x"}, "it takes model, classes"),
    ):
        with pytest.raises(SettingError, match=words):
            load_model(f"openai:{served.url}", **settings)


def test_a_browsers_job_asks_no_server_of_this_network(served, monkeypatch):
    spec = f"openai:{served.url}"
    policy = Policy()
    policy.check_work(spec, "demo:easy-vqa", {})
    for name, value in policy.environment("demo:easy-vqa").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ModelError, match="an address of this machine or its network"):
        load_model(spec, classes=NAMES)
    assert not served.asked
    monkeypatch.setenv("EMAP_FETCH", "none")
    with pytest.raises(AccessError, match="asking other servers is turned off here"):
        Policy().check_model(spec)
    with pytest.raises(AccessError, match="asking other servers is turned off here"):
        load_model(spec)
    monkeypatch.delenv("EMAP_FETCH")
    with pytest.raises(AccessError, match="only shows finished runs"):
        Policy(viewer=True).check_model(spec)
    Policy(roots=()).check_model(spec)
    # Of data this is no prefix, but the name of a module.
    for policy in (Policy(), Policy(roots=())):
        with pytest.raises(AccessError, match="is code, which a browser may not start here"):
            policy.check_data("openai:factory")
