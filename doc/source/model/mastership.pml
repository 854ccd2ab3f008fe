/*
 * Another member becomes the master of a pool (design#change-of-master;
 * compute/mastership/).
 *
 * Two hosts: the old master, and the member that is to be the new one. What
 * is required before, and the way back of other members, are left out. An
 * error that may come from the middle of a change is as good as no answer.
 */

#include "leases.pml"
#include "calls.pml"

#ifndef FAILURES
#define FAILURES 1              /* changes that come to nothing inside xapi */
#endif
#ifndef RESTARTS
#define RESTARTS 0              /* toolstacks of the old master, by hand */
#endif

mtype = { DESIGNATE };
/*
 * What goes on: TAKEN and CALLED, the call runs, which the pool shows in its
 * current_operations from CALLED on; FUSE, it was answered, and nothing shows
 * it; SILENT, both hosts start anew; MOVED.
 */
mtype = { IDLE, TAKEN, CALLED, FUSE, SILENT, MOVED };
mtype pool = IDLE;
bool up = true;                 /* the old master's toolstack */
byte failures = FAILURES;
byte restarts = RESTARTS;

#define UNDER_WAY (pool != IDLE && pool != MOVED)
#define IS_OFF (pool == IDLE && QUIESCENT)

inline take_effect(n) {
    if
    :: pool == MOVED || pool == SILENT -> ANSWER(n, DENIED)
    :: else ->
        /* A second one within the time of the first (xen-api#6056). */
        assert(!UNDER_WAY);
        pool = TAKEN;
        ANSWER(n, DONE)
    fi
}

#define HOLD_BACK(n) (!up || pool == SILENT)
#include "network.pml"

#define END_SESSIONS valid[0] = false; valid[1] = false; valid[2] = false

proctype Xapi() {
end:
    do
    :: atomic { pool == TAKEN -> pool = CALLED }
    :: atomic { pool == CALLED -> pool = FUSE }
    :: atomic { pool == CALLED && failures > 0 -> failures--; pool = IDLE }
    :: atomic { pool == FUSE -> pool = SILENT; END_SESSIONS }
    :: atomic { pool == SILENT -> pool = MOVED }
    :: atomic {
        up && !UNDER_WAY && restarts > 0 ->
        restarts--; up = false; END_SESSIONS
       }
    :: atomic { !up -> up = true }
    od
}

/*
 * designate_wait is longer than a change takes. It is counted by the watch's
 * own clock, from when the call cannot begin any more: nothing goes on when
 * it is over. By the clock of the database, from the record on, it may be
 * over at any moment: that clock jumps, and a call that was held back begins
 * later than its record says.
 */
#ifdef WINDOW_FROM_RECORD
#define WINDOW true
#else
#define WINDOW (!UNDER_WAY)
#endif

proctype Service(byte me) {
    byte s = NO_SLOT;
    mtype answer;
    bool new;                   /* a look: the new one is the master, */
    bool former;                /* the old one is, and nothing runs there */
    bool ended;                 /* this watch has ended the session */
    bool waited;                /* this watch has waited for the window */
    bool agreed;

again:
    atomic {
        LET_GO;
        CLEAR;
        answer = 0; new = false; former = false; agreed = false;
        waited = false; ended = false
    }
end:
    atomic {
        if
        :: OPEN && MAY_CLAIM -> CLAIM
        :: !OPEN -> goto over
        fi;
        ended = (call == SENT)
    };
    /* Watch._fence; set_master, if nothing was written down. One that has
       become a slave has started anew: no session has survived. */
    END_RECORDED_SESSION(up && pool != SILENT);
    if
    :: sent -> goto watch
    :: else
    fi;

choose:
    atomic {
        if
        :: holder == me -> LOOK
        :: else -> goto again
        fi;
        if
        :: pool == MOVED -> goto done
        :: !up || pool == SILENT -> goto again
        :: else
        fi;
        if
        :: LATE -> goto fail
        :: else
        fi;
        LOG_IN(DESIGNATE, true)
    };
#ifdef NOT_WRITTEN_DOWN
    RECORD(skip);
    SEND;
    WRITE(sent = true);
#else
    RECORD(sent = true);
    SEND;
#endif
    if
    :: answer == DONE -> WRITE(CLEARED(NONE))
    :: answer == DENIED -> WRITE(CLEARED(NONE); sent = false); goto again
    fi;

watch:
    atomic {
        if
        :: holder == me -> LOOK
        :: else -> goto again
        fi;
        new = (pool == MOVED)
    };
    atomic {
        former = (up && (pool == IDLE || pool == TAKEN || pool == FUSE));
        if
        :: holder != me -> goto again
        :: new && !former -> goto done
        :: new && former -> agreed = false; goto wait
        :: !new && former && waited && agreed -> goto nothing
        :: !new && former && waited && !agreed -> agreed = true; goto wait
        :: !new && former && !waited && state == UNRESOLVED ->
            /* Long over, but for one whose session was ended just now. */
            if
            :: ended -> goto again
            :: else -> waited = true; goto wait
            fi
        :: !new && former && !waited && state != UNRESOLVED ->
            agreed = false; goto wait_window
        :: !new && !former -> agreed = false
        fi;
        if
        :: LATE && (waited || state == UNRESOLVED) -> goto unresolved
        :: LATE && !(waited || state == UNRESOLVED) -> goto wait_window
        :: else -> goto wait
        fi
    };
wait_window:
#ifndef RESEND_MASTER
    WINDOW;
#endif
    waited = true;
wait:
    pool != TAKEN;
    MAY_DIE;
    goto watch;

nothing:
    /* _end_nothing: it may be sent again. */
    WRITE(CLEARED(NONE); sent = false);
    /* The next call has a watch of its own. */
    atomic { waited = false; agreed = false; ended = false };
    goto choose;

done:
    WRITE(assert(pool == MOVED || pool == SILENT); CLEARED(NONE);
        state = SUCCEEDED);
    goto again;

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
