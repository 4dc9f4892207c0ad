-------------------------------- MODULE lock ---------------------------------
(* The mutex, its receipts and its fencing tokens: callers that stand in line for a lock, hold it, write under it and give it up; leases that   *)
(* run out while their holders go on; calls that are cancelled while nobody knows what has become of them.                                   *)
(*                                                                                                                                         *)
(* A request that was sent stays in `sent`, and may be executed at any time and any number of times. Revisions are counted by `db.rev`.       *)
(*                                                                                                                                         *)
(*   Take, TakePlace            impl/recipes/place.ipp: take_place; receipt_book.ipp: receipt::txn                                           *)
(*   LookAhead                  impl/recipes/place.ipp: wait_first                                                                          *)
(*   Cancel, Undo               impl/recipes/receipt_book.ipp: ~receipt                                                                      *)
(*   Unlock, Leave              impl/recipes/place.ipp: leave, give_up, insist                                                              *)
(*   Write, WriteAtStore        recipes/mutex.hpp: still_held(), token()                                                                    *)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
    Callers,   \* each calls lock() once, with a session of its own
    Cancels,   \* how many calls may be cancelled
    Losses,    \* how many leases may run out while their owners live on
    Without    \* the guards that are left out: {} is the protocol
Keeps(guard) == guard \notin Without

VARIABLES
    db,        \* etcd: the line, the receipts, and what the lock protects
    store,     \* a store outside etcd, which the lock protects as well: the token of its last write, and its greatest
    leases,
    sent,
    state,     \* "out", "asked", "line", "holds", "leaving", "undoing", "done", "lost"
    token,     \* create_revision of the caller's key, as far as it knows
    stale,     \* ghost: a write took effect behind one of a newer holder
    cancels, losses
vars == <<db, store, leases, sent, state, token, stale, cancels, losses>>

Init ==
    /\ db = [line |-> [c \in Callers |-> 0], receipt |-> [c \in Callers |-> "new"], value |-> 0, greatest |-> 0, rev |-> 1]
    /\ store = [last |-> 0, greatest |-> 0]
    /\ leases = Callers /\ sent = {} /\ state = [c \in Callers |-> "out"] /\ token = [c \in Callers |-> 0]
    /\ stale = FALSE /\ cancels = Cancels /\ losses = Losses

-------------------------------------------------------------------------------
(* The server. A key in the line is its create_revision, 0 where it is absent. A receipt is "new", "done" or "void": a transaction compares     *)
(* that it has not moved, and moves it.                                                                                                     *)

