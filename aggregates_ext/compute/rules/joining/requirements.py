"""The requirements of joining: one table, all evaluated at once.

A join that xapi refuses names one reason; here the requirements of
xapi#pooling-requirements are evaluated from both sides, so that one answer
names them all.
"""

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.joining import accounts
from aggregates_ext.compute.rules.joining import advice
from aggregates_ext.compute.rules.joining import first
from aggregates_ext.compute.rules.joining import kinds
from aggregates_ext.compute.rules.joining import losses
from aggregates_ext.compute.rules.joining import machines
from aggregates_ext.compute.rules.joining import networks
from aggregates_ext.compute.rules.joining import pools
from aggregates_ext.compute.rules.joining import sides
from aggregates_ext.compute.rules.joining import software
from aggregates_ext.compute.rules.joining import storage
from aggregates_ext.compute.rules.joining import trust

# In the order of xapi#join-checks, so that the first is what xapi would say;
# what xapi does not check comes after all that it does.
JOIN_RULES: tuple[kinds.Rule, ...] = (
    accounts.ROLE_HERE,
    accounts.LICENCE,
    accounts.POOL_SIZE,
    networks.MANAGEMENT,
    pools.HA_HERE,
    pools.CLUSTERED,
    pools.CLUSTER_VLAN,
    pools.CLUSTER_ADDRESS,
    pools.HA_THERE,
    pools.ITSELF,
    pools.ALONE,
    machines.RUNNING,
    machines.BUSY,
    software.GUIDANCES,
    software.PLATFORM,
    software.BUILD,
    software.VENDOR,
    software.WHOLE_FEATURES,
    storage.SHARED,
    networks.PHYSICAL_MANAGEMENT,
    networks.PHYSICAL,
    networks.BONDS,
    networks.TUNNELS,
    networks.SRIOVS,
    networks.VLANS,
    networks.MANAGEMENT_VLAN,
    trust.DIRECTORY,
    accounts.EDITION,
    networks.BACKEND,
    networks.CONTROLLER,
    software.API_VERSION,
    software.SCHEMA,
    software.UPDATES,
    networks.ADDRESS_TYPE,
    networks.NBD,
    trust.TLS,
    trust.AUTHORITIES,
    trust.TRUSTED,
    pools.APPLYING,
    software.DRIVERS,
    accounts.ROLE_THERE,
    pools.ROTATION,
    pools.LISTED_ALREADY,
    machines.NOT_HALTED,
    pools.MASTER_ADDRESS,
    pools.ADDRESS,
    pools.BUSY,
    machines.MOVING,
)
JOIN_WARNINGS: tuple[kinds.Rule, ...] = (
    losses.JOIN_LOSES,
    trust.TLS_OFF,
    advice.SECRETS,
    advice.PASSTHROUGH,
    advice.FEATURES,
    advice.LEVELS,
    advice.PACKS,
    advice.ROLLING,
    advice.SKEW,
    advice.CERTIFICATES,
    advice.DHCP,
    advice.MTU,
    advice.WIRING,
    advice.NAMES,
    advice.MACS,
    advice.IQNS,
    advice.DISABLED,
    advice.DEFAULT_SR,
    advice.SIZE,
)

# The first host of an aggregate keeps its pool, which others are to join.
FIRST_RULES: tuple[kinds.Rule, ...] = (accounts.ROLE_HERE,)
FIRST_WARNINGS: tuple[kinds.Rule, ...] = (
    first.RENAMED,
    first.CLOSED,
    advice.ROLLING,
    advice.DHCP,
    advice.MTU,
    advice.DISABLED,
)


def check_join(facts: sides.Sides) -> preflight.Report:
    """Every requirement of joining, evaluated on what was read."""
    return preflight.Report(
        blockers=preflight.evaluate(JOIN_RULES, facts),
        warnings=preflight.evaluate(JOIN_WARNINGS, facts),
    )


def check_first(host: sides.Side) -> preflight.Report:
    """What is asked of the first host of an aggregate."""
    facts = sides.Sides(host, host)
    return preflight.Report(
        blockers=preflight.evaluate(FIRST_RULES, facts),
        warnings=preflight.evaluate(FIRST_WARNINGS, facts),
    )
