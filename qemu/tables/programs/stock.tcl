# SPDX-License-Identifier: GPL-2.0-only
# What a tool's script has in memory: arrays, dictionaries, lists, strings, many procedures.
expr {srand(41)}
proc pick {end} { expr {int(rand() * $end)} }
for {set n 0} {$n < 40000} {incr n} {
    set stock($n) [dict create name "part [pick 900]" price [expr {rand() * 90}] left [pick 1000] places [list row[pick 20] shelf[pick 9]]]
    lappend orders "order $n of customer [pick 700]: [pick 40000]"
    if {$n % 40 == 0} { proc check$n {a b} "if {\$a > $n} { return \[expr {\$a * [pick 99]}\] } else { return \$b }"; check$n 1 2 }
}
foreach one $orders { dict lappend by [lindex [split $one] 4] [split $one] }
after 100000
