(* SPDX-License-Identifier: GPL-2.0-only *)
(* What a checker of programs has in memory: variants, maps, hash tables, closures, floats. *)
module Names = Map.Make (String)
type expr = Var of string | Int of int | App of expr * expr list | Fun of string list * expr | Let of string * expr * expr
type ty = Arrow of ty * ty | Base of string | Free of int ref
let name () = "v" ^ string_of_int (Random.int 4000)
let rec build depth =
  if depth = 0 then if Random.bool () then Var (name ()) else Int (Random.int 100000)
  else match Random.int 3 with
    | 0 -> App (build (depth - 1), List.init (1 + Random.int 3) (fun _ -> build (depth - 1)))
    | 1 -> Fun ([ name (); name () ], build (depth - 1))
    | _ -> Let (name (), build (depth - 1), build (depth - 1))
let rec infer scope = function
  | Var v -> (try Names.find v scope with Not_found -> Free (ref (Random.int 1000)))
  | Int _ -> Base "int"
  | App (f, rest) -> List.fold_left (fun ty e -> Arrow (infer scope e, ty)) (infer scope f) rest
  | Fun (names, body) -> infer (List.fold_left (fun scope n -> Names.add n (Free (ref 0)) scope) scope names) body
  | Let (n, e, body) -> infer (Names.add n (infer scope e) scope) body
let () =
  Random.init 29;
  let programs = Array.init 400 (fun _ -> build 8) in
  let types = Array.map (infer Names.empty) programs in
  let table = Hashtbl.create 100 in
  for n = 0 to 60000 do Hashtbl.replace table (name () ^ string_of_int n) (float_of_int n /. 7., [ n; n + 1 ], fun x -> x + n) done;
  let numbers = Array.init 50000 (fun n -> sin (float_of_int n)) in
  ignore (Sys.command "sleep 100");
  ignore (Sys.opaque_identity (programs, types, table, numbers))
