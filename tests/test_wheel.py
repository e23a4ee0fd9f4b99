"""What is installed from a wheel, and works outside of any checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from served import free_port, visit, wait_for, words

import emap_core as emap
from emap_core.datasets import demo_digits
from emap_core.engine.provenance import source_hash
from emap_core.models import demo as demo_models

HOUSE = Path(__file__).parents[1]
PARTS = ("LICENSE", "README.md", "app.py", "pyproject.toml", "setup.py")
FOLDERS = (".streamlit", "assets", "emap_core", "pages")

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Build the wheel from a copy, which keeps what a build leaves behind, and install it.

    Into an environment with nothing in it but what the tests have installed beside it.
    """
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("made")
    for name in PARTS:
        shutil.copy(HOUSE / name, source)
    for name in FOLDERS:
        unwanted = shutil.ignore_patterns("__pycache__", "secrets.toml", "screenshots")
        shutil.copytree(HOUSE / name, source / name, ignore=unwanted)
    (source / ".streamlit" / "secrets.toml").write_text("[auth]")
    code = "from setuptools.build_meta import build_wheel; build_wheel('.')"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    (wheel,) = source.glob("emap_lens-*.whl")
    assert emap.__version__ in wheel.name
    venv.create(made, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", made / "bin" / "python", "install"]
    how = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    subprocess.run([*pip, *how, wheel], check=True, capture_output=True)
    (site,) = made.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return site


def run_outside(installed, folder, *arguments, **more):
    """Return how the installed command is started in a folder that is no checkout."""
    environment = {name: value for name, value in os.environ.items() if "EMAP_" not in name}
    environment |= {"HOME": str(folder), **more}
    environment.pop("PYTHONPATH", None)
    return {
        "args": [installed.parents[2] / "bin" / "emap-lens", *arguments],
        "cwd": folder,
        "env": environment,
    }


def test_a_wheel_holds_package_dashboard_and_demos_and_nothing_else(installed):
    found = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    own = {name for name in found if not name.startswith(("emap_lens-", "dependencies"))}
    own = {name for name in own if "__pycache__" not in name}
    assert all(name.startswith("emap_core/") for name in own)
    for folder in ("emap_core", "pages"):
        written = {str(path.relative_to(HOUSE)) for path in (HOUSE / folder).rglob("*.py")}
        at = "" if folder == "emap_core" else "emap_core/dashboard/"
        assert {at + name for name in written} <= own
    dashboard = {
        name.removeprefix("emap_core/dashboard/")
        for name in own
        if name.startswith("emap_core/dashboard/") and "/pages/" not in name
    }
    demos = {f"assets/demo_models/{name}.safetensors" for name in demo_models.NAMES}
    demos |= {str(file.relative_to(HOUSE)) for file in demo_digits.FOLDER.glob("*.wav")}
    assert "assets/demo_data/digits/digits.csv" in dashboard
    assert demos | {"app.py", ".streamlit/config.toml", "assets/logo.svg"} <= dashboard
    assert "assets/emoji/emoji.parquet" in dashboard
    assert not {name for name in dashboard if "secrets" in name or "screenshots" in name}
    assert {name for name in dashboard if name.endswith(".py")} == {"app.py"}


def test_demos_and_version_come_from_the_wheel(installed, tmp_path):
    work = ["--model", "demo:emoji-match", "--data", "demo:emoji-match", "--limit", "20"]
    asked = run_outside(installed, tmp_path, "run", *work, "--out", "run")
    subprocess.run(**asked, check=True, capture_output=True)
    manifest = emap.load_run(tmp_path / "run").manifest
    assert manifest["n_examples"] == 20
    assert manifest["provenance"]["code"]["source"] == source_hash()
    said = subprocess.run(**run_outside(installed, tmp_path, "--version"), capture_output=True)
    assert said.stdout.decode().strip() == f"emap-lens {emap.__version__}"


def test_the_app_of_a_wheel_is_served_with_its_settings(installed, tmp_path):
    port, log = free_port(), tmp_path / "log"
    asked = run_outside(
        installed, tmp_path, "app", "runs", f"--port={port}", STREAMLIT_SERVER_HEADLESS="true"
    )
    with log.open("wb") as told:
        server = subprocess.Popen(**asked, stdout=told, stderr=subprocess.STDOUT)
    try:
        wait_for(f"http://127.0.0.1:{port}", server, log)
        shown = words(visit(port, origin=f"http://127.0.0.1:{port}")[1])
    finally:
        server.terminate()
        server.wait(30)
    assert "Run the demo" in shown
    assert f"URL: http://127.0.0.1:{port}" in log.read_text(), "only this computer reaches it"
