"""Links of the built pages to files that are not part of them.

On a code host, ``[coverage](../benchmarks/coverage.md)`` leads to the file. The built site has no
such page, so the link becomes the file's path.
"""

import re
from typing import Any

_OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+([^)#]+)[^)]*\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Name the file where a link leaves ``docs/``; links between pages stay."""
    if "/" in page.file.src_uri:  # from docs/reference/, one step up is still inside
        return markdown
    return _OUTSIDE.sub(r"\1 (`\2`)", markdown)
