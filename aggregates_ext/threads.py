"""Imported first by what serves: threads are threads here.

It has to be said before anything imports oslo.messaging, which would
choose otherwise.
"""

import sys

# futurist, under oslo.service, imports it wherever it is installed, which
# takes a fifth of the start of a process; nothing here runs with it.
sys.modules.setdefault('eventlet', None)  # type: ignore[arg-type]

from oslo_service import backend  # noqa: E402

backend.init_backend(backend.BackendType.THREADING)
