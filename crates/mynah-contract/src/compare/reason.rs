//! What is different, in words.

use crate::{Method, MethodKind};
use std::fmt;

/// What is different between an old and a new contract at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The service is new.
    ServiceAdded,
    /// The service is gone.
    ServiceRemoved,
    /// The method is new.
    MethodAdded,
    /// The method is gone.
    MethodRemoved,
    /// The event is new.
    EventAdded,
    /// The event is gone.
    EventRemoved,
    /// The method takes another kind of call.
    KindChanged {
        /// What it took.
        old: MethodKind,
        /// What it takes.
        new: MethodKind,
    },
    /// Params that were separate are one object, or the other way round.
    FormChanged,
    /// A param that has to be there is new.
    RequiredParamAdded,
    /// A param that may be left out is new, behind all others.
    OptionalParamAdded,
    /// The param is gone.
    ParamRemoved,
    /// The param has another name.
    ParamRenamed {
        /// The name that it has now.
        new: String,
    },
    /// The param stands at another place among the params.
    ParamMoved {
        /// Where it stood, from 0.
        old: usize,
        /// Where it stands, from 0.
        new: usize,
    },
    /// The param was a value, a stream or a callback, and is something else now.
    ParamKindChanged {
        /// What it was.
        old: &'static str,
        /// What it is.
        new: &'static str,
    },
    /// A field is new.
    FieldAdded {
        /// Whether it has to be there.
        required: bool,
    },
    /// The field is gone.
    FieldRemoved {
        /// Whether it had to be there.
        required: bool,
    },
    /// It had to be there, and may be left out now.
    BecameOptional,
    /// It could be left out, and has to be there now.
    BecameRequired,
    /// It could not be null, and may be now.
    NullAllowed,
    /// It could be null, and may not be any more.
    NullRefused,
    /// More values fit than before.
    TypeWidened {
        /// What it was.
        old: String,
        /// What it is.
        new: String,
    },
    /// Fewer values fit than before.
    TypeNarrowed {
        /// What it was.
        old: String,
        /// What it is.
        new: String,
    },
    /// Other values fit than before.
    TypeChanged {
        /// What it was.
        old: String,
        /// What it is.
        new: String,
    },
    /// A value of an enum is new.
    ValueAdded(String),
    /// A value of an enum is gone.
    ValueRemoved(String),
    /// A variant is new.
    VariantAdded(String),
    /// A variant is gone.
    VariantRemoved(String),
    /// Fields that are not known were passed over, and are refused now.
    UnknownFieldsRefused,
    /// Fields that are not known were refused, and are passed over now.
    UnknownFieldsPassed,
    /// It stands for another value when it is left out.
    DefaultChanged {
        /// The text of the value that it stood for, or `none`.
        old: String,
        /// The text of the value that it stands for, or `none`.
        new: String,
    },
    /// A second call may change something: clients of the old contract repeat it all the same.
    NoLongerIdempotent,
    /// A second call changes nothing any more.
    NowIdempotent,
    /// An error is new: clients of the old contract see it as one that is not the method's.
    ErrorAdded(i64),
    /// An error is gone.
    ErrorRemoved(i64),
    /// Others may call it.
    RolesChanged {
        /// Who could, with commas between them.
        old: String,
        /// Who can, with commas between them.
        new: String,
    },
    /// There was a schema, and there is none to compare it with.
    SchemaLost,
    /// There is a schema, and there was none to compare it with.
    SchemaGained,
    /// The schemas are too deep or too large to be compared.
    NotCompared(String),
}

impl Reason {
    pub(super) fn roles(old: &Method, new: &Method) -> Option<Self> {
        let joined = |method: &Method| {
            let mut roles: Vec<&str> = method.roles().iter().map(String::as_str).collect();
            roles.sort_unstable();
            roles.dedup();
            roles.join(", ")
        };
        let (old, new) = (joined(old), joined(new));
        (old != new).then_some(Self::RolesChanged { old, new })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceAdded => f.write_str("service added"),
            Self::ServiceRemoved => f.write_str("service removed"),
            Self::MethodAdded => f.write_str("method added"),
            Self::MethodRemoved => f.write_str("method removed"),
            Self::EventAdded => f.write_str("event added"),
            Self::EventRemoved => f.write_str("event removed"),
            Self::KindChanged { old, new } => {
                write!(f, "kind changed from {} to {}", old.name(), new.name())
            }
            Self::FormChanged => {
                f.write_str("separate params became one object, or the other way round")
            }
            Self::RequiredParamAdded => f.write_str("required param added"),
            Self::OptionalParamAdded => f.write_str("optional param added"),
            Self::ParamRemoved => f.write_str("param removed"),
            Self::ParamRenamed { new } => {
                write!(f, "param renamed to {}", new.escape_debug())
            }
            Self::ParamMoved { old, new } => {
                write!(f, "param moved from position {old} to {new}")
            }
            Self::ParamKindChanged { old, new } => write!(f, "{old} became {new}"),
            Self::FieldAdded { required: true } => f.write_str("required field added"),
            Self::FieldAdded { required: false } => f.write_str("optional field added"),
            Self::FieldRemoved { required: true } => f.write_str("required field removed"),
            Self::FieldRemoved { required: false } => f.write_str("optional field removed"),
            Self::BecameOptional => f.write_str("became optional"),
            Self::BecameRequired => f.write_str("became required"),
            Self::NullAllowed => f.write_str("may be null now"),
            Self::NullRefused => f.write_str("may not be null any more"),
            Self::TypeWidened { old, new } => write!(f, "type widened from {old} to {new}"),
            Self::TypeNarrowed { old, new } => write!(f, "type narrowed from {old} to {new}"),
            Self::TypeChanged { old, new } => write!(f, "type changed from {old} to {new}"),
            Self::ValueAdded(value) => write!(f, "enum value {value} added"),
            Self::ValueRemoved(value) => write!(f, "enum value {value} removed"),
            Self::VariantAdded(variant) => write!(f, "variant {variant} added"),
            Self::VariantRemoved(variant) => write!(f, "variant {variant} removed"),
            Self::UnknownFieldsRefused => f.write_str("unknown fields are refused now"),
            Self::UnknownFieldsPassed => f.write_str("unknown fields are passed over now"),
            Self::DefaultChanged { old, new } => {
                write!(f, "default changed from {old} to {new}")
            }
            Self::NoLongerIdempotent => f.write_str("no longer idempotent"),
            Self::NowIdempotent => f.write_str("idempotent now"),
            Self::ErrorAdded(code) => write!(f, "error {code} added"),
            Self::ErrorRemoved(code) => write!(f, "error {code} removed"),
            Self::RolesChanged { old, new } => {
                let shown = |roles: &str| match roles {
                    "" => "none".to_owned(),
                    roles => roles.escape_debug().to_string(),
                };
                write!(f, "roles changed from {} to {}", shown(old), shown(new))
            }
            Self::SchemaLost => f.write_str("there is no schema any more to compare with"),
            Self::SchemaGained => f.write_str("there was no schema to compare with"),
            Self::NotCompared(why) => write!(f, "not compared: {why}"),
        }
    }
}
