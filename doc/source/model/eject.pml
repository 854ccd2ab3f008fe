/*
 * A host is ejected from a pool (design#returned, design#eject-order;
 * compute/operations/eject.py, departures.py).
 *
 * What would be destroyed, the host's being disabled, a change of master
 * before and a removal by force are left out.
 */

#include "leases.pml"
#include "calls.pml"

#ifndef FAILURES
#define FAILURES 1              /* ejects that fail inside of xapi */
#endif
#ifndef RESTARTS
#define RESTARTS 0              /* toolstacks of the master that start anew */
#endif

mtype = { EJECT };
mtype = { MEMBER, LEAVING, DOWN, RETURNED };
mtype = { IDLE, TAKEN, RUNS, SUCCESS, ERROR };

/* ---- the host, and its record and the task at the master ---- */
mtype role = MEMBER;            /* LEAVING: it was told to go, and answers as a
                                   slave until it does */
bool listed = true;
mtype task = IDLE;              /* TAKEN: accepted, and not yet to be seen */
bool refusal;                   /* its error is one of departures.REFUSALS */
bool firm;                      /* and one that does not pass */
bool up = true;                 /* the toolstack of the master */
byte failures = FAILURES;
byte restarts = RESTARTS;

/* ---- parameters of the operation ---- */
bool refused;

/* ---- what may not be ---- */

bool is_final;                  /* ghost: it was refused for good */

#define AT_WORK (task == TAKEN || task == RUNS)
#define IS_OFF (listed && role == MEMBER && !AT_WORK && QUIESCENT)

inline take_effect(n) {
    if
    :: listed ->
        /* A second one, while the first runs or its victim goes, or after it
           was refused for good. */
        assert(!AT_WORK && role == MEMBER);
        assert(!is_final);
        task = TAKEN;
        ANSWER(n, DONE)
    :: else ->
        /* The reference that was resolved in the attempt is nobody's. */
        ANSWER(n, DENIED)
    fi
}

#define HOLD_BACK(n) (!up)
#include "network.pml"

/* ---- xapi (xapi#eject-timeline, xapi#eject-errors) ---- */

#define STOP up = false; task = IDLE; is_final = false; \
    valid[0] = false; valid[1] = false; \
    valid[2] = false

inline fail_task() {
    failures > 0 && listed && task == RUNS;
    failures--;
    task = ERROR;
    if
    :: role == MEMBER ->
        refusal = true;
        if
        :: firm = true; is_final = true
        :: firm = false
        fi
    :: refusal = false; firm = true
    fi
}

proctype Xapi() {
end:
    do
    :: atomic { task == TAKEN -> task = RUNS }
    :: atomic { task == RUNS && role == MEMBER -> role = LEAVING }
    :: atomic { task == RUNS && role != MEMBER -> listed = false }
    :: atomic { task == RUNS && !listed -> task = SUCCESS }
    :: atomic { fail_task() }
    :: atomic { role == LEAVING -> role = DOWN }
    :: atomic { role == DOWN -> role = RETURNED }
    :: atomic { up && restarts > 0 -> restarts--; STOP }
    :: atomic { !up -> up = true }
    /* Somebody removes the record of one that has left. */
    :: atomic { role == RETURNED && listed && task != RUNS -> listed = false }
    od
}

/* ---- a compute service ---- */

/* views.forget_tasks: of all that have ended, whoever sent them. */
#define FORGET_TASKS \
    atomic { \
        if \
        :: task == ERROR || task == SUCCESS -> task = IDLE \
        :: else \
        fi \
    }

proctype Service(byte me) {
    byte s = NO_SLOT;
    mtype answer;
    mtype seen;
    bool agreed;                /* quiet for a watch_interval */
    bool before;
    bool early;
    bool stays;
    bool failed;

again:
    atomic {
        LET_GO;
        CLEAR;
        agreed = false; before = false; seen = 0; answer = 0; stays = false;
        early = false; failed = false
    }
end:
    atomic {
        if
        :: OPEN && MAY_CLAIM -> CLAIM
        :: !OPEN -> goto over
        fi
    };
    END_RECORDED_SESSION(up);

look:
    atomic {
        if
        :: holder == me && up -> LOOK
        :: else -> goto again
        fi;
        /* Its tasks first: what is listed after that is all that is left. */
        seen = (task == TAKEN -> IDLE : task);
        early = refusal;
        stays = firm
    };
    atomic {
        if
        :: !up || holder != me -> goto again
        :: else
        fi;
        if
        :: !listed -> goto left
        :: else
        fi;
        if
        :: refused -> goto finish
        :: seen == RUNS && !refused ->
            agreed = false;
            /* _check_time */
            if
            :: LATE -> goto unresolved
            :: else -> goto wait
            fi
        :: else
        fi;
        /* _may_send, _fail_by: after a call of ours two looks must agree. */
        failed = (seen == ERROR && sent);
#ifndef ONE_LOOK
        if
        :: sent && !failed && !agreed -> agreed = true; goto wait
        :: else
        fi
#endif
    };
#ifndef NO_ASK_VICTIM
    /* departures.is_off: who was told to go has gone after fuse_wait. */
    if
    :: sent && !(failed && early) ->
        atomic {
#ifndef NO_FUSE_WAIT
            role != LEAVING;
#endif
            if
            :: role == RETURNED -> goto unresolved
            :: role == DOWN -> goto wait
            :: role == MEMBER || role == LEAVING
            fi
        }
    :: else
    fi;
#endif
    if
    :: failed && stays -> goto refuse
    :: failed && !stays -> goto failed_for_now
    :: !failed && LATE -> goto refuse
    :: else
    fi;
    /* _send: guarded, confirm_slave, the host is disabled, guarded again. */
    if
    :: role == MEMBER || role == LEAVING
    :: else -> goto again
    fi;
#ifdef FORGET_BEFORE
    FORGET_TASKS;
#endif
    atomic {
        LOG_IN(EJECT, up);
        before = sent
    };
    RECORD(sent = true);
#ifndef FORGET_BEFORE
    /* By the session in the record, which the next holder ends. */
    atomic {
        if
        :: valid[s] -> FORGET_TASKS
        :: else -> goto again
        fi
    };
#endif
    SEND;
    if
    :: answer == DONE -> WRITE(CLEARED(ANSWERED))
    :: answer == DENIED -> WRITE(CLEARED(NONE); sent = before); goto again
    fi;
    agreed = false;

wait:
    /* What was accepted can be seen within a watch_interval. */
    task != TAKEN;
    MAY_DIE;
    goto look;

failed_for_now:
    WRITE(CLEARED(NONE); sent = false);
#ifdef FORGET_BEFORE
    FORGET_TASKS;
#endif
    goto again;

left:
    /* _leave */
    WRITE(assert(!listed); CLEARED(NONE); state = SUCCEEDED);
    goto again;

refuse:
    /* _refuse: written before its task is removed. */
#ifndef NO_REFUSED
    WRITE(CLEARED(NONE); sent = false; refused = true);
#endif
    FORGET_TASKS;
    MAY_DIE;
finish:
    /* _finish_refused: the host is enabled again. */
    WRITE(assert(IS_OFF); CLEARED(NONE); refused = false; state = FAILED);
    goto again;

unresolved:
    WRITE(state = UNRESOLVED);
    goto again;

over:
    skip
}

init {
    atomic {
        run Network();
        run Xapi();
        run Service(0);
        run Service(1)
    }
}

#ifdef LIVENESS
ltl ends { <> !OPEN }
#endif
