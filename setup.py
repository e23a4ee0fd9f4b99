"""Which folders the wheel has: the package, and in it the dashboard, which lies beside it here."""

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

DASHBOARD = "emap_core.dashboard"
pages = find_packages(include=["pages", "pages.*"])


class WithoutThisFile(build_py):
    """Take all modules of the packages, but not this script, which lies beside ``app.py``."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        """Return package, name and file of each module."""
        found = super().find_package_modules(package, package_dir)
        return [module for module in found if module[1] != "setup"]


setup(
    cmdclass={"build_py": WithoutThisFile},
    packages=[*find_packages(include=["emap_core", "emap_core.*"]), DASHBOARD]
    + [f"{DASHBOARD}.{page}" for page in pages],
    package_dir={DASHBOARD: "."}
    | {f"{DASHBOARD}.{page}": page.replace(".", "/") for page in pages},
    package_data={
        "emap_core": ["py.typed"],
        DASHBOARD: [
            ".streamlit/config.toml",
            "assets/logo.svg",
            "assets/demo_models/*.*",
            "assets/emoji/emoji.parquet",
            "assets/emoji/README.md",
            "assets/demo_data/digits/*.*",
        ],
    },
    exclude_package_data={
        DASHBOARD: ["assets/demo_models/*.py", "assets/demo_data/digits/*.py"],
    },
    include_package_data=False,
)
