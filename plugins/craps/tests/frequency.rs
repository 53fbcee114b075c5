//! A million rolls with every bet of the layout up: the dice and the result of every bet agree with the exact figures.
//!
//! THE STATED ERROR. For a bet whose decisions are independent, the house's win over `n` decisions of one unit lies within
//! `Z_MAX · √(n · variance)` of `n · edge`, with edge and variance from `published.json`. Come bets overlap (a seven ends
//! several at once), so their error is taken from the batches: the mean of `BATCHES` batch results lies within
//! `Z_MAX` standard errors of what the edge says. `Z_MAX` = 5 is passed by chance about once in 1.7 million tries for each of
//! the 38 bets; the seeds are fixed, so this test cannot fail by chance at all, only by a change.

mod common;

use common::{Published, Q, published};
use craps::dice::Dice;
use craps::rules::Rules;
use craps::seat::Standing;
use craps::spot::Spot;
use craps::table::Table;
use craps::tally::{Line, Tally};
use croupier_sdk::Rng;

const BATCHES: u64 = 100;
const ROLLS_PER_BATCH: u64 = 10_000;
const Z_MAX: f64 = 5.0;
/// Upper 10^-6 point of chi-square with ten degrees of freedom (46.9), rounded up.
const CHI_SQUARE_MAX: f64 = 47.0;
/// Nothing of it is lost to rounding.
const AMOUNT: i64 = 1200;

#[test]
fn a_million_rolls_agree_with_the_exact_figures() {
    let (batches, totals) = million_rolls();
    let throws = (BATCHES * ROLLS_PER_BATCH) as f64;
    let chi_square: f64 = (2..=12_u8)
        .map(|total| {
            let ways = Dice::all().filter(|dice| dice.total() == total).count() as f64;
            let expected = throws * ways / 36.0;
            (totals[usize::from(total)] as f64 - expected).powi(2) / expected
        })
        .sum();
    println!("dice: chi-square {chi_square:.1}");
    assert!(chi_square < CHI_SQUARE_MAX);

    let lines: Vec<Published> =
        published().into_iter().filter(|line| line.rules == serde_json::json!({})).collect();
    for line in &lines {
        let of_batches: Vec<Line> = batches
            .iter()
            .map(|batch| {
                batch.families().into_iter().find(|(name, _)| *name == line.bet).expect("some decisions").1
            })
            .collect();
        let decisions: u64 = of_batches.iter().map(|sum| sum.resolved).sum();
        let z = match &line.variance {
            Some(variance) => independent(line, Q::parse(variance).to_f64(), &of_batches),
            None => batched(line, &of_batches),
        };
        println!("{:<16} {decisions:>8} decisions, z {z:+.2}", line.bet);
        assert!(z.abs() < Z_MAX, "{}: {z} standard errors off", line.bet);
    }
    assert_eq!(lines.len(), 38, "every bet of the layout");
}

/// Standard errors between the house's win and the edge, for decisions that are independent.
fn independent(line: &Published, variance: f64, batches: &[Line]) -> f64 {
    let decisions: u64 = batches.iter().map(|sum| sum.resolved).sum();
    let staked: i128 = batches.iter().map(|sum| sum.staked).sum();
    let house: i128 = batches.iter().map(|sum| sum.staked - sum.paid).sum();
    let stake = staked as f64 / decisions as f64;
    let expected = Q::parse(&line.edge).to_f64() * staked as f64;
    (house as f64 - expected) / (stake * (decisions as f64 * variance).sqrt())
}

/// The same, with the error taken from the batches.
fn batched(line: &Published, batches: &[Line]) -> f64 {
    let edge = Q::parse(&line.edge).to_f64();
    let off: Vec<f64> =
        batches.iter().map(|sum| (sum.staked - sum.paid) as f64 - edge * sum.staked as f64).collect();
    let n = off.len() as f64;
    let mean = off.iter().sum::<f64>() / n;
    let variance = off.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    mean / (variance / n).sqrt()
}

/// One player with every bet of the layout standing; each batch has a seed of its own, as a turn has.
fn million_rolls() -> (Vec<Tally>, [u64; 13]) {
    let mut table = Table::new(Rules::default()).expect("good rules");
    table.join(1, craps::table::BUY_IN_MAX).expect("a free seat");
    let standing = Spot::ALL
        .into_iter()
        .filter(|spot| !matches!(spot, Spot::ComeOn(_) | Spot::DontComeOn(_)))
        .map(|spot| Standing { spot, amount: AMOUNT })
        .collect();
    table.stand(1, standing).expect("legal bets");
    let mut totals = [0; 13];
    let batches = (0..BATCHES)
        .map(|batch| {
            let mut seed = [0xc7; 32];
            seed[..8].copy_from_slice(&batch.to_le_bytes());
            let mut rng = Rng::from_seed(seed);
            let mut tally = Tally::default();
            for _ in 0..ROLLS_PER_BATCH {
                let dice = Dice::new(rng.die(), rng.die()).expect("two dice");
                totals[usize::from(dice.total())] += 1;
                let rolled = table.roll(dice, &mut |decision| tally.count(decision));
                assert_eq!(rolled.skipped, 0);
            }
            tally
        })
        .collect();
    assert_eq!(table.imbalance(), 0);
    (batches, totals)
}
