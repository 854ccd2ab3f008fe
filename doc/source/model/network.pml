/*
 * Between a service and a host: what is sent arrives at any time. It is
 * refused with SESSION_INVALID where its session has ended
 * (xapi#ending-sessions). The model of the subject has said before
 *   HOLD_BACK(n)     whether the host that call n goes to cannot take it now;
 *   take_effect(n)   what call n does there, with a session that is valid.
 */

inline arrive(n) {
    atomic {
        AWAY(n) && !HOLD_BACK(n) ->
        if
        :: valid[n] ->
            /* Sent by one who was followed by another that has looked. */
            assert(!old[n]);
            /* Or by anybody, for what has ended. */
            assert(OPEN);
            take_effect(n)
        :: else -> ANSWER(n, DENIED)
        fi
    }
}

proctype Network() {
end:
    do
    :: arrive(0)
    :: arrive(1)
    :: arrive(2)
    :: atomic { OPEN && !overdue -> overdue = true }
    od
}
