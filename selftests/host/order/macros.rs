// SPDX-License-Identifier: GPL-2.0-only

//! `#[pin_data]` for host tests, where nothing is pinned: a crate of its own, as attributes have to
//! be. `qemu/test` builds it before the tests.

extern crate proc_macro;

use proc_macro::{
    Delimiter,
    Group,
    TokenStream,
    TokenTree, //
};

/// Takes `#[pin]` away from the fields of `item`.
#[proc_macro_attribute]
pub fn pin_data(_: TokenStream, item: TokenStream) -> TokenStream {
    let mut out = Vec::new();
    for token in item {
        match token {
            TokenTree::Group(group) => {
                let stream = group.stream();
                if group.delimiter() == Delimiter::Bracket && stream.to_string() == "pin" {
                    // The `#` before it.
                    out.pop();
                    continue;
                }
                let stripped = pin_data(TokenStream::new(), stream);
                out.push(Group::new(group.delimiter(), stripped).into());
            }
            token => out.push(token),
        }
    }
    out.into_iter().collect()
}
