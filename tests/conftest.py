"""An installation of their own for all tests: nothing is read from or written to the user's."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

import django
from hypothesis import settings

# Before anything imports the settings, which read it. They are named here and not in pyproject.toml, since the
# plugin would import those before this file.
_HOME = tempfile.mkdtemp(prefix="broadsheet-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ["BROADSHEET_HOME"] = _HOME
os.environ["DJANGO_SETTINGS_MODULE"] = "broadsheet.site.settings"
os.environ.pop("BROADSHEET_SETTINGS", None)
django.setup()

# How long an example takes says nothing on a machine that does other work too.
settings.register_profile("broadsheet", deadline=None)
settings.load_profile("broadsheet")
