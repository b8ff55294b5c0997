# SPDX-License-Identifier: GPL-2.0-only
"""Writes modules in Haskell, for the compiler to have in memory."""
import random

rng = random.Random(43)
COUNT = 12
for n in range(COUNT):
    with open(f"Part{n}.hs", "w", encoding="ascii") as file:
        file.write(f"{{-# LANGUAGE DeriveFunctor #-}}\nmodule Part{n} where\n"
                   "import qualified Data.Map as Map\nimport Data.List\nimport Control.Monad\n")
        for m in range(40):
            a, b = rng.randrange(1, 100), rng.randrange(1, 100)
            file.write(f"data Tree{m} a = Leaf{m} | Node{m} {{ left{m} :: Tree{m} a, value{m} :: a, right{m} :: Tree{m} a }}"
                       f" | Many{m} [Tree{m} a]"
                       f" deriving (Show, Eq, Ord, Functor)\n"
                       f"walk{m} :: (Ord k, Num v, Show v) => Tree{m} k -> Map.Map k v -> [(k, String)]\n"
                       f"walk{m} Leaf{m} _ = []\n"
                       f"walk{m} (Node{m} l v r) seen = case Map.lookup v seen of\n  Just n -> (v, show (n + {a})) : walk{m} l seen\n"
                       f"  Nothing -> sortOn fst (walk{m} l (Map.insert v {b} seen) ++ walk{m} r seen)\n"
                       f"walk{m} (Many{m} all) seen = do\n  one <- all\n  guard (length all > {a})\n  walk{m} one seen\n")
with open("Main.hs", "w", encoding="ascii") as file:
    file.write("module Main where\n" + "".join(f"import qualified Part{n}\n" for n in range(COUNT)) + "main :: IO ()\nmain = return ()\n")
