//! The exact house edge of every bet, computed from the plugin's own table, against the published figures.
//!
//! For each bet the real table is driven through all 36 throws from every state that the bet can reach. That is an
//! absorbing Markov chain: the bet is decided in the end. The expected net win (and its square) of every
//! state is the solution of a linear system, solved in exact fractions. No payout and no probability is written here.

mod common;

use std::collections::BTreeMap;

use common::{Published, Q, published};
use craps::dice::{Dice, Point};
use craps::rules::{ComeOut, Rules};
use craps::spot::Spot;
use craps::table::Table;

/// Divisible by all that payouts and commissions divide by, so that rounding takes nothing.
const AMOUNT: i64 = 1200;
const PLAYER: u64 = 1;

/// What is up when the bet under test is made, and how likely, of all the times that it is made.
struct Start {
    table: Table,
    weight: Q,
}

/// Expected net win per unit staked, and the expected square of it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Moments {
    first: Q,
    second: Q,
}

#[test]
fn every_edge_is_the_published_one() {
    for line in published() {
        for come_out in [ComeOut::Off, ComeOut::On] {
            let rules = Rules { come_out, ..rules_of(&line) };
            let moments = analyse(&line.bet, &rules);
            let edge = -moments.first;
            assert_eq!(edge, Q::parse(&line.edge), "{}: edge {edge} ({come_out:?})", line.bet);
            assert_eq!(edge.percent(), line.percent, "{}: as {} prints it", line.bet, line.source);
            let variance = moments.second - moments.first * moments.first;
            if let Some(stated) = &line.variance {
                assert_eq!(variance, Q::parse(stated), "{}: variance {variance}", line.bet);
            }
        }
    }
}

#[test]
fn every_bet_of_the_layout_is_published() {
    let published = published();
    for spot in Spot::ALL {
        let known =
            published.iter().any(|line| line.bet == spot.family() && line.rules == serde_json::json!({}));
        assert!(known, "{} is not in published.json", spot.family());
    }
}

/// Pass with full odds, in percent to three places: casinodealerswebsite.com, Summary of bets house %.
#[test]
fn full_odds_bring_the_edge_down_as_published() {
    for (multiples, percent) in
        [([1, 1, 1], "0.848"), ([2, 2, 2], "0.606"), ([3, 3, 3], "0.471"), ([3, 4, 5], "0.374")]
    {
        let rules = Rules { odds: multiples, ..Rules::default() };
        let mut staked = Q::int(AMOUNT);
        for (point, ways) in ways() {
            let mut table = seated(&rules);
            table.bet(PLAYER, Spot::Pass, AMOUNT).expect("a line bet on the come-out");
            table.roll(dice(point.number()), &mut |_| {});
            let refused = |n: &i64| table.clone().bet(PLAYER, Spot::PassOdds, n * AMOUNT).is_err();
            let most = (1..).find(refused).expect("a limit") - 1;
            staked = staked + Q::int(most * AMOUNT) * ways / Q::int(36);
        }
        let together = -analyse("pass", &rules).first * Q::int(AMOUNT) / staked;
        assert_eq!(format!("{:.3}", together.to_f64() * 100.0), percent, "{multiples:?}: {together}");
    }
}

fn rules_of(line: &Published) -> Rules {
    serde_json::from_value(line.rules.clone()).expect("rules in published.json")
}

/// The moments of one family, over all the states in which the bet can be made. The edge must be the same in each.
fn analyse(family: &str, rules: &Rules) -> Moments {
    let (mut first, mut second, mut weight) = (Q::ZERO, Q::ZERO, Q::ZERO);
    for spot in Spot::ALL.into_iter().filter(|spot| spot.family() == family) {
        for start in starts(spot, rules) {
            let moments = solve(&start.table, spot);
            if weight != Q::ZERO {
                assert_eq!(
                    moments.first * weight,
                    first,
                    "{family}: the edge depends on when the bet is made"
                );
            }
            first = first + moments.first * start.weight;
            second = second + moments.second * start.weight;
            weight = weight + start.weight;
        }
    }
    assert!(weight > Q::ZERO, "{family}: no way to make this bet");
    Moments { first: first / weight, second: second / weight }
}

