// SPDX-License-Identifier: GPL-2.0-only
// What a service has on its heap: strings, boxed numbers, maps, records, lists, a little of everything more than once.
import java.time.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;

class Library {
    record Author(String name, int born) {}
    record Book(long id, String title, Author author, LocalDate published, double price, List<String> subjects) {}
    static class Loan { Book book; String reader; Instant since; Loan previous; volatile boolean open; }

    public static void main(String[] args) throws Exception {
        var random = new Random(25);
        var words = System.getProperties().toString().split("[^A-Za-z]+");
        var authors = IntStream.range(0, 4000).mapToObj(n -> new Author("Author " + words[random.nextInt(words.length)] + n,
            1900 + random.nextInt(100))).toList();
        var books = new ArrayList<Book>();
        for (int n = 0; n < 90000; n++)
            books.add(new Book(n, words[random.nextInt(words.length)] + " and " + words[random.nextInt(words.length)],
                authors.get(random.nextInt(authors.size())), LocalDate.ofEpochDay(random.nextInt(20000)), random.nextDouble() * 90,
                List.of(words[random.nextInt(words.length)], words[random.nextInt(words.length)])));
        Map<Author, List<Book>> byAuthor = books.stream().collect(Collectors.groupingBy(Book::author));
        var byYear = new TreeMap<Integer, Set<String>>();
        var loans = new ConcurrentHashMap<String, Loan>();
        for (var book : books) {
            byYear.computeIfAbsent(book.published().getYear(), year -> new HashSet<>()).add(book.title());
            var loan = new Loan();
            loan.book = book; loan.since = Instant.ofEpochSecond(random.nextInt()); loan.reader = "reader-" + random.nextInt(9000);
            loan.previous = loans.put(loan.reader, loan);
        }
        var page = new StringBuilder();
        for (var book : books.subList(0, 9000)) page.append(book).append('\n');
        Thread.sleep(100_000);
        System.out.println(byAuthor.size() + byYear.size() + page.length());
    }
}