Ahead(c, at) == {d \in Callers \ {c} : db.line[d] # 0 /\ db.line[d] < at}
Alive(q) == q.by \in leases

TakePlace(q) ==
    IF ~Alive(q) \/ (Keeps("receipt") /\ db.receipt[q.by] # "new") THEN db
    ELSE [db EXCEPT !.line[q.by] = IF @ = 0 THEN db.rev + 1 ELSE @, !.receipt[q.by] = "done", !.rev = @ + 1]
Undo(q) ==
    IF ~Alive(q) THEN db
    ELSE IF db.receipt[q.by] = "done" THEN [db EXCEPT !.line[q.by] = 0, !.receipt[q.by] = "void"]
    ELSE [db EXCEPT !.receipt[q.by] = "void"]
Leave(q) == IF db.line[q.by] = q.token /\ q.token # 0 THEN [db EXCEPT !.line[q.by] = 0] ELSE db
\* A write in etcd, with still_held() among its compares.
Write(q) == IF Keeps("still_held") => db.line[q.by] = q.token
            THEN [db EXCEPT !.value = q.token, !.greatest = IF q.token > @ THEN q.token ELSE @] ELSE db

Result(q) == CASE q.what = "take" -> TakePlace(q) [] q.what = "undo" -> Undo(q) [] q.what = "leave" -> Leave(q) [] q.what = "write" -> Write(q)
               [] q.what = "store" -> db
\* A write to the other store, which refuses tokens smaller than the greatest it has seen.
Stored(q) == IF q.what # "store" \/ (Keeps("token") /\ q.token < store.greatest) THEN store
             ELSE [last |-> q.token, greatest |-> IF q.token > store.greatest THEN q.token ELSE store.greatest]

Execute(q) ==
    /\ db' = Result(q) /\ store' = Stored(q)
    /\ stale' = (stale \/ (q.what = "write" /\ db'.value = q.token /\ db' # db /\ q.token < db.greatest)
                       \/ (q.what = "store" /\ store'.last = q.token /\ store' # store /\ q.token < store.greatest))

\* Executed, and nobody is told; or by whom has been waiting for it.
Silent(q) == /\ Execute(q) /\ <<db, store>>' # <<db, store>>
             /\ UNCHANGED <<leases, sent, state, token, cancels, losses>>

Expire(c) ==
    /\ c \in leases
    /\ IF state[c] \in {"out", "done", "lost"} THEN UNCHANGED losses ELSE losses > 0 /\ losses' = losses - 1
    /\ leases' = leases \ {c}
    /\ db' = [db EXCEPT !.line[c] = 0, !.receipt[c] = "new"]
    /\ UNCHANGED <<store, sent, state, token, stale, cancels>>

-------------------------------------------------------------------------------
(* A caller.                                                                                                                               *)

Request(c, what) == [what |-> what, by |-> c, token |-> token[c]]
Send(c, what, to) == sent' = sent \cup {Request(c, what)} /\ state' = [state EXCEPT ![c] = to]

Take(c) ==
    /\ state[c] = "out" /\ c \in leases /\ Send(c, "take", "asked")
    /\ UNCHANGED <<db, store, leases, token, stale, cancels, losses>>

\* The answer, of the first copy or, by the receipt, of a later one. The caller does not know yet whether it is the first.
Answer(c) ==
    LET q == Request(c, "take") IN
    /\ state[c] = "asked" /\ Execute(q)
    /\ IF c \in leases /\ db'.line[c] # 0
       THEN state' = [state EXCEPT ![c] = "line"] /\ token' = [token EXCEPT ![c] = db'.line[c]]
       ELSE state' = [state EXCEPT ![c] = "lost"] /\ UNCHANGED token
    /\ UNCHANGED <<leases, sent, cancels, losses>>

\* One read of the own key and of those before it.
LookAhead(c) ==
    /\ state[c] = "line"
    /\ IF db.line[c] # token[c] THEN state' = [state EXCEPT ![c] = "lost"]
       ELSE Ahead(c, token[c]) = {} /\ state' = [state EXCEPT ![c] = "holds"]
    /\ UNCHANGED <<db, store, leases, sent, token, stale, cancels, losses>>

\* The holder believes that it holds: it may be wrong.
StartWrite(c, what) ==
    /\ state[c] = "holds" /\ Request(c, what) \notin sent /\ Send(c, what, "holds")
    /\ UNCHANGED <<db, store, leases, token, stale, cancels, losses>>
Unlock(c) ==
    /\ state[c] = "holds" /\ Send(c, "leave", "leaving")
    /\ UNCHANGED <<db, store, leases, token, stale, cancels, losses>>
\* The call ends while the fate of its key is not known, or while it stands in line.
Cancel(c) ==
    /\ cancels > 0 /\ cancels' = cancels - 1
    /\ \/ state[c] = "asked" /\ IF Keeps("undo") THEN Send(c, "undo", "undoing") ELSE UNCHANGED sent /\ state' = [state EXCEPT ![c] = "done"]
       \/ state[c] = "line" /\ Send(c, "leave", "leaving")
    /\ UNCHANGED <<db, store, leases, token, stale, losses>>
\* In the background, repeated until etcd has answered, as long as the session lives.
Given(c) ==
    /\ state[c] \in {"leaving", "undoing"}
    /\ Execute(Request(c, IF state[c] = "leaving" THEN "leave" ELSE "undo"))
    /\ state' = [state EXCEPT ![c] = "done"]
    /\ UNCHANGED <<leases, sent, token, cancels, losses>>

Steps(c) == Answer(c) \/ LookAhead(c) \/ Unlock(c) \/ Given(c)
Next == \/ \E c \in Callers : Steps(c) \/ Take(c) \/ StartWrite(c, "write") \/ StartWrite(c, "store") \/ Cancel(c) \/ Expire(c)
        \/ \E q \in sent : Silent(q)
Spec == Init /\ [][Next]_vars /\ \A c \in Callers : WF_vars(Steps(c))

-------------------------------------------------------------------------------
(* What holds, and what does not.                                                                                                          *)

\* No write of an old holder takes effect behind one of a newer holder.
NoStaleWrite == ~stale
\* At any revision one key is the first of the line, and no two holders have the same token.
Tokens == \A c, d \in Callers : c # d /\ token[c] # 0 => token[c] # token[d]
\* Who holds by etcd's word holds alone: a lock is safe as far as its lease reaches.
OneByLease == Cardinality({c \in Callers : state[c] = "holds" /\ c \in leases}) <= 1
\* Does not hold: a lease alone protects nothing. Its counterexample is a holder that was paused.
OneByBelief == Cardinality({c \in Callers : state[c] = "holds"}) <= 1
\* No key of a call that has ended stays, or comes back, in the way of others.
NoOrphan == \A c \in Callers : state[c] = "done" => db.line[c] = 0

\* Whoever stands in line has the lock in the end, or has lost its lease, or was cancelled.
AllGetIt == \A c \in Callers : state[c] \in {"asked", "line"} ~> state[c] \in {"holds", "lost", "done"}
Interchangeable == Permutations(Callers)
===============================================================================
