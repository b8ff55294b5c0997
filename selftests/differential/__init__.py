# SPDX-License-Identifier: GPL-2.0-only
"""Does the same to the C driver and to ours, and compares what each says after every single operation.

python3 -m differential scripted BACKING...             the cases in operations.txt, and every algorithm with its parameters
python3 -m differential random SEED COUNT BACKING...    COUNT operations that follow from SEED, or those of one epoch: SEED:N

BACKING are the block devices of C's side, then as many of ours. IGNORE="stat idle" leaves these files out, to look behind
a difference that is known.
"""
