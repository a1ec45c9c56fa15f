"""Daily papers that run: find a paper, re-measure its claims, import its method.

The methods live under :mod:`broadsheet.methods`, family by family; the contract between a paper and
everybody else is :mod:`broadsheet.claims`; :mod:`broadsheet.lab` measures claims.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
