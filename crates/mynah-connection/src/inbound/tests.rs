use super::*;

fn uint(id: u64) -> Option<WireId> {
    Some(WireId::Uint(id))
}

fn admit(table: &mut Inbound<()>, id: u64) -> InboundKey {
    table
        .admit(uint(id), true, Moment::NEVER, Streams::NONE, false)
        .expect("a permit")
        .0
}

#[test]
fn generations_wrap_around() {
    let mut table = Inbound::<()>::new(1);
    let first = admit(&mut table, 1);
    table.finish(first);
    table.flushed(1);
    table.slots[0].generation = u32::MAX;
    let wrapped = admit(&mut table, 2);
    assert_eq!(wrapped.generation, 0);
    assert!(table.is_live(wrapped));
    assert!(!table.is_live(first));
    assert!(table.finish(first).is_none());
    assert!(table.finish(wrapped).is_some());
}

#[test]
fn fresh_calls_are_found_in_any_order_of_ids() {
    let mut table = Inbound::<()>::new(100);
    // Descending, so that no id is above all that are there.
    let keys: Vec<_> = (0..50).rev().map(|id| admit(&mut table, id)).collect();
    for id in 0..50 {
        let refused = table.admit(uint(id), true, Moment::NEVER, Streams::NONE, false);
        assert_eq!(refused.expect_err("a duplicate"), Refused::Duplicate);
    }
    // The filter is emptied with the list.
    for key in keys {
        table.finish(key);
    }
    assert!(table.fresh.is_empty());
    for id in 0..=FEW as u64 {
        admit(&mut table, id);
    }
    let filter = table.fresh_ids.as_ref().expect("a filter");
    assert!((0..=FEW as u64).all(|id| filter.may_hold(id)));
    let left = (0..1000).filter(|id| filter.may_hold(*id)).count();
    assert!(left < 20, "{left} of 1000");
    assert!(
        table
            .admit(uint(3), true, Moment::NEVER, Streams::NONE, false)
            .is_err()
    );
}

/// Calls without an id are among the fresh, too, and the filter is made when one of them comes.
#[test]
fn the_filter_knows_all_that_came_before_it() {
    for few in 0..2 * FEW {
        let mut table = Inbound::<()>::new(100);
        for id in 0..few as u64 {
            admit(&mut table, id);
        }
        for _ in 0..3 {
            let told = table.admit(None, false, Moment::NEVER, Streams::NONE, false);
            assert!(told.is_ok());
        }
        for id in few as u64..20 {
            admit(&mut table, id);
        }
        for id in 0..20 {
            let refused = table.admit(uint(id), true, Moment::NEVER, Streams::NONE, false);
            assert_eq!(
                refused.expect_err("a duplicate"),
                Refused::Duplicate,
                "{few} {id}"
            );
        }
    }
}

#[test]
fn the_lists_hold_what_runs_and_nothing_else() {
    let mut table = Inbound::<()>::new(100);
    for round in 0..1000_u64 {
        let keys: Vec<_> = (0..9).map(|n| admit(&mut table, round * 9 + n)).collect();
        // Out of order, some parked, some cancelled.
        for (n, key) in keys.iter().enumerate().rev() {
            if n % 2 == 0 {
                table.park(*key);
            }
            if n % 3 == 0 {
                table.cancel(&WireId::Uint(round * 9 + n as u64), CancelReason::Caller);
            }
        }
        assert_eq!(table.fresh.len() + table.by_id.len(), 9);
        for key in keys {
            table.finish(key);
        }
        table.flushed(9);
        assert_eq!(
            (table.fresh.len(), table.by_id.len(), table.permits()),
            (0, 0, 0)
        );
    }
    assert_eq!(table.slots.len(), 9);
}
