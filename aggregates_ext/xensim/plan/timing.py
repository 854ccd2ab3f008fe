"""How long things take in the simulated world: every knob in one place."""

import dataclasses


@dataclasses.dataclass
class Times:
    """Seconds, and a few numbers of sessions; the defaults were observed."""

    # xapi#login: a wrong password is answered late.
    login_penalty: float = 2.0
    # xapi#session-validity: an idle session ends; its use is noted now and
    # then.
    session_idle: float = 86400.0
    session_refresh: float = 600.0
    # xapi#session-validity: how many sessions there can be, the oldest go.
    sessions_per_originator: int = 500
    sessions_per_user: int = 500
    sessions_of_the_rest: int = 400
    # xapi#join-steps: what one pool.join call takes, 2.4 s in all.
    join_checks: float = 0.2
    join_exchange: float = 0.85
    exchange_lasts: float = 0.3
    ca_exchange_lasts: float = 0.5
    join_copy: float = 0.25
    join_finish: float = 0.3
    # What it takes to find out that a master cannot be talked to.
    no_route: float = 3.1
    no_such_name: float = 6.0
    # xapi#model: a role changes when xapi restarts after the fuse.
    fuse: float = 10.0
    # xapi#join-timeline: from the exit of xapi to a host that is enabled.
    exit_to_listen: float = 2.2
    first_beat: float = 0.1
    slave_blocked: float = 6.9
    no_management_ip: float = 0.15
    still_booting: float = 0.3
    storage_init: float = 0.7
    joined_live: float = 8.4
    # xapi#tasks: a task is collected some time after its end or start.
    completed_task: float = 3900.0
    pending_task: float = 86400.0
    # xapi#emergency: a slave retries to reach its master.
    master_retry: float = 5.0
    emergency_restart: float = 60.0
    # xapi#restarts: xapi ends after host.restart_agent, and starts again.
    agent_exit: float = 0.9
    restart: float = 1.2
    # xapi#restarts: when hosts are enabled again after a start of the master.
    slave_returns: float = 5.0
    slave_returns_late: float = 8.0
    master_returns: float = 8.5
    # xapi#eject-timeline: an ejected host.
    eject_unplug: float = 0.05
    eject_finish: float = 0.3
    eject_garbage: float = 11.1
    reboot: float = 7.6
    first_storage_init: float = 10.0
    # xapi#late-writes: how often the database goes to the disk.
    database_write: float = 300.0
    # Dead hosts: xapi#dead-hosts.
    contact_timeout: float = 100.0
    refused_timeout: float = 53.0
    assumed_dead: float = 600.0
    # xapi#change-of-master: the answer to designate_new_master.
    designate: float = 0.3
    promise: float = 600.0
    # xapi#pool-operations: waiting behind another pool operation.
    pool_operation_retry: float = 1.0
    pool_operation_wait_max: float = 7200.0
    ha_change: float = 5.0
    # xapi#ha-master: from the end of a master to the next one's beginning;
    # shorter than a boot, which is as short here.
    ha_succession: float = 5.0
    # xapi#maintenance-calls and xapi#simulation-knobs: a change of state or
    # place of a machine.
    migrate_per_gib: float = 8.0
    evacuation_poll: float = 0.3
    power_on: float = 1.0
    vm_start: float = 1.0
    vm_stop: float = 0.1
    # xapi#moves: the end of a move, and what can delay it.
    move_cancel: float = 0.2
    move_switch: float = 0.05
    move_record: float = 0.1
    move_lag: float = 0.2
    move_finish: float = 0.3
    move_session: float = 0.1
    move_no_xapi: float = 53.0
    # xapi#moves-twice: a call behind another one of its guest.
    guest_wait: float = 0.05
    guest_wait_later: float = 2.0
    guest_retry: float = 2.8
    # xapi#shutdowns: how long a guest that has acknowledged is waited for.
    shutdown_wait: float = 1200.0
    shutdown_poll: float = 1.0
    # xapi#updates: copying metadata, looking for updates, installing them.
    sync_updates: float = 20.0
    get_updates: float = 0.5
    yum: float = 60.0
    # xapi#updater: looking for updates; how long an update waits for that.
    check_update: float = 5.0
    updater_lock: float = 10.0
    # xapi#reboots: the start of an agent is told after it is heard.
    agent_started: float = 0.4
    host_operation: float = 0.05
