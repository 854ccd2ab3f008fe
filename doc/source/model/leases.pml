/*
 * What the models share: the database with its leases, and services that
 * stop, freeze and go on (design#leases, design#commit-unknown).
 *
 * A service is a thread that works on the one aggregate. It is frozen by not
 * being scheduled, and dies by going back to its start with nothing but what
 * the database has. Time has no number here: a lease runs out at any moment,
 * as it does with a clock of the database that jumps. So nothing that is
 * proven rests on the length of a lease, nor on Held.ensure_fresh().
 *
 * Epochs are not counted. A thread has one at a time, and claims anew only
 * when it has let go of the last; so "my epoch is the newest" is "I am the
 * holder", and an older one is somebody else's or nobody's.
 */

#ifndef TAKEOVERS
#define TAKEOVERS 1             /* leases that run out under a living holder */
#endif
#ifndef CRASHES
#define CRASHES 0               /* services that die */
#endif
#ifndef COMMITS
#define COMMITS 0               /* COMMITs that fail, or get no answer */
#endif

#define NOBODY 2

byte holder = NOBODY;           /* aggregates.lease_owner, with its epoch */
byte takeovers = TAKEOVERS;
byte crashes = CRASHES;
byte commits = COMMITS;

/* db.leases.claim: one conditional UPDATE. */
#define MAY_CLAIM (holder == NOBODY || (holder != me && takeovers > 0))
#define CLAIM \
    if \
    :: holder != NOBODY -> takeovers-- \
    :: else \
    fi; \
    holder = me

/* The end of Keeper.hold; what a dead service does not give back runs out. */
#define LET_GO \
    if \
    :: holder == me -> holder = NOBODY \
    :: else \
    fi

/*
 * Held.write: one transaction, whose first statement is db.leases.fence. That
 * takes the lock of the row, so nobody claims before the COMMIT: one step. A
 * COMMIT that fails leaves nothing; one without an answer leaves all or
 * nothing, and is never made again: the run is over (design#commit-unknown).
 */
#ifdef NO_FENCE
#define MINE true
#else
#define MINE (holder == me)
#endif

#ifdef GO_ON_AFTER_UNKNOWN_COMMIT
#define GIVE_UP skip
#else
#define GIVE_UP goto again
#endif

#ifdef NO_ROW_LOCK
#define FENCED if :: MINE :: else -> goto again fi; atomic { if :: true
#else
#define FENCED atomic { if :: MINE
#endif

#if COMMITS > 0
#define WRITE(what) \
    FENCED -> \
        if \
        :: what \
        :: commits > 0 -> commits--; GIVE_UP \
        :: commits > 0 -> commits--; what; goto again \
        fi \
    :: else -> goto again \
    fi }
#else
#define WRITE(what) FENCED -> what :: else -> goto again fi }
#endif

/* Killed here, with all that it knew. */
#if CRASHES > 0
#define MAY_DIE \
    if \
    :: crashes > 0 -> crashes--; goto again \
    :: true \
    fi
#else
#define MAY_DIE skip
#endif
