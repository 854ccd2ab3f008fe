/*
 * A host joins a pool (design#joined, design#half-joined;
 * compute/operations/join.py, verdicts.py, halfjoin.py).
 *
 * The aggregate has its pool. Founding one, what is required of a host, TLS
 * and other pools are left out.
 */

#include "leases.pml"
#include "calls.pml"

#ifndef FAILURES
#define FAILURES 1              /* joins that fail inside of xapi */
#endif
#ifndef RESTARTS
#define RESTARTS 0              /* toolstacks that somebody restarts */
#endif

/* JOIN and RESTART go to the joiner, DESTROY to the master of the pool, which
   is always there. */
mtype = { JOIN, RESTART, DESTROY };
mtype = { MASTER, SLAVE, DOWN };
mtype = { IDLE, TAKEN, RUNS, SUCCESS, ERROR };

/* ---- the joiner, and its record at the master ---- */
mtype role = MASTER;            /* what it answers as */
mtype conf = MASTER;            /* what its next start makes of it */
mtype task = IDLE;              /* TAKEN: accepted, and not yet to be seen */
bool starts;                    /* its agent_start_time */
bool listed;
byte failures = FAILURES;
byte restarts = RESTARTS;

/* ---- parameters of the operation ---- */
byte restarted;                 /* how often a restart was asked for */
bool started;                   /* when the toolstack had started before */

/* ---- what may not be ---- */

#define AT_WORK (task == TAKEN || task == RUNS || task == SUCCESS)
#define IS_JOINED (listed && conf == SLAVE)
#define IS_OFF (!listed && conf == MASTER && !AT_WORK && QUIESCENT)

/* A toolstack ends, and its sessions and tasks with it. */
#define END(n) \
    if \
    :: what[n] != DESTROY -> valid[n] = false \
    :: else \
    fi
#define STOP role = DOWN; task = IDLE; starts = !starts; END(0); END(1); END(2)

inline take_effect(n) {
    if
    :: what[n] == JOIN && role == MASTER ->
        /* A second one (xapi#join-odd-cases). */
        assert(!AT_WORK && !listed && conf == MASTER);
        task = TAKEN;
        ANSWER(n, DONE)
    :: what[n] == JOIN && role != MASTER -> ANSWER(n, DENIED)
    :: what[n] == RESTART ->
        /* Into a join that would have come about. */
        assert(!AT_WORK);
        STOP;
        ANSWER(n, DONE)
    :: what[n] == DESTROY ->
        /* Its next start would fail for ever (xapi#join-late-failures). */
        assert(conf == MASTER && !AT_WORK);
        listed = false;
        ANSWER(n, DONE)
    fi
}

#define HOLD_BACK(n) (what[n] != DESTROY && role == DOWN)
#include "network.pml"

/* ---- xapi: the steps of a join (xapi#join-timeline) ---- */

proctype Xapi() {
end:
    do
    :: atomic { task == TAKEN -> task = RUNS }
    :: atomic { task == RUNS && !listed -> listed = true }
    :: atomic { task == RUNS && listed && conf == MASTER -> conf = SLAVE }
    :: atomic { task == RUNS && conf == SLAVE -> task = SUCCESS }
    /* At each step it may fail: with nothing left, half-done, or late. */
    :: atomic { task == RUNS && failures > 0 -> failures--; task = ERROR }
    /* The fuse; and a restart by hand, which ends what runs. */
    :: atomic { task == SUCCESS -> STOP }
    :: atomic { role != DOWN && restarts > 0 -> restarts--; STOP }
    :: atomic {
        role == DOWN ->
        assert(conf == MASTER || listed);
        role = conf
       }
    od
}

/* ---- a compute service ---- */

mtype = { JOINED, WAIT, FUSE, ENDED, NOTHING, HALF };

/* views.forget_tasks */
#define FORGET_TASKS \
    atomic { \
        if \
        :: task == ERROR -> task = IDLE \
        :: else \
        fi \
    }

