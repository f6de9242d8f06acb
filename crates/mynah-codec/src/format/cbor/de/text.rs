//! Texts and bytes.

use super::super::fault;
use super::{Decoder, Failure, INFO, Result, head};
use serde::de::Visitor;
use std::borrow::Cow;

impl<'de> Decoder<'de, '_> {
    #[inline]
    pub(super) fn text<V: Visitor<'de>>(&mut self, first: u8, visitor: V) -> Result<V::Value> {
        if first & INFO == head::INDEFINITE {
            return self.chunked_text(visitor);
        }
        let text = self.one_text(first)?;
        visitor.visit_borrowed_str(text)
    }

    #[inline]
    fn one_text(&mut self, first: u8) -> Result<&'de str> {
        let content = self.content(first)?;
        match std::str::from_utf8(content) {
            Ok(text) => Ok(text),
            Err(_) => Err(fault::invalid_utf8(self.offset() - content.len()).into()),
        }
    }

    #[inline]
    pub(super) fn bytes<V: Visitor<'de>>(&mut self, first: u8, visitor: V) -> Result<V::Value> {
        match self.any_bytes(first)? {
            Cow::Borrowed(bytes) => visitor.visit_borrowed_bytes(bytes),
            Cow::Owned(bytes) => visitor.visit_byte_buf(bytes),
        }
    }

    #[inline]
    pub(super) fn any_bytes(&mut self, first: u8) -> Result<Cow<'de, [u8]>> {
        if first & INFO == head::INDEFINITE {
            return self.chunked_bytes().map(Cow::Owned);
        }
        self.content(first).map(Cow::Borrowed)
    }

    /// The content of a string in one piece.
    #[inline]
    fn content(&mut self, first: u8) -> Result<&'de [u8]> {
        let start = self.rest.len();
        let announced = self.argument(first)?;
        let len = usize::try_from(announced).unwrap_or(usize::MAX);
        match self.rest.split_at_checked(len) {
            Some((content, rest)) => {
                self.rest = rest;
                Ok(content)
            }
            None => Err(self.incomplete(first, len, start)),
        }
    }

    /// Why a string cannot be read that is longer than the input, with the verdict of a scan over the input.
    #[cold]
    #[inline(never)]
    fn incomplete(&self, first: u8, len: usize, start: usize) -> Failure {
        if let Err(error) = self.check_announced(len, 1, self.input.len() - start) {
            return error;
        }
        let text = first & !INFO == head::TEXT;
        match std::str::from_utf8(self.rest) {
            Err(error) if text && error.error_len().is_some() => {
                fault::invalid_utf8(self.offset()).into()
            }
            _ => self.truncated(),
        }
    }

    #[cold]
    #[inline(never)]
    fn chunked_text<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let mut text = String::new();
        self.pass(1);
        while let Some(first) = self.chunk(head::TEXT)? {
            // Each chunk is a text of its own: no character is split.
            text.push_str(self.one_text(first)?);
        }
        visitor.visit_string(text)
    }

    #[cold]
    #[inline(never)]
    fn chunked_bytes(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.pass(1);
        while let Some(first) = self.chunk(head::BYTES)? {
            bytes.extend_from_slice(self.content(first)?);
        }
        Ok(bytes)
    }

    /// The first byte of the next chunk, `None` behind the break.
    fn chunk(&mut self, major: u8) -> Result<Option<u8>> {
        let first = self.peek()?;
        if first == head::BREAK {
            self.pass(1);
            return Ok(None);
        }
        if first & !INFO != major || first & INFO == head::INDEFINITE {
            return Err(self.malformed(fault::NOT_A_CHUNK));
        }
        Ok(Some(first))
    }
}
