"""What the image is made of: read, for no image is built here."""

import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HOUSE = Path(__file__).parents[1]


def pins(name):
    text = (HOUSE / name).read_text()
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", text, re.MULTILINE)), text


def test_the_lock_has_a_hash_for_each_package_and_the_versions_of_the_requirements():
    wanted, _ = pins("requirements.txt")
    locked, text = pins("requirements.lock")
    assert {name: locked[name].removesuffix("+cpu") for name in wanted} == wanted
    assert locked["torch"].endswith("+cpu"), "the image has no use for a GPU's gigabytes"
    assert {"authlib", "httpx"} <= locked.keys()
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}\n", text)) == len(locked)
    assert not re.findall(r"^[^#\n].*://", text, re.MULTILINE)
    (command,) = re.findall(r"^RUN pip(?:.*\\\n)*.*", (HOUSE / "Dockerfile").read_text(), re.M)
    assert "--require-hashes" in command and "-r requirements.lock" in command
    assert "requirements.txt" not in command and "--no-deps" not in command


def test_the_lock_is_whole():
    """Whatever a package of the lock needs here stands in the lock, in a version that fits."""
    locked, _ = pins("requirements.lock")
    locked = {canonicalize_name(name): version for name, version in locked.items()}
    here = {canonicalize_name(one.name): one for one in metadata.distributions()}
    # Signing in is tried elsewhere; its packages need not be here.
    assert len(locked.keys() & here.keys()) > 0.8 * len(locked)
    for name in locked.keys() & here.keys():
        for line in here[name].requires or []:
            need = Requirement(line)
            if need.marker is not None and not need.marker.evaluate({"extra": ""}):
                continue
            version = locked.get(canonicalize_name(need.name))
            assert version is not None, f"{name} needs {need.name}"
            assert need.specifier.contains(version, prereleases=True), f"{name} needs {need}"


def test_the_image_lets_in_what_the_app_is_made_of_and_no_secret():
    lines = (HOUSE / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    for name in (line.removeprefix("!") for line in rules if line.startswith("!")):
        assert (HOUSE / name).exists()
        assert name not in (".git", ".streamlit", ".streamlit/secrets.toml", "runs")


def test_the_image_is_compiled_before_its_visitor_may_no_longer_write():
    lines = (HOUSE / "Dockerfile").read_text().splitlines()
    compiled = lines.index("RUN python -m compileall -q app.py emap_core pages")
    assert lines.index("COPY . .") < compiled < lines.index("USER visitor")
