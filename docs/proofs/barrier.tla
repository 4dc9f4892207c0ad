------------------------------- MODULE barrier -------------------------------
(* The collectives of one epoch of a group: N ranks, K rounds, arrivals that are counted by the version of one key.                        *)
(*                                                                                                                                         *)
(* A request that a client has sent stays in `sent` for ever, and the server may execute it at any time and any number of times: this     *)
(* covers repetitions after a lost reply, copies that come late, and requests of a process that is dead. One transaction is one step of    *)
(* the server. The watch of a rank is its place `seen` in the log of all changes below w/.                                                 *)
(*                                                                                                                                         *)
(*   Start, TakeReply, Return          impl/group/arrive.ipp: begin, meet, read_arrival, read_look                                         *)
(*   Arrive, Look                      impl/group/arrive.ipp: arrival_request, look_request                                                *)
(*   ReadBlocks, Publish               impl/group/allgather.ipp: blocks_request, publish_request                                           *)
(*   End, TakeLate, GiveUpLate, Cancel impl/group/end.ipp: put_end, fail_late, give_up                                                     *)
(*   Deliver                           impl/group/watching.ipp, detail/group_view.hpp                                                      *)
(*   Expire                            a lease that runs out or is revoked, and all of its keys at one revision                            *)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS
    Ranks,      \* as model values: no rank is different from another
    K,          \* rounds
    Ops,        \* what a rank may call in a round: a subset of {"barrier", "allgather"}
    Faults,     \* what may go wrong: a subset of {"crash", "pause" (a live process loses its lease), "cancel", "deadline" (of a call)}
    Budget,     \* how often, all in all
    Late,       \* whether a request may be executed when nobody waits for it any more
    Without     \* the guards that are left out: {} is the protocol

N == Cardinality(Ranks)
Interchangeable == Permutations(Ranks)
Keeps(guard) == guard \notin Without

VARIABLES
    db,     \* etcd: the keys of the epoch
    log,    \* every change below w/, in order; a place in it stands for a revision
    sent,   \* every request that a client has ever sent
    pc,     \* "idle", "meet" (waits in a collective), "late" (asks etcd whether it was in time), "ended", "dead"
    round,  \* the collective that the rank is in, or was in last
    op,     \* what it called
    known,  \* mod_revision of its arrival key, as far as it knows
    asked,  \* the request under way, or Nothing
    reply,  \* its reply, or Nothing
    seen,   \* how much of the log the watch has brought
    view,   \* what the rank believes: the newest release, and why the epoch is over
    puts,   \* how often its arrival at a round was counted
    budget  \* how much may still go wrong

vars == <<db, log, sent, pc, round, op, known, asked, reply, seen, view, puts, budget>>

Nothing == [what |-> "nothing"]
NoCount == [version |-> 0, round |-> 0, op |-> "", by |-> "nobody"]

Init ==
    /\ db = [member |-> Ranks, arrival |-> [r \in Ranks |-> [mod |-> 0, round |-> 0]], block |-> [half \in 0 .. 1 |-> [r \in Ranks |-> 0]],
             count |-> NoCount, release |-> [mod |-> 0, round |-> 0, by |-> "nobody", blocks |-> <<>>], end |-> Nothing]
    /\ log = <<>> /\ sent = {}
    /\ pc = [r \in Ranks |-> "idle"]
    /\ round = [r \in Ranks |-> 0]
    /\ op = [r \in Ranks |-> ""]
    /\ known = [r \in Ranks |-> 0]
    /\ asked = [r \in Ranks |-> Nothing]
    /\ reply = [r \in Ranks |-> Nothing]
    /\ seen = [r \in Ranks |-> 0]
    /\ view = [r \in Ranks |-> [release |-> 0, at |-> 0, over |-> "no"]]
    /\ puts = [r \in Ranks |-> [s \in 1 .. K |-> 0]]
    /\ budget = Budget

Spend(fault) == fault \in Faults /\ budget > 0 /\ budget' = budget - 1

