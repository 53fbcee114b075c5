//! Heads or tails: a small game for the SDK's own tests. It is exported as plugins are, and in a crate part without `unsafe`.
#![allow(dead_code, unreachable_pub)] // each test takes what it needs
#![deny(unsafe_code)]

use croupier_sdk::{Decimal, DetMap, Game, Level, Player, Refusal, Turn};
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub max_bet: Decimal,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    #[serde(default)]
    pub stack: Decimal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Heads,
    Tails,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Action {
    Flip { side: Side, amount: Decimal },
    Panic,
    Balance,
    Flood { bytes: usize },
}

#[derive(Debug, Serialize, PartialEq)]
pub struct Reply {
    pub stack: Decimal,
    pub flips: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Coin {
    pub max_bet: Decimal,
    pub stacks: DetMap<Player, Decimal>,
    pub flips: u64,
    pub filler: String,
}

impl Game for Coin {
    type Config = Config;
    type Profile = Profile;
    type Action = Action;
    type Reply = Reply;

    const STATE_VERSION: u32 = 2;

    fn open(config: Config, _turn: &mut Turn<'_>) -> Result<(Coin, Reply), Refusal> {
        if !config.max_bet.is_positive() {
            return Err(Refusal::rule("max_bet must be above 0"));
        }
        let coin = Coin { max_bet: config.max_bet, stacks: DetMap::new(), flips: 0, filler: String::new() };
        let reply = coin.reply(Player::HOUSE);
        Ok((coin, reply))
    }

    fn join(&mut self, player: Player, profile: Profile, turn: &mut Turn<'_>) -> Result<Reply, Refusal> {
        self.stacks.insert(player, profile.stack);
        turn.emit("table", &player)?;
        Ok(self.reply(player))
    }

    fn leave(&mut self, player: Player, _turn: &mut Turn<'_>) -> Result<Reply, Refusal> {
        let reply = self.reply(player);
        self.stacks.remove(&player);
        Ok(reply)
    }

    fn action(&mut self, player: Player, action: Action, turn: &mut Turn<'_>) -> Result<Reply, Refusal> {
        match action {
            Action::Flip { side, amount } => {
                if amount > self.max_bet {
                    return Err(Refusal::rule(format!("the most you may bet is {}", self.max_bet)));
                }
                let came = if turn.rng().below(2) == 0 { Side::Heads } else { Side::Tails };
                let stack = self.stacks.get_mut(&player).ok_or_else(|| Refusal::rule("take a seat first"))?;
                if came == side {
                    *stack += amount;
                } else {
                    *stack -= amount;
                }
                self.flips += 1;
                turn.send(Player::ALL, &came)?;
            }
            Action::Panic => panic!("as you wish"),
            Action::Balance => {
                turn.log(Level::Info, "asking the wallet");
                let answer = turn.call("wallet.pay", b"{}")?;
                let answer = String::from_utf8_lossy(&answer);
                let stack = answer.parse().map_err(|err| Refusal::internal(format!("{answer}: {err}")))?;
                self.stacks.insert(player, stack);
            }
            Action::Flood { bytes } => self.filler = "x".repeat(bytes),
        }
        Ok(self.reply(player))
    }

    fn close(&mut self, _turn: &mut Turn<'_>) -> Result<Reply, Refusal> {
        Ok(self.reply(Player::HOUSE))
    }

    fn migrate(version: u32, snapshot: &[u8]) -> Result<Coin, Refusal> {
        match version {
            1 => Ok(Coin {
                max_bet: Decimal::ONE,
                stacks: DetMap::new(),
                flips: u64::from(*snapshot.first().ok_or_else(|| Refusal::bad_input("empty"))?),
                filler: String::new(),
            }),
            _ => Err(Refusal::unsupported(format!("version {version}"))),
        }
    }
}

impl Coin {
    fn reply(&self, player: Player) -> Reply {
        Reply { stack: self.stacks.get(&player).copied().unwrap_or_default(), flips: self.flips }
    }
}

croupier_sdk::export!(Coin, name: "coin", manifest: "plugin.toml");
