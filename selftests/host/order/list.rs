// SPDX-License-Identifier: GPL-2.0-only

//! The atomic operations in the sources, and the list of them in `doc/atomics.md`.

use std::{
    collections::{
        BTreeMap,
        BTreeSet, //
    },
    fs,
    panic::Location,
    path::{
        Path,
        PathBuf, //
    },
    sync::Mutex,
};

/// What stands for the ordering of an operation.
const ORDERINGS: [&str; 7] = [
    "Ordering::Relaxed",
    "Ordering::Acquire",
    "Ordering::Release",
    "Ordering::AcqRel",
    "Ordering::SeqCst",
    "compat::smp_rmb()",
    "compat::smp_wmb()",
];

/// For each file and function, the orderings in it, sorted.
pub type Operations = BTreeMap<(String, String), Vec<String>>;

/// Returns the folder of the whole tree, as seen from where this was compiled.
fn tree() -> PathBuf {
    let folder = Path::new(file!()).parent().expect("a folder");
    folder.join("../../..")
}

/// Returns each line of `text` that is no comment, with the function that it is in.
fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().scan("", |function, line| {
        let code = line.split("//").next().unwrap_or("");
        let mut words = code.split([' ', '<', '(']);
        if words.any(|word| word == "fn") {
            *function = words.next().unwrap_or("");
        }
        Some((*function, code))
    })
}

/// Returns the file of `at`, below `src/` if it is there, and the function.
pub fn function_at(at: &'static Location<'static>) -> (&'static str, &'static str) {
    type Known = BTreeMap<(&'static str, u32), (&'static str, &'static str)>;
    static KNOWN: Mutex<Known> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().expect("a lock");
    *known.entry((at.file(), at.line())).or_insert_with(|| {
        let text = fs::read_to_string(at.file()).expect("a source file").leak();
        let (function, _) = lines(text).nth(at.line() as usize - 1).expect("a line");
        let file = at.file();
        let (_, below) = file.rsplit_once("/src/").unwrap_or(("", file));
        (below, function)
    })
}

/// Returns the operations in `src/`.
pub fn in_sources() -> Operations {
    let mut found = Operations::new();
    let src = tree().join("src");
    let mut folders = vec![src.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let file = path
                .strip_prefix(&src)
                .expect("below src")
                .display()
                .to_string();
            let text = fs::read_to_string(&path).unwrap_or_default();
            for (function, code) in lines(&text) {
                for ordering in ORDERINGS {
                    for _ in code.matches(ordering) {
                        let key = (file.clone(), function.to_string());
                        let name = ordering.rsplit("::").next().unwrap_or_default().to_string();
                        found.entry(key).or_default().push(name);
                    }
                }
            }
        }
    }
    found.values_mut().for_each(|orderings| orderings.sort());
    found
}

/// Returns the cells of each row of the tables in the list.
fn rows() -> Vec<Vec<String>> {
    let text = fs::read_to_string(tree().join("doc/atomics.md")).expect("the list");
    let cells = |row: &str| -> Vec<String> {
        let row = row.trim_matches('|').split('|');
        row.map(|cell| cell.trim().replace('`', "")).collect()
    };
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(cells).collect()
}

/// Returns the operations in the list, each row of which begins with a file, a function and its
/// orderings.
pub fn in_document() -> Operations {
    let mut found = Operations::new();
    for row in rows() {
        let [file, function, orderings, ..] = &row[..] else {
            panic!("a row of the list is too short: {row:?}");
        };
        let orderings = orderings.split(", ").map(str::to_string);
        let key = (file.clone(), function.clone());
        found.entry(key).or_default().extend(orderings);
    }
    found.values_mut().for_each(|orderings| orderings.sort());
    found
}

/// Returns file, function and scenario for each scenario that the list names.
pub fn scenarios() -> BTreeSet<[String; 3]> {
    let mut found = BTreeSet::new();
    for row in rows() {
        let [file, function, .., scenarios] = &row[..] else {
            panic!("a row of the list is too short: {row:?}");
        };
        for scenario in scenarios.split(", ").filter(|&name| name != "–") {
            found.insert([file, function, scenario].map(str::to_string));
        }
    }
    found
}