/// Tables with the bet just made, in every phase that allows it.
fn starts(spot: Spot, rules: &Rules) -> Vec<Start> {
    let phases: Vec<Option<Point>> = std::iter::once(None).chain(Point::ALL.map(Some)).collect();
    let mut starts = Vec::new();
    for phase in phases {
        let mut table = seated(rules);
        let weight = match (spot, phase) {
            // Odds are made when their number is: as often as the number comes.
            (Spot::PassOdds | Spot::DontPassOdds, Some(point)) => chance_of(point),
            (Spot::ComeOdds(on) | Spot::DontComeOdds(on), Some(_)) => chance_of(on),
            // A come bet is analysed from the box on.
            (Spot::ComeOn(_) | Spot::DontComeOn(_), _) => continue,
            _ => Q::ONE,
        };
        match spot {
            Spot::PassOdds => table.bet(PLAYER, Spot::Pass, AMOUNT).expect("pass"),
            Spot::DontPassOdds => table.bet(PLAYER, Spot::DontPass, AMOUNT).expect("don't pass"),
            _ => {}
        }
        if let Some(point) = phase {
            table.roll(dice(point.number()), &mut |_| {});
        }
        if let Spot::ComeOdds(on) | Spot::DontComeOdds(on) = spot {
            let come = if matches!(spot, Spot::ComeOdds(_)) { Spot::Come } else { Spot::DontCome };
            if table.bet(PLAYER, come, AMOUNT).is_err() {
                continue;
            }
            table.roll(dice(on.number()), &mut |_| {});
        }
        if table.bet(PLAYER, spot, AMOUNT).is_ok() {
            starts.push(Start { table, weight });
        }
    }
    starts
}

fn seated(rules: &Rules) -> Table {
    let mut table = Table::new(rules.clone()).expect("good rules");
    table.join(PLAYER, 1_000_000_000).expect("a free seat");
    table
}

/// Some throw with this total.
fn dice(total: u8) -> Dice {
    Dice::all().find(|dice| dice.total() == total).expect("2 to 12")
}

fn ways() -> impl Iterator<Item = (Point, Q)> {
    Point::ALL.into_iter().map(|point| {
        let ways = Dice::all().filter(|dice| dice.total() == point.number()).count();
        (point, Q::int(ways as i64))
    })
}

fn chance_of(point: Point) -> Q {
    ways().find(|(p, _)| *p == point).expect("a point").1 / Q::int(36)
}

/// What tells states apart: the phase and the player's bets, not the money.
type Key = (Option<Point>, Vec<(Spot, i64)>);

fn key(table: &Table) -> Key {
    let seat = table.seat(PLAYER).expect("the player");
    (table.point(), seat.bets.iter().map(|(spot, stake)| (spot, stake.amount)).collect())
}

/// The moments of the bet on `spot` that was just made: build the chain by throwing all dice from every state, then solve it.
fn solve(start: &Table, spot: Spot) -> Moments {
    let staked = start.seat(PLAYER).expect("the player").bets.on(spot).total();
    let mut index = BTreeMap::from([(key(start), 0_usize)]);
    let mut tables = vec![start.clone()];
    // Row: the chances of going on to each state, then the expected net win and its square of being decided at once.
    let mut rows: Vec<(BTreeMap<usize, Q>, Q, Q)> = Vec::new();
    while let Some(table) = tables.get(rows.len()).cloned() {
        let (mut go_on, mut first, mut second) = (BTreeMap::new(), Q::ZERO, Q::ZERO);
        for dice in Dice::all() {
            let mut next = table.clone();
            let mut net = None;
            next.roll(dice, &mut |decision| {
                if decision.spot.family() == spot.family() {
                    assert_eq!(decision.staked, staked);
                    net = Some(Q::new(i128::from(decision.paid - decision.staked), i128::from(staked)));
                }
            });
            let each = Q::new(1, 36);
            if let Some(net) = net {
                first = first + net * each;
                second = second + net * net * each;
            } else {
                let new = tables.len();
                let at = *index.entry(key(&next)).or_insert(new);
                if at == new {
                    tables.push(next);
                }
                let chance = go_on.entry(at).or_insert(Q::ZERO);
                *chance = *chance + each;
            }
        }
        rows.push((go_on, first, second));
    }
    eliminate(rows)
}

/// State by state from the last: `v = p·v + rest` gives `v = rest / (1 − p)`, put into all the others.
fn eliminate(mut rows: Vec<(BTreeMap<usize, Q>, Q, Q)>) -> Moments {
    for at in (0..rows.len()).rev() {
        let (mut go_on, mut first, mut second) = std::mem::take(&mut rows[at]);
        let leave = Q::ONE - go_on.remove(&at).unwrap_or(Q::ZERO);
        assert!(leave > Q::ZERO, "a bet that is never decided");
        for chance in go_on.values_mut() {
            *chance = *chance / leave;
        }
        (first, second) = (first / leave, second / leave);
        for row in &mut rows[..at] {
            let Some(share) = row.0.remove(&at) else { continue };
            for (to, chance) in &go_on {
                let sum = row.0.entry(*to).or_insert(Q::ZERO);
                *sum = *sum + share * *chance;
            }
            row.1 = row.1 + share * first;
            row.2 = row.2 + share * second;
        }
        rows[at] = (go_on, first, second);
    }
    Moments { first: rows[0].1, second: rows[0].2 }
}
