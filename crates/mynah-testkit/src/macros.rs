//! The suites as tests: one function for each case.

/// Makes a test of each case for a transport.
///
/// In front stands what it carries (`bytes` or `envelopes`), and whether it is `dialled` or comes in pairs (`paired`), or
/// that it is a `group` of servers behind one address ([`GroupTransport`](crate::transport::GroupTransport));
/// then a name for the module of tests, and an expression that makes the
/// [`ByteTransport`](crate::transport::ByteTransport) or [`EnvelopeTransport`](crate::transport::EnvelopeTransport),
/// evaluated for each test. Below the cases of the transport itself there is a module for each dialect of Mynah with
/// the cases of whole calls; a carrier of envelopes has one, `calls`. See [`transport`](crate::transport) for an example.
#[macro_export]
macro_rules! transport_suite {
    (bytes dialled $name:ident => $transport:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "what the expression needs")]
            use super::*;

            fn subject() -> $crate::transport::ByteTransport {
                $transport
            }

            $crate::__byte_cases! { __tests run_bytes (subject()) }
            $crate::__dialled_cases! { __tests run_bytes (subject()) }
            $crate::__dialects! { subject }
        }
    };
    (bytes paired $name:ident => $transport:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "what the expression needs")]
            use super::*;

            fn subject() -> $crate::transport::ByteTransport {
                $transport
            }

            $crate::__byte_cases! { __tests run_bytes (subject()) }
            $crate::__dialects! { subject }
        }
    };
    (envelopes dialled $name:ident => $transport:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "what the expression needs")]
            use super::*;

            fn subject() -> $crate::transport::EnvelopeTransport {
                $transport
            }

            $crate::__envelope_cases! { __tests run_envelopes (subject()) }
            $crate::__dialled_cases! { __tests run_envelopes (subject()) }

            mod calls {
                use super::subject;

                $crate::__call_cases! { __tests run_envelope_calls (subject()) }
            }
        }
    };
    (group $name:ident => $transport:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "what the expression needs")]
            use super::*;

            fn subject() -> $crate::transport::GroupTransport {
                $transport
            }

            $crate::__group_cases! { __tests run_group (subject()) }

            #[test]
            fn what_does_not_apply_has_a_reason() {
                $crate::__private::run_group_moot(subject());
            }

            mod calls {
                use super::subject;

                $crate::__group_call_cases! { __tests run_group_calls (subject()) }
            }
        }
    };
    (envelopes paired $name:ident => $transport:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "what the expression needs")]
            use super::*;

            fn subject() -> $crate::transport::EnvelopeTransport {
                $transport
            }

            $crate::__envelope_cases! { __tests run_envelopes (subject()) }

            mod calls {
                use super::subject;

                $crate::__call_cases! { __tests run_envelope_calls (subject()) }
            }
        }
    };
}

/// Makes a test of each case for a dialect, under a name for the module of tests. The expression makes the
/// [`Dialect`](mynah_codec::Dialect), and is evaluated for each test. See [`dialect`](crate::dialect) for an example.
#[macro_export]
macro_rules! dialect_suite {
    ($name:ident => $dialect:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "what the expression needs")]
            use super::*;

            fn subject() -> ::std::boxed::Box<dyn $crate::__private::Dialect> {
                ::std::boxed::Box::new($dialect)
            }

            $crate::__dialect_cases! { __tests run_dialect (subject()) }

            mod calls {
                use super::subject;

                $crate::__call_cases! { __tests run_dialect_calls (subject()) }
                $crate::__call_cases_over_bytes! { __tests run_dialect_calls (subject()) }
            }
        }
    };
}

/// The dialects that calls over bytes are tried in.
#[doc(hidden)]
#[macro_export]
macro_rules! __dialects {
    ($subject:ident) => {
        $crate::__dialects! { @each $subject
            native_cbor = native_cbor, native_json = native_json, native_messagepack = native_messagepack,
            cbor_rpc_cbor = cbor_rpc_cbor, cbor_rpc_json = cbor_rpc_json, jsonrpc = jsonrpc, kollabor = kollabor
        }
    };
    (@each $subject:ident $($name:ident = $dialect:ident),*) => {
        $(mod $name {
            use super::$subject;

            $crate::__call_cases! {
                __tests run_byte_calls ($subject(), $crate::__private::$dialect())
            }
            $crate::__call_cases_over_bytes! {
                __tests run_byte_calls ($subject(), $crate::__private::$dialect())
            }
        })*
    };
}

