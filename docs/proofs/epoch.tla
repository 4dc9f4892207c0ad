------------------------------- MODULE epoch --------------------------------
(* How processes find together in an epoch, and how an epoch ends: join, the first loss, abort, and the next epoch. There may be more processes *)
(* than ranks, since those that come later take the places of those that went. A collective is one round here; barrier.tla has the rest.        *)
(*                                                                                                                                         *)
(* A request that was sent stays in `sent`, and may be executed at any time and more than once: by a process that was paused beyond its lease, *)
(* that has been replaced, or that has long begun anew. etcd refuses a put with a lease that is over. What a watch brings may come as late as  *)
(* it likes: a process notices what has happened to its epoch when it notices it.                                                            *)
(*                                                                                                                                         *)
(*   List                       impl/group/join.ipp: read_root, list_epoch, join_once                                                       *)
(*   Begin, Enter, Undo, Forget impl/group/join.ipp: begin_epoch, enter_epoch, forget_epoch                                                 *)
(*   Arrive                     impl/group/arrive.ipp: arrival_request                                                                      *)
(*   End                        impl/group/end.ipp: put_end                                                                                 *)
(*   NoticeFormed, NoticeOver   impl/group/watching.ipp, detail/group_view.hpp                                                              *)
EXTENDS Naturals, FiniteSets

CONSTANTS
    Size,      \* ranks
    Count,     \* processes: the first wants rank 0, the next one rank 1, and so on, from the beginning again
    Epochs,    \* how many epochs may begin
    Puts,      \* how many member keys are put in all
    Late,      \* the kinds of requests that may be executed when nobody waits for them
    Faults,    \* what may happen: a subset of {"loss" (a lease ends while its process is needed), "abort"}
    Budget,    \* how often, all in all
    Without    \* the guards that are left out: {} is the protocol

Keeps(guard) == guard \notin Without
Processes == 1 .. Count
Ranks == 0 .. Size - 1
Rank(p) == (p - 1) % Size
Ids == 1 .. Epochs

VARIABLES
    db,      \* etcd: the root, and the keys of each epoch
    leases,  \* the sessions that live
    sent,    \* every request that was ever sent
    asked,   \* a process's request under way, or Nothing
    state,   \* "out", "asked", "forming", "in", "waits", "over", "failed", "gone"
    mine,    \* the epoch that a process is in, and the create_revision of its member key
    begun,   \* ghost: how often each epoch was begun
    roster,  \* ghost: who was ever a member of it
    arrived, \* ghost: who was counted in it
    formed,  \* ghost: epochs in which all were there before anybody went
    broken,  \* ghost: epochs from which somebody went
    spent,   \* begins without an old root that were executed, or refused
    replaced, \* ghost: epochs that a new one has replaced
    wrong,   \* ghost: one of them was whole
    ids,     \* how many ids have been drawn: no two are the same
    budget
ghosts == <<spent, begun, roster, arrived, formed, broken, replaced, wrong>>
vars == <<db, leases, sent, asked, state, mine, ghosts, ids, budget>>

Nobody == 0
Nothing == [what |-> "nothing"]
NoKey == [by |-> Nobody, at |-> 0]
Empty == [member |-> [r \in Ranks |-> NoKey], joined |-> [version |-> 0, by |-> Nobody, created |-> 0], arrival |-> [r \in Ranks |-> NoKey],
          count |-> [version |-> 0, by |-> Nobody], release |-> NoKey, end |-> NoKey]

Init ==
    /\ db = [root |-> [id |-> 0, by |-> Nobody, at |-> 0], epoch |-> [id \in Ids |-> Empty], rev |-> 0]
    /\ leases = Processes /\ sent = {} /\ begun = [id \in Ids |-> 0]
    /\ asked = [p \in Processes |-> Nothing] /\ state = [p \in Processes |-> "out"] /\ mine = [p \in Processes |-> [id |-> 0, created |-> 0]]
    /\ roster = [id \in Ids |-> {}] /\ arrived = [id \in Ids |-> {}] /\ spent = {} /\ formed = {} /\ broken = {} /\ replaced = {} /\ wrong = FALSE /\ ids = 0
    /\ budget = Budget

Spend(fault) == fault \in Faults /\ budget > 0 /\ budget' = budget - 1

