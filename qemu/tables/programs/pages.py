# SPDX-License-Identifier: GPL-2.0-only
"""Writes a page for browsers: text, a table, styles, pictures, and a script that keeps data and makes more of the page."""
import html
import random

rng = random.Random(49)
words = sorted(name.strip(";") for name in html.entities.html5)


def text(count):
    return " ".join(rng.choices(words, k=count))


with open("page.html", "w", encoding="ascii") as file:
    file.write("<!doctype html><title>News</title><style>" + "".join(
        f".c{n} > p:nth-child({n % 5 + 1}) {{ color: #{rng.randrange(1 << 24):06x}; margin: {n % 9}px;"
        f" font-weight: {n % 9 + 1}00 }}\n" for n in range(200))
        + ".box { display: flex; border-radius: 4px; box-shadow: 0 1px 3px #8888 }</style><body>")
    for n in range(500):
        file.write(f"<article class='c{n % 200} box' id=a{n}><h2>{text(5)}</h2>"
                   f"<p>{text(60)} <a href='#a{rng.randrange(500)}'>{text(2)}</a><p>{text(30)}"
                   f"<svg width=60 height=40><path d='M0 0 L{n % 60} 30 C {n % 7} 4 5 6 40 {n % 40}'"
                   f" fill='#{n * 29 % 4096:03x}'/></svg></article>\n")
    file.write("<table>" + "".join(f"<tr><td>{n}<td>{text(2)}<td>{rng.random():.3f}" for n in range(1500))
               + "</table><canvas width=900 height=600></canvas>")
    file.write("""<script>
const store = new Map(), listeners = [], words = document.body.textContent.split(/\\s+/);
class Item {
    constructor(n) {
        this.id = n; this.title = words[n % words.length]; this.rank = Math.sin(n);
        this.tags = [words[n * 7 % words.length], n % 9];
    }
}
for (let n = 0; n < 60000; n++) store.set("item-" + n, new Item(n));
const cached = [...store.values()].slice(0, 9000).map(one => JSON.stringify({ ...one, at: Date.now() }));
for (let n = 0; n < 3000; n++) {
    const element = document.createElement("div");
    element.className = "box c" + n % 200; element.dataset.id = n;
    element.innerHTML = `<span>${words[n * 3 % words.length]}</span><button>${n}</button><input value="${n * 7}">`;
    element.addEventListener("click", () => store.delete("item-" + n));
    listeners.push(element); document.body.append(element);
}
const context = document.querySelector("canvas").getContext("2d");
for (let n = 0; n < 400; n++) {
    context.fillStyle = `hsl(${n} 60% 50%)`; context.fillRect(n * 37 % 900, n * 53 % 600, 60, 40); context.fillText(words[n], n, n);
}
const numbers = Float64Array.from({ length: 40000 }, (_, n) => Math.cos(n) * n);
</script>""")
