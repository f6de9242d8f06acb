//! The callers: each asks for its operations until they are done.

use super::Plan;
use super::counts::Counts;
use super::nodes::options;
use crate::fleet::{FleetClient, dial, now};
use futures::stream::{self, StreamExt as _};
use mynah::{CallError, RpcError};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// An operation that is not done after this is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);
/// What an attempt may take beyond its deadline on a machine that is busy.
const SLACK: Duration = Duration::from_secs(2);

/// What has become of the operations.
#[derive(Debug)]
pub(super) struct Calls {
    operations: usize,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// When it was first asked for, and when it was answered, in milliseconds since 1970.
    succeeded: HashMap<String, (u128, u128)>,
    given_up: Vec<String>,
    attempts: usize,
    /// Operations that were asked for more than once.
    repeated: std::collections::HashSet<String>,
    errors: BTreeMap<String, usize>,
    late: usize,
    longest: Duration,
}

impl Calls {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            operations: plan.calls / plan.clients * plan.clients,
            seen: Mutex::default(),
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ended(&self) -> usize {
        let seen = self.seen();
        seen.succeeded.len() + seen.given_up.len()
    }

    pub(super) fn are_done(&self) -> bool {
        self.ended() >= self.operations
    }

    /// Each operation, and whether a client was told that it is done.
    pub(super) fn operations(&self) -> Vec<(String, bool)> {
        let seen = self.seen();
        let done = seen.succeeded.keys().map(|name| (name.clone(), true));
        let open = seen.given_up.iter().map(|name| (name.clone(), false));
        done.chain(open).collect()
    }

    /// When an operation was first asked for, and when a client was told that it is done.
    pub(super) fn under_way(&self, operation: &str) -> (u128, u128) {
        self.seen()
            .succeeded
            .get(operation)
            .copied()
            .unwrap_or_default()
    }

    pub(super) fn was_repeated(&self, operation: &str) -> bool {
        self.seen().repeated.contains(operation)
    }

    pub(super) fn count(&self, counts: &mut Counts) {
        let seen = self.seen();
        counts.operations = self.operations;
        counts.succeeded = seen.succeeded.len();
        counts.given_up = seen.given_up.len();
        counts.attempts = seen.attempts;
        counts.errors = seen.errors.clone();
        counts.late = seen.late;
        counts.longest = seen.longest.as_millis();
    }
}

/// Starts the clients; each ends when its share is done.
pub(super) async fn start(plan: &Plan, store: &str, calls: &Arc<Calls>) -> Vec<JoinHandle<()>> {
    let mut clients = Vec::new();
    for client in 0..plan.clients {
        let peer = dial(options(store)).await;
        let peer = peer.expect("redis is there");
        let (plan, calls) = (plan.clone(), Arc::clone(calls));
        clients.push(tokio::spawn(async move {
            let fleet: FleetClient = peer.client();
            let share = (0..plan.calls / plan.clients).map(|number| {
                let operation = format!("{client}-{number}");
                ask(&fleet, operation, plan.deadline, &calls)
            });
            stream::iter(share)
                .for_each_concurrent(plan.in_flight, |call| call)
                .await;
            peer.close();
        }));
    }
    clients
}

async fn ask(fleet: &FleetClient, operation: String, deadline: Duration, calls: &Calls) {
    let account = operation.split('-').next().unwrap_or_default().to_owned();
    let (first, asked) = (Instant::now(), now());
    let mut attempts = 0;
    while first.elapsed() < PATIENCE {
        let begun = Instant::now();
        let call = fleet.deposit(account.clone(), 1);
        let call = call.operation_id(operation.clone()).deadline(deadline);
        let ended = call.await;
        let took = begun.elapsed();
        {
            let mut seen = calls.seen();
            seen.attempts += 1;
            seen.longest = seen.longest.max(took);
            seen.late += usize::from(took > deadline + SLACK);
            attempts += 1;
            if attempts > 1 {
                seen.repeated.insert(operation.clone());
            }
            match ended {
                Ok(_deposited) => {
                    seen.succeeded.insert(operation, (asked, now()));
                    return;
                }
                Err(error) => *seen.errors.entry(kind(&error)).or_default() += 1,
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    calls.seen().given_up.push(operation);
}

fn kind(error: &CallError<RpcError>) -> String {
    match error {
        CallError::Application(error) | CallError::Remote(error) => format!("error {error}"),
        CallError::Deadline => "deadline".to_owned(),
        CallError::Indeterminate(_) => "indeterminate".to_owned(),
        CallError::Disconnected(_) => "disconnected".to_owned(),
        CallError::Busy { .. } => "busy".to_owned(),
        other => format!("{other:?}"),
    }
}