-------------------------------------------------------------------------------
(* The server: what one request does to the keys, what it answers, and what the watches will see.                                          *)

Unchanged(d, answer) == [db |-> d, answer |-> answer, events |-> <<>>, counts |-> FALSE]

\* What every write of a member compares: own_guards().
Own(q, d) == q.rank \in d.member /\ (Keeps("end guard") => d.end = Nothing)
Last(q, d) == d.count.round = q.round /\ d.count.op = q.op /\ d.count.version = q.round * N - 1
\* A value compare with an absent key never holds.
Neither(q, d) ==
    /\ d.count.version # 0
    /\ ~(d.count.round = q.round /\ d.count.op = q.op)
    /\ d.count.version # (q.round - 1) * N

Arrive(q, d) ==
    IF ~(Own(q, d) /\ (Keeps("arrival guard") => d.arrival[q.rank].mod = q.guard)) THEN Unchanged(d, [what |-> "guarded"])
    ELSE LET mod == d.arrival[q.rank].mod + 1
             arrived == [d EXCEPT !.arrival[q.rank] = [mod |-> mod, round |-> q.round],
                                  !.block[q.round % 2][q.rank] = IF q.op = "allgather" THEN q.round ELSE @]
             counted == [arrived EXCEPT !.count = [version |-> @.version + 1, round |-> q.round, op |-> q.op, by |-> q.rank]]
             at == Len(log) + 1
         IN CASE Last(q, d) /\ q.op = "allgather" ->
                     [db |-> counted, events |-> <<>>, counts |-> TRUE, answer |-> [what |-> "gathered", mod |-> mod, blocks |-> arrived.block[q.round % 2]]]
              [] Last(q, d) /\ q.op = "barrier" ->
                     [db |-> [counted EXCEPT !.release = [mod |-> at, round |-> q.round, by |-> q.rank, blocks |-> <<>>]],
                      events |-> <<[what |-> "release", round |-> q.round]>>, counts |-> TRUE,
                      answer |-> [what |-> "released", mod |-> mod, at |-> at]]
              [] ~Last(q, d) /\ Neither(q, d) -> [db |-> arrived, events |-> <<>>, counts |-> FALSE, answer |-> [what |-> "mismatch", mod |-> mod]]
              [] OTHER -> [db |-> counted, events |-> <<>>, counts |-> TRUE, answer |-> [what |-> "counted", mod |-> mod]]

Look(q, d) == Unchanged(d, [what |-> "looked", member |-> q.rank \in d.member, arrival |-> d.arrival[q.rank], end |-> d.end, count |-> d.count,
                            release |-> d.release])

ReadBlocks(q, d) == Unchanged(d, [what |-> "blocks", blocks |-> d.block[q.round % 2]])

\* The count is still what this rank's arrival, the last, has made of it.
CountStands(q, d) == d.count.by = q.rank /\ d.count.version = q.round * N
Publish(q, d) ==
    IF Own(q, d) /\ d.release.mod = q.guard /\ (Keeps("count behind an end") => CountStands(q, d))
    THEN [db |-> [d EXCEPT !.release = [mod |-> Len(log) + 1, round |-> q.round, by |-> q.rank, blocks |-> q.blocks]],
          events |-> <<[what |-> "release", round |-> q.round]>>, counts |-> FALSE,
          answer |-> [what |-> "published", round |-> q.round, at |-> Len(log) + 1]]
    ELSE Unchanged(d, [what |-> "published", round |-> d.release.round, at |-> d.release.mod])

