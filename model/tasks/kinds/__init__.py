"""Task kinds: each kind of `study.kinds` is the module of its name here, with its `KIND`.

To add one, write its line there and its module here; every shared part looks it up by its name.
"""

from importlib import import_module

from study.kinds import KIND_FACTS

KINDS = {name: import_module(f"{__name__}.{name}").KIND for name in KIND_FACTS}
