//! Runs one case as a test, and writes down what it has shown.

use crate::dialect;
use crate::failure::{Failure, Verdict, ensure};
use crate::transport::{
    AnyGroup, ByteTransport, EnvelopeTransport, GroupTransport, check_group, check_group_calls,
};
use crate::within;
use mynah_codec::{Dialect, Side};
use mynah_protocol::{Limits, Transport as _};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// The variable that names a file to which each case that passes appends a line.
const REPORT: &str = "MYNAH_CONFORMANCE_REPORT";

/// The time for one case, by the clock of the machine. Far more than any takes: what reaches it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a line says.
struct Entry<'a> {
    /// `transport` or `dialect`.
    suite: &'static str,
    /// The name of the transport; of a dialect, a dash.
    transport: &'a str,
    /// Dialect and format; where no dialect is spoken, a dash.
    wire: RefCell<String>,
    case: &'a str,
}

/// A case of a transport of bytes.
pub fn run_bytes(transport: ByteTransport, case: &str) {
    let name = transport.name();
    let entry = Entry {
        suite: "transport",
        transport: name,
        wire: RefCell::new("-".to_owned()),
        case,
    };
    run(&entry, async { transport.check(case).await });
}

/// A case of calls over bytes.
pub fn run_byte_calls((transport, dialect): (ByteTransport, impl Dialect), case: &str) {
    let name = transport.name();
    let entry = Entry {
        suite: "transport",
        transport: name,
        wire: RefCell::new(name_of(&dialect)),
        case,
    };
    run(&entry, async {
        transport.check_calls(case, &dialect).await
    });
}

/// A case of a carrier.
pub fn run_envelopes(transport: EnvelopeTransport, case: &str) {
    let name = transport.name();
    let entry = Entry {
        suite: "transport",
        transport: name,
        wire: RefCell::new("-".to_owned()),
        case,
    };
    run(&entry, async { transport.check(case).await });
}

/// A case of calls over a carrier.
pub fn run_envelope_calls(transport: EnvelopeTransport, case: &str) {
    let name = transport.name();
    let entry = Entry {
        suite: "transport",
        transport: name,
        wire: RefCell::new("envelopes".to_owned()),
        case,
    };
    run(&entry, async {
        let format = transport.format().await?;
        *entry.wire.borrow_mut() = format!("envelopes/{format}");
        transport.check_calls(case).await
    });
}

/// A case of a carrier of groups.
pub fn run_group(transport: GroupTransport, case: &str) {
    let name = transport.name();
    let entry = Entry {
        suite: "transport",
        transport: name,
        wire: RefCell::new("-".to_owned()),
        case,
    };
    // It stays until all who meet there are gone.
    let place = RefCell::new(None);
    run(&entry, async {
        let group = transport.place().await?;
        *place.borrow_mut() = Some(Arc::clone(&group));
        check_group(&group, case).await
    });
}

/// A case of calls over a carrier of groups.
pub fn run_group_calls(transport: GroupTransport, case: &str) {
    let name = transport.name();
    let entry = Entry {
        suite: "transport",
        transport: name,
        wire: RefCell::new("envelopes".to_owned()),
        case,
    };
    let place = RefCell::new(None);
    run(&entry, async {
        let group = transport.place().await?;
        *place.borrow_mut() = Some(Arc::clone(&group));
        *entry.wire.borrow_mut() = wire_of(&group).await?;
        check_group_calls(&group, case).await
    });
}

/// Which cases do not apply to a carrier of groups: all that it does not run, and no others.
///
/// # Panics
/// As a test that fails.
#[allow(clippy::panic, reason = "a test fails by panicking")]
pub fn run_group_moot(transport: GroupTransport) {
    if let Err(why) = check_moot(&transport) {
        panic!("what does not apply to {}: {why}", transport.name());
    }
}

