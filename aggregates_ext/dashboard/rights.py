"""Which rules of the API each thing on a page stands under.

Horizon asks its copy of the compute API's policy, which knows those of
aggregates. What that does not know is shown, and the API has the last word.
"""

Rules = tuple[tuple[str, str], ...]


def _all(*names: str) -> Rules:
    return tuple(('compute', f'os_compute_api:{name}') for name in names)


SEE = _all('os-aggregates:index', 'os-aggregate-pools:index')
ADD = _all('os-aggregates:add_host')
REMOVE = _all('os-aggregates:remove_host')
CHECK = _all('os-aggregate-pools:check_host')
MAINTENANCE = _all('os-aggregate-pools:maintenance')
ROLLING = _all('os-aggregate-pools:rolling')
RETRY = _all('os-aggregate-pools:retry_operation')
CANCEL = _all('os-aggregate-pools:cancel_operation')