End(q, d) ==
    IF q.rank \in d.member /\ d.end = Nothing /\ (q.kind = "timeout" /\ Keeps("release guard") => d.release.mod = q.guard)
    THEN [db |-> [d EXCEPT !.end = [what |-> q.kind, by |-> q.rank], !.count = IF Keeps("count behind an end") THEN NoCount ELSE @],
          events |-> <<[what |-> "end", kind |-> q.kind, round |-> q.round]>>, counts |-> FALSE, answer |-> [what |-> "end", end |-> TRUE, release |-> d.release, member |-> TRUE]]
    ELSE Unchanged(d, [what |-> "end", end |-> d.end # Nothing, release |-> d.release, member |-> q.rank \in d.member])

Result(q) == CASE q.what = "arrive" -> Arrive(q, db)
               [] q.what = "look" -> Look(q, db)
               [] q.what = "read" -> ReadBlocks(q, db)
               [] q.what = "publish" -> Publish(q, db)
               [] q.what = "end" -> End(q, db)

Apply(q, result) ==
    /\ db' = result.db
    /\ log' = log \o result.events
    /\ puts' = IF result.counts THEN [puts EXCEPT ![q.rank][q.round] = IF @ < 2 THEN @ + 1 ELSE @] ELSE puts

\* The request under way is executed, and the reply will come.
Answer(r) ==
    /\ pc[r] \in {"meet", "late"} /\ asked[r] # Nothing /\ reply[r] = Nothing
    /\ LET result == Result(asked[r]) IN Apply(asked[r], result) /\ reply' = [reply EXCEPT ![r] = result.answer]
    /\ UNCHANGED <<sent, pc, round, op, known, asked, seen, view, budget>>

\* Executed, and nobody is told: the reply is lost, or the one who asked is gone.
Silent(q) ==
    /\ Late \/ q.what = "end" \/ (asked[q.rank] = q /\ reply[q.rank] = Nothing)
    /\ LET result == Result(q) IN result.db # db /\ Apply(q, result)
    /\ UNCHANGED <<sent, pc, round, op, known, asked, reply, seen, view, budget>>

Expire(r) ==
    /\ r \in db.member
    /\ \/ /\ pc[r] \in {"dead", "ended"} \/ (pc[r] = "idle" /\ round[r] = K)
          /\ UNCHANGED budget
       \/ pc[r] \in {"idle", "meet", "late"} /\ Spend("pause")
    /\ db' = [db EXCEPT !.member = @ \ {r}, !.arrival[r] = [mod |-> 0, round |-> 0], !.block = [half \in 0 .. 1 |-> [@[half] EXCEPT ![r] = 0]],
                        !.count = IF @.by = r /\ Keeps("lease of the count") THEN NoCount ELSE @,
                        !.release = IF @.by = r THEN [mod |-> 0, round |-> 0, by |-> "nobody", blocks |-> <<>>] ELSE @,
                        !.end = IF @ # Nothing /\ @.by = r THEN Nothing ELSE @]
    /\ log' = Append(log, [what |-> "gone", rank |-> r])
    /\ sent' = {q \in sent : q.rank # r} \* no guard lets them pass any more
    /\ UNCHANGED <<pc, round, op, known, asked, reply, seen, view, puts>>

-------------------------------------------------------------------------------
(* A rank.                                                                                                                                 *)

Released(r) == view[r].release >= round[r]
Over(r) == view[r].over # "no"
NoteRelease(v, s, at) == IF s > v.release THEN [v EXCEPT !.release = s, !.at = at] ELSE v
NoteOver(v, why) == IF v.over = "no" THEN [v EXCEPT !.over = why] ELSE v

\* The rank calls nothing any more.
Stop(r, as, why) ==
    /\ pc' = [pc EXCEPT ![r] = as] /\ op' = [op EXCEPT ![r] = ""] /\ known' = [known EXCEPT ![r] = 0] /\ seen' = [seen EXCEPT ![r] = 0]
    /\ asked' = [asked EXCEPT ![r] = Nothing] /\ reply' = [reply EXCEPT ![r] = Nothing]
    /\ view' = [view EXCEPT ![r] = [release |-> 0, at |-> 0, over |-> why]]

Request(r, q) == /\ asked' = [asked EXCEPT ![r] = q] /\ sent' = sent \cup {q} /\ reply' = [reply EXCEPT ![r] = Nothing]
Ask(r, what) == [what |-> what, rank |-> r, round |-> round[r]]
ArriveWith(r, s, o, guard) == [what |-> "arrive", rank |-> r, round |-> s, op |-> o, guard |-> guard]
EndWith(r, kind, guard) == [what |-> "end", rank |-> r, round |-> round[r], kind |-> kind, guard |-> guard]

Start(r) ==
    /\ pc[r] = "idle" /\ round[r] < K
    /\ round' = [round EXCEPT ![r] = @ + 1]
    /\ IF Over(r)
       THEN Stop(r, "ended", view[r].over) /\ UNCHANGED sent
       ELSE /\ pc' = [pc EXCEPT ![r] = "meet"]
            /\ \E o \in Ops : op' = [op EXCEPT ![r] = o] /\ Request(r, ArriveWith(r, round[r] + 1, o, known[r]))
            /\ UNCHANGED <<known, seen, view>>
    /\ UNCHANGED <<db, log, puts, budget>>

Rest(r) == asked' = [asked EXCEPT ![r] = Nothing] /\ reply' = [reply EXCEPT ![r] = Nothing] /\ UNCHANGED sent

\* A rank that was counted may be gone since, and its block with it: then there is nothing to publish, and the watch will say why.
TookBlocks(r, blocks) ==
    IF Keeps("all blocks there") => \A t \in Ranks : blocks[t] = round[r]
    THEN Request(r, Ask(r, "publish") @@ [guard |-> view[r].at, blocks |-> blocks]) ELSE Rest(r)

TookArrival(r, a) ==
    CASE a.what = "guarded" -> Request(r, Ask(r, "look")) /\ UNCHANGED <<known, view>>
      [] a.what = "gathered" -> TookBlocks(r, a.blocks) /\ known' = [known EXCEPT ![r] = a.mod] /\ UNCHANGED view
      [] a.what = "released" ->
             Rest(r) /\ known' = [known EXCEPT ![r] = a.mod] /\ view' = [view EXCEPT ![r] = NoteRelease(@, round[r], a.at)]
      [] a.what = "counted" -> Rest(r) /\ known' = [known EXCEPT ![r] = a.mod] /\ UNCHANGED view
      [] a.what = "mismatch" -> Request(r, EndWith(r, "mismatch", 0)) /\ known' = [known EXCEPT ![r] = a.mod] /\ UNCHANGED view

\* An end that a reply tells of is believed when the watch brings it: what was released before comes first.
Ended(v) == IF Keeps("end by the watch") THEN v ELSE NoteOver(v, "end")

\* Why the guard of the arrival failed.
TookLook(r, a) ==
    LET uncounted == a.count.version # 0 /\ a.count.round = round[r] /\ a.count.op # op[r]
        wasLast == op[r] = "allgather" /\ a.count.version = round[r] * N /\ a.count.by = r
    IN /\ view' = [view EXCEPT ![r] = IF a.end # Nothing THEN Ended(@) ELSE @]
       /\ IF a.end # Nothing \/ ~a.member \/ a.arrival.mod = 0 THEN Rest(r) /\ UNCHANGED known
          ELSE /\ known' = [known EXCEPT ![r] = a.arrival.mod]
               /\ CASE a.arrival.round + 1 = round[r] -> Request(r, ArriveWith(r, round[r], op[r], a.arrival.mod))
                    [] a.arrival.round = round[r] /\ uncounted /\ Keeps("mismatch in look") -> Request(r, EndWith(r, "mismatch", 0))
                    [] a.arrival.round = round[r] /\ ~(uncounted /\ Keeps("mismatch in look")) /\ wasLast -> Request(r, Ask(r, "read"))
                    [] OTHER -> Rest(r)

TookEnd(r, a) ==
    LET late == asked[r].kind = "timeout"
        fresh == IF late THEN NoteRelease(view[r], a.release.round, a.release.mod) ELSE view[r]
        decided == a.end \/ (late /\ a.release.mod \notin {0, asked[r].guard})
    IN /\ view' = [view EXCEPT ![r] = IF a.end THEN Ended(fresh) ELSE IF decided THEN fresh ELSE NoteOver(fresh, IF a.member THEN "alone" ELSE "lease")]
       /\ Rest(r) /\ UNCHANGED known

TakeReply(r) ==
    /\ pc[r] = "meet" /\ reply[r] # Nothing /\ ~Released(r) /\ ~Over(r)
    /\ LET a == reply[r] IN
       CASE asked[r].what = "arrive" -> TookArrival(r, a)
         [] asked[r].what = "look" -> TookLook(r, a)
         [] asked[r].what = "read" -> TookBlocks(r, a.blocks) /\ UNCHANGED <<known, view>>
         [] asked[r].what = "publish" -> Rest(r) /\ view' = [view EXCEPT ![r] = NoteRelease(@, a.round, a.at)] /\ UNCHANGED known
         [] asked[r].what = "end" -> TookEnd(r, a)
    /\ UNCHANGED <<db, log, pc, round, op, seen, puts, budget>>

\* The reply of the arrival is waited for a moment only: without it, what the next arrival compares is old.
Return(r) ==
    /\ pc[r] \in {"meet", "late"} /\ Released(r)
    /\ pc' = [pc EXCEPT ![r] = "idle"]
    /\ known' = IF reply[r] # Nothing /\ asked[r].what = "arrive" /\ reply[r].what # "guarded" THEN [known EXCEPT ![r] = reply[r].mod] ELSE known
    /\ Rest(r)
    /\ UNCHANGED <<db, log, round, op, seen, view, puts, budget>>

Fail(r) ==
    /\ pc[r] \in {"meet", "late"} /\ ~Released(r) /\ Over(r) /\ Stop(r, "ended", view[r].over)
    /\ UNCHANGED <<db, log, sent, round, puts, budget>>

\* The deadline: etcd decides whether it or the release was first.
Deadline(r) ==
    /\ pc[r] = "meet" /\ ~Released(r) /\ ~Over(r) /\ Spend("deadline")
    /\ pc' = [pc EXCEPT ![r] = "late"] /\ Request(r, EndWith(r, "timeout", view[r].at))
    /\ UNCHANGED <<db, log, round, op, known, seen, view, puts>>

TakeLate(r) ==
    /\ pc[r] = "late" /\ reply[r] # Nothing /\ TookEnd(r, reply[r])
    /\ UNCHANGED <<db, log, pc, round, op, seen, puts, budget>>

\* Neither etcd nor the watch says in time which was first: the rank fails alone.
GiveUpLate(r) ==
    /\ pc[r] = "late" /\ reply[r] = Nothing /\ ~Released(r) /\ ~Over(r) /\ Stop(r, "ended", "alone")
    /\ UNCHANGED <<db, log, sent, round, puts, budget>>

Cancel(r) ==
    /\ pc[r] = "meet" /\ Spend("cancel") /\ Stop(r, "ended", "alone")
    /\ sent' = IF Over(r) THEN sent ELSE sent \cup {EndWith(r, "abort", 0)}
    /\ UNCHANGED <<db, log, round, puts>>

Crash(r) ==
    /\ pc[r] \in {"idle", "meet", "late"} /\ round[r] # 0 /\ Spend("crash") /\ Stop(r, "dead", "alone")
    /\ UNCHANGED <<db, log, sent, round, puts>>

Deliver(r) ==
    /\ pc[r] \in {"idle", "meet", "late"} /\ seen[r] < Len(log)
    /\ seen' = [seen EXCEPT ![r] = @ + 1]
    /\ LET event == log[seen[r] + 1] IN
       view' = [view EXCEPT ![r] = CASE event.what = "release" -> NoteRelease(@, event.round, seen[r] + 1)
                                     [] event.what = "end" -> NoteOver(@, "end")
                                     [] event.what = "gone" -> NoteOver(@, IF event.rank = r THEN "lease" ELSE "lost")]
    /\ UNCHANGED <<db, log, sent, pc, round, op, known, asked, reply, puts, budget>>

Steps(r) == Start(r) \/ TakeReply(r) \/ Return(r) \/ Fail(r) \/ TakeLate(r) \/ GiveUpLate(r) \/ Deliver(r)
Next ==
    \/ \E r \in Ranks : Steps(r) \/ Answer(r) \/ Expire(r) \/ Deadline(r) \/ Cancel(r) \/ Crash(r)
    \/ \E q \in sent : Silent(q)

\* Requests are answered in the end, what a rank can do it does, the leases of the dead run out, and who was cancelled tells the others. Nobody
\* has to come to a deadline, to leave, or to lose a reply.
Fairness ==
    /\ \A r \in Ranks : /\ WF_vars(Steps(r)) /\ WF_vars(Answer(r)) /\ WF_vars(Expire(r) /\ pc[r] = "dead")
                        /\ WF_vars(\E q \in sent : q.rank = r /\ q.what = "end" /\ Silent(q))
Spec == Init /\ [][Next]_vars /\ Fairness

-------------------------------------------------------------------------------
(* What holds.                                                                                                                             *)

Left(r) == IF pc[r] = "idle" THEN round[r] ELSE round[r] - 1
Releases(s) == {i \in 1 .. Len(log) : log[i].what = "release" /\ log[i].round = s}
Ends == {i \in 1 .. Len(log) : log[i].what = "end"}

\* I1. Whatever was lost or came late, an arrival counts once, and the count is the number of arrivals while nobody has gone.
ExactlyOnce ==
    /\ \A r \in Ranks, s \in 1 .. K : puts[r][s] <= 1
    /\ db.member = Ranks /\ Ends = {} => db.count.version = Cardinality({<<r, s>> \in Ranks \X (1 .. K) : puts[r][s] > 0})

\* I2. A round is released once, when every rank has called it and was counted, and nobody leaves it before that.
NoEarlyRelease ==
    /\ \A s \in 1 .. K : Cardinality(Releases(s)) <= 1 /\ (Releases(s) # {} => \A r \in Ranks : round[r] >= s /\ puts[r][s] = 1)
    /\ \A r \in Ranks : Left(r) > 0 => Releases(Left(r)) # {}

\* Ranks that called different things do not meet.
SameCall == \A r, t \in Ranks : pc[r] = "idle" /\ pc[t] = "idle" /\ round[r] > 0 /\ round[r] = round[t] => op[r] = op[t]

\* Either the end comes first for all, or the release does.
NoReleaseAfterEnd == \A s \in 1 .. K : \A i \in Releases(s), j \in Ends : i < j
\* A late call ends no epoch in which its round was released, and in which all are still there.
NoNeedlessEnd ==
    \A j \in Ends, s \in 1 .. K : \A i \in Releases(s) :
        log[j].kind = "timeout" /\ log[j].round = s => j < i \/ \E g \in i .. j : log[g].what = "gone"
ToldInOrder == \A r \in Ranks : pc[r] = "ended" /\ view[r].over = "end" => Releases(round[r]) = {}

\* Two sets of blocks suffice.
RightBlocks == db.release.blocks # <<>> => db.release.blocks = [r \in Ranks |-> db.release.round]

\* I5. A rank that has gone has left nothing.
NoLitter ==
    \A r \in Ranks \ db.member : /\ db.arrival[r].mod = 0 /\ db.block[0][r] = 0 /\ db.block[1][r] = 0
                                 /\ db.count.by # r /\ db.release.by # r /\ (db.end # Nothing => db.end.by # r)

\* I3. Without any deadline: whoever waits is released or told why not.
NobodyHangs == \A r \in Ranks : pc[r] \in {"meet", "late"} ~> pc[r] \in {"idle", "ended", "dead"}
===============================================================================
