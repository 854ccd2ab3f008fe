/*
 * A move of which nobody knows is repaired: toolstacks start anew, in an
 * order (design#moves-repaired, xapi#moves-that-lie; compute/moving/
 * repairing.py).
 *
 * The guest of the move went from host 0 to 1; another one, of which as little
 * is known, went elsewhere, or the other way. Either may have arrived with a
 * record that names its source. What others send, and what somebody starts by
 * hand, is left out.
 */

#include "leases.pml"

#ifndef LOSSES
#define LOSSES 1                /* answers that are lost, or calls */
#endif

#define MOST_TOLD 2
#define NONE 3

/* ---- the database: the row of the move ---- */
mtype = { REPAIRING, COMPLETED, GIVEN_UP };
mtype state = REPAIRING;
byte told[3];                   /* call: how often each toolstack was told */
bool recorded[2];               /* call: the session of each service */
byte first, second, third;      /* order() */

/* ---- the guests, and the pool ---- */
byte from, to;                  /* of the other guest */
bool astray[2];                 /* runs at its target, recorded at its source */
bool let_go[2];                 /* its source has; recorded as halted */
bool pending[3];                /* will start anew: that takes ten seconds */
bool begun[3];                  /* when it has started is told */
bool settled[3];                /* it has looked at its guests */
bool moving;                    /* a guest is on the move again */
byte losses = LOSSES;

/* ---- what is sent: one call for each service ---- */
mtype = { EMPTY, READY, FLIES, LOOSE, ANSWERED, DENIED };
mtype message[2] = EMPTY;
byte whom[2];
bool valid[2];

#define AWAY(n) (message[n] == FLIES || message[n] == LOOSE)
#define ON_ITS_WAY(h) (pending[h] || (begun[h] && !settled[h]))
#define ANY_ON_ITS_WAY (ON_ITS_WAY(0) || ON_ITS_WAY(1) || ON_ITS_WAY(2))

#ifdef NOT_SEEN
#define HAS_STARTED(h) (told[h] > 0)
#else
#ifdef NO_CONFIRM
#define HAS_STARTED(h) begun[h]
#else
#ifdef NO_BEGINS
#define HAS_STARTED(h) (begun[h] && settled[h])
#else
#define HAS_STARTED(h) (begun[h] && settled[h] && !pending[h])
#endif
#endif
#endif

inline arrive(n) {
    atomic {
        AWAY(n) ->
        if
        :: valid[n] -> pending[whom[n]] = true
        :: else
        fi;
        if
        :: message[n] == FLIES && valid[n] -> message[n] = ANSWERED
        :: message[n] == FLIES && !valid[n] -> message[n] = DENIED
        :: else -> message[n] = EMPTY
        fi
    }
}

/* What a toolstack that has started makes of a guest. */
inline look(h, guest, source, target) {
    if
    :: astray[guest] && h == source ->
        /* Who ends the repair has read what its record tells. */
        assert(state == REPAIRING);
        let_go[guest] = true
    :: astray[guest] && h == target ->
        /* It would be ended, recorded as it is at its source. */
        assert(let_go[guest]);
        astray[guest] = false
    :: else
    fi
}

inline start(h) {
    atomic {
        pending[h] ->
        /* What is on the move is written down by nobody then. */
        assert(!moving);
        pending[h] = false;
        begun[h] = true;
        settled[h] = false
    };
}

inline settle(h) {
    atomic {
        begun[h] && !settled[h] ->
        look(h, 0, 0, 1);
        look(h, 1, from, to);
        settled[h] = true
    }
}

proctype Xapi() {
end:
    do
    :: arrive(0)
    :: arrive(1)
    :: start(0)
    :: start(1)
    :: start(2)
    :: settle(0)
    :: settle(1)
    :: settle(2)
#ifdef ABORT_AT_ONCE
    /* A request, which lets the service end it otherwise. */
    :: atomic { state == REPAIRING -> state = GIVEN_UP }
#endif
    /* _gate: moves go on. */
    :: atomic { state != REPAIRING && !moving -> moving = true }
    od
}

proctype Service(byte me) {
    byte h = NONE;

again:
    atomic {
        LET_GO;
        if
        :: message[me] == FLIES -> message[me] = LOOSE
        :: message[me] == LOOSE
        :: !AWAY(me) ->
            message[me] = EMPTY;
            if
            :: !recorded[me] -> valid[me] = false
            :: else
            fi
        fi;
        h = NONE
    }
end:
    atomic {
        if
        :: state == REPAIRING && MAY_CLAIM -> CLAIM
        :: state != REPAIRING -> goto over
        fi
    };
    /* end_sessions */
    atomic {
        if
        :: holder == me ->
#ifndef NO_END_SESSION
            if
            :: recorded[0] -> valid[0] = false
            :: else
            fi;
            if
            :: recorded[1] -> valid[1] = false
            :: else
            fi
#else
            skip
#endif
        :: else -> goto again
        fi
    };
    atomic {
        if
        :: !HAS_STARTED(first) -> h = first
        :: else ->
            if
            :: !HAS_STARTED(second) -> h = second
            :: else ->
                if
                :: third != NONE && !HAS_STARTED(third) -> h = third
                :: else -> goto repaired
                fi
            fi
        fi
    };
    /* wait: for power_timeout, for a request that gives it up, and for what
       is on its way. */
    if
#ifdef GIVE_UP_EARLY
    :: true
#else
#ifdef GIVE_UP_UNSEEN
    :: !(pending[0] || pending[1] || pending[2])
#else
    :: !ANY_ON_ITS_WAY
#endif
#endif
        -> WRITE(state = GIVEN_UP); goto over
    :: told[h] < MOST_TOLD && !ON_ITS_WAY(h)
    :: ON_ITS_WAY(h) -> goto again
    fi;
    /* _start */
    atomic {
        message[me] == EMPTY ->
        message[me] = READY;
        whom[me] = h;
        valid[me] = true;
        recorded[me] = false
    };
    WRITE(told[h]++; recorded[me] = true);
    message[me] = FLIES;
    MAY_DIE;
    atomic {
        if
        :: message[me] == ANSWERED || message[me] == DENIED
        :: losses > 0 -> losses--;
            if
            :: message[me] == FLIES -> message[me] = LOOSE
            /* It has not arrived. */
            :: message[me] == FLIES -> message[me] = EMPTY
            :: else
            fi
        fi
    };
    goto again;

repaired:
    WRITE(assert(!astray[0]); state = COMPLETED);

over:
    skip
}

init {
    atomic {
        if
        :: true -> astray[0] = true
        :: true
        fi;
        if
        :: true -> astray[1] = true
        :: true
        fi;
        first = 0; second = 1; third = NONE;
        if
        :: from = 2; to = 0;
#ifndef NO_OTHERS
            first = 2; second = 0; third = 1
#endif
        :: from = 2; to = 1;
#ifndef NO_OTHERS
            second = 2; third = 1
#endif
        :: from = 1; to = 2
        :: from = 0; to = 2
        /* In a circle: nothing is restarted. */
        :: from = 1; to = 0;
#ifndef NO_OTHERS
            state = GIVEN_UP
#endif
        fi;
#ifdef TARGET_FIRST
        first = 1; second = 0; third = NONE;
#endif
        run Xapi();
        run Service(0);
        run Service(1)
    }
}

#ifdef LIVENESS
ltl ends { <> (state != REPAIRING) }
#endif
