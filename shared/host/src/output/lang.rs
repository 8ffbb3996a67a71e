//! The language of texts for people. Codes and field names stay English.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// English or Russian.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// English: the default.
    #[default]
    En,
    /// Russian.
    Ru,
}

/// A language that we do not speak.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no language of ours: en or ru")]
pub struct UnknownLang(String);

impl FromStr for Lang {
    type Err = UnknownLang;

    /// `en`, `ru`, also as the system writes them: `ru_RU.UTF-8`.
    fn from_str(text: &str) -> Result<Self, UnknownLang> {
        let first = text.split(['_', '-', '.']).next().unwrap_or_default();
        match first.to_ascii_lowercase().as_str() {
            "en" => Ok(Self::En),
            "ru" => Ok(Self::Ru),
            _ => Err(UnknownLang(text.to_owned())),
        }
    }
}

impl Lang {
    /// As the environment variable `VITRINA_LANG` says, else as the configuration's `language`, else English.
    ///
    /// # Errors
    ///
    /// [`crate::config::ConfigError::Environment`] for a language that we do not speak.
    pub fn chosen(configured: Option<Self>) -> Result<Self, crate::config::ConfigError> {
        let environment = crate::config::environment("VITRINA_LANG")?;
        Ok(crate::config::choose(
            None,
            environment,
            configured,
            Self::En,
        ))
    }
}

/// One text in two languages, as a `String`: `say!(lang, "{n} pieces", "{n} шт.")`. Names in braces are taken from
/// where it stands; further arguments follow after a semicolon: `say!(lang, "{}", "{}"; n + 1)`.
#[macro_export]
macro_rules! say {
    ($lang:expr, $en:literal, $ru:literal $(; $($argument:expr),+ $(,)?)?) => {
        match $lang {
            $crate::output::Lang::En => ::std::format!($en $(, $($argument),+)?),
            $crate::output::Lang::Ru => ::std::format!($ru $(, $($argument),+)?),
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_in_the_language_asked_for() {
        let n = 3;
        assert_eq!(say!(Lang::En, "{n} pieces", "{n} шт."), "3 pieces");
        assert_eq!(say!(Lang::Ru, "{n} pieces", "{n} шт."), "3 шт.");
        assert_eq!(say!(Lang::Ru, "{} more", "ещё {}"; n + 1), "ещё 4");
    }

    #[test]
    fn languages_are_read_as_the_system_writes_them() {
        assert_eq!("ru_RU.UTF-8".parse(), Ok(Lang::Ru));
        assert_eq!("EN".parse(), Ok(Lang::En));
        assert!("de".parse::<Lang>().is_err());
    }
}
