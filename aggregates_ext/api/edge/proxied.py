"""What a TLS proxy in front says of itself, where that is asked for.

Else there is nothing to be done, and no request of WebOb's to be made.
"""

from collections.abc import Callable
from typing import Any

from oslo_middleware import http_proxy_to_wsgi


def filter_factory(
    global_conf: dict[str, str], **local_conf: str
) -> Callable[[Any], Any]:
    """The Paste filter: oslo.middleware's own, or none.

    By ``[oslo_middleware] enable_proxy_headers_parsing``, which may stand in
    the Paste file too.
    """
    make = http_proxy_to_wsgi.HTTPProxyToWSGI.factory(
        global_conf, **local_conf
    )

    def make_filter(application: Any) -> Any:
        made = make(application)
        wanted = made._conf_get('enable_proxy_headers_parsing')
        return made if wanted else application

    return make_filter
