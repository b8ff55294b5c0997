# SPDX-License-Identifier: GPL-2.0-only
# What a small report has in memory: objects, text, regular expressions' captures, closures, sorted lists.
srand 35;
package Place { sub new { my ($class, %of) = @_; bless { %of, seen => [] }, $class } sub name { $_[0]{name} } }
my @parts = qw(ber lin ham burg stutt gart frei dres den kiel);
my (@places, %by, @lines);
for my $n (1 .. 30000) {
    my $name = ucfirst join "", map { $parts[rand @parts] } 1 .. 2 + rand 2;
    my $place = Place->new(name => $name, people => int rand 1e6, at => sprintf("%.4f,%.4f", 47 + rand 8, 6 + rand 9));
    push @places, $place;
    push @{$by{$name}}, $place;
    push @lines, sprintf "%-20s %8d %s", $name, $place->{people}, scalar localtime 1.6e9 + $n * 977;
    $place->{seen}[$_] = $n * $_ for 0 .. 2;
    $place->{tell} = sub { "$name has $place->{people}" } if $n % 5 == 0;
}
my @sorted = sort { $a->{people} <=> $b->{people} } @places;
my @words = map { [/(\w+)/g] } @lines[0 .. 9999];
sleep 100;
