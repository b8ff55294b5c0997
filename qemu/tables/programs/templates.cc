// SPDX-License-Identifier: GPL-2.0-only
// Much of the standard library, instantiated many times, for a compiler or a debugger to have in memory.
#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <ranges>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

template <int N> struct Shape {
	std::string name;
	std::map<std::string, std::vector<std::tuple<int, double, std::shared_ptr<Shape<N>>>>> parts;
	std::variant<int, std::string, std::array<double, N + 1>> value;
	std::unordered_map<int, std::function<double(const Shape &)>> rules;

	double area(int k) const
	{
		std::vector<double> all;
		for (const auto &[key, list] : parts)
			for (const auto &[number, size, other] :
			     list | std::views::filter([k](auto &part) { return std::get<0>(part) > k; }))
				all.push_back(size * number + (other ? other->area(k - N) : std::visit([](auto &v) {
					if constexpr (std::is_same_v<std::decay_t<decltype(v)>, int>) return v * 2.0;
					else return double(std::size(v));
				}, value)));
		std::sort(all.begin(), all.end(), [](double a, double b) { return a * N < b; });
		std::stable_sort(all.begin(), all.end(), std::greater<>());
		double sum = 0;
		for (double one : all | std::views::transform([](double d) { return d / (N + 1); }) | std::views::take(N + 5))
			sum += one;
		return sum;
	}

	std::optional<std::string> text(const std::string &pattern) const
	{
		std::smatch match;
		std::set<std::pair<std::string, int>> seen;
		std::ostringstream out;
		for (const auto &[key, list] : parts)
			if (std::regex_match(key, match, std::regex(pattern)))
				seen.emplace(match.str(), int(list.size()));
		for (const auto &[key, count] : seen)
			out << key << ':' << count << ' ' << N;
		return out.str();
	}
};

template <int N> double all(std::mt19937 &rng)
{
	Shape<N> shape;
	std::uniform_int_distribution<int> pick(0, N);
	shape.parts["part" + std::to_string(N)].emplace_back(pick(rng), 1.5, std::make_shared<Shape<N>>());
	shape.rules[N] = [](const auto &s) { return s.area(N); };
	auto later = std::async([&] { return shape.area(3); });
	double sum = later.get() + shape.text("p.*").value_or("").size();
	if constexpr (N > 0) return sum + all<N - 1>(rng);
	else return sum;
}

int main()
{
	std::mt19937 rng(30);
	std::cout << all<60>(rng) << std::endl;
}
