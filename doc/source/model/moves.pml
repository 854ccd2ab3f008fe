/*
 * A guest moves to another host of its pool, while an operation wants to
 * start a toolstack there (design#moves, xapi#moves, xapi#moves-that-lie;
 * compute/moving/, await_moves and _gate).
 *
 * One guest, one move, one operation that starts a toolstack: a join, an
 * eject or a change of master, of which nothing else is here. The ends of its
 * session do not stop a move that was accepted. Which hosts may take a guest,
 * other targets, cancelling and a move's own timeout are left out.
 */

#include "leases.pml"

#ifndef LOSSES
#define LOSSES 1                /* answers that are lost */
#endif
#ifndef FAILURES
#define FAILURES 1              /* moves that fail inside of xapi */
#endif
#ifndef RESTARTS
#define RESTARTS 1              /* toolstacks that somebody else starts */
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 2              /* MOST_ATTEMPTS is 3 */
#endif

/* ---- the database: a row of moves, one of operations ---- */
mtype = { QUEUED, SENT, COMPLETED, FAILED, UNRESOLVED };
mtype = { ABSENT, ASKED, CHANGED, ENDED };
mtype state = QUEUED;
mtype operation = ABSENT;       /* CHANGED: parameters say that it has sent */
bool rests;                     /* it has, in the middle */
bool recorded;                  /* call: its session */
byte session;
bool has_task;                  /* call: its task */
bool quiet;                     /* call: seen at rest with the session ended */
byte attempts;

#define OPEN (state == QUEUED || state == SENT || state == UNRESOLVED)

/* ---- the guest, and the pool ---- */
mtype = { IDLE, TAKEN, RUNS, DONE, ERROR };
mtype move = IDLE;              /* the task; TAKEN: not to be seen yet */
bool arrived;                   /* where the guest runs in truth */
bool written;                   /* where its record says */
bool copying;                   /* its host moves it, whoever knows of that */
bool started;                   /* a toolstack has, since the call */
byte losses = LOSSES;
byte failures = FAILURES;
byte restarts = RESTARTS;

/* ---- what is sent: one call for each service, and one held back ---- */
#define SLOTS 3
#define NO_SLOT 3
mtype = { EMPTY, READY, FLIES, LOOSE, ANSWERED, DENIED };
mtype message[SLOTS] = EMPTY;
bool valid[SLOTS];
bool old[SLOTS];

#define AWAY(n) (message[n] == FLIES || message[n] == LOOSE)
#define CAN_EFFECT(n) (AWAY(n) && valid[n])
#define QUIESCENT (!CAN_EFFECT(0) && !CAN_EFFECT(1) && !CAN_EFFECT(2))
#define CLEAN(n) message[n] = EMPTY; old[n] = false; \
    if \
    :: !(recorded && session == n) -> valid[n] = false \
    :: else \
    fi

/* A toolstack that starts: what was moving is finished by the host, and
   nobody writes it down. */
#define START started = true; move = IDLE

inline arrive(n) {
    atomic {
        AWAY(n) ->
        if
        :: valid[n] ->
            /* Sent by one of whose move it is known that nothing came. */
            assert(!old[n]);
            assert(state == SENT || state == UNRESOLVED);
            /* A second one waits, and moves the guest again. */
            assert(!copying && move != TAKEN);
            move = TAKEN;
            copying = true;
            if
            :: message[n] == FLIES -> message[n] = ANSWERED
            :: else -> CLEAN(n)
            fi
        :: else ->
            if
            :: message[n] == FLIES -> message[n] = DENIED
            :: else -> CLEAN(n)
            fi
        fi
    }
}

proctype Xapi() {
end:
    do
    :: arrive(0)
    :: arrive(1)
    :: arrive(2)
    :: atomic { move == TAKEN -> move = RUNS }
    :: atomic { copying && !arrived -> arrived = true }
    :: atomic {
        copying && arrived ->
        copying = false;
        if
        :: move == RUNS -> move = DONE; written = true
        :: move == TAKEN -> move = DONE; written = true
        :: else
        fi
       }
    :: atomic {
        move == RUNS && !arrived && failures > 0 ->
        failures--; move = ERROR; copying = false
       }
    :: atomic { operation == ABSENT -> operation = ASKED }
    /* Somebody starts a toolstack. */
    :: atomic { restarts > 0 -> restarts--; START }
    /* And somebody starts both, that of the source first: the repair. */
    :: atomic {
        state == UNRESOLVED && !copying ->
        written = arrived; started = false
       }
    od
}

#define HAS_ARRIVED arrived
#define HAS_NOT (!arrived && !copying && move != TAKEN && QUIESCENT)

