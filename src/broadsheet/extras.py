"""How Broadsheet and its extras are installed: from a checkout, since no index holds a release of it yet."""

from __future__ import annotations

__all__ = ["WHERE", "install_command"]

WHERE = "in a checkout of Broadsheet"


def install_command(*extras: str) -> str:
    """Return the command that installs Broadsheet with some of its extras; it is given in a checkout.

    Example:
        >>> install_command(), install_command("site", "torch")
        ('pip install .', "pip install '.[site,torch]'")
    """
    return f"pip install '.[{','.join(extras)}]'" if extras else "pip install ."
