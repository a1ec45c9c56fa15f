"""The papers themselves: tables, import, and the built-in catalogue."""
