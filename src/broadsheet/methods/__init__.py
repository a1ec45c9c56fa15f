"""The papers' methods, family by family. Plain libraries: no web framework, no runner."""
