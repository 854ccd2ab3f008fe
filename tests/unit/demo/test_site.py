"""The site of the demonstration, without any service."""

import pytest

from aggregates_ext.demo import site as sites


def test_an_interrupt_that_was_lost_is_raised_again():
    site = sites.Site(1)
    site.check()
    site.interrupted = True
    with pytest.raises(KeyboardInterrupt):
        site.check()
