"""A headless Chromium, by the protocol that it speaks: W3C WebDriver."""

import base64
import contextlib
import http.client
import json
import pathlib
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from tests import databases
from tests.integration import children

# How the protocol names an element.
ELEMENT = 'element-6066-11e4-a52e-4f735466cecf'
DEADLINE = 60.0
POLL = 0.1
OPTIONS = [
    '--headless=new',
    '--window-size=1400,1000',
    '--force-device-scale-factor=1',
    '--hide-scrollbars',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--disable-background-networking',
    '--disable-component-update',
    '--no-first-run',
    # Chromium's sandbox wants rights that containers do not give; all that
    # is opened comes from these tests.
    '--no-sandbox',
]


class Failed(Exception):
    """The browser has refused a command; the message tells why."""


class Browser:
    """One window.

    :param port: of chromedriver.
    :param program: the browser itself.
    :param home: a directory for the browser.
    """

    def __init__(self, port: int, program: str, home: pathlib.Path) -> None:
        self._port = port
        made = self._ask(
            'POST',
            '/session',
            {
                'capabilities': {
                    'alwaysMatch': {
                        'browserName': 'chrome',
                        'goog:chromeOptions': {
                            'args': [*OPTIONS, f'--user-data-dir={home}'],
                            'binary': program,
                        },
                        'goog:loggingPrefs': {'browser': 'ALL'},
                        'pageLoadStrategy': 'normal',
                    }
                }
            },
        )
        self._session = f'/session/{made["sessionId"]}'

    def _ask(self, verb: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection(
            '127.0.0.1', self._port, timeout=180
        )
        sent = None if body is None else json.dumps(body)
        with contextlib.closing(connection):
            connection.request(
                verb, path, sent, {'Content-Type': 'application/json'}
            )
            answer = json.loads(connection.getresponse().read())['value']
        if isinstance(answer, dict) and answer.get('error'):
            raise Failed(f'{answer["error"]}: {answer["message"]}')
        return answer

    def _command(self, verb: str, path: str, body: Any = None) -> Any:
        return self._ask(verb, self._session + path, body)

    def close(self) -> None:
        """End the browser."""
        self._command('DELETE', '')

    def open(self, url: str) -> None:
        """Load a page."""
        self._command('POST', '/url', {'url': url})

    def forget(self) -> None:
        """Throw all cookies of the page's site away: nobody is logged in."""
        self._command('DELETE', '/cookie')

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self._command('GET', '/url'))

    @property
    def source(self) -> str:
        """The page as it stands, in HTML."""
        return str(self._command('GET', '/source'))

    @property
    def text(self) -> str:
        """What can be read on the page."""
        return str(self.run('return document.body.innerText'))

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page; the answer: what it returns."""
        body = {'script': script, 'args': list(arguments)}
        return self._command('POST', '/execute/sync', body)

    def all(self, css: str) -> list[str]:
        """What finds the elements that match."""
        found = self._command(
            'POST', '/elements', {'using': 'css selector', 'value': css}
        )
        return [each[ELEMENT] for each in found]

    def wait(self, what: str, look: Any) -> Any:
        """Look until something true is seen; the answer: what was seen."""
        end = time.monotonic() + DEADLINE
        while True:
            # A page that is just being replaced has no body, and its
            # elements are gone.
            with contextlib.suppress(Failed):
                if found := look():
                    return found
            assert time.monotonic() < end, f'{what}: {self.text}'
            time.sleep(POLL)

    def visible(self, css: str) -> str:
        """Wait for an element that can be seen."""

        def look() -> str | None:
            for element in self.all(css):
                if self._command('GET', f'/element/{element}/displayed'):
                    return element
            return None

        return str(self.wait(f'{css} is seen', look))

    def read(self, css: str) -> str:
        """What can be read at an element."""
        element = self.visible(css)
        return str(self._command('GET', f'/element/{element}/text'))

    def click(self, css: str) -> None:
        """Click on an element, when it can be clicked."""

        def done() -> bool:
            element = self.visible(css)
            self._command('POST', f'/element/{element}/click', {})
            return True

        self.wait(f'{css} can be clicked', done)

    def type(self, css: str, text: str) -> None:
        """Write into a field that may have something in it."""
        element = self.visible(css)
        self._command('POST', f'/element/{element}/clear', {})
        self._command('POST', f'/element/{element}/value', {'text': text})

    def await_text(self, text: str, css: str = 'body') -> str:
        """Wait until something can be read; the answer: all there."""

        def look() -> str | None:
            told = self.run(
                'const found = document.querySelector(arguments[0]);'
                'return found && found.innerText',
                css,
            )
            return told if told and text in told else None

        return str(self.wait(f'{text!r} is read at {css}', look))

    def picture(self, file: pathlib.Path) -> None:
        """Keep what the window shows, as PNG."""
        data = self._command('GET', '/screenshot')
        file.write_bytes(base64.b64decode(data))

    def complaints(self) -> list[str]:
        """What the page's scripts and loads have complained of since."""
        told = self._command('POST', '/se/log', {'type': 'browser'})
        return [each['message'] for each in told if each['level'] == 'SEVERE']


@contextlib.contextmanager
def start(directory: pathlib.Path) -> Iterator[Browser]:
    """A browser with a home of its own; without one the test is skipped."""
    chromium = databases.find('chromium')
    driver_program = databases.find('chromedriver')
    log = directory / 'chromedriver.log'
    with log.open('wb') as file:
        driver = subprocess.Popen(
            [driver_program, '--port=0'],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=children.environment({'HOME': str(directory)}),
        )
    try:
        port = _port(driver, log)
        browser = Browser(port, chromium, directory / 'profile')
        try:
            yield browser
        finally:
            browser.close()
    finally:
        driver.terminate()
        driver.wait(timeout=30)


def _port(driver: subprocess.Popen[bytes], log: pathlib.Path) -> int:
    end = time.monotonic() + DEADLINE
    while True:
        told = re.search(r'successfully on port (\d+)', log.read_text())
        if told:
            return int(told[1])
        assert driver.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(POLL)