proctype Service(byte me) {
    byte s = NO_SLOT;
    mtype seen;
    bool there;

again:
    atomic {
        LET_GO;
        if
        :: s == NO_SLOT
        :: s != NO_SLOT && message[s] == FLIES -> message[s] = LOOSE
        :: s != NO_SLOT && message[s] == LOOSE
        :: s != NO_SLOT && !AWAY(s) -> CLEAN(s)
        fi;
        s = NO_SLOT; seen = 0; there = false
    }
end:
    atomic {
        if
        :: (OPEN || operation != ENDED) && MAY_CLAIM -> CLAIM
        :: !OPEN && operation == ENDED -> goto over
        fi
    };

    /* The operation: await_moves, then it has changed something, and may rest
       before it goes on. */
    if
    :: operation == CHANGED -> goto start
#ifdef NO_WAIT_FOR_MOVES
    :: operation == ASKED ->
#else
    :: operation == ASKED && state != SENT && state != UNRESOLVED ->
#endif
        WRITE(operation = CHANGED);
        goto start
    :: else -> goto moves
    fi;
start:
    if
    :: !rests -> WRITE(rests = true); goto moves
    :: true
    fi;
    atomic {
        if
        :: holder == me && operation == CHANGED ->
            /* Records would lie from now on. */
            assert(!copying);
            START
        :: else -> goto again
        fi
    };
    WRITE(operation = ENDED);

moves:
    if
    :: state == QUEUED -> goto queued
    :: state == SENT || state == UNRESOLVED -> goto follow
    :: else -> goto again
    fi;

queued:
    /* _gate */
#ifndef NO_GATE
    if
    :: operation == CHANGED -> goto again
    :: else
    fi;
#endif
    /* _Sending: where it runs; who has arrived need not be sent. */
    if
    :: written -> WRITE(assert(HAS_ARRIVED); state = COMPLETED); goto again
    :: else
    fi;
    atomic {
        if
        :: message[0] == EMPTY && !valid[0] -> s = 0
        :: else ->
            if
            :: message[1] == EMPTY && !valid[1] -> s = 1
            :: else -> message[2] == EMPTY && !valid[2]; s = 2
            fi
        fi;
        message[s] = READY;
        valid[s] = true
    };
#ifdef NO_RECORD
    WRITE(state = SENT; attempts++; started = false);
#else
    WRITE(state = SENT; attempts++; recorded = true; session = s;
        has_task = false; quiet = false; started = false);
#endif
    message[s] = FLIES;
    MAY_DIE;
    atomic {
        if
        :: message[s] == ANSWERED ->
            message[s] = EMPTY; s = NO_SLOT
        :: message[s] == DENIED ->
            message[s] = EMPTY; valid[s] = false; s = NO_SLOT;
            goto refused
        :: losses > 0 -> losses--;
            if
            :: message[s] == FLIES -> message[s] = LOOSE
            :: else -> message[s] = EMPTY
            fi;
            s = NO_SLOT;
            goto again
        fi
    };
    WRITE(has_task = true);
    goto again;

refused:
    WRITE(state = QUEUED; recorded = false; attempts--);
    goto again;

follow:
#ifndef JUMP
    /* What has been at rest is looked at a watch_interval later, by the clock
       of the database; what was accepted is seen by then. */
    if
    :: quiet -> move != TAKEN
    :: else
    fi;
#endif
    atomic {
        if
        :: holder == me ->
#ifdef FENCE_MOVES_BY_SESSION
            /* As an eject is: ended first, and then looked at once. */
            if
            :: recorded -> valid[session] = false
            :: else
            fi;
            old[0] = AWAY(0) || message[0] == READY;
            old[1] = AWAY(1) || message[1] == READY;
            old[2] = AWAY(2) || message[2] == READY
#else
            skip
#endif
        :: else -> goto again
        fi;
        seen = (move == TAKEN -> IDLE : move)
    };
    if
    :: has_task && seen == DONE -> goto completed
    :: has_task && seen == ERROR -> goto failed
    /* The task, or the operations of the guest, which name it. */
    :: seen == RUNS -> WRITE(has_task = true); goto wait
    :: !has_task && (seen == DONE || seen == ERROR)
    :: seen == IDLE
    fi;
    /* without_task: its record tells, while no toolstack has started. */
    atomic {
        there = written;
        if
        :: there -> goto completed
        :: else
        fi;
#ifndef TRUST_RECORDS
        if
        :: started -> goto unresolved
        :: else
        fi;
#endif
        if
        :: move == RUNS || move == DONE -> goto wait
        :: else
        fi
    };
#ifndef FENCE_MOVES_BY_SESSION
#ifndef NO_QUIET
    if
    :: !quiet || recorded ->
        atomic {
            if
            :: holder == me && recorded -> valid[session] = false
            :: else
            fi
        };
        WRITE(quiet = true; recorded = false);
        goto wait
    :: else
    fi;
#endif
#endif
failed:
    if
    :: attempts < ATTEMPTS ->
        WRITE(assert(HAS_NOT); state = QUEUED; recorded = false;
            quiet = false; has_task = false; move = IDLE;
            valid[0] = valid[0] && message[0] != EMPTY;
            valid[1] = valid[1] && message[1] != EMPTY;
            valid[2] = valid[2] && message[2] != EMPTY)
    :: else -> WRITE(assert(HAS_NOT); state = FAILED; recorded = false)
    fi;
    goto again;

completed:
    WRITE(assert(HAS_ARRIVED); state = COMPLETED; recorded = false);
    goto again;

unresolved:
    WRITE(state = UNRESOLVED);
    goto again;

wait:
    move != TAKEN;
    MAY_DIE;
    goto again;

over:
    skip
}

init {
    atomic {
        run Xapi();
        run Service(0);
        run Service(1)
    }
}

#ifdef LIVENESS
ltl ends { <> (!OPEN && operation == ENDED) }
#endif
