//! How a byte stream is cut into frames, resumable.
