"""``python -m tests.pictures`` draws what has changed in the documents.

A picture that still shows what the commands tell stays as it is.
"""

import pathlib
import tempfile

from tests.integration import clients
from tests.integration import environments
from tests.pictures import likeness
from tests.pictures import sessions
from tests.pictures import svg


def main() -> None:
    """Type all that the documents tell, and draw it."""
    venv = clients.environment()
    with tempfile.TemporaryDirectory() as directory:
        plugin = environments.install_alone(venv, pathlib.Path(directory))
        for picture in sessions.everything(venv, plugin):
            file = svg.file(picture.name)
            drawn = svg.draw(picture.name, picture.lines)
            old = svg.read(file.read_text()) if file.exists() else ''
            if old and likeness.holds(old, svg.read(drawn), picture.moment):
                print(f'{picture.name} is as it was')
                continue
            file.write_text(drawn)
            print(f'{picture.name} is drawn, {len(drawn)} bytes')


if __name__ == '__main__':
    main()
