# SPDX-License-Identifier: GPL-2.0-only
"""Results for `relay` in lib.sh, which numbers the cases: KTAP without numbers, and `# end` at last."""


def case(name, *trouble):
    """Prints a case and what went wrong in it; it is good if nothing did. Returns whether it is good."""
    print(f"{'not ok' if trouble else 'ok'} {name}")
    for line in trouble:
        for part in str(line).splitlines():
            print("#", part)
    print(end="", flush=True)
    return not trouble


def check(name, got, wanted):
    """Prints a case that is good if both values are the same."""
    return case(name, *([] if got == wanted else [f"expected: {wanted!r:.600}", f"     got: {got!r:.600}"]))


def skip(name, why):
    """Prints a case that is left out."""
    print(f"ok {name} # SKIP {why}", flush=True)


def note(text):
    """Prints a comment."""
    print("#", text, flush=True)


def end():
    """Says that the program came to its end."""
    note("end")
