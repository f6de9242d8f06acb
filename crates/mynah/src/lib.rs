//! Define a service once as a trait; serve and call it over any transport, in the wire format of the peer.
