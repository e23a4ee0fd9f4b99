"""What the image is made of: read, for no image is built here."""

import re
from pathlib import Path

HOUSE = Path(__file__).parents[1]


def pins(name):
    text = (HOUSE / name).read_text()
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", text, re.MULTILINE)), text


def test_the_lock_has_a_hash_for_each_package_and_the_versions_of_the_requirements():
    wanted, _ = pins("requirements.txt")
    locked, text = pins("requirements.lock")
    assert wanted.keys() - locked.keys() == {"torch"}
    assert {name: locked.get(name) for name in wanted if name != "torch"} == {
        name: version for name, version in wanted.items() if name != "torch"
    }
    assert {"authlib", "httpx"} <= locked.keys()
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}\n", text)) == len(locked)
    assert "://" not in text
    assert "--require-hashes" in (HOUSE / "Dockerfile").read_text()


def test_the_image_lets_in_what_the_app_is_made_of_and_no_secret():
    lines = (HOUSE / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    for name in (line.removeprefix("!") for line in rules if line.startswith("!")):
        assert (HOUSE / name).exists()
        assert name not in (".git", ".streamlit", ".streamlit/secrets.toml", "runs")
