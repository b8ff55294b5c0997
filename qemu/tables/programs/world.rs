// SPDX-License-Identifier: GPL-2.0-only

//! What a game's server has in memory: entities, maps, boxed trait objects, strings, grids, shared pointers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;

#[derive(Clone, Debug)]
enum Item {
    Tool { name: String, wear: u16 },
    Food(f32),
    Letter(Rc<str>),
    Nothing,
}

struct Entity {
    id: u64,
    at: [f32; 3],
    speed: [f32; 3],
    bag: Vec<Item>,
    acts: Box<dyn Fn(u64) -> u64>,
    owner: Option<Rc<Entity>>,
}

fn main() {
    let mut seed = 39u64;
    let mut next = move |end: u64| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) % end
    };
    let mut all: Vec<Rc<Entity>> = Vec::new();
    let mut letters: BTreeMap<String, Rc<str>> = BTreeMap::new();
    for n in 0..60000u64 {
        let text: Rc<str> = format!("Dear {}, come to {} at {}.", next(500), next(900), next(24)).into();
        letters.insert(format!("{:x}", next(1 << 30)), text.clone());
        let bag = (0..next(5))
            .map(|k| match k {
                0 => Item::Tool { name: format!("tool {}", next(40)), wear: next(1000) as u16 },
                1 => Item::Food(next(100) as f32 / 8.0),
                2 => Item::Letter(text.clone()),
                _ => Item::Nothing,
            })
            .collect();
        let owner = if n % 3 == 1 { all.last().cloned() } else { None };
        let at = [next(4096) as f32 / 16.0, 64.0, next(4096) as f32 / 16.0];
        all.push(Rc::new(Entity { id: n, at, speed: [0.0; 3], bag, acts: Box::new(move |k| k ^ n), owner }));
    }
    let chunks: HashMap<(i32, i32), Box<[u16; 2048]>> = (0..400)
        .map(|n| {
            let mut blocks = Box::new([0; 2048]);
            for (height, block) in blocks.iter_mut().enumerate() {
                *block = if height < 900 + next(200) as usize { 1 + (next(20) == 0) as u16 * 7 } else { 0 };
            }
            ((n % 20, n / 20), blocks)
        })
        .collect();
    let queue: VecDeque<(u64, Item)> = (0..30000).map(|n| (n, all[n as usize].bag.first().cloned().unwrap_or(Item::Nothing))).collect();
    std::thread::sleep(std::time::Duration::from_secs(100));
    let sum: u64 = all.iter().map(|e| (e.acts)(e.id) + e.owner.as_ref().map_or(0, |o| o.id) + (e.at[0] + e.speed[0]) as u64).sum();
    println!("{sum} {} {} {:?}", letters.len(), chunks.len(), queue.back());
}
