"""Imported first by the commands: oslo.service works with threads here.

It has to be said before anything imports oslo.messaging, which would
choose otherwise.
"""

import warnings

# futurist, under oslo.service, imports eventlet where it is installed.
warnings.filterwarnings('ignore', message=r'\s*Eventlet is deprecated')

from oslo_service import backend  # noqa: E402

backend.init_backend(backend.BackendType.THREADING)
