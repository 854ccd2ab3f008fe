/*
 * What joins, ejects and changes of master share: a session for each attempt,
 * a record before each call, one request that is one request
 * (design#sent-calls, design#one-request; Run in compute/run/run.py).
 *
 * What a call does is said by the model of its subject; how it gets there by
 * network.pml.
 */

#ifndef LOSSES
#define LOSSES 1                /* answers that are lost */
#endif
#ifndef MISSES
#define MISSES 0                /* calls that meet nobody: HOST_UNREACHABLE */
#endif

mtype = { RUNNING, SUCCEEDED, FAILED, UNRESOLVED };     /* operations.state */
mtype = { NONE, SENT, ANSWERED };                       /* operations.call */

mtype state = RUNNING;
mtype call = NONE;
byte session;                   /* in the record of a call that is SENT */
bool sent;                      /* parameters: the call itself may have run */
bool overdue;                   /* its time limit, by whatever clock */

#define OPEN (state == RUNNING || state == UNRESOLVED)
/* Runner.look_again begins with all the time spent. */
#define LATE (overdue || state == UNRESOLVED)

byte losses = LOSSES;
byte misses = MISSES;

/*
 * A request, each with a session of its own. READY: logged in, not yet sent.
 * FLIES: under way, and waited for. LOOSE: under way, and nobody waits any
 * more. DONE, DENIED: answered, and not read yet.
 */
#define SLOTS 3
#define NO_SLOT 3
mtype = { QUIET, READY, FLIES, LOOSE, DONE, DENIED };
mtype message[SLOTS] = QUIET;
mtype what[SLOTS];              /* the method */
bool valid[SLOTS];              /* whether the session is */
bool old[SLOTS];                /* ghost: a newer holder has looked since */

#define AWAY(n) (message[n] == FLIES || message[n] == LOOSE)
#define CAN_EFFECT(n) (AWAY(n) && valid[n])
#define QUIESCENT (!CAN_EFFECT(0) && !CAN_EFFECT(1) && !CAN_EFFECT(2))

/* Ghost: a holder looks. What others have sent, and may yet send, must have
   no effect from now on. */
#define AGE(n) old[n] = (message[n] == READY || AWAY(n))
#define LOOK AGE(0); AGE(1); AGE(2)

#define RECORDED(n) (call == SENT && session == n)
#define EMPTY(n) message[n] = QUIET; old[n] = false; what[n] = 0; \
    if \
    :: !RECORDED(n) -> valid[n] = false \
    :: else \
    fi

/* What becomes of a request, for who sent it. */
#define ANSWER(n, said) \
    if \
    :: message[n] == FLIES -> message[n] = said; old[n] = false \
    :: else -> EMPTY(n) \
    fi

/* A fresh session, where the host can be asked. */
#define UNUSED(n) (message[n] == QUIET && !valid[n] && !RECORDED(n))
#define LOG_IN(method, can_be_asked) \
    if \
    :: !(can_be_asked) -> goto again \
    :: else \
    fi; \
    if \
    :: UNUSED(0) -> s = 0 \
    :: !UNUSED(0) && UNUSED(1) -> s = 1 \
    :: !UNUSED(0) && !UNUSED(1) && UNUSED(2) -> s = 2 \
    fi; \
    what[s] = method; \
    message[s] = READY; \
    valid[s] = true

/* A service that stops waits for nothing any more. Sessions that nobody knows
   of are of no use to anybody. */
#define CLEAR \
    if \
    :: s == NO_SLOT \
    :: s != NO_SLOT && message[s] == FLIES -> message[s] = LOOSE \
    :: s != NO_SLOT && message[s] == LOOSE \
    :: s != NO_SLOT && !AWAY(s) -> EMPTY(s) \
    fi; \
    s = NO_SLOT

/*
 * Run.change. The record is committed under the lease, with what is true once
 * the call is sent; then the call leaves, once. A definite answer clears the
 * record. No answer leaves it, and ends the run.
 */
#ifdef NO_RECORD
#define RECORD(known) WRITE(known)
#else
#define RECORD(known) WRITE(call = SENT; session = s; known)
#endif
#define CLEARED(as) call = as; session = 0

#ifdef NO_LOOK
#define NO_ANSWER answer = DENIED
#else
#define NO_ANSWER goto again
#endif

#define SEND \
    if \
    :: message[s] = FLIES \
    :: misses > 0 -> misses--; message[s] = DENIED; old[s] = false \
    fi; \
    MAY_DIE; \
    atomic { \
        if \
        :: message[s] == DONE || message[s] == DENIED -> \
            answer = message[s]; \
            message[s] = QUIET; what[s] = 0; valid[s] = false; \
            s = NO_SLOT \
        :: losses > 0 -> losses--; \
            if \
            :: message[s] == FLIES -> message[s] = LOOSE \
            :: else -> EMPTY(s) \
            fi; \
            s = NO_SLOT; \
            NO_ANSWER \
        fi \
    }

/* Run.end_recorded_session: before anything is looked at. */
#ifdef NO_END_SESSION
#define END_RECORDED_SESSION(can_be_asked) skip
#else
#define END_RECORDED_SESSION(can_be_asked) \
    if \
    :: call == SENT -> \
        atomic { \
            if \
            :: call == SENT && !(can_be_asked) -> goto again \
            :: call == SENT && can_be_asked -> valid[session] = false \
            :: call != SENT \
            fi \
        }; \
        WRITE(CLEARED(ANSWERED)) \
    :: call != SENT \
    fi
#endif