/// One test for each case.
#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ($run:ident $subject:tt { $($case:ident)* }) => {
        $(
            #[test]
            fn $case() {
                $crate::__private::$run($subject, stringify!($case));
            }
        )*
    };
}

/// The names of the cases.
#[doc(hidden)]
#[macro_export]
macro_rules! __names {
    ($konst:ident { $($case:ident)* }) => {
        const $konst: &[&str] = &[$(stringify!($case)),*];
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __byte_cases {
    ($then:ident $($args:tt)*) => {
        $crate::$then! { $($args)* {
            order silence split_writes coalesced_writes vectored_writes large_messages
            slow_both_write_64_mib evidence half_close tail vanishing_peer vanishing_reader
        } }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __dialled_cases {
    ($then:ident $($args:tt)*) => {
        $crate::$then! { $($args)* {
            address dial_before_accept accept_dropped dial_dropped many_dials nobody_listens
        } }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __envelope_cases {
    ($then:ident $($args:tt)*) => {
        $crate::$then! { $($args)* {
            order silence every_kind large_messages slow_both_write_64_mib back_pressure half_close
            tail vanishing_peer evidence
        } }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __group_cases {
    ($then:ident $($args:tt)*) => {
        $crate::$then! { $($args)* { evidence address } }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __group_call_cases {
    ($then:ident $($args:tt)*) => {
        $crate::$then! { $($args)* {
            calls ten_thousand_calls large_calls_both_ways calls_back errors notifications
            metadata_beside side_messages deadlines evidence_of_the_caller
            result_streams input_streams two_way_streams callbacks events
            cancel drain limits close
        } }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __dialect_cases {
    ($then:ident $($args:tt)*) => {
        $crate::$then! { $($args)* {
            handshake round_trip refusals frame_ends splits need mutations sizes depth large_messages
        } }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __call_cases {
    ($then:ident $($args:tt)*) => {
        $crate::$then! { $($args)* {
            calls ten_thousand_calls large_calls_both_ways calls_back errors notifications
            metadata_beside side_messages deadlines evidence_of_the_caller
            result_streams input_streams two_way_streams callbacks events
            cancel drain limits vanishing_caller vanishing_callee close
            f1_calls_and_cancels f2_nonsense f3_burst
        } }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __call_cases_over_bytes {
    ($then:ident $($args:tt)*) => {
        $crate::$then! { $($args)* { l5_fragments } }
    };
}

#[cfg(test)]
mod tests {
    use crate::dialect;
    use crate::transport::{ByteTransport, EnvelopeTransport, GroupTransport};

    crate::__group_cases! { __names GROUP }
    crate::__group_call_cases! { __names GROUP_CALLS }
    crate::__byte_cases! { __names BYTES }
    crate::__dialled_cases! { __names DIALLED }
    crate::__envelope_cases! { __names ENVELOPES }
    crate::__dialect_cases! { __names DIALECT }
    crate::__call_cases! { __names CALLS }
    crate::__call_cases_over_bytes! { __names CALLS_OVER_BYTES }

    #[test]
    fn every_case_is_a_test() {
        let check = |lists: &[&[&str]], cases: Vec<&str>| assert_eq!(lists.concat(), cases);
        check(&[BYTES, DIALLED], ByteTransport::cases().collect());
        check(&[ENVELOPES, DIALLED], EnvelopeTransport::cases().collect());
        check(&[GROUP], GroupTransport::cases().collect());
        check(&[GROUP_CALLS], GroupTransport::cases_of_calls().collect());
        check(&[DIALECT], dialect::cases().collect());
        check(&[CALLS], EnvelopeTransport::cases_of_calls().collect());
        let over_bytes = [CALLS, CALLS_OVER_BYTES];
        check(&over_bytes, ByteTransport::cases_of_calls().collect());
        check(&over_bytes, dialect::cases_of_calls().collect());
    }
}
