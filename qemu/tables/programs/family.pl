% SPDX-License-Identifier: GPL-2.0-only
% What a system of rules has in memory: facts with their indices, atoms, terms, lists, findings that were kept.
:- set_random(seed(40)).
:- dynamic parent/2, person/4, cousin/3.
:- initialization(main).

fill(N) :- N > 60000, !.
fill(N) :-
    random_between(1, 60000, Parent), random_between(1900, 2020, Born), atom_concat(person_, N, Name),
    format(string(Text), "~w, born in ~d", [Name, Born]),
    assertz(person(N, Name, Born, Text)), assertz(parent(Parent, N)), Next is N + 1, fill(Next).

main :-
    fill(1),
    forall((between(1, 20000, N), parent(P, N), parent(G, P)), assertz(cousin(N, G, [via(P), at(N / 7.0)]))),
    findall(f(Name, Born, [Text]), person(_, Name, Born, Text), T0),
    nb_setval(kept, T0), length(T0, _), sleep(100).
