//! Plays a line of commands at a real table and writes down what happens, so that tests are data.
//!
//! ```text
//! bet KIND [NUMBER] AMOUNT | take KIND [NUMBER] [all|AMOUNT] | on|off|auto KIND [NUMBER] | stand KIND [NUMBER] AMOUNT
//! roll A B | as PLAYER | join PLAYER BANKROLL | leave | money | point | shooter
//! ```

use craps::dice::Dice;
use craps::error::Illegal;
use craps::rules::Rules;
use craps::seat::{Standing, Working};
use craps::spot::Spot;
use craps::table::Table;

/// Plays `script` (commands separated by `;`) at a table with player 1 and 1,000 in front of them; what each command
/// had to say, separated by `; `.
pub(crate) fn play(rules: Rules, script: &str) -> String {
    let mut table = Table::new(rules).expect("good rules");
    table.join(1, 1000).expect("a free seat");
    let mut player = 1;
    let mut said = Vec::new();
    for command in script.split(';') {
        let words: Vec<&str> = command.split_whitespace().collect();
        if let ["as", who] = words[..] {
            player = who.parse().expect("a player");
            continue;
        }
        let before = table.clone();
        match run(&mut table, player, &words) {
            Ok(text) if text.is_empty() => {}
            Ok(text) => said.push(text),
            Err(illegal) => {
                assert_eq!(table, before, "{command}: refused, and yet something changed");
                said.push(format!("no: {illegal}"));
            }
        }
        assert_eq!(table.imbalance(), 0, "{command}: money came or went");
    }
    said.join("; ")
}

fn run(table: &mut Table, player: u64, words: &[&str]) -> Result<String, Illegal> {
    let quiet = |()| String::new();
    match *words {
        ["bet", ref bet @ .., amount] => table.bet(player, spot(bet), number(amount)).map(quiet),
        ["stand", ref bet @ .., amount] => {
            let mut standing = table.seat(player)?.standing.clone();
            standing.push(Standing { spot: spot(bet), amount: number(amount) });
            table.stand(player, standing).map(quiet)
        }
        ["take", ref bet @ .., "all"] => Ok(format!("back {}", table.remove(player, spot(bet), None)?)),
        ["take", ref bet @ .., amount] => {
            Ok(format!("back {}", table.remove(player, spot(bet), Some(number(amount)))?))
        }
        ["on", ref bet @ ..] => table.switch(player, spot(bet), Working::On).map(quiet),
        ["off", ref bet @ ..] => table.switch(player, spot(bet), Working::Off).map(quiet),
        ["auto", ref bet @ ..] => table.switch(player, spot(bet), Working::Auto).map(quiet),
        ["join", who, bankroll] => table.join(number(who) as u64, number(bankroll)).map(quiet),
        ["leave"] => {
            let out = table.leave(player)?;
            Ok(format!("paid {}, returned {}, forfeited {}", out.paid, out.returned, out.forfeited))
        }
        ["money"] => {
            let seat = table.seat(player)?;
            Ok(format!("{}+{}", seat.bankroll, seat.on_table()))
        }
        ["point"] => {
            Ok(table.point().map_or("point off".into(), |point| format!("point {}", point.number())))
        }
        ["shooter"] => Ok(format!("shooter {}", table.shooter().unwrap_or(0))),
        ["roll", a, b] => Ok(roll(table, Dice::new(number(a) as u8, number(b) as u8).expect("two dice"))),
        _ => panic!("no such command: {words:?}"),
    }
}

fn roll(table: &mut Table, dice: Dice) -> String {
    let mut results = String::new();
    let many = table.seats().len() > 1;
    let rolled = table.roll(dice, &mut |decision| {
        let who = if many { format!("{}'s ", decision.player) } else { String::new() };
        let number = decision.spot.number().map_or(String::new(), |n| format!(" {n}"));
        let kind = word(&decision.spot.kind());
        let outcome = word(&decision.outcome);
        results += &format!(", {who}{kind}{number} {outcome} {}>{}", decision.staked, decision.paid);
    });
    format!("{}{results}", word(&rolled.call))
}

fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("a word").trim_matches('"').to_owned()
}

fn number(text: &str) -> i64 {
    text.parse().unwrap_or_else(|err| panic!("{text}: {err}"))
}

fn spot(words: &[&str]) -> Spot {
    let kind = serde_json::from_str(&format!("\"{}\"", words[0])).expect("a kind of bet");
    Spot::named(kind, words.get(1).map(|n| number(n) as u8)).unwrap_or_else(|| panic!("no bet {words:?}"))
}
