use super::{Contracts, MOST_VIEWS, Shown};
use crate::method::MethodKind;
use crate::router::MethodEntry;
use mynah_contract::{Contract, Event, Method, MethodKind as Kind};
use mynah_protocol::{Evidence, EvidenceKey, MethodName, Value};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

fn contract() -> Contract {
    let user = Method::new("read", Kind::Unary);
    let admin = Method::new("write", Kind::Unary).with_role("admin");
    let contract = Contract::new("files").with_method(user).unwrap();
    let contract = contract.with_method(admin).unwrap();
    contract.with_event(Event::new("changed")).unwrap()
}

fn entries(methods: &[&str]) -> Vec<MethodEntry> {
    let entry = |method: &&str| MethodEntry {
        name: MethodName::new("tools", method).into_owned(),
        kind: MethodKind::Unary,
        params: &[],
        removable: true,
    };
    methods.iter().map(entry).collect()
}

fn caller(who: &str) -> Evidence {
    Evidence::new().with(EvidenceKey::TRANSPORT, who)
}

fn names(value: &Value) -> String {
    let text = format!("{value:?}");
    let known = ["read", "write", "changed", "echo", "late"];
    let there = known
        .into_iter()
        .filter(|name| text.contains(&format!("{name:?}")));
    there.collect::<Vec<_>>().join(" ")
}

/// Shows methods with a role to `root` alone.
fn filtered() -> Contracts {
    let mut contracts = Contracts::default();
    contracts.give(contract());
    contracts.show(Arc::new(|caller, shown| match shown {
        Shown::Method { method, .. } => {
            method.roles().is_empty() || caller.text(EvidenceKey::TRANSPORT) == Some("root")
        }
        Shown::Event { .. } => true,
    }));
    contracts
}

#[test]
fn all_who_see_the_same_share_one_description() {
    let contracts = filtered();
    let tell = |who: &str, methods: &[&str]| {
        contracts
            .described(&caller(who), None, entries(methods))
            .unwrap()
    };
    let (root, ada) = (tell("root", &["echo"]), tell("ada", &["echo"]));
    assert_eq!(names(&root), "read write changed echo");
    assert_eq!(names(&ada), "read changed echo");
    assert!(Arc::ptr_eq(&ada, &tell("bob", &["echo"])));
    assert!(Arc::ptr_eq(&ada, &tell("ada", &["echo"])));
    assert!(Arc::ptr_eq(&root, &tell("root", &["echo"])));
    // Another method is there: what was told is no longer true.
    let later = tell("ada", &["echo", "late"]);
    assert_eq!(names(&later), "read changed echo late");
    assert!(Arc::ptr_eq(&later, &tell("bob", &["echo", "late"])));
    assert_eq!(names(&tell("ada", &[])), "read changed");
    assert_eq!(names(&tell("root", &[])), "read write changed");
}

#[test]
fn without_a_filter_there_is_one_for_everybody() {
    let mut contracts = Contracts::default();
    contracts.give(contract());
    let tell = |who: &str| contracts.described(&caller(who), None, entries(&["echo"]));
    let told = tell("ada").unwrap();
    assert_eq!(names(&told), "read write changed echo");
    assert!(Arc::ptr_eq(&told, &tell("root").unwrap()));
    let one = contracts.described(&caller("ada"), Some("tools"), entries(&["echo"]));
    assert_eq!(names(&one.unwrap()), "echo");
}

/// Whoever shows something else to everybody makes no server grow.
#[test]
fn views_are_bounded_and_the_one_asked_for_least_lately_goes() {
    const METHODS: usize = 8;
    let mut contracts = Contracts::default();
    let mut many = Contract::new("many");
    for number in 0..METHODS {
        let method = Method::new(format!("m{number}"), Kind::Unary);
        many = many.with_method(method).unwrap();
    }
    contracts.give(many);
    // The number of the caller says bit by bit what it sees.
    contracts.show(Arc::new(|caller, shown| {
        let Shown::Method { method, .. } = shown else {
            return false;
        };
        let bits: usize = caller
            .text(EvidenceKey::TRANSPORT)
            .unwrap()
            .parse()
            .unwrap();
        bits >> method
            .name()
            .strip_prefix('m')
            .unwrap()
            .parse::<usize>()
            .unwrap()
            & 1
            == 1
    }));
    let tell = |bits: usize| {
        let caller = caller(&bits.to_string());
        contracts.described(&caller, None, Vec::new()).unwrap()
    };
    let (first, second) = (tell(1), tell(2));
    for bits in 3..=MOST_VIEWS {
        tell(bits);
    }
    // All of them are kept; the first was asked for again, so the second is the one that goes.
    assert!(Arc::ptr_eq(&first, &tell(1)));
    tell(MOST_VIEWS + 1);
    assert!(Arc::ptr_eq(&first, &tell(1)));
    assert!(!Arc::ptr_eq(&second, &tell(2)));
    assert_eq!(*second, *tell(2));
    for bits in 0..1 << METHODS {
        tell(bits);
    }
    assert_eq!(contracts.told.lock().unwrap().list.len(), MOST_VIEWS);
}

/// The function of the program may ask for a description itself.
#[test]
fn no_code_of_the_program_runs_under_a_lock() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let own: Arc<OnceLock<Arc<Contracts>>> = Arc::default();
    let mut contracts = Contracts::default();
    contracts.give(contract());
    let again = Arc::downgrade(&own);
    contracts.show(Arc::new(move |caller, _| {
        let own = again.upgrade().unwrap();
        if ASKED.fetch_add(1, Ordering::SeqCst) == 0 {
            let inner = own.get().unwrap().described(caller, None, Vec::new());
            assert_eq!(names(&inner.unwrap()), "read write changed");
        }
        true
    }));
    let contracts = Arc::new(contracts);
    own.set(Arc::clone(&contracts)).unwrap();
    let told = contracts.described(&caller("ada"), None, Vec::new());
    assert_eq!(names(&told.unwrap()), "read write changed");
}