fn check_moot(transport: &GroupTransport) -> Result<(), Failure> {
    fn each(cases: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
        let mut cases: Vec<_> = cases.collect();
        cases.sort_unstable();
        cases
    }
    let moot = GroupTransport::moot().map(|(case, _)| case);
    let known = each(GroupTransport::cases().chain(moot));
    let all = each(EnvelopeTransport::cases());
    ensure(known == all, || {
        format!("run or explained are {known:?} of {all:?}")
    })?;
    let moot = GroupTransport::moot_calls().map(|(case, _)| case);
    let known = each(GroupTransport::cases_of_calls().chain(moot));
    let all = each(EnvelopeTransport::cases_of_calls());
    ensure(known == all, || {
        format!("run or explained are {known:?} of {all:?}")
    })?;
    let wire = runtime()?.block_on(async {
        let group = transport.place().await?;
        let wire = wire_of(&group).await?;
        nothing_runs_on().await?;
        Ok::<_, Failure>(wire)
    })?;
    let name = transport.name();
    for (case, why) in GroupTransport::moot() {
        note_moot(name, "-", case, why)?;
    }
    for (case, why) in GroupTransport::moot_calls() {
        note_moot(name, &wire, case, why)?;
    }
    Ok(())
}

fn note_moot(transport: &str, wire: &str, case: &str, why: &str) -> Result<(), Failure> {
    let entry = Entry {
        suite: "transport",
        transport,
        wire: RefCell::new(wire.to_owned()),
        case,
    };
    note(&entry, &format!("moot: {why}"))
}

async fn wire_of(group: &Arc<dyn AnyGroup>) -> Result<String, Failure> {
    let client = group.dial().await?;
    Ok(format!("envelopes/{}", client.profile().format))
}

/// A case of a dialect.
pub fn run_dialect(subject: Box<dyn Dialect>, case: &str) {
    let entry = Entry {
        suite: "dialect",
        transport: "-",
        wire: RefCell::new(name_of(&*subject)),
        case,
    };
    run(&entry, async { dialect::check(case, &*subject) });
}

/// A case of calls in a dialect.
pub fn run_dialect_calls(subject: Box<dyn Dialect>, case: &str) {
    let entry = Entry {
        suite: "dialect",
        transport: "-",
        wire: RefCell::new(name_of(&*subject)),
        case,
    };
    run(&entry, async {
        dialect::check_calls(case, &*subject).await
    });
}

/// Dialect and format, as reports have it.
fn name_of(dialect: &dyn Dialect) -> String {
    let wire = dialect.wire(Side::Dial, &Limits::DEFAULT);
    format!("{}/{}", dialect.name(), wire.profile().format)
}

#[allow(clippy::panic, reason = "a test fails by panicking")]
fn run(entry: &Entry<'_>, case: impl Future<Output = Verdict>) {
    let fail = |why: &Failure| -> ! {
        let Entry {
            transport,
            wire,
            case,
            ..
        } = entry;
        let mut of = String::new();
        let wire = wire.borrow();
        for name in [*transport, wire.as_str()] {
            if name != "-" && write!(of, " {name}").is_err() {
                of.clear();
            }
        }
        panic!("{case} of{of}: {why}")
    };
    let runtime = runtime().unwrap_or_else(|why| fail(&why));
    let verdict = runtime.block_on(async {
        let verdict = within(PATIENCE, case).await;
        let shown = verdict.map_err(|hangs| Failure::new(hangs.to_string()))??;
        nothing_runs_on().await?;
        Ok(shown)
    });
    let written = verdict.and_then(|shown| note(entry, shown.word()));
    if let Err(why) = &written {
        fail(why);
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.map_err(|error| Failure::new(format!("no runtime: {error}")))
}

/// Whatever a case has opened is dropped: no task may be left of it.
async fn nothing_runs_on() -> Result<(), Failure> {
    let metrics = tokio::runtime::Handle::current().metrics();
    for round in 0..2_000 {
        if metrics.num_alive_tasks() == 0 {
            return Ok(());
        }
        if round < 100 {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Err(Failure::new(format!(
        "{} tasks run on though everything was dropped",
        metrics.num_alive_tasks()
    )))
}

/// Appends one line in one write: tests of several threads and processes share the file.
fn note(entry: &Entry<'_>, shown: &str) -> Result<(), Failure> {
    let Some(path) = std::env::var_os(REPORT) else {
        return Ok(());
    };
    let Entry {
        suite,
        transport,
        wire,
        case,
    } = entry;
    let wire = wire.borrow();
    let line = format!("{suite}\t{transport}\t{wire}\t{case}\t{shown}\n");
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path);
    file.and_then(|mut file| file.write_all(line.as_bytes()))
        .map_err(|error| Failure::new(format!("cannot write to {}: {error}", path.display())))
}
