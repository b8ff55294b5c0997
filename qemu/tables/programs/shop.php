<?php
// SPDX-License-Identifier: GPL-2.0-only
// What a shop's request handlers have in memory: objects, nested arrays, documents, rendered pages.
mt_srand(22);
class Price { public function __construct(public int $cents, public string $currency) {} }
class Product {
    public array $options = []; public ?Product $similar = null; private array $cache = [];
    public function __construct(public int $id, public string $title, public Price $price, public array $tags) {}
    public function render(): string {
        return "<li class=\"product\" data-id=\"{$this->id}\"><h3>" . htmlspecialchars($this->title) . "</h3><span>"
            . number_format($this->price->cents / 100, 2) . " {$this->price->currency}</span></li>\n";
    }
}
$words = array_merge(...array_map(fn($name) => preg_split('/_/', $name), get_defined_functions()['internal']));
$pick = fn() => $words[mt_rand(0, count($words) - 1)];
$products = []; $rendered = [];
for ($n = 0; $n < 40000; $n++) {
    $product = new Product($n, ucfirst($pick()) . ' ' . $pick() . ' & ' . $pick(),
        new Price(mt_rand(99, 99999), 'EUR'), [$pick(), $pick()]);
    $product->options = ['size' => mt_rand(1, 50), 'colour' => $pick(), 'stock' => ['north' => mt_rand(0, 9), 'south' => mt_rand(0, 9)]];
    if ($n) $product->similar = $products[mt_rand(0, $n - 1)];
    $products[] = $product;
    if ($n % 8 == 0) $rendered["page/$n"] = implode('', array_map(fn($p) => $p->render(), array_slice($products, -8)));
}
$by_tag = [];
foreach ($products as $product) foreach ($product->tags as $tag) $by_tag[$tag][] = $product;
$session = unserialize(serialize(array_slice($products, 0, 3000)));
if (class_exists('DOMDocument')) {
    $document = new DOMDocument();
    @$document->loadHTML('<ul>' . implode('', array_slice($rendered, 0, 2000)) . '</ul>');
}
sleep(100);
