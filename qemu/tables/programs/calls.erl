%% SPDX-License-Identifier: GPL-2.0-only
%% What a telephone exchange has in memory: tables, binaries, maps, lists, many processes with a state of their own.
-module(calls).
-export([main/1]).

main(_) ->
    rand:seed(exsss, {36, 36, 36}),
    Table = ets:new(subscribers, [ordered_set, public]),
    lists:foreach(fun(N) ->
        ets:insert(Table, {N, <<"subscriber ", (integer_to_binary(N))/binary>>, rand:uniform(),
            [{plan, basic}, {minutes, rand:uniform(9000)}]})
    end, lists:seq(1, 60000)),
    Workers = [spawn(fun() -> call(#{id => N, from => rand:uniform(60000), state => ringing, log => [{N, rand:uniform()}]}, 9) end)
        || N <- lists:seq(1, 8000)],
    [Worker ! {dial, "number " ++ integer_to_list(rand:uniform(100000))} || Worker <- Workers, _ <- lists:seq(1, 5)],
    Records = [#{key => N, name => list_to_atom("a" ++ integer_to_list(N rem 500)),
        body => binary:copy(<<N:16>>, 20)} || N <- lists:seq(1, 30000)],
    Tree = gb_trees:from_orddict([{N, {N * N, N / 3}} || N <- lists:seq(1, 30000)]),
    timer:sleep(100000),
    io:format("~p", [{length(Records), gb_trees:size(Tree)}]).

call(State, 0) -> receive stop -> State end;
call(#{log := Log} = State, Left) ->
    receive {dial, Number} -> call(State#{log := [{Number, Left} | Log], last => list_to_binary(Number)}, Left - 1) end.