proctype Service(byte me) {
    byte s = NO_SLOT;
    mtype answer;
    mtype here;                 /* a look: what the joiner answers as, */
    mtype seen;                 /* its task, */
    bool since;                 /* when its toolstack has started, */
    bool there;                 /* and whether the master lists it */
    mtype verdict;
    mtype last;
    bool agreed;                /* a look that was like the one before */
    bool before;

again:
    atomic {
        LET_GO;
        CLEAR;
        last = WAIT; verdict = WAIT; agreed = false; before = false;
        here = 0; seen = 0; since = false; there = false; answer = 0
    }
end:
    atomic {
        if
        :: OPEN && MAY_CLAIM -> CLAIM
        :: !OPEN -> goto over
        fi
    };
    END_RECORDED_SESSION(what[session] == DESTROY || role != DOWN);

look:
    atomic {
        if
        :: holder == me -> LOOK
        :: else -> goto again
        fi;
#ifdef MASTER_FIRST
        there = listed
    };
    atomic {
#endif
        here = role;
        seen = (role == MASTER && task != TAKEN -> task : IDLE);
        since = starts
    };
    atomic {
#ifndef MASTER_FIRST
        there = listed;
#endif
        /* verdicts.judge */
        if
        :: here == SLAVE -> verdict = (there -> JOINED : WAIT)
        :: here == DOWN -> verdict = WAIT
        :: here == MASTER && seen == RUNS -> verdict = WAIT
        :: here == MASTER && seen == SUCCESS -> verdict = FUSE
        :: here == MASTER && (seen == IDLE || seen == ERROR) && there ->
            verdict = HALF
        :: here == MASTER && seen == ERROR && !there ->
            /* The task of an earlier operation, if none was sent. */
            verdict = (sent -> ENDED : NOTHING)
        :: here == MASTER && seen == IDLE && !there -> verdict = NOTHING
        fi;
        agreed = (verdict == last);
        last = verdict;
        here = 0; seen = 0; there = false;
        if
        :: holder != me -> goto again
        :: else
        fi;
        if
        :: verdict == JOINED -> goto joined
        :: verdict == NOTHING -> goto nothing
        :: verdict == ENDED -> goto failed
        :: verdict == HALF ->
            /* No join of this operation was sent: STALE_RECORD. */
            assert(sent);
#ifndef NO_CONFIRM
            if
            :: !agreed -> goto wait
            :: else
            fi;
#endif
            goto half
        :: else ->
            /* _consider, _check_unsent */
            if
            :: LATE && sent -> goto unresolved
            :: overdue && !sent -> goto fail
            :: else -> goto wait
            fi
        fi
    };

wait:
    /* What was accepted can be seen within a watch_interval, and that is what
       a second look is for. */
    task != TAKEN;
    MAY_DIE;
    goto look;

joined:
    /* pool.become_member */
    WRITE(assert(IS_JOINED); CLEARED(NONE); state = SUCCEEDED);
    goto again;

nothing:
    atomic {
        /* halfjoin.finish: a half-done join of which nothing is left. */
        if
        :: restarted > 0 -> goto failed
        :: else
        fi;
        /* _may_send */
#ifndef ONE_LOOK
        if
        :: sent && !agreed -> goto wait
        :: else
        fi;
#endif
        if
        :: LATE -> goto fail
        :: else
        fi
    };
    /* _send */
    atomic {
        LOG_IN(JOIN, role == MASTER);
        before = sent
    };
    RECORD(sent = true);
    /* By the session in the record, which the next holder ends. */
    atomic {
        if
        :: valid[s] -> FORGET_TASKS
        :: else -> goto again
        fi
    };
    SEND;
    if
    :: answer == DONE -> WRITE(CLEARED(ANSWERED))
    :: answer == DENIED -> WRITE(CLEARED(NONE); sent = before); goto again
    fi;
    last = WAIT;
    goto wait;

failed:
    /* _fail, halfjoin.explain: for a reason that stays, or for one that
       passes. */
    if
    :: goto fail
    :: true
    fi;
    WRITE(CLEARED(NONE); sent = false; restarted = 0; started = false);
    goto again;

half:
    /* halfjoin.end */
    atomic {
        if
        :: restarted > 0 && since != started -> goto clean_up
        :: restarted > 0 && since == started &&
            (restarted > 1 || state == UNRESOLVED) -> goto unresolved
        :: else
        fi;
#ifdef NO_RESTART
        goto clean_up;
#endif
        LOG_IN(RESTART, role == MASTER)
    };
    RECORD(restarted++; started = since);
    SEND;
    if
    :: answer == DONE -> WRITE(CLEARED(NONE))
    :: answer == DENIED -> WRITE(CLEARED(NONE); restarted--); goto again
    fi;
    last = WAIT;
    goto wait;

clean_up:
    atomic { LOG_IN(DESTROY, true) };
    RECORD(skip);
    SEND;
    WRITE(CLEARED(NONE));
    if
    :: answer == DONE -> goto failed
    :: answer == DENIED -> goto again
    fi;

fail:
    WRITE(assert(IS_OFF); CLEARED(NONE); state = FAILED);
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
