"""Ask the network whether the external links of README and docs lead somewhere: ``make links``."""

import re
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HOUSE = Path(__file__).parents[1]
LINK = re.compile(r"\]\((https?://[^)\s]+)\)|^\s+url\s*=\s*\{(https?://[^}]+)\}", re.MULTILINE)


def external_links(folder: Path) -> dict[str, list[str]]:
    """Return the external links of a folder's pages, each with the pages that have it."""
    found: dict[str, list[str]] = {}
    for page in [*sorted(folder.glob("*.md")), *sorted((folder / "docs").rglob("*.md"))]:
        for link in LINK.findall(page.read_text()):
            found.setdefault("".join(link), []).append(str(page.relative_to(folder)))
    return found


def what_is_wrong(link: str) -> str | None:
    """Return why a link leads nowhere, None if it leads somewhere."""
    # Some hosts answer no program that does not name itself.
    asked = urllib.request.Request(link, headers={"User-Agent": "Mozilla/5.0 (links of docs)"})  # noqa: S310
    try:
        urllib.request.urlopen(asked, timeout=20).close()  # noqa: S310 - http and https alone
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))
    return None


def main() -> int:
    """Print each link that leads nowhere, and say whether there is any."""
    links = external_links(HOUSE)
    with ThreadPoolExecutor(8) as pool:
        found = dict(zip(links, pool.map(what_is_wrong, links), strict=True))
    for link, why in found.items():
        if why is not None:
            print(f"{', '.join(dict.fromkeys(links[link]))}: {link}: {why}")
    wrong = sum(why is not None for why in found.values())
    print(f"{wrong} of {len(links)} external links lead nowhere")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
