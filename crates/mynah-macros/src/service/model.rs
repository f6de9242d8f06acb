//! What is known of a service after its trait was read.

use crate::owned::is_path_to;
use proc_macro2::Ident;
use quote::format_ident;
use syn::ext::IdentExt as _;
use syn::{Attribute, PatType, Signature, Token, Type, TypeImplTrait, Visibility};

/// A trait that is a service.
pub(crate) struct Service {
    /// The attributes that stay on the trait.
    pub(crate) attrs: Vec<Attribute>,
    /// Those of them that decide whether it exists; everything that is generated needs them.
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) trait_token: Token![trait],
    pub(crate) ident: Ident,
    /// The name on the wire; empty for methods that are called by their own names alone.
    pub(crate) name: String,
    /// Whether a mock is asked for.
    pub(crate) mock: bool,
    /// Whether params and results are validated.
    pub(crate) validate: bool,
    pub(crate) methods: Vec<Method>,
    pub(crate) events: Vec<Event>,
    /// Whether its contract holds the shapes of what travels.
    pub(crate) schema: bool,
}

/// What it publishes under a topic.
pub(crate) struct Event {
    /// The attributes of ours aside.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) ident: Ident,
    /// The last part of the topic.
    pub(crate) name: String,
    /// The parameter: its name, and the type of the message.
    pub(crate) param: Ident,
    pub(crate) message: Type,
    /// The variant of `Lag`, if one is declared.
    pub(crate) lag: Option<Ident>,
    pub(crate) capacity: Option<usize>,
}

/// A method of it.
pub(crate) struct Method {
    /// The attributes that stay on the trait's method.
    pub(crate) attrs: Vec<Attribute>,
    /// The signature as it was written, the attributes of ours aside.
    pub(crate) signature: Signature,
    /// The name on the wire.
    pub(crate) name: String,
    /// The context parameter as it was written.
    pub(crate) context: Option<PatType>,
    pub(crate) params: Vec<Param>,
    pub(crate) answer: Answer,
    pub(crate) run: Run,
    pub(crate) idempotent: bool,
    /// Its one param is all of its params, as one object.
    pub(crate) object: bool,
    /// Who may call it, by the words of the program.
    pub(crate) roles: Vec<String>,
}

/// A parameter that is sent.
pub(crate) struct Param {
    pub(crate) ident: Ident,
    /// The name on the wire.
    pub(crate) name: String,
    /// `#[default]`, and what stands behind it.
    pub(crate) default: Option<Attribute>,
    pub(crate) ty: Type,
    pub(crate) kind: Kind,
}

/// What a parameter is.
pub(crate) enum Kind {
    /// A value, of the type as written.
    Value,
    /// A stream of these items.
    Incoming(Box<Type>),
    /// A function that is told something.
    Telling(Box<Type>),
    /// A function that is asked for something.
    Asking { value: Box<Type>, reply: Box<Type> },
}

/// What comes back.
pub(crate) enum Answer {
    /// Nothing at all.
    None,
    /// A value; the method has no domain error.
    Value(Box<Type>),
    /// A value or a domain error.
    Result { value: Box<Type>, error: Box<Type> },
    /// A stream of items, which may end in a domain error.
    Stream(Box<Stream>),
}

/// A stream of results.
pub(crate) struct Stream {
    /// The return type as it was written.
    pub(crate) ty: TypeImplTrait,
    /// Whether `Send` is among its bounds.
    pub(crate) send: bool,
    pub(crate) item: Type,
    pub(crate) error: Option<Type>,
}

/// Where a method runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// Polled where its request was read.
    Inline,
    /// In a task of its own.
    Spawned,
    /// On the pool for blocking work.
    Blocking,
}

impl Service {
    pub(crate) fn service_ident(&self) -> Ident {
        format_ident!("{}Service", self.ident)
    }

    pub(crate) fn client_ident(&self) -> Ident {
        format_ident!("{}Client", self.ident)
    }

    pub(crate) fn events_ident(&self) -> Ident {
        format_ident!("{}Events", self.ident)
    }

    pub(crate) fn mock_ident(&self) -> Ident {
        format_ident!("{}Mock", self.ident)
    }

    pub(crate) fn topic(&self, event: &Event) -> String {
        if self.name.is_empty() {
            return event.name.clone();
        }
        format!("{}.{}", self.name, event.name)
    }
}

impl Param {
    /// Whether a call may leave it out.
    pub(crate) fn may_be_absent(&self) -> bool {
        self.default.is_some() || is_path_to(&self.ty, "Option")
    }
}

impl Event {
    /// The constant with its topic.
    pub(crate) fn constant(&self) -> Ident {
        let name = self.ident.unraw().to_string().to_uppercase();
        Ident::new(&name, self.ident.span())
    }

    /// The attributes that the client and the publisher have as well.
    pub(crate) fn docs(&self) -> impl Iterator<Item = &Attribute> {
        docs(&self.attrs)
    }
}

impl Method {
    pub(crate) const fn ident(&self) -> &Ident {
        &self.signature.ident
    }

    /// Whether a parameter is more than its bytes, and is bound to the call.
    pub(crate) fn binds(&self) -> bool {
        self.params
            .iter()
            .any(|param| !matches!(param.kind, Kind::Value))
    }

    /// The attributes that the client's method has as well.
    pub(crate) fn docs(&self) -> impl Iterator<Item = &Attribute> {
        docs(&self.attrs)
    }
}

fn docs(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attr| {
        ["doc", "deprecated", "allow"]
            .iter()
            .any(|name| attr.path().is_ident(name))
    })
}
