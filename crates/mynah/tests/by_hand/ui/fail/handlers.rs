//! Functions that cannot be handlers.

use mynah::{Context, Router};

struct NotRead;

struct NotSent;

fn main() {
    // Its params cannot be read.
    let _ = Router::new().method("a", |_: Context, _: NotRead| 1);
    // What it gives cannot be sent.
    let _ = Router::new().method("b", |_: Context| NotSent);
    // No function at all.
    let _ = Router::new().method("c", 5);
    // What is of the call comes first, the params last.
    let _ = Router::new().method("d", |_: u32, _: Context| 1);
}
