//! Methods and events of two contracts, held against each other.

use super::shapes::{self, Found};
use super::{Change, Reason};
use crate::shape::{Shapes, cut};
use crate::{
    Contract, ContractError, Event, Method, MethodKind, Param, ParamKind, ParamsForm, Schema,
};
use mynah_protocol::Value;

/// Who writes what a schema stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    Client,
    Server,
}

pub(super) fn contracts(old: &Contract, new: &Contract, changes: &mut Vec<Change>) {
    if old == new {
        return;
    }
    let mut members = Members {
        service: old.name(),
        member: "",
        changes,
    };
    let shapes = (Shapes::of(old), Shapes::of(new));
    let shapes = match (&shapes.0, &shapes.1) {
        (Ok(old), Ok(new)) => Some((old, new)),
        _ => None,
    };
    for method in old.methods() {
        members.member = method.name();
        match new.method(method.name()) {
            Some(new) => members.methods(shapes, method, new),
            None => members.add("", Reason::MethodRemoved, true, false),
        }
    }
    for method in new.methods() {
        if old.method(method.name()).is_none() {
            members.member = method.name();
            members.add("", Reason::MethodAdded, false, true);
        }
    }
    for event in old.events() {
        members.member = event.topic();
        match new.event(event.topic()) {
            Some(new) => members.events(shapes, event, new),
            None => members.add("", Reason::EventRemoved, true, false),
        }
    }
    for event in new.events() {
        if old.event(event.topic()).is_none() {
            members.member = event.topic();
            members.add("", Reason::EventAdded, false, true);
        }
    }
}

type Both<'a> = Option<(&'a Shapes, &'a Shapes)>;

struct Members<'a> {
    service: &'a str,
    member: &'a str,
    changes: &'a mut Vec<Change>,
}

impl<'a> Members<'a> {
    /// `old`: clients of the old contract fail at new servers. `new`: clients of the new one fail at old servers.
    fn add(&mut self, path: &str, reason: Reason, old: bool, new: bool) {
        self.changes.push(Change {
            service: self.service.to_owned(),
            member: Some(self.member.to_owned()),
            path: path.to_owned(),
            reason,
            breaks_old_clients: old,
            breaks_new_clients: new,
        });
    }

    fn methods(&mut self, shapes: Both<'_>, old: &Method, new: &Method) {
        if old.kind() != new.kind() {
            let (old, new) = (old.kind(), new.kind());
            self.add("", Reason::KindChanged { old, new }, true, true);
        }
        if [old.form(), new.form()].contains(&ParamsForm::Unknown) {
            // Nothing can be said of them.
        } else if old.form() != new.form() {
            self.add("params", Reason::FormChanged, true, true);
        } else {
            self.params(shapes, old.params(), new.params());
        }
        if old.kind() != MethodKind::Notification || new.kind() != MethodKind::Notification {
            let (old, new) = (old.result(), new.result());
            self.schemas(shapes, "result", Writer::Server, old, new);
        }
        self.errors(shapes, old, new);
        match (old.is_idempotent(), new.is_idempotent()) {
            (true, false) => self.add("", Reason::NoLongerIdempotent, true, false),
            (false, true) => self.add("", Reason::NowIdempotent, false, true),
            _ => {}
        }
        if let Some(reason) = Reason::roles(old, new) {
            // Whom it breaks depends on who calls, which nobody here knows.
            self.add("", reason, false, false);
        }
    }

    fn params(&mut self, shapes: Both<'_>, old: &[Param], new: &[Param]) {
        let named =
            |params: &'_ [Param], name: &str| params.iter().position(|param| param.name() == name);
        for (place, param) in old.iter().enumerate() {
            let path = format!("params.{}", param.name());
            match named(new, param.name()) {
                Some(now) => {
                    if now != place {
                        self.add(
                            &path,
                            Reason::ParamMoved {
                                old: place,
                                new: now,
                            },
                            true,
                            true,
                        );
                    }
                    if let Some(new) = new.get(now) {
                        self.param(shapes, &path, param, new);
                    }
                }
                None => match new.get(place) {
                    // At its place stands one that was not there: the same under another name.
                    Some(renamed) if named(old, renamed.name()).is_none() => {
                        let new = renamed.name().to_owned();
                        self.add(&path, Reason::ParamRenamed { new }, true, true);
                        self.param(shapes, &path, param, renamed);
                    }
                    _ => self.add(&path, Reason::ParamRemoved, true, !param.is_optional()),
                },
            }
        }
        for (place, param) in new.iter().enumerate() {
            let renamed = old
                .get(place)
                .is_some_and(|old| named(new, old.name()).is_none());
            if named(old, param.name()).is_some() || renamed {
                continue;
            }
            let path = format!("params.{}", param.name());
            if param.is_optional() {
                // One that stands before others moves those, which is said of them.
                self.add(&path, Reason::OptionalParamAdded, false, true);
            } else {
                self.add(&path, Reason::RequiredParamAdded, true, true);
            }
        }
    }

