// SPDX-License-Identifier: GPL-2.0-only
// What a game's script has in memory: objects with components, lists, dictionaries, strings, vectors, delegates, boxed values.
using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;

struct Vector { public float X, Y, Z; }

abstract class Component { public Thing Owner; public bool Enabled = true; }
class Body : Component { public Vector Speed; public double Mass; public Vector[] Corners; }
class Label : Component { public string Text; public uint Color; }

class Thing {
    public int Id; public string Name; public Vector At; public Thing Parent;
    public List<Component> Components = new List<Component>(); public Dictionary<string, object> Values = new Dictionary<string, object>();
    public event Action<Thing> Hit;
    public void Strike() { if (Hit != null) Hit(this); }
}

static class World {
    static void Main() {
        var random = new Random(53);
        var all = new List<Thing>();
        for (int n = 0; n < 40000; n++) {
            var thing = new Thing { Id = n, Name = "thing " + random.Next(900),
                At = new Vector { X = (float)random.NextDouble(), Y = n % 77 } };
            thing.Components.Add(new Body { Owner = thing, Mass = random.NextDouble() * 90, Corners = new Vector[random.Next(9)] });
            if (n % 3 == 0)
                thing.Components.Add(new Label { Owner = thing, Text = "Level " + n % 50 + ", " + thing.Name, Color = 7u * (uint)n });
            if (n > 0) thing.Parent = all[random.Next(n)];
            thing.Values["health"] = random.Next(100); thing.Values["seen"] = DateTime.FromBinary(n * 1000000L);
            thing.Hit += one => one.Values["health"] = 0;
            all.Add(thing);
        }
        var byName = all.GroupBy(one => one.Name).ToDictionary(group => group.Key, group => group.OrderBy(one => one.At.X).ToArray());
        var map = new short[1000, 1000];
        for (int n = 0; n < 300000; n++) map[random.Next(1000), random.Next(600)] = (short)random.Next(40);
        Thread.Sleep(100000);
        Console.WriteLine(byName.Count + map.Length);
    }
}
