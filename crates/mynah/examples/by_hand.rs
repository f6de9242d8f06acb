//! A service of closures: a server that learns and forgets methods while it runs.
//!
//! Run it with `cargo run --example by_hand`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use futures::{StreamExt as _, stream};
use mynah::prelude::*;
use mynah::{RawCall, Router, ServerState, State};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What all connections share.
#[derive(Default)]
struct Store(Mutex<BTreeMap<String, String>>);

impl Store {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What each connection has for itself.
#[derive(Default)]
struct Visits(AtomicU64);

/// Params as one object.
#[derive(Serialize, Deserialize)]
struct Entry {
    key: String,
    value: String,
}

/// What this is.
#[mynah::export(namespace = "store")]
fn about(cx: &Context, #[default = "store"] what: String) -> String {
    format!("{what}, as {} sees it", cx.evidence())
}

fn router() -> Router {
    Router::new()
        .state(Store::default())
        .method("store.set", |store: ServerState<Store>, entry: Entry| {
            store.lock().insert(entry.key, entry.value)
        })
        .method(
            "store.value",
            |_cx: Context, store: ServerState<Store>, (key,): (String,)| async move {
                let value = store.lock().get(&key).cloned();
                value.ok_or_else(|| RpcError::new(ErrorCode::application(1), "no such key"))
            },
        )
        .method("store.keys", |store: ServerState<Store>| {
            let keys: Vec<String> = store.lock().keys().cloned().collect();
            stream::iter(keys)
        })
        .method("store.visits", |visits: State<Visits>| {
            visits.0.0.fetch_add(1, Ordering::Relaxed) + 1
        })
        .add(about)
        .fallback(|_cx: Context, call: RawCall| async move {
            println!("nobody has {}", call.name());
            Err(call.not_found())
        })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::new()
        .router(router())
        .listen("tcp://127.0.0.1:0")
        .start()
        .await?;
    let peer = mynah::connect(server.address()).await?;

    for (key, value) in [("sky", "blue"), ("grass", "green")] {
        let entry = Entry {
            key: key.to_owned(),
            value: value.to_owned(),
        };
        let set = peer.call("store", "set").params(&entry);
        let before = set.result::<Option<String>>().await?;
        println!("set {key}, before {before:?}");
    }
    let sky = peer
        .call("store", "value")
        .args(("sky",))
        .result::<String>();
    println!("the sky is {}", sky.await?);
    let sea = peer
        .call("store", "value")
        .args(("sea",))
        .result::<String>();
    println!(
        "the sea: {:?}",
        sea.await.map_err(|error| error.to_string())
    );
    let keys = peer.call("store", "keys").stream::<String>();
    let keys: Vec<String> = keys.filter_map(async |key| key.ok()).collect().await;
    println!("keys: {keys:?}");
    for _ in 0..2 {
        let visits = peer.call("store", "visits").result::<u64>().await?;
        println!("visit {visits}");
    }
    let told = peer.call("store", "about").arg("what", "a store");
    println!("{}", told.result::<String>().await?);

    // A plugin comes and goes.
    let methods = server.methods();
    methods.method("plugin.shout", |(text,): (String,)| text.to_uppercase())?;
    for entry in methods.list() {
        println!(
            "{:?} {}({})",
            entry.kind,
            entry.name,
            entry.params.join(", ")
        );
    }
    let shout = || {
        peer.call("plugin", "shout")
            .args(("hey",))
            .result::<String>()
    };
    println!("{}", shout().await?);
    let removed = methods.remove("plugin.shout");
    println!("removed: {removed}, and now: {:?}", shout().await.is_err());
    Ok(())
}