    fn param(&mut self, shapes: Both<'_>, path: &str, old: &Param, new: &Param) {
        if old.kind() != new.kind() {
            let (old, new) = (old.kind().name(), new.kind().name());
            self.add(path, Reason::ParamKindChanged { old, new }, true, true);
            return;
        }
        match (old.is_optional(), new.is_optional()) {
            (false, true) => self.add(path, Reason::BecameOptional, false, true),
            (true, false) => self.add(path, Reason::BecameRequired, true, false),
            _ => {}
        }
        if old.default() != new.default() && old.is_optional() && new.is_optional() {
            let text = |param: &Param| {
                param
                    .default()
                    .map_or_else(|| "none".into(), Value::to_string)
            };
            let (old, new) = (cut(&text(old)), cut(&text(new)));
            self.add(path, Reason::DefaultChanged { old, new }, false, false);
        }
        let writer = match old.kind() {
            ParamKind::Value | ParamKind::Stream => Writer::Client,
            ParamKind::Callback | ParamKind::AskedCallback => Writer::Server,
        };
        let place = match old.kind() {
            ParamKind::Value => path.to_owned(),
            ParamKind::Stream => format!("{path}[]"),
            ParamKind::Callback | ParamKind::AskedCallback => format!("{path}()"),
        };
        self.schemas(shapes, &place, writer, old.schema(), new.schema());
        let place = format!("{path}() reply");
        self.schemas(shapes, &place, Writer::Client, old.reply(), new.reply());
    }

    fn errors(&mut self, shapes: Both<'_>, old: &Method, new: &Method) {
        for error in old.errors() {
            match new.errors().iter().find(|new| new.code() == error.code()) {
                Some(new) => {
                    let path = format!("error {} data", error.code());
                    self.schemas(shapes, &path, Writer::Server, error.data(), new.data());
                }
                None => self.add("", Reason::ErrorRemoved(error.code()), false, false),
            }
        }
        for error in new.errors() {
            if !old.errors().iter().any(|old| old.code() == error.code()) {
                self.add("", Reason::ErrorAdded(error.code()), false, false);
            }
        }
    }

    fn events(&mut self, shapes: Both<'_>, old: &Event, new: &Event) {
        self.schemas(
            shapes,
            "message",
            Writer::Server,
            old.message(),
            new.message(),
        );
    }

    fn schemas(
        &mut self,
        shapes: Both<'_>,
        path: &str,
        writer: Writer,
        old: Option<&Schema>,
        new: Option<&Schema>,
    ) {
        match (old, new) {
            (None, None) => {}
            (Some(_), None) => self.add(path, Reason::SchemaLost, false, false),
            (None, Some(_)) => self.add(path, Reason::SchemaGained, false, false),
            (Some(old), Some(new)) => match compared(shapes, old, new) {
                Ok(found) => {
                    for found in found {
                        self.found(path, writer, found);
                    }
                }
                // What cannot be looked at is not called compatible.
                Err(error) => {
                    self.add(path, Reason::NotCompared(error.to_string()), true, true);
                }
            },
        }
    }

    fn found(&mut self, path: &str, writer: Writer, found: Found) {
        let path = format!("{path}{}", found.path);
        let (old, new) = match writer {
            // Old clients write, and new servers read; and the other way round.
            Writer::Client => (!found.old_is_read_by_new, !found.new_is_read_by_old),
            Writer::Server => (!found.new_is_read_by_old, !found.old_is_read_by_new),
        };
        self.add(&path, found.reason, old, new);
    }
}

fn compared(shapes: Both<'_>, old: &Schema, new: &Schema) -> Result<Vec<Found>, ContractError> {
    let Some((old_shapes, new_shapes)) = shapes else {
        return Err(ContractError::TooDeep {
            limit: crate::schema::MAX_DEPTH,
        });
    };
    let (old, new) = (old_shapes.node(old)?, new_shapes.node(new)?);
    shapes::compare((old_shapes, &old), (new_shapes, &new))
}