Members(e) == {r \in Ranks : e.member[r].by # Nobody}
\* As many members as have ever joined, and no end.
Whole(e) == e.end = NoKey /\ e.joined.version # 0 /\ e.joined.version = Cardinality(Members(e))

-------------------------------------------------------------------------------
(* The server. A transaction of `q` gives new keys, or `db` where its guards fail or its lease is over.                                     *)

Alive(q) == q.by \in leases
Fresh == db.rev + 1
Join(e, q) == [e EXCEPT !.member[Rank(q.by)] = [by |-> q.by, at |-> Fresh],
                        !.joined = [version |-> @.version + 1, by |-> q.by, created |-> IF @.version = 0 THEN Fresh ELSE @.created]]

Begin(q) ==
    IF ~Alive(q) \/ (Keeps("root guard") /\ db.root.at # q.root) \/ (q.root = 0 /\ q.id \in spent) THEN db
    ELSE [root |-> [id |-> q.id, by |-> q.by, at |-> Fresh], rev |-> Fresh,
          epoch |-> [id \in Ids |-> IF id = q.id THEN Join(db.epoch[id], q) ELSE IF id = q.over THEN Empty ELSE db.epoch[id]]]

Enter(q) ==
    IF ~Alive(q) \/ db.root.at # q.root \/ (Keeps("joined guard") /\ db.epoch[q.id].joined.created # q.joined)
       \/ (Keeps("free rank guard") /\ db.epoch[q.id].member[Rank(q.by)] # NoKey)
    THEN db ELSE [db EXCEPT !.epoch[q.id] = Join(@, q), !.rev = Fresh]

Undo(q) == IF db.epoch[q.id].member[Rank(q.by)].by # q.by THEN db ELSE [db EXCEPT !.epoch[q.id].member[Rank(q.by)] = NoKey]
Forget(q) == IF db.epoch[q.id].member[Rank(q.by)].by # q.by THEN db ELSE [db EXCEPT !.epoch[q.id] = Empty]

\* own_guards(), and that of the arrival, which is the first.
Own(q) == LET e == db.epoch[q.id] IN Alive(q) /\ (Keeps("member guard") => e.member[Rank(q.by)].at = q.created) /\ (Keeps("end guard") => e.end = NoKey)
Arrive(q) ==
    LET e == db.epoch[q.id] IN
    IF ~Own(q) \/ e.arrival[Rank(q.by)] # NoKey THEN db
    ELSE [db EXCEPT !.epoch[q.id] = [e EXCEPT !.arrival[Rank(q.by)] = [by |-> q.by, at |-> 1], !.count = [version |-> @.version + 1, by |-> q.by],
                                              !.release = IF e.count.version = Size - 1 THEN [by |-> q.by, at |-> 1] ELSE @]]
End(q) ==
    IF ~Own(q) \/ db.epoch[q.id].end # NoKey THEN db
    ELSE [db EXCEPT !.epoch[q.id].end = [by |-> q.by, at |-> 1], !.epoch[q.id].count = [version |-> 0, by |-> Nobody]]

Result(q) == CASE q.what = "begin" -> Begin(q) [] q.what = "enter" -> Enter(q) [] q.what = "undo" -> Undo(q) [] q.what = "forget" -> Forget(q)
               [] q.what = "arrive" -> Arrive(q) [] q.what = "end" -> End(q)

\* What a watch of an epoch would have seen.
Watched(new) ==
    /\ db' = new
    /\ roster' = [id \in Ids |-> roster[id] \cup ({new.epoch[id].member[r].by : r \in Ranks} \ {Nobody})]
    /\ broken' = broken \cup {id \in Ids : new.epoch[id].end # NoKey \/ \E r \in Ranks : db.epoch[id].member[r] \notin {NoKey, new.epoch[id].member[r]}}
    /\ formed' = formed \cup {id \in Ids \ broken' : Members(new.epoch[id]) = Ranks}

Apply(q, new) ==
    /\ Watched(new)
    /\ begun' = IF q.what = "begin" /\ new # db THEN [begun EXCEPT ![q.id] = IF @ < 2 THEN @ + 1 ELSE @] ELSE begun
    /\ arrived' = IF q.what = "arrive" /\ new # db THEN [arrived EXCEPT ![q.id] = @ \cup {q.by}] ELSE arrived
    /\ spent' = IF Keeps("begin once") /\ q.what = "begin" /\ q.root = 0 /\ Alive(q) THEN spent \cup {q.id} ELSE spent
    /\ replaced' = IF q.what = "begin" /\ new # db THEN replaced \cup ({q.over} \ {0}) ELSE replaced
    /\ wrong' = (wrong \/ (q.what = "begin" /\ new # db /\ db.root.id \notin {0, q.id} /\ Whole(db.epoch[db.root.id])))

\* Executed, and nobody is told.
Silent(q) ==
    /\ q.what \in Late /\ Apply(q, Result(q)) /\ <<db, spent>>' # <<db, spent>>
    /\ UNCHANGED <<leases, sent, asked, state, mine, budget, ids>>

Drop(e, p) == [member |-> [r \in Ranks |-> IF e.member[r].by = p THEN NoKey ELSE e.member[r]],
               joined |-> IF e.joined.by = p THEN Empty.joined ELSE e.joined,
               arrival |-> [r \in Ranks |-> IF e.arrival[r].by = p THEN NoKey ELSE e.arrival[r]],
               count |-> IF e.count.by = p THEN Empty.count ELSE e.count,
               release |-> IF e.release.by = p THEN NoKey ELSE e.release, end |-> IF e.end.by = p THEN NoKey ELSE e.end]
\* A lease ends: by itself, or because its process leaves. The process may not know.
Expire(p) ==
    /\ p \in leases
    /\ IF state[p] \in {"over", "failed"} THEN UNCHANGED budget ELSE state[p] # "out" /\ Spend("loss")
    /\ leases' = leases \ {p}
    /\ Watched([db EXCEPT !.root = IF @.by = p THEN [id |-> 0, by |-> Nobody, at |-> 0] ELSE @, !.epoch = [id \in Ids |-> Drop(@[id], p)]])
    /\ sent' = {q \in sent : q.by # p \/ q.what \in {"undo", "forget"}} \* the others etcd refuses from now on
    /\ UNCHANGED <<asked, state, mine, spent, begun, arrived, replaced, wrong, ids>>

-------------------------------------------------------------------------------
(* A process.                                                                                                                              *)

Ask(p, q) == asked' = [asked EXCEPT ![p] = q] /\ sent' = sent \cup {q} /\ state' = [state EXCEPT ![p] = "asked"]
Go(p, to) == state' = [state EXCEPT ![p] = to] /\ asked' = [asked EXCEPT ![p] = Nothing]

\* The listing is of one revision: its transaction compares the root that was read.
List(p) ==
    /\ state[p] = "out"
    /\ LET root == db.root
           e == IF root.id = 0 THEN Empty ELSE db.epoch[root.id]
       IN IF root.id = 0 \/ ~Whole(e) \/ e.member[Rank(p)].by = p
          THEN /\ ids < Epochs /\ ids' = ids + 1
               /\ Ask(p, [what |-> "begin", by |-> p, id |-> ids + 1, root |-> root.at, over |-> root.id])
          ELSE /\ UNCHANGED ids
               /\ Keeps("free rank guard") => e.member[Rank(p)] = NoKey \* else it waits until somebody goes
               /\ Ask(p, [what |-> "enter", by |-> p, id |-> root.id, root |-> root.at, joined |-> e.joined.created])
    /\ UNCHANGED <<db, leases, mine, ghosts, budget>>

Adopt(p, new, id) == Go(p, "forming") /\ mine' = [mine EXCEPT ![p] = [id |-> id, created |-> new.epoch[id].member[Rank(p)].at]] /\ UNCHANGED sent
Again(p) == Go(p, "out") /\ UNCHANGED <<mine, sent>>

\* A request is executed, and its sender learns what came of it.
Answer(p) ==
    LET q == asked[p]
        new == Result(q)
        e == new.epoch[q.id]
        own == e.member[Rank(p)].by = p
    IN /\ state[p] = "asked" /\ Apply(q, new)
       /\ CASE ~Alive(q) /\ q.what \in {"begin", "enter"} -> Go(p, "failed") /\ UNCHANGED <<mine, sent>>
            \* The root that is there may be an earlier copy's work.
            [] Alive(q) /\ q.what = "begin" /\ new.root.id # q.id -> Again(p)
            [] Alive(q) /\ q.what = "begin" /\ new.root.id = q.id /\ own -> Adopt(p, new, q.id)
            [] Alive(q) /\ q.what = "begin" /\ new.root.id = q.id /\ ~own -> IF Keeps("own key in begin") THEN Again(p) ELSE Go(p, "failed") /\ UNCHANGED <<mine, sent>>
            [] Alive(q) /\ q.what = "enter" /\ ~own -> Again(p)
            [] Alive(q) /\ q.what = "enter" /\ own /\ Whole(e) -> Adopt(p, new, q.id)
            [] Alive(q) /\ q.what = "enter" /\ own /\ ~Whole(e) -> Ask(p, [what |-> "undo", by |-> p, id |-> q.id]) /\ UNCHANGED mine
            [] q.what \in {"undo", "forget"} -> Again(p)
       /\ UNCHANGED <<leases, budget, ids>>

NoticeFormed(p) ==
    /\ state[p] = "forming" /\ mine[p].id \in formed /\ Go(p, "in")
    /\ UNCHANGED <<db, leases, sent, mine, ghosts, budget, ids>>

\* Before it was formed: begin again. After that: the group is over for this process, which is one with a live lease until it leaves.
NoticeOver(p) ==
    /\ mine[p].id \in broken
    /\ \/ /\ state[p] = "forming" /\ mine[p].id \notin formed
          /\ Ask(p, [what |-> "forget", by |-> p, id |-> mine[p].id])
       \/ state[p] \in {"in", "waits"} /\ Go(p, "over") /\ UNCHANGED sent
    /\ UNCHANGED <<db, leases, mine, ghosts, budget, ids>>

Send(p, what) == sent' = sent \cup {[what |-> what, by |-> p, id |-> mine[p].id, created |-> mine[p].created]}
CallBarrier(p) ==
    /\ state[p] = "in" /\ Send(p, "arrive") /\ Go(p, "waits")
    /\ UNCHANGED <<db, leases, mine, ghosts, budget, ids>>
Abort(p) ==
    /\ state[p] \in {"in", "waits"} /\ Spend("abort")
    /\ Send(p, "end") /\ Go(p, "over")
    /\ UNCHANGED <<db, leases, mine, ghosts, ids>>

Steps(p) == List(p) \/ Answer(p) \/ NoticeFormed(p) \/ NoticeOver(p) \/ CallBarrier(p)
Next == (\E p \in Processes : Steps(p) \/ Abort(p) \/ Expire(p)) \/ (\E q \in sent : Silent(q))
Fairness == \A p \in Processes : /\ WF_vars(Steps(p))
                                 /\ WF_vars(\E q \in sent : q.by = p /\ q.what \in {"arrive", "end"} /\ Silent(q))
Spec == Init /\ [][Next]_vars /\ Fairness

-------------------------------------------------------------------------------
(* States are told apart only by what can still matter: a request whose guards can never hold again does not.                               *)

CanAct(q) ==
    CASE q.what = "begin" -> q.id \notin spent /\ (Keeps("root guard") => q.root \in {0, db.root.at})
      [] q.what = "enter" -> q.root = db.root.at
      [] q.what \in {"arrive", "end"} -> Keeps("member guard") => db.epoch[q.id].member[Rank(q.by)].at = q.created
      [] OTHER -> TRUE
Relevant == <<db, leases, {q \in sent : CanAct(q)}, asked, state, [p \in Processes |-> IF state[p] \in {"forming", "in", "waits"} THEN mine[p] ELSE 0],
              ghosts, ids, budget>>
Bounded == db.rev <= Puts

-------------------------------------------------------------------------------
(* What holds.                                                                                                                             *)

Inside(p) == state[p] \in {"in", "waits"}

\* Those who believe to be a group are one: N processes, the same for all, which nobody has joined later or replaced.
OneGroup == \A p \in Processes : Inside(p) => Cardinality(roster[mine[p].id]) = Size /\ p \in roster[mine[p].id]
                                              /\ {Rank(t) : t \in roster[mine[p].id]} = Ranks

\* I2 over epochs: only all members of this one release it.
NoEarlyRelease == \A id \in Ids : db.epoch[id].release # NoKey => arrived[id] = roster[id] /\ Cardinality(arrived[id]) = Size

\* I6. Where a new epoch has replaced an old one, nothing of the old one is left, and nothing comes back.
ReplacedIsEmpty == \A id \in replaced : db.epoch[id] = Empty
\* I6. Nobody replaces an epoch that lives.
LivingIsKept == ~wrong
\* I6. No epoch begins twice.
BegunOnce == \A id \in Ids : begun[id] <= 1
\* A join fails only when the lease is lost.
FailsForAReason == \A p \in Processes : state[p] = "failed" => p \notin leases

\* The end of an epoch ends it for all: nothing is released after it, whoever leaves; and all get to know.
NoReleaseAfterEnd == [][\A id \in Ids : id \in broken /\ db.epoch[id].end # NoKey => db'.epoch[id].release \in {db.epoch[id].release, NoKey}]_vars
AllGetToKnow == \A p \in Processes : Inside(p) /\ db.epoch[mine[p].id].end # NoKey ~> ~Inside(p)
===============================================================================
