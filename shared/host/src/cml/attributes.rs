//! Attributes of elements: counted, and given by their local names.

use quick_xml::XmlVersion;
use quick_xml::escape::EscapeError;
use quick_xml::events::BytesStart;
use quick_xml::events::attributes::Attribute;

use super::{CmlError, MAX_ATTRIBUTES};

/// Asks for the line that was read last.
pub(super) type Line<'a> = &'a mut dyn FnMut() -> u64;

/// Gives each attribute of an element by its local name, and counts them.
pub(super) fn attributes(
    start: &BytesStart<'_>,
    line: Line<'_>,
    mut each: impl FnMut(&str, &str),
) -> Result<(), CmlError> {
    if start.attributes_raw().is_empty() {
        return Ok(());
    }
    let mut all = start.attributes();
    for (count, attribute) in all.with_checks(false).enumerate() {
        if count >= MAX_ATTRIBUTES {
            return Err(CmlError::TooMuch {
                line: line(),
                what: "attributes",
            });
        }
        let result = attribute
            .map_err(quick_xml::Error::from)
            .and_then(|attribute| attribute_value(&attribute, &mut each));
        if let Err(error) = result {
            return Err(match error {
                quick_xml::Error::Escape(EscapeError::UnrecognizedEntity(_, name)) => {
                    let name = name.chars().take(40).collect();
                    CmlError::UnknownEntity { line: line(), name }
                }
                source => CmlError::Malformed {
                    line: line(),
                    source,
                },
            });
        }
    }
    Ok(())
}

fn attribute_value(
    attribute: &Attribute<'_>,
    each: &mut impl FnMut(&str, &str),
) -> Result<(), quick_xml::Error> {
    let value = attribute.normalized_value(XmlVersion::default())?;
    each(attribute.key.local_name().as_ref(), value.trim());
    Ok(())
}

/// The letter behind `ЧРД=` in a format of 1C such as `ЧЦ=18; ЧДЦ=2; ЧРД=.`
pub(super) fn decimal_separator(format: &str) -> Option<char> {
    let (_, value) = format.split_once("ЧРД=")?;
    value.chars().find(|letter| !matches!(letter, '"' | '\''))
}
