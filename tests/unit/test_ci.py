"""CI runs the test command that the README tells."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).parents[2]


def test_ci_finds_the_command_of_the_readme() -> None:
    script = (ROOT / '.ci' / 'run').read_text()
    (line,) = (
        line for line in script.splitlines() if line.startswith('command=')
    )
    found = subprocess.run(
        ['bash', '-c', f'{line}; echo "$command"'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert found.endswith('.venv/bin/tox')
    assert f'\n    {found}\n' in (ROOT / 'README.rst').read_text()
