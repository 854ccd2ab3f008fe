"""What serves does so with threads, and without eventlet."""

import subprocess
import sys

import pytest

IMPORT = """\
import importlib
import sys
importlib.import_module(sys.argv[1])
from oslo_service import backend
print(sorted(n for n in sys.modules if n.startswith('eventlet.')))
print(backend.get_backend_type())
"""


@pytest.mark.parametrize('command', ['api', 'compute', 'manage'])
def test_commands_do_not_import_eventlet(command: str) -> None:
    """Where it is installed too, which it is with the tests."""
    module = f'aggregates_ext.cmd.{command}'
    done = subprocess.run(
        [sys.executable, '-c', IMPORT, module],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == '[]\nBackendType.THREADING\n'
    assert done.stderr == ''
