"""A headless Chromium, driven by Selenium."""

import contextlib
import pathlib
import time
from collections.abc import Iterator
from typing import Any

from selenium import webdriver
from selenium.common import exceptions
from selenium.webdriver.chrome import service
from selenium.webdriver.common import by
from selenium.webdriver.remote import webelement

from tests import databases
from tests.integration import children

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


class Browser:
    """One window.

    :param driver: Selenium's.
    """

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver

    def open(self, url: str) -> None:
        """Load a page."""
        self._driver.get(url)

    def forget(self) -> None:
        """Throw all cookies of the page's site away: nobody is logged in."""
        self._driver.delete_all_cookies()

    @property
    def source(self) -> str:
        """The page as it stands, in HTML."""
        return self._driver.page_source

    @property
    def text(self) -> str:
        """What can be read on the page."""
        return str(self.run('return document.body.innerText'))

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page; the answer: what it returns."""
        return self._driver.execute_script(script, *arguments)

    def all(self, css: str) -> list[webelement.WebElement]:
        """The elements that match."""
        return self._driver.find_elements(by.By.CSS_SELECTOR, css)

    def wait(self, what: str, look: Any) -> Any:
        """Look until something true is seen; the answer: what was seen."""
        end = time.monotonic() + DEADLINE
        while True:
            # A page that is just being replaced has no body, and its
            # elements are gone.
            with contextlib.suppress(exceptions.WebDriverException):
                if found := look():
                    return found
            assert time.monotonic() < end, f'{what}: {self.text}'
            time.sleep(POLL)

    def visible(self, css: str) -> webelement.WebElement:
        """Wait for an element that can be seen."""

        def look() -> webelement.WebElement | None:
            seen = (each for each in self.all(css) if each.is_displayed())
            return next(seen, None)

        found: webelement.WebElement = self.wait(f'{css} is seen', look)
        return found

    def read(self, css: str) -> str:
        """What can be read at an element."""
        return self.visible(css).text

    def click(self, css: str) -> None:
        """Click on an element, when it can be clicked."""

        def done() -> bool:
            self.visible(css).click()
            return True

        self.wait(f'{css} can be clicked', done)

    def type(self, css: str, text: str) -> None:
        """Write into a field that may have something in it."""
        element = self.visible(css)
        element.clear()
        element.send_keys(text)

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
        self._driver.save_screenshot(str(file))

    def complaints(self) -> list[str]:
        """What the page's scripts and loads have complained of since."""
        told = self._driver.get_log('browser')
        return [each['message'] for each in told if each['level'] == 'SEVERE']


@contextlib.contextmanager
def start(directory: pathlib.Path) -> Iterator[Browser]:
    """A browser with a home of its own; without one the test is skipped."""
    options = webdriver.ChromeOptions()
    options.binary_location = databases.find('chromium')
    for option in (*OPTIONS, f'--user-data-dir={directory / "profile"}'):
        options.add_argument(option)
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    # What is installed, so that Selenium looks for none on the web.
    driver = service.Service(
        databases.find('chromedriver'),
        log_output=str(directory / 'chromedriver.log'),
        env=children.environment({'HOME': str(directory)}),
    )
    with webdriver.Chrome(options, driver) as chrome:
        yield Browser(chrome)
