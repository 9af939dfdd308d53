//! The way down to the items of a protobuf request, the same for logs and traces: resource, scope, item.

use model::Span;

use super::sink::{BadItem, Sink};
use crate::DecodeError;
use crate::wire::{self, Reader};

/// Calls `item` with every item and the mark of its attributes. An item that fails is refused alone; what
/// holds it must be readable.
pub(super) fn walk<'a>(
    mut request: Reader<'a>,
    sink: &mut Sink<'_>,
    mut item: impl FnMut(&mut Sink<'_>, u32, Reader<'a>) -> Result<(), BadItem>,
) -> Result<(), DecodeError> {
    const RESOURCE_GROUPS: u32 = wire::bytes(1);
    while let Some(key) = request.key()? {
        match key {
            RESOURCE_GROUPS => of_resource(request.message()?, sink, &mut item)?,
            other => request.skip(other)?,
        }
    }
    Ok(())
}

fn of_resource<'a>(
    message: Reader<'a>,
    sink: &mut Sink<'_>,
    item: &mut impl FnMut(&mut Sink<'_>, u32, Reader<'a>) -> Result<(), BadItem>,
) -> Result<(), DecodeError> {
    const RESOURCE: u32 = wire::bytes(1);
    const SCOPE_GROUPS: u32 = wire::bytes(2);
    const ATTRIBUTES: u32 = wire::bytes(1);
    // The resource is usually first, but nothing says it must be.
    let first = sink.mark();
    let mut fields = message;
    while let Some(key) = fields.key()? {
        match key {
            RESOURCE => sink.shared_attrs(fields.message()?, ATTRIBUTES)?,
            other => fields.skip(other)?,
        }
    }
    sink.end_resource(first);
    let mut message = message;
    while let Some(key) = message.key()? {
        match key {
            SCOPE_GROUPS => of_scope(message.message()?, sink, item)?,
            other => message.skip(other)?,
        }
    }
    Ok(())
}

fn of_scope<'a>(
    message: Reader<'a>,
    sink: &mut Sink<'_>,
    item: &mut impl FnMut(&mut Sink<'_>, u32, Reader<'a>) -> Result<(), BadItem>,
) -> Result<(), DecodeError> {
    const SCOPE: u32 = wire::bytes(1);
    const ITEMS: u32 = wire::bytes(2);
    let first = sink.mark();
    let (mut name, mut version) = (Span::default(), Span::default());
    let mut fields = message;
    while let Some(key) = fields.key()? {
        match key {
            SCOPE => read_scope(fields.message()?, sink, &mut name, &mut version)?,
            other => fields.skip(other)?,
        }
    }
    sink.end_scope(first, name, version);
    let mut message = message;
    while let Some(key) = message.key()? {
        match key {
            ITEMS => {
                let fields = message.message()?;
                let first = sink.begin_item()?;
                if let Err(bad) = item(sink, first, fields) {
                    sink.refuse(first, bad);
                }
            }
            other => message.skip(other)?,
        }
    }
    Ok(())
}

fn read_scope(
    message: Reader<'_>,
    sink: &mut Sink<'_>,
    name: &mut Span,
    version: &mut Span,
) -> Result<(), DecodeError> {
    const NAME: u32 = wire::bytes(1);
    const VERSION: u32 = wire::bytes(2);
    const ATTRIBUTES: u32 = wire::bytes(3);
    let mut fields = message;
    while let Some(key) = fields.key()? {
        match key {
            NAME => *name = fields.span()?,
            VERSION => *version = fields.span()?,
            other => fields.skip(other)?,
        }
    }
    sink.shared_attrs(message, ATTRIBUTES)
}
