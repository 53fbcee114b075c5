//! What a session is opened with: the members of a PHH file that set a hand up, and two of our own.
//!
//! The manifest's schema is checked first, so types, ranges of lengths and unknown members are no concern here.

use croupier_sdk::Decimal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::chips::Chips;
use crate::hand::{Antes, Hand, SetupError};
use crate::unit::{AmountError, Unit};

/// The only game played here.
const VARIANT: &str = "NT";

/// Where cards come from.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deal {
    /// The plugin draws them from the seed of the turn in which they are due.
    #[default]
    Seed,
    /// The house names them (`d dh`, `d db`).
    Scripted,
}

/// The config of a session.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    variant: String,
    antes: Vec<Decimal>,
    blinds_or_straddles: Vec<Decimal>,
    min_bet: Decimal,
    starting_stacks: Vec<Decimal>,
    #[serde(default)]
    ante_trimming_status: bool,
    #[serde(default)]
    deal: Deal,
    #[serde(default = "one")]
    chip: Decimal,
}

fn one() -> Decimal {
    Decimal::ONE
}

/// Why a config opens no session.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// Another game.
    #[error("variant: \"{0}\" is not played here; only \"{VARIANT}\", no-limit Texas hold'em")]
    Variant(String),
    /// An amount that does not fit.
    #[error("{member}: {source}")]
    Amount {
        /// The member of the config.
        member: &'static str,
        /// What is wrong with it.
        source: AmountError,
    },
    /// Members that do not fit together.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

impl Config {
    /// Where cards come from.
    #[must_use]
    pub fn deal(&self) -> Deal {
        self.deal
    }

    /// The chip, and the hand with antes and blinds posted.
    ///
    /// # Errors
    /// When the variant is another, an amount is not a multiple of the chip, or lists do not fit together.
    pub fn start(&self) -> Result<(Unit, Hand), ConfigError> {
        if self.variant != VARIANT {
            return Err(ConfigError::Variant(self.variant.clone()));
        }
        let at = |member| move |source| ConfigError::Amount { member, source };
        let unit = Unit::new(self.chip).map_err(at("chip"))?;
        let chips = |amounts: &[Decimal], member| -> Result<Vec<Chips>, ConfigError> {
            amounts.iter().map(|amount| unit.chips(*amount).map_err(at(member))).collect()
        };
        let setup = crate::hand::Setup {
            antes: chips(&self.antes, "antes")?,
            ante_rule: if self.ante_trimming_status { Antes::Trimmed } else { Antes::Dead },
            blinds: chips(&self.blinds_or_straddles, "blinds_or_straddles")?,
            min_bet: unit.chips(self.min_bet).map_err(at("min_bet"))?,
            stacks: chips(&self.starting_stacks, "starting_stacks")?,
        };
        Ok((unit, Hand::open(&setup)?))
    }
}
